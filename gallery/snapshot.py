"""A value from the database that may be some seconds old and outlives the database being away.

`cachetools` forgets what has expired, which is right for a record that can be looked up again. A list that requests
depend on (what is hidden) must stand until a newer one has been read: that is what a Snapshot adds.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from gallery.background import outlive_request

T = TypeVar("T")


class Snapshot(Generic[T]):
    """The last value that was read, renewed when somebody asks for it. Used on the event loop only.

    Up to `fresh` seconds old it is returned as it is; up to `stale` seconds old it is returned at once and read again
    in the background; older (nobody has asked for a while) or never read, the caller waits. Callers share one read.
    """

    def __init__(self, read: Callable[[T], Awaitable[T]], first: T, *, fresh: float, stale: float) -> None:
        """`read` is given the previous value, at first `first`, to return it where the source does not answer."""
        self._read = read
        self._value = first
        self._fresh = fresh
        self._stale = stale
        self._read_at = float("-inf")
        self._reader: asyncio.Task[None] | None = None

    async def get(self) -> T:
        """Return the value, at most `stale` seconds old, or as old as the last time that its source answered."""
        age = time.monotonic() - self._read_at
        if age > self._fresh:
            reader = self._start()
            if age > self._stale:
                await asyncio.shield(reader)  # others wait for it too
        return self._value

    def _start(self) -> asyncio.Task[None]:
        if self._reader is None or self._reader.done():
            self._reader = outlive_request(self._renew())
        return self._reader

    async def _renew(self) -> None:
        self._value = await self._read(self._value)
        self._read_at = time.monotonic()
