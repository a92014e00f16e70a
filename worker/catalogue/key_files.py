"""Files in which people bring keys, read strictly: a key's text, or a PNG with a key or an address inside.

May import worker.errors, worker.catalogue.key and worker.catalogue.png; neither torch nor Django.
"""

from dataclasses import dataclass
from pathlib import Path

from worker.catalogue.key import CHARACTERS, Key, is_mark
from worker.catalogue.limits import KEY_TEXT_BYTES, PICTURE_FILE_BYTES
from worker.catalogue.png import ADDRESS, EDITION, KEY, MARK, is_png, read_chunks
from worker.errors import InputRefused, KeyRefused, reason


@dataclass(frozen=True)
class KeyFile:
    """What a file says of a page; None where it says nothing. Only the mark has been looked at more closely."""

    is_png: bool
    key: str | None = None  # a key's text, to be parsed
    mark: str | None = None
    address: str | None = None  # a page's address, to be parsed
    edition: str | None = None


def parse_key_file(data: bytes, name: str = "This file") -> KeyFile:
    """Return what the bytes of a file say of a page; `name` begins the sentences.

    Raises KeyRefused for what is neither text nor a PNG or is too long for a text, InputRefused for a damaged PNG.
    """
    if is_png(data):
        texts = read_chunks(data)
        mark = texts.get(MARK, "")
        return KeyFile(True, texts.get(KEY), mark if is_mark(mark) else None, texts.get(ADDRESS), texts.get(EDITION))
    if len(data) > KEY_TEXT_BYTES:
        raise KeyRefused(
            f"{name} has {len(data):,} bytes; a key has {CHARACTERS:,} characters, and its file may have "
            f"{KEY_TEXT_BYTES:,} bytes.",
            length=len(data),
        )
    try:
        return KeyFile(False, data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        position = error.start + 1
        raise KeyRefused(
            f"{name} is neither a key's text nor a PNG: its byte {position:,} is no text.", position=position
        ) from error


def read_key_file(path: Path) -> Key:
    """Return the key in a file: its text, or a PNG that carries it.

    Raises InputRefused where the file cannot be read or is no file, KeyRefused where what it holds is no key.
    """
    data = _read_file(path, PICTURE_FILE_BYTES)
    if not data:
        raise KeyRefused(f"{path} is empty; a key has {CHARACTERS:,} characters.", length=0)
    found = parse_key_file(data, str(path))
    if found.key is None:
        hint = f"It names its address: {found.address}" if found.address else None
        raise KeyRefused(f"{path} is a PNG without a key inside.", hint=hint)
    if found.is_png:
        return Key.parse(found.key)
    try:
        return Key.parse(found.key)
    except KeyRefused as error:
        raise KeyRefused(f"{path} holds no key. {error}", position=error.position, length=error.length) from error


def _read_file(path: Path, limit: int) -> bytes:
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
