"""What is drawn when it is asked for: in two threads of its own, once however many ask, and kept for a while. No HTTP.

Postcards, and the pictures of anatomy and comparison: none of them is worth a file, for all are made of what is kept.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from cachetools import LRUCache

CACHE_BYTES: Final = 24 * 2**20
_drawn: LRUCache[str, bytes] = LRUCache(CACHE_BYTES, getsizeof=len)
_under_way: dict[str, asyncio.Future[bytes]] = {}
_artists = ThreadPoolExecutor(2, thread_name_prefix="drawing")
"""So many are drawn at a time: kept pages are served meanwhile."""


async def drawn(tag: str, draw: Callable[[], bytes]) -> bytes:
    """Return what `draw` makes, drawn once for each `tag`, which names everything that it depends on."""
    found = _drawn.get(tag)
    if found is not None:
        return found
    if tag not in _under_way:
        _under_way[tag] = asyncio.get_running_loop().run_in_executor(_artists, draw)
    try:
        found = await asyncio.shield(_under_way[tag])
    finally:
        _under_way.pop(tag, None)
    if len(found) < CACHE_BYTES // 2:
        _drawn[tag] = found
    return found
