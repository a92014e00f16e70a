"""The card of a page for whoever fetches it: with its picture where that may be shown, else with its words. No HTTP.

A page that nobody has opened is printed for its card, so that a link shows its picture wherever it is pasted. That a
fetcher can ask for any page must not cost visitors their turn, so such a print is begun only

1. where a press of the edition is ready and no page of it waits,
2. `PRINTS_A_MINUTE` times a minute by a process of the site, one of them at a time, and once however many fetch it;
3. it leaves the queue again if the press has not taken it up after `CARD_WAIT` seconds.

It is listed nowhere: nobody has opened it yet. Where the time is over before the picture is there, its preview stands
for it if at least a third of the steps are done, and its edition has no safety checker that might veil it. Imports
`babelia.services` and the modules beside it.
"""

import asyncio
import contextlib
import secrets
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

from cachetools import LRUCache

from babelia.services import job_client
from gallery import ledger
from gallery.editions import edition_of
from gallery.pages.drawings.cards import card, picture_card
from gallery.pages.status import kept_picture, kept_record, presses, preview_of, require_known, require_printable
from worker.catalogue.address import Address
from worker.editions.weights import has_safety_checker
from worker.errors import BabeliaError, StoreUnavailable
from worker.jobs.progress import Visitor

CARD_WAIT: Final = 2.0
"""Seconds for which a card waits for its picture, from the request on. Chat programs give up after three or so."""
PRINTS_A_MINUTE: Final = 6
_PREVIEW_WAIT = 0.3
_CACHE_BYTES = 24 * 2**20

_begun: deque[float] = deque(maxlen=PRINTS_A_MINUTE)  # time.monotonic() of the last prints for cards
_under_way: dict[Address, int] = {}
_cards: LRUCache[tuple[Address, str], bytes] = LRUCache(_CACHE_BYTES, getsizeof=len)
_drawing: dict[tuple[Address, str], asyncio.Future[bytes]] = {}
_artists = ThreadPoolExecutor(2, thread_name_prefix="card")
"""So many cards are drawn at a time, each in a tenth of a second; kept pages are served meanwhile."""


@dataclass(frozen=True)
class Card:
    """A card's PNG, and the SHA-256 of the picture on it; None where it has words alone, or a preview."""

    png: bytes
    picture: str | None


async def card_of(address: Address, may_print: Callable[[], bool]) -> Card:
    """Return the card of a page; `may_print` is asked before the press is, and only where it is idle.

    Raises PageHidden for a page that is hidden, AddressRefused for an unknown mark.
    """
    until = asyncio.get_running_loop().time() + CARD_WAIT
    record = await kept_record(address)
    await ledger.require_shown(address, record.mark if record is not None else None)
    if record is None:
        await require_known(address)
        await _print_if_idle(address, may_print, until)
        record = await kept_record(address)
    picture = None if record is None or record.flagged else await kept_picture(address)
    preview = await _late_preview(address) if record is None else None
    if preview is not None:
        return Card(await asyncio.get_running_loop().run_in_executor(_artists, picture_card, address, preview), None)
    if picture is None:
        return Card(await asyncio.get_running_loop().run_in_executor(_artists, card, address), None)
    return Card(await _with_picture(address, picture.png, picture.digest), picture.digest)


async def _with_picture(address: Address, picture: bytes, digest: str) -> bytes:
    """Return the card with a picture, drawn once however many ask for it at a time."""
    name = (address, digest)
    found = _cards.get(name)
    if found is not None:
        return found
    if name not in _drawing:
        _drawing[name] = asyncio.get_running_loop().run_in_executor(_artists, picture_card, address, picture)
    try:
        _cards[name] = found = await asyncio.shield(_drawing[name])
    finally:
        _drawing.pop(name, None)
    return found


async def _late_preview(address: Address) -> bytes | None:
    """Return the preview of a page whose print is a third done or more; None where there is none that may be shown."""
    edition = edition_of(address.edition)
    if not edition.installed or (edition.safety_checker and has_safety_checker(edition.weights)):
        return None
    try:
        async with asyncio.timeout(_PREVIEW_WAIT):
            progress = await job_client().look(address)
            return await preview_of(address) if progress.preview and 3 * progress.preview >= progress.of else None
    except (StoreUnavailable, TimeoutError):
        return None


async def _print_if_idle(address: Address, may_print: Callable[[], bool], until: float) -> None:
    """Have a page printed for its card, under the conditions above; return once it is kept or the time is over.

    Meanwhile the card in words is drawn, which is there then if the picture is not; it also loads fonts and Pillow's
    parts, which took 0.4 s of the first card of a process.
    """
    with contextlib.suppress(TimeoutError, StoreUnavailable):
        async with asyncio.timeout_at(until):
            idle = address in _under_way or await _is_idle(address)
            if address not in _under_way and not (idle and may_print() and _take_turn()):  # nobody began it meanwhile
                return
            _artists.submit(card, address)
            _under_way[address] = _under_way.get(address, 0) + 1
            try:
                await _follow(address)
            finally:
                _under_way[address] -= 1
                if not _under_way[address]:
                    del _under_way[address]


async def _follow(address: Address) -> None:
    client, visitor = job_client(), Visitor(f"card-{secrets.token_urlsafe(12)}", kind="ahead")  # it makes way
    try:
        async with aclosing(client.follow(address, visitor)) as news:  # type: ignore[type-var]
            async for progress in news:
                await ledger.require_shown(address, progress.mark)
    finally:
        with contextlib.suppress(StoreUnavailable, TimeoutError):
            async with asyncio.timeout(0.2):
                await client.leave(address, visitor.tab)


async def _is_idle(address: Address) -> bool:
    """Say whether a press has nothing else to do than a page of this edition."""
    try:
        await require_printable(address)
    except StoreUnavailable:
        raise
    except BabeliaError:  # of an edition that nobody prints
        return False
    ready = any(press.state == "ready" and address.edition in press.editions for press in await presses())
    return ready and await job_client().waiting(address.edition) == 0


def _take_turn() -> bool:
    """Say whether one more print may be begun for a card, and count it."""
    now = time.monotonic()
    if _under_way or (len(_begun) == PRINTS_A_MINUTE and now - _begun[0] < 60):
        return False
    _begun.append(now)
    return True
