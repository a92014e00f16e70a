"""Reads the files of an edition again when they have changed, and not before. Imports the standard library only."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

Read = TypeVar("Read")


def when_changed(files: int) -> Callable[[Callable[[Path], Read]], Callable[[Path], Read]]:
    """Decorate what reads a file, so that it does so once for each size and time of change (in ns) of the file.

    What the last `files` gave is kept: the site asks for some with every page. Raises OSError where there is no file;
    what the function raises is raised, and tried again the next time.
    """

    def decorate(read: Callable[[Path], Read]) -> Callable[[Path], Read]:
        @functools.lru_cache(maxsize=files)
        def read_once(path: Path, state: tuple[int, int]) -> Read:  # noqa: ARG001  (part of the cache's key)
            return read(path)

        @functools.wraps(read)
        def reading(path: Path) -> Read:
            found = path.stat()
            return read_once(path, (found.st_mtime_ns, found.st_size))

        return reading

    return decorate
