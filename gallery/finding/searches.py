"""Where a search stands, how near it is, what it found, and what is said of all that. Plain functions, no HTTP.

Imports `worker` (addresses, print jobs) and babelia.services.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from babelia.services import job_client, store
from gallery import ledger
from gallery.addresses import path_of
from gallery.pages.sentences import duration
from gallery.pages.status import kept_record, presses, require_press, sentence_for
from worker.catalogue.address import Address, canonical_prompt
from worker.errors import AddressRefused, InputRefused, KeyRefused
from worker.jobs.progress import DEPTHS, Depth, Progress, Search, Visitor
from worker.store.records import PageRecord

WAITS: Final = ("queued", "printing")
DEPTHS_SAID: Final[dict[Depth, tuple[str, str]]] = {
    "quick": ("Quick", "the picture is followed back to its noise, once"),
    "good": ("Good", "and then improved"),
    "best": ("Best", "and improved until it pays no more"),
}
"""The depths of a search, as a visitor chooses among them: a name and what is done."""
PAGES_OF: Final[dict[Depth, float]] = {"quick": 20.0, "good": 40.0, "best": 110.0}
"""About so many pages are drawn in the time that a search takes: for a guess, where none of its depth was timed."""
INTERRUPTED: Final = "The search was interrupted; it goes on where it was as soon as the model is loaded again."


@dataclass(frozen=True)
class Result:
    """What a search has found."""

    address: Address
    record: PageRecord
    decibels: float | None  # of the page against the picture; None: every pixel is the same
    bound: float | None  # of the picture through the autoencoder alone, in dB
    likeness: float | None  # how like ordinary noise the found latents are, 0 … 1
    seconds: float
    listed: bool

    @property
    def page(self) -> str:
        """The path of its page."""
        return path_of(self.address)

    @property
    def gain(self) -> float | None:
        """By how many dB it is nearer than the autoencoder alone; None where one of them is not known."""
        return None if self.decibels is None or self.bound is None else self.decibels - self.bound


@dataclass(frozen=True)
class SearchStatus:
    """The status of a search."""

    search: Search
    progress: Progress
    sentence: str
    sofar: dict[str, Any]
    result: Result | None
    has_picture: bool

    @property
    def waits(self) -> bool:
        """Whether it waits or a press is at it."""
        return self.progress.state in WAITS

    @property
    def decibels(self) -> float | None:
        """How near it is by now, in dB."""
        return _number(self.sofar.get("decibels")) if self.result is None else self.result.decibels

    @property
    def parked(self) -> bool:
        """Whether its picture is here, and nobody searches for it."""
        return not self.waits and self.result is None and self.has_picture


async def search_named(name: str) -> Search:
    """Return the search of that name, or of another one, that its picture went over to.

    Raises AddressRefused where none is known any more, StoreUnavailable.
    """
    search = await job_client().search_named(name) if len(name) == 64 and name.isalnum() and name.isascii() else None
    if search is None:
        raise AddressRefused(
            "This search is over, or was never made here.",
            hint="Bring the picture again. What was found is kept, under the short name that it was told with.",
        )
    return search


async def search_status(
    search: Search, visitor: Visitor | None = None, *, patience: float = 10.0, follows: bool = False
) -> SearchStatus:
    """Return the status of a search; with a visitor, who waits for it from now on, if its picture is here.

    Raises PageHidden where what it found is hidden, TooMany where the visitor waits for as many as one may, and
    StoreUnavailable.
    """
    client = job_client()
    if visitor is None:
        progress = await client.look(search)
    else:
        await require_press(search.edition)
        progress = await client.search(search, visitor, patience=patience, follows=follows)
    result = await result_of(search) if progress.state == "kept" else None
    sofar, picture = await client.sofar(search), await client.picture_of(search)
    if progress.state == "kept" and result is None:  # its page has made room, or what was found is not known any more
        progress = Progress("absent")
    sentence = await sentence_of_search(search, progress, sofar)
    return SearchStatus(search, progress, sentence, sofar, result, picture is not None)


async def result_of(search: Search) -> Result | None:
    """Return what a search has found; None where that is not known, or its page is not kept any more.

    The page stands on no list from now on, unless it did before. Raises PageHidden, StoreUnavailable.
    """
    found = await job_client().found(search)
    mark = found.get("mark")
    if not isinstance(mark, str):
        return None
    address = Address(search.edition, "mark", mark, None)
    record = await kept_record(address)
    await ledger.require_shown(address, mark)
    if record is None:
        return None
    listed = await ledger.keep_found(record)
    numbers = {name: _number(found.get(name)) for name in ("decibels", "bound", "likeness")}
    return Result(address, record, **numbers, seconds=_number(found.get("seconds")) or 0.0, listed=listed)


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


async def sentence_of_search(search: Search, progress: Progress, sofar: dict[str, Any]) -> str:
    """Return the status of a search as a sentence for the person who waits."""
    decibels = _number(sofar.get("decibels"))
    near = "" if decibels is None else f" {decibels:.1f} dB near."
    match progress.state:
        case "kept":
            return "The search is over."
        case "printing" | "queued" if await _was_interrupted(search, progress, sofar):
            return INTERRUPTED
        case "printing" if progress.step == 0:
            return "Starting to search."
        case "printing":
            left = "" if progress.seconds is None else f" About {duration(progress.seconds)} to go."
            return f"Step {progress.step} of {progress.of}.{near}{left}"
        case "failed":
            return progress.sentence or "Searching for this picture failed three times."
        case "busy":
            return "So many pictures are searched for already that no more are taken right now."
        case "absent":
            return "Nobody searches for this picture at the moment."
    return await sentence_for(search, progress)


async def _was_interrupted(search: Search, progress: Progress, sofar: dict[str, Any]) -> bool:
    """Say whether a search had begun at a press that is gone, and none is there to go on with it.

    Of a press on this machine that is known at once, of others when they load again or the claim has lapsed.
    """
    own = [press for press in await presses() if search.edition in press.editions]
    loading = all(press.state == "loading" for press in own)
    if progress.state == "printing":
        return (bool(own) and loading) or await job_client().is_deserted(search)
    return "phase" in sofar and loading


async def start(
    search: Search, visitor: Visitor, *, depth: str, prompt: str = "", begin: str = "", patience: float = 30.0
) -> tuple[Search, Progress]:
    """Have a picture that is here searched for: in a depth, near words, from an earlier key. Return it and its place.

    What is searched for with other words or in another depth is another search, with the same picture. Raises
    InputRefused for what is no depth and for a picture that is gone, and what `search_status` raises.
    """
    wanted = wish(search, depth=depth, prompt=prompt, begin=begin)
    if wanted.begin:
        await require_begin(wanted)
    await require_press(wanted.edition)
    client = job_client()
    picture = await client.picture_of(search)
    if picture is None:
        raise InputRefused("The picture that is to be searched for is gone.", hint="Bring it again.")
    said = (await client.sofar(search)).get("said", "")
    progress = await client.search(wanted, visitor, picture=picture, patience=patience, again=True)
    if wanted != search and progress.state in WAITS and said:  # it has gone over to the other
        await client.move(search, wanted)
    return wanted, progress


def wish(search: Search, *, depth: str, prompt: str = "", begin: str = "") -> Search:
    """Return the search for the same picture in a depth, near some words, from an earlier key. Raises InputRefused."""
    found = next((each for each in DEPTHS if each == depth), None)
    if found is None:
        raise InputRefused(f"A search is {', '.join(DEPTHS[:-1])} or {DEPTHS[-1]}, not “{depth[:20]}”.")
    try:
        words = canonical_prompt(prompt) if prompt.strip() else ""
    except AddressRefused as error:
        raise InputRefused(str(error), hint="Say in other words what is to be seen, or leave them out.") from error
    return replace(search, depth=found, prompt=words, begin=begin)


async def require_begin(search: Search) -> None:
    """Raise where a search cannot go on from its key: PageHidden, KeyRefused."""
    address = Address(search.edition, "mark", search.begin, None)
    await ledger.require_shown(address, search.begin)
    if await asyncio.to_thread(store().key, search.begin) is None:
        raise KeyRefused(f"The library does not hold the key {search.begin}, to go on from.", hint="Search anew.")


async def depths_of(edition: str) -> list[dict[str, str]]:
    """Return the depths as a visitor chooses among them, with the time that each takes at the presses of an edition."""
    client = job_client()
    paces, of_page = {depth: await client.pace(edition, depth) for depth in DEPTHS}, await client.pace(edition)
    return [
        {"depth": depth, "name": name, "does": does, "takes": time_of(depth, paces, of_page)}
        for depth, (name, does) in DEPTHS_SAID.items()
    ]


def time_of(depth: Depth, paces: Mapping[Depth, float | None], of_page: float | None) -> str:
    """Return how long a search of a depth takes, in words; what is no measurement says what it is guessed from.

    `paces`: seconds of a search of each depth, `of_page`: of a page; None where no press has made one here lately.
    """
    seconds = paces[depth]
    if seconds is not None:
        return f"about {duration(seconds)}"
    known = [(pace, other) for other in reversed(DEPTHS) if (pace := paces[other]) is not None]
    if known:
        pace, other = known[0]
        return f"about {_roughly(pace * PAGES_OF[depth] / PAGES_OF[other])}, guessed from another depth’s searches here"
    if of_page is not None:
        return f"about {_roughly(of_page * PAGES_OF[depth])}, guessed from how long pictures take here"
    return "not timed here yet"


def _roughly(seconds: float) -> str:
    """Return a span that is guessed in words, no more exactly than a guess is."""
    if seconds < 45:
        return f"{max(10, round(seconds, -1)):.0f} seconds"
    minutes = max(1, round(seconds / 60))
    if minutes > 10:
        minutes = round(minutes / 5) * 5
    return "1 minute" if minutes == 1 else f"{minutes} minutes"


def deeper(depth: str) -> str:
    """Return the depth after one that is done, which going on is for; the last stays the last."""
    return DEPTHS[min(DEPTHS.index(depth) + 1, len(DEPTHS) - 1)]


def nearness(decibels: float | None) -> str:
    """Return in words how far two pictures are apart."""
    if decibels is None:
        return "Every pixel is the same"
    for least, words in ((40, "Nobody sees a difference"), (30, "The same picture, if one does not look closely")):
        if decibels >= least:
            return words
    return "The same picture, with less in it" if decibels >= 22 else "Alike from afar"
