"""Files in which people bring keys, read strictly: a key's text, or a picture with a key or an address inside.

May import worker.errors, worker.catalogue.key, .png and .webp; neither torch nor Django.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from worker.catalogue.key import CHARACTERS, Key, is_mark
from worker.catalogue.kinds import kind_of
from worker.catalogue.limits import KEY_TEXT_BYTES, PICTURE_FILE_BYTES
from worker.catalogue.png import EDITION, KEY, MARK, RENDITION, address_among, is_png, read_chunks
from worker.catalogue.webp import is_webp, read_texts
from worker.errors import InputRefused, KeyRefused, reason

ADDRESS_CHARACTERS: Final = 4000
"""Characters of an address inside a picture that are read as one: many times the longest."""

_PICTURE_HINT = (
    "Chat programs and editors change pictures and take out what stood inside: ask for the link of its page, or for "
    "the PNG as it was saved, sent as a file."
)
_PARCEL_HINT = "Take out of it what was put in: the key's text, or the PNG as it was saved here."
_FOREIGN_HINT = "A key comes as its text, or inside a PNG as it was saved here."
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True)
class KeyFile:
    """What a file says of a page; None where it says nothing. Only the mark has been looked at more closely."""

    is_picture: bool
    key: str | None = None  # a key's text, to be parsed
    mark: str | None = None
    address: str | None = None  # a page's address, to be parsed
    edition: str | None = None
    rendition: str | None = None


def parse_key_file(data: bytes, name: str = "This file") -> KeyFile:
    """Return what the bytes of a file say of a page; `name` begins the sentences.

    A picture is a PNG, or the WebP of a page, which never holds a key. Raises KeyRefused for what is neither text nor
    such a picture or is too long for a text, InputRefused for a damaged PNG.
    """
    if is_png(data):
        texts = read_chunks(data)
        mark, address = texts.get(MARK, ""), address_among(texts)
        if address is not None and len(address) > ADDRESS_CHARACTERS:
            address = None
        named = mark if is_mark(mark) else None
        return KeyFile(True, texts.get(KEY), named, address, texts.get(EDITION), texts.get(RENDITION))
    if is_webp(data):
        inside, named = read_texts(data)
        if inside is not None and len(inside) <= ADDRESS_CHARACTERS:
            return KeyFile(True, mark=named if is_mark(named or "") else None, address=inside)
    foreign = _foreign(data)
    if foreign is not None:
        kind, hint = foreign
        raise KeyRefused(f"{name} is {kind}, and no key can be in it.", hint=hint)
    is_wide = data.startswith(_UTF16)
    limit = 2 * KEY_TEXT_BYTES if is_wide else KEY_TEXT_BYTES
    if len(data) > limit:
        raise KeyRefused(
            f"{name} has {len(data):,} bytes; a key has {CHARACTERS:,} characters, and its file may have "
            f"{limit:,} bytes.",
            length=len(data),
        )
    try:
        return KeyFile(False, data.decode("utf-16" if is_wide else "utf-8-sig"))
    except UnicodeDecodeError as error:
        position = error.start + 1
        raise KeyRefused(
            f"{name} is neither a key's text nor a PNG: its byte {position:,} is no text.", position=position
        ) from error


def _foreign(data: bytes) -> tuple[str, str] | None:
    """What a file is that holds neither text nor a PNG, by how it begins, and what to do about it."""
    kind = kind_of(data)
    if kind is None:
        return None
    if kind.is_picture:
        return kind.name, _PICTURE_HINT
    return kind.name, _PARCEL_HINT if kind.is_parcel else _FOREIGN_HINT


def read_key_file(path: Path) -> Key:
    """Return the key in a file: its text, or a PNG that carries it.

    Raises InputRefused where the file cannot be read or is no file, KeyRefused where what it holds is no key.
    """
    data = read_bytes(path, PICTURE_FILE_BYTES)
    if not data:
        raise KeyRefused(f"{path} is empty; a key has {CHARACTERS:,} characters.", length=0)
    found = parse_key_file(data, str(path))
    if found.key is None:
        hint = f"It names its address: {found.address}" if found.address else None
        raise KeyRefused(f"{path} is a {'WebP' if is_webp(data) else 'PNG'} without a key inside.", hint=hint)
    if found.is_picture:
        return Key.parse(found.key)
    try:
        return Key.parse(found.key)
    except KeyRefused as error:
        raise KeyRefused(f"{path} holds no key. {error}", position=error.position, length=error.length) from error


def read_bytes(path: Path, limit: int) -> bytes:
    """Return the bytes of a file. Raises InputRefused: a folder, missing, unreadable, or of more than `limit` bytes."""
    try:
        if path.is_dir():
            raise InputRefused(f"{path} is a folder; a file was expected.")
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except FileNotFoundError as error:
        raise InputRefused(f"There is no file {path}.") from error
    except (OSError, ValueError) as error:
        raise InputRefused(f"{path} cannot be read: {reason(error)}.") from error
    if len(data) > limit:
        raise InputRefused(f"{path} has more than {limit:,} bytes.")
    return data
