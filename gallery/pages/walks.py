"""Walks as the site knows them: the eight pictures near a page, the corridor between two. Plain functions, no HTTP.

A neighbour or a frame is a key computed from others (worker.catalogue.walks), and opens under its mark for ever: that
it does is written down when somebody looks at the sheet or the strip, a few hundred bytes a picture, and nothing is
kept of its bits. A page whose own key is not known here has to be drawn before anything near it is. Imports `worker`.
"""

import asyncio
import hashlib
import io
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from cachetools import LRUCache, cached
from PIL import Image

from babelia.services import store
from gallery import ledger
from gallery.pages.status import held_key, kept_record, require_known
from worker.catalogue.address import Address
from worker.catalogue.key import Key
from worker.catalogue.walks import (
    DIRECTIONS,
    FRAMES_LEAST,
    FRAMES_MOST,
    WHOLE,
    Between,
    Derivation,
    Nearby,
    Of,
    Strength,
    derive,
    even_places,
    places,
    require_way,
)
from worker.errors import InputRefused
from worker.films import Pixels, difference, encode_film, in_circle
from worker.keys import note_derived
from worker.store.records import PageRecord

FRAMES: Final = 24
"""Frames of a corridor, where nobody says how many."""


@dataclass(frozen=True)
class Tile:
    """One place of a sheet or a strip. Without an address it cannot be opened yet, or is hidden."""

    address: Address | None
    record: PageRecord | None = None
    """Of a picture that is kept."""
    hidden: bool = False

    @property
    def kept(self) -> bool:
        """Whether its picture is shown here; one that the safety checker flagged is shown on its page alone."""
        return self.record is not None and not self.record.flagged


@dataclass(frozen=True)
class Sheet:
    """What lies around a page: eight tiles in the order of their directions; none before the page's key is known."""

    middle: Tile
    around: tuple[Tile, ...]


@dataclass(frozen=True)
class Corridor:
    """The way from a page to another: its ends, and every frame in order; blanks before both keys are known."""

    first: Address
    last: Address
    tiles: tuple[Tile, ...]
    settled: bool
    """Whether these are the frames for good: both keys are known, and evenly paced ones have their places."""
    steps: tuple[int, int] | None = None
    """The steps of both ends, where they differ."""

    @property
    def shown(self) -> tuple[Tile, ...]:
        """The tiles that anybody may see."""
        return tuple(tile for tile in self.tiles if not tile.hidden)

    @property
    def drawn(self) -> int:
        """How many of them are drawn."""
        return sum(tile.record is not None for tile in self.shown)

    @property
    def complete(self) -> bool:
        """Whether there is a film of it."""
        return self.settled and self.drawn == len(self.shown)


# -- near a page


async def sheet_near(address: Address, of: Of, strength: Strength, *, opens: bool = True) -> Sheet:
    """Return what lies around a page; its neighbours open by their marks from now on.

    Where not `opens`, nothing is written down, and those that do not open yet have no address. Raises AddressRefused
    for an unknown mark, PageHidden where the page is hidden, StoreUnavailable.
    """
    (key,) = await _keys_of(address)
    (middle,) = await _tiles_of([address])
    if key is None:
        return Sheet(middle, ())
    steps = tuple(Nearby(key.mark, of, strength, direction) for direction in range(1, DIRECTIONS + 1))
    marks = await asyncio.to_thread(_marks_of, steps, {key: address}, opens)
    return Sheet(middle, await _tiles_of(_by_marks(address.edition, marks)))


# -- between two pages


async def corridor_between(
    first: Address, last: Address, frames: int = FRAMES, *, even: bool = False, opens: bool = True
) -> Corridor:
    """Return the corridor from a page to another, of so many frames with both; its frames open from now on.

    `even`: once it is drawn at equal steps, its frames are moved to where pictures differ alike (`even_places`), and
    those are to be drawn. `opens`: as of a sheet. Raises InputRefused for ends of two editions, for two ends that are
    one picture, for opposite latents and for other numbers of frames; AddressRefused for an unknown mark; PageHidden
    where an end is hidden; StoreUnavailable.
    """
    if not FRAMES_LEAST <= frames <= FRAMES_MOST:
        raise InputRefused(f"A corridor has {FRAMES_LEAST} to {FRAMES_MOST} pictures; {frames:,} were asked for.")
    if first.edition != last.edition:
        raise InputRefused(
            f"These two pictures are drawn by different models, {first.edition} and {last.edition}, and neither draws "
            "what lies between.",
            hint="Choose two pictures of one model.",
        )
    keys = await _keys_of(first, last)
    one, other = keys
    if one is None or other is None:
        begins, ends = await _tiles_of([first, last])
        return Corridor(first, last, (begins, *((Tile(None),) * (frames - 2)), ends), settled=False)
    await asyncio.to_thread(require_way, one, other)
    steps = (one.steps, other.steps) if one.steps != other.steps else None

    async def at(found: Sequence[int]) -> tuple[Tile, ...]:
        steps = tuple(Between(one.mark, other.mark, place) for place in found if 0 < place < WHOLE)
        marks = await asyncio.to_thread(_marks_of, steps, {one: first, other: last}, opens)
        return await _tiles_of([first, *_by_marks(first.edition, marks), last])

    drawn = places(frames)
    tiles = await at(drawn)
    if even:
        seen = [(place, tile.record) for place, tile in zip(drawn, tiles, strict=True) if not tile.hidden]
        records = [record for _, record in seen if record is not None]
        if len(records) < len(seen):
            return Corridor(first, last, tiles, settled=False, steps=steps)
        apart = await asyncio.to_thread(_differences, tuple(records))
        tiles = await at(even_places([place for place, _ in seen], apart, frames))
    return Corridor(first, last, tiles, settled=True, steps=steps)


@cached(LRUCache(256), key=lambda records: tuple(record.pixel_digest for record in records), lock=threading.Lock())
def _differences(records: tuple[PageRecord, ...]) -> list[float]:
    """How far each picture is from the one before it. Raises InputRefused where one has gone meanwhile."""
    before: Pixels | None = None
    found = []
    for record in records:
        pixels = _pixels_of(record)
        if before is not None:
            found.append(difference(before, pixels))
        before = pixels
    return found


# -- films


async def film_of(corridor: Corridor, kind: str, *, closed: bool) -> tuple[bytes, str]:
    """Return the film of a corridor whose pictures are all drawn, and a digest of them; `closed`: there and back.

    `kind` is one of `worker.films.KINDS`. Raises InputRefused where pictures are missing.
    """
    records = [tile.record for tile in corridor.shown if tile.record is not None]
    flagged = any(record.flagged for record in records)
    if not corridor.complete or flagged:
        raise InputRefused(
            f"There is no film of this corridor yet: {corridor.drawn} of {len(corridor.tiles)} pictures are drawn."
            if not flagged
            else "An automatic check thinks that a picture of this corridor may be explicit, so no film is made of it.",
            hint="Open the corridor and let it be drawn." if not flagged else "Its pages can be opened one by one.",
        )
    order = in_circle(len(records)) if closed else range(len(records))
    ordered = tuple(records[number] for number in order)
    body = await asyncio.to_thread(_encoded, ordered, kind)
    return body, hashlib.sha256("".join(record.pixel_digest for record in ordered).encode()).hexdigest()[:32]


@cached(
    LRUCache(48 << 20, getsizeof=len),
    key=lambda records, kind: (kind, *(record.pixel_digest for record in records)),
    lock=threading.Lock(),
)
def _encoded(records: tuple[PageRecord, ...], kind: str) -> bytes:
    read: dict[str, Pixels] = {}
    for record in records:
        if record.mark not in read:
            read[record.mark] = _pixels_of(record)
    return encode_film(kind, [read[record.mark] for record in records])


def _pixels_of(record: PageRecord) -> Pixels:
    picture = store().picture(Address(record.edition, "mark", record.mark, None))
    if picture is None:
        raise InputRefused("A picture of this corridor has just made room for others.", hint="Open the corridor again.")
    with Image.open(io.BytesIO(picture.png), formats=["PNG"]) as image:
        return np.asarray(image.convert("RGB"))


# -- keys and tiles


async def _keys_of(*addresses: Address) -> list[Key | None]:
    """The keys of pages that may be shown, None where one is not known here. Raises as `sheet_near` does."""
    found = []
    for address in addresses:
        await require_known(address)
        key = await asyncio.to_thread(held_key, address)
        await ledger.require_shown(address, None if key is None else key.mark)
        found.append(key)
    return found


_known: LRUCache[tuple[Derivation, ...], tuple[str, ...]] = LRUCache(1024)
_lock = threading.Lock()


def _marks_of(derivations: tuple[Derivation, ...], parents: Mapping[Key, Address], opens: bool) -> list[str | None]:
    """The marks of derived keys; where they are `opens`, they can be resolved from now on, and so can their parents.

    None for one that cannot be resolved.
    """
    with _lock:
        marks = _known.get(derivations)
    found = [mark if store().can_resolve(mark) else None for mark in marks or ()]
    if marks is not None and (None not in found or not opens):
        return found
    by_mark = {parent.mark: parent for parent in parents}
    derived = {how: derive(how, [by_mark[mark] for mark in how.parents]) for how in derivations}
    with _lock:
        _known[derivations] = marks = tuple(key.mark for key in derived.values())
    if not opens:
        return [mark if store().can_resolve(mark) else None for mark in marks]
    for parent, address in parents.items():
        if not store().can_resolve(parent.mark):  # of the stacks, whose keys are known before anything is printed
            store().link(address, parent)
    note_derived(store(), derived)
    return list(marks)


def _by_marks(edition: str, marks: Sequence[str | None]) -> list[Address | None]:
    return [None if mark is None else Address(edition, "mark", mark, None) for mark in marks]


async def _tiles_of(addresses: Sequence[Address | None]) -> tuple[Tile, ...]:
    """Tiles of pages; of those that are hidden they say nothing but that, and None stays blank."""
    records = {address: await kept_record(address) for address in addresses if address is not None}
    marks = {address: None if record is None else record.mark for address, record in records.items()}
    hidden = await ledger.hidden_among(list(marks.items()))
    tiles = {address: Tile(address, record) for address, record in records.items()}
    tiles |= {address: Tile(None, hidden=True) for address in hidden}
    return tuple(Tile(None) if address is None else tiles[address] for address in addresses)
