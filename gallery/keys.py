"""Full keys as visitors bring them: pasted, in a file, inside a PNG that was printed here. Imports `worker`, no Django.

What is brought is held for ever under its mark; nothing is repaired.
"""

import zlib

from babelia.services import store
from gallery.editions import editions
from worker.catalogue.address import Address
from worker.catalogue.key import CHARACTERS, Key
from worker.catalogue.limits import KEY_TEXT_BYTES
from worker.catalogue.png import ADDRESS, EDITION, KEY, MARK, is_png, read_chunks
from worker.errors import InputRefused, KeyRefused

_AFTER_HEADER = 8 + 25  # signature, and the IHDR chunk: 4 length, 4 kind, 13 content, 4 checksum


def address_of_file(data: bytes, edition: str) -> Address:
    """Return the page that a file opens: a key's text, or a PNG that carries a key or at least its address.

    The key is held here. `edition` is taken where the file names none that is known. Raises InputRefused, KeyRefused.
    """
    if is_png(data):
        return _address_of_png(data, edition)
    if len(data) > KEY_TEXT_BYTES:
        raise KeyRefused(
            f"A key's file may have {KEY_TEXT_BYTES:,} bytes; this one has {len(data):,}, and it is no PNG.",
            length=len(data),
        )
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise KeyRefused(
            f"This file is neither a key's text nor a PNG: its byte {error.start + 1:,} is no text.",
            position=error.start + 1,
        ) from error
    return address_of_text(text, edition)


def address_of_text(text: str, edition: str) -> Address:
    """Return the page of a key's text, held here from now on. Raises KeyRefused with the place of what is wrong."""
    if len(text) > KEY_TEXT_BYTES:
        raise KeyRefused(f"A key has {CHARACTERS:,} characters; this text has {len(text):,}.", length=len(text))
    return _held(Key.parse(text), edition)


def _address_of_png(data: bytes, edition: str) -> Address:
    texts = read_chunks(data)
    named = texts.get(EDITION, "")
    edition = named if named in editions() else edition
    if KEY in texts:
        return _held(Key.parse(texts[KEY]), edition)
    if MARK in texts and store().knows(texts[MARK]):
        return Address(edition, "mark", texts[MARK], None)
    if ADDRESS in texts:
        return Address.parse(texts[ADDRESS], edition)
    raise InputRefused(
        "This PNG carries neither a key nor an address.",
        hint="Only pictures saved from a library like this one do, and chat programs often take it out of them.",
    )


def _held(key: Key, edition: str) -> Address:
    return Address(edition, "mark", store().hold(key), None)


def with_key(png: bytes, key: Key) -> bytes:
    """Return a page's PNG with its whole key inside, as a zTXt chunk after the header (PNG specification, 11.3.3.3)."""
    content = KEY.encode("latin-1") + b"\0\0" + zlib.compress(key.format().encode("ascii"))
    kind = b"zTXt"
    chunk = len(content).to_bytes(4, "big") + kind + content + zlib.crc32(kind + content).to_bytes(4, "big")
    return png[:_AFTER_HEADER] + chunk + png[_AFTER_HEADER:]
