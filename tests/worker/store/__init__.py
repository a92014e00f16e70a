"""Tests of worker.store, and pages to keep in one."""

from pathlib import Path

import numpy as np

from worker.catalogue.address import Address
from worker.catalogue.expansion import stacks_key
from worker.catalogue.key import Key
from worker.catalogue.png import encode_page
from worker.store.records import PageRecord
from worker.store.store import Store

EDITION = "tiny"


def stacks(page: int, name: str = "store") -> Address:
    return Address(EDITION, "stacks", name, page)


def key_of(address: Address) -> Key:
    assert address.page is not None
    return stacks_key(address.name, address.page)


def keep(store: Store, address: Address, shade: int = 0, key: Key | None = None, rendition: str = "r") -> PageRecord:
    """Keep a page of one colour, with a picture of some size."""
    key = key or key_of(address)
    pixels = np.random.Generator(np.random.PCG64(shade)).integers(0, 256, (416, 640, 3), dtype=np.uint8)
    png = encode_page(pixels, address=address.format(), mark=key.mark, edition=EDITION, rendition=rendition)
    return store.keep(address, key, png, pixels, rendition=rendition, steps=key.steps, seconds=1.5)


def only(folder: Path, pattern: str) -> Path:
    (path,) = folder.rglob(pattern)
    return path
