"""What visitors bring, and the page that it opens: words, addresses, links, marks, full keys, files. Imports `worker`.

A key that is brought is kept for good under its mark; nothing is repaired. What else is brought is only read.
"""

import asyncio
import re
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final
from urllib.parse import unquote
from weakref import WeakKeyDictionary

from babelia.services import store
from gallery import ledger
from gallery.addresses import address_in_link, address_in_path
from gallery.editions import editions, weights_here
from worker.catalogue.address import KINDS, PROMPT_LIMIT, Address, canonical_prompt
from worker.catalogue.key import CHARACTERS, Key, is_mark
from worker.catalogue.key_files import KeyFile, parse_key_file
from worker.catalogue.limits import KEY_TEXT_BYTES
from worker.catalogue.png import KEY, is_png, pixel_digest_of_file
from worker.catalogue.webp import is_webp
from worker.errors import AddressRefused, InputRefused, KeyRefused, LibraryBusy

AT_ONCE: Final = 3
"""Files that one process of the site reads at a time."""
WITHIN: Final = 5.0
"""Seconds that a file waits for its turn."""

_AFTER_HEADER = 8 + 25  # signature, and the IHDR chunk: 4 length, 4 kind, 13 content, 4 checksum

_LINK = re.compile(r"https?://\S+", re.IGNORECASE)
_AFTER_LINK = ".,;:!?)]}>\"'»”’"
_ESCAPE = re.compile(r"%[0-9A-Fa-f]{2}")
_FOREIGN = re.compile(r"[^A-Za-z0-9_+/\s-]")

_places: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()


@asynccontextmanager
async def place_to_read() -> AsyncIterator[None]:
    """Hold one of the places while a file is in memory. Raises LibraryBusy where none is free in time.

    While it arrives, a body waits on the disk (FILE_UPLOAD_MAX_MEMORY_SIZE). To be read it has to be in memory as a
    whole, with what is made of it: so a few are read at a time, and the others wait for a moment.
    """
    places = _places.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(AT_ONCE))
    try:
        async with asyncio.timeout(WITHIN):
            await places.acquire()
    except TimeoutError:
        error = LibraryBusy("So many files are being read that yours has to wait.", hint="Send it again in a moment.")
        error.retry_after = round(WITHIN)
        raise error from None
    try:
        yield
    finally:
        places.release()


class LeadsNowhere(AddressRefused):
    """A text that looks like a link or a mark and opens nothing here; it may be that it was meant as words."""


class SaysNothing(InputRefused):
    """A PNG that carries neither a key nor a mark nor an address."""


def address_of_typed(text: str, edition: str) -> Address:
    """Return the page that somebody means who types or pastes a text, in an edition where the text names none.

    A whole key is kept here and opened by its mark. A mark, a link (also amid other words, as share sheets hand it on)
    and an address open their page; what is none of these is words, and opens the first page of their volume. Raises
    LeadsNowhere for a link or mark that opens nothing, KeyRefused, and AddressRefused for what no prompt may hold.
    """
    bare = text.strip()
    if is_meant_as_key(bare):
        return address_of_text(text, edition)
    mark = bare.strip("/").lower().removeprefix("mark/")
    if is_mark(mark):
        return _known_mark(mark, edition)
    link = _LINK.search(bare)
    if link is not None:
        found = address_in_link(bare) if link.start() == 0 else None
        found = found or address_in_link(link.group().rstrip(_AFTER_LINK))
        if found is not None or link.group() == bare:
            return found or address_of_link(bare)
    return _address_written(bare, edition) or address_of_words(text, edition)


def address_of_words(text: str, edition: str) -> Address:
    """Return the first page of the volume that words name, whatever else they look like. Raises AddressRefused."""
    return Address(edition, "prompt", canonical_prompt(text), 1)


def address_of_link(link: str) -> Address:
    """Return the page that a link names, of this or another Babelia. Raises LeadsNowhere."""
    found = address_in_link(link)
    if found is None:
        raise LeadsNowhere(
            "This link leads to no picture of a Babelia.",
            hint="Take the link of a picture’s page, or save the picture there as a PNG and open that.",
        )
    return found


def is_shelf(text: str) -> bool:
    """Say whether a text is a shelf that a browser has saved (static/js/shelf-file.js)."""
    return text.lstrip().startswith("{") and '"babelia-shelf"' in text[:200]


def is_meant_as_key(text: str) -> bool:
    """Say whether a text is a key, or was one before something happened to it: much of it, and hardly any words."""
    if len(text) <= 2 * PROMPT_LIMIT:
        return False
    pieces = text.split()
    letters = sum(map(len, pieces))
    foreign = len(_FOREIGN.findall(text))
    return letters > 2 * PROMPT_LIMIT and letters > 30 * len(pieces) and foreign < letters / 50


def _known_mark(mark: str, edition: str) -> Address:
    if store().can_resolve(mark):
        return Address(edition, "mark", mark, None)
    raise LeadsNowhere(
        "That looks like the short name of a key, and this library has not seen that key yet.",
        hint="Paste the whole key, or open a picture that was saved from its page.",
    )


def _address_written(text: str, edition: str) -> Address | None:
    """Return the page of an address without a scheme: `key/borges/1`, `/pocket-1/prompt/a%20dog/`, a host before it."""
    if "/" not in text:
        return None
    copied = _ESCAPE.search(text) is not None and not re.search(r"\s", text)  # out of a browser
    if copied:
        text = unquote(text)
    found = address_in_path(text)
    if found is not None or text.lstrip("/").partition("/")[0] not in KINDS:
        return found
    try:
        return Address.parse(text, edition)
    except AddressRefused:
        return None


def address_inside(data: bytes, edition: str) -> Address | None:
    """Return the page that a picture names, with a key or an address inside; None of any other file.

    A key is kept here. Damaged texts name nothing: what the picture shows says more.
    """
    if not (is_png(data) or is_webp(data)):
        return None
    try:
        return address_of_file(data, edition)
    except (AddressRefused, InputRefused, KeyRefused):
        return None


async def open_file(data: bytes, edition: str) -> Address:
    """Return the page that a file opens, as `address_of_file` does; of a PNG that has lost its texts, by its pixels.

    Programs that write a picture again leave its texts out, or a chat does, and where no pixel has changed, the page is
    among those that were opened here.
    """
    try:
        return await asyncio.to_thread(address_of_file, data, edition)
    except SaysNothing:
        digest = await asyncio.to_thread(pixel_digest_of_file, data)
        found = None if digest is None else await ledger.page_of_pixels(digest)
        if found is None:
            raise
        return found


def address_of_file(data: bytes, edition: str) -> Address:
    """Return the page that a file opens: a key's text, or a PNG that carries a key, a mark or an address.

    The key is kept here. A picture opens by its address, under which it was saved, where that leads to the key that it
    names; else by that key. `edition` is taken where the file names none that is known. Raises SaysNothing for a PNG
    that says nothing of itself, InputRefused, KeyRefused.
    """
    found = parse_key_file(data)
    if not found.is_picture and is_shelf(found.key or ""):
        raise InputRefused(
            "This is a shelf that was saved as a file, and no key.",
            hint="Open it on your shelf: “Shelf” at the top of each page, and there below the pictures.",
        )
    if found.edition is not None and found.edition in editions():
        edition = found.edition
    mark = found.mark if found.mark is not None and store().can_resolve(found.mark) else None
    by_mark = None if mark is None else Address(edition, "mark", mark, None)
    if found.key is not None:
        by_mark = address_of_text(found.key, edition)
    if by_mark is not None:
        return _own_address(found, by_mark.name) or by_mark
    if found.address is not None:
        return _address_inside(found.address, edition)
    raise SaysNothing(
        "This PNG has lost its address.",
        hint="Pictures saved from a library like this one carry it, and chat programs take it out: ask for the link of "
        "its page.",
    )


def _own_address(found: KeyFile, mark: str) -> Address | None:
    """Return the address inside a picture where it leads to the key with that mark; None where it does not, or may not.

    The text encoder is not at hand. So either this library knows where the address leads, or the picture was printed
    with the weights that are here, and the same weights make the same keys of the same words.
    """
    try:
        address = Address.parse(found.address or "")
    except AddressRefused:
        return None
    edition = editions().get(address.edition)
    if address.format() != found.address or address.kind == "mark":
        return None
    if edition is None or address.edition != (found.edition or address.edition):
        return None
    known = ledger.known_mark(address)
    if known is not None:
        return address if known == mark else None
    if store().origin(mark) == address:
        return address
    slug, _, rest = (found.rendition or "").partition(" ")
    if found.mark != mark or slug != edition.slug or not rest:
        return None
    weights = weights_here(edition)  # the last question, for files may have to be hashed
    return address if weights is not None and rest.startswith(f"{weights[:16]} ") else None


def _address_inside(text: str, edition: str) -> Address:
    """Read what a picture says is its address: anybody can write anything there. Raises InputRefused."""
    try:
        return Address.parse(text, edition)
    except AddressRefused as error:
        raise InputRefused(
            f"What stands inside this PNG leads to no page. {error}",
            hint="A picture printed off the catalogue has no address; others may have lost it: ask for the link.",
        ) from error


def address_of_text(text: str, edition: str) -> Address:
    """Return the page of a key's text, kept here from now on. Raises KeyRefused with the place of what is wrong."""
    if len(text) > KEY_TEXT_BYTES:
        raise KeyRefused(f"A key has {CHARACTERS:,} characters; this text has {len(text):,}.", length=len(text))
    return Address(edition, "mark", store().keep_key(Key.parse(text)), None)


def with_key(png: bytes, key: Key) -> bytes:
    """Return a page's PNG with its whole key inside, as a zTXt chunk after the header (PNG specification, 11.3.3.3)."""
    content = KEY.encode("latin-1") + b"\0\0" + zlib.compress(key.format().encode("ascii"))
    kind = b"zTXt"
    chunk = len(content).to_bytes(4, "big") + kind + content + zlib.crc32(kind + content).to_bytes(4, "big")
    return png[:_AFTER_HEADER] + chunk + png[_AFTER_HEADER:]
