"""Full keys as visitors bring them: pasted, in a file, inside a PNG that was printed here. Imports `worker`, no Django.

What is brought is kept for good under its mark; nothing is repaired.
"""

import asyncio
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final
from weakref import WeakKeyDictionary

from babelia.services import store
from gallery.editions import editions
from worker.catalogue.address import Address
from worker.catalogue.key import CHARACTERS, Key
from worker.catalogue.key_files import parse_key_file
from worker.catalogue.limits import KEY_TEXT_BYTES
from worker.catalogue.png import KEY
from worker.errors import AddressRefused, InputRefused, KeyRefused, LibraryBusy

AT_ONCE: Final = 3
"""Files that one process of the site reads at a time."""
WITHIN: Final = 5.0
"""Seconds that a file waits for its turn."""

_AFTER_HEADER = 8 + 25  # signature, and the IHDR chunk: 4 length, 4 kind, 13 content, 4 checksum

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


def address_of_file(data: bytes, edition: str) -> Address:
    """Return the page that a file opens: a key's text, or a PNG that carries a key or at least its address.

    The key is kept here. `edition` is taken where the file names none that is known. Raises InputRefused, KeyRefused.
    """
    found = parse_key_file(data)
    if found.edition is not None and found.edition in editions():
        edition = found.edition
    if found.key is not None:
        return address_of_text(found.key, edition)
    if found.mark is not None and store().can_resolve(found.mark):
        return Address(edition, "mark", found.mark, None)
    if found.address is not None:
        return _address_inside(found.address, edition)
    raise InputRefused(
        "This PNG carries neither a key nor an address.",
        hint="Only pictures saved from a library like this one do, and chat programs often take it out of them: ask "
        "for the link of its page.",
    )


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
