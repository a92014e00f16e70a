"""Files in which people bring keys, read strictly: a key's text, or a PNG with a key or an address inside.

May import worker.errors, worker.catalogue.key and worker.catalogue.png; neither torch nor Django.
"""

from pathlib import Path
from typing import Final

from worker.catalogue.key import CHARACTERS, Key
from worker.catalogue.png import ADDRESS, KEY, is_png, read_chunks
from worker.errors import InputRefused, KeyRefused, reason

TEXT_BYTES: Final = 256 * 1024
PNG_BYTES: Final = 16 * 1024 * 1024


def read_key_file(path: Path) -> Key:
    """Return the key in a file: its text, or a PNG that carries it.

    Raises InputRefused where the file cannot be read or is no file, KeyRefused where what it holds is no key.
    """
    data = read_file(path, PNG_BYTES)
    if is_png(data):
        texts = read_chunks(data)
        if KEY in texts:
            return Key.parse(texts[KEY])
        hint = f"It names its address: {texts[ADDRESS]}" if texts.get(ADDRESS) else None
        raise KeyRefused(f"{path} is a PNG without a key inside.", hint=hint)
    if not data:
        raise KeyRefused(f"{path} is empty; a key has {CHARACTERS:,} characters.", length=0)
    if len(data) > TEXT_BYTES:
        raise KeyRefused(f"{path} has {len(data):,} bytes; a key has {CHARACTERS:,} characters.", length=len(data))
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        position = error.start + 1
        raise KeyRefused(
            f"{path} is neither a key's text nor a PNG: its byte {position:,} is no text.", position=position
        ) from error
    try:
        return Key.parse(text)
    except KeyRefused as error:
        raise KeyRefused(f"{path} holds no key. {error}", position=error.position, length=error.length) from error


def read_file(path: Path, limit: int) -> bytes:
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
