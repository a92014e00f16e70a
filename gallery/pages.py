"""What a page shows: where it stands, its facts, its neighbours, its words. Plain functions, no HTTP.

Imports `worker` (addresses, store, print jobs) and babelia.services.
"""

import asyncio
import time
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from babelia.services import job_client, store
from gallery import ledger
from gallery.addresses import neighbour_page, neighbour_volume, path_of
from gallery.editions import edition_of
from gallery.visits import PATIENCE
from worker.catalogue.address import PAGES, Address
from worker.catalogue.key import Key
from worker.errors import AddressRefused, EditionRefused, LibraryBusy, PrintFailed
from worker.jobs.progress import Press, Progress
from worker.keys import derive_without_model, find_key
from worker.store.records import PageRecord, Picture

_HEARD_SECONDS = 1.0
_heard: tuple[float, list[Press]] = (float("-inf"), [])
_BELIEVED_SECONDS = 1.0
_BELIEVED_MAX = 2000
_believed: dict[Address, tuple[float, PageRecord]] = {}


@dataclass(frozen=True)
class Standing:
    """Where a page stands; `facts` are there when it is kept."""

    address: Address
    progress: Progress
    sentence: str
    facts: PageRecord | None = None

    @property
    def kept(self) -> bool:
        """Whether the picture can be shown."""
        return self.facts is not None

    @property
    def flagged(self) -> bool:
        """Whether the edition's safety checker has flagged the picture."""
        return bool(self.facts and self.facts.flagged)


async def stand(
    address: Address, visitor: str, *, starts: bool, again: bool = False, patience: float = PATIENCE
) -> Standing:
    """Return where a page stands and, if `starts`, ask the press for one that is not kept.

    Raises AddressRefused for a mark that this library does not know, StoreUnavailable where Redis does not answer.
    """
    facts = await kept_facts(address)
    if facts is not None:
        progress = Progress("kept", mark=facts.mark)
        return Standing(address, progress, sentence_of(progress), facts)
    client = job_client()
    if starts:
        await require_printable(address)
        progress = await client.ask(address, visitor, patience=patience, again=again)
    else:
        await require_known(address)
        progress = await client.look(address)
    if progress.state == "kept":  # since we looked
        facts = await kept_facts(address)
    return Standing(address, progress, await sentence_for(address, progress), facts)


async def kept_facts(address: Address) -> PageRecord | None:
    """Return the facts of a page whose picture is kept, else None.

    What was found is believed for a second, so that a page many people open at once is not looked up on disk for each.
    """
    found = _believed.get(address)
    if found is not None and time.monotonic() < found[0]:
        return found[1]

    def look() -> PageRecord | None:
        mark = store().find(address)
        return None if mark is None else store().record(address.edition, mark)

    facts = await asyncio.to_thread(look)
    if facts is None:
        _believed.pop(address, None)
    else:
        if len(_believed) >= _BELIEVED_MAX:
            _believed.clear()
        _believed[address] = (time.monotonic() + _BELIEVED_SECONDS, facts)
    return facts


async def require_known(address: Address) -> None:
    """Raise AddressRefused where a mark's key is neither held here nor can be derived here."""
    if address.kind == "mark" and not await asyncio.to_thread(store().can_resolve, address.name):
        raise AddressRefused(
            f"This library does not hold the key with the mark {address.name}.",
            hint="A mark is the name of a key, not the key. Paste the key itself or drop a picture that holds it.",
        )


async def require_printable(address: Address) -> None:
    """Raise AddressRefused for an unknown mark, EditionRefused where no press could ever take up the page.

    That is so where the edition is not installed here and none of the presses that are heard of prints it.
    """
    await require_known(address)
    edition = edition_of(address.edition)
    if edition.installed or any(edition.slug in press.editions for press in await _presses()):
        return
    raise EditionRefused(
        f"No press of this library can print {edition.title}: its weights are not installed.", hint=edition.remedy
    )


async def note_printed(address: Address, openings: int = 0) -> None:
    """Put a page that has just been printed into the ledger, so that it is found among the recent ones."""
    facts = await kept_facts(address)
    if facts is not None:
        ledger.note_opening(address, facts, openings)


async def wait_for_picture(address: Address, visitor: str, seconds: float) -> tuple[Picture | None, Progress]:
    """Ask for a page and wait until its picture is there, at most so many seconds; the picture, or None and why not."""
    await require_printable(address)
    progress = Progress("absent")
    try:
        async with asyncio.timeout(seconds), aclosing(job_client().follow(address, visitor)) as news:  # type: ignore[type-var]
            async for latest in news:
                progress = latest
    except TimeoutError:
        return None, progress
    found = await job_client().picture(address)
    if found is not None:
        await note_printed(address, openings=1)
    return found, progress


def held_key(address: Address) -> Key | None:
    """Return the key of a page without the press: of `stacks` at once, of others when the store has it; else None."""
    return find_key(store(), address, derive_without_model)


def title_of(address: Address) -> str:
    """Return what stands above or below a picture: the prompt, or the name of the volume, or the mark's beginning."""
    return address.name


def words_of(address: Address) -> str:
    """Return the picture in words, for alt texts and cards."""
    match address.kind:
        case "prompt":
            return f"A picture printed for the words “{address.name}”, page {address.page} of {PAGES}"
        case "key":
            return f"Page {address.page} of {PAGES} of the volume {address.name}"
        case "stacks":
            return (
                f"Page {address.page} of {PAGES} of the volume {address.name} in the stacks, where any bits are a key"
            )
        case _:
            return f"The page with the mark {address.name}"


def sentence_of(progress: Progress) -> str:
    """Return where a page stands as a sentence for the person who waits."""
    about = "" if progress.seconds is None else f" About {_duration(progress.seconds)} to go."
    match progress.state:
        case "kept":
            return "The page is printed."
        case "queued" if progress.place == 1:
            return f"Next at the press.{about}"
        case "queued" if progress.place is not None:
            return f"Number {progress.place} in the queue.{about}"
        case "queued":
            return f"In the queue.{about}"
        case "printing" if progress.step == 0:
            return f"The press takes up this page.{about}"
        case "printing":
            return f"Step {progress.step} of {progress.of}.{about}"
        case "failed":
            return progress.sentence or "The press tried three times to print this page and could not."
        case "busy":
            return progress.sentence or "So many pages wait at the press that no more are taken just now."
        case _:
            return "Nobody waits for this page."


def day_of(when: str) -> str:
    """Return an ISO 8601 time in UTC as a person writes it: 25 November 2026, 09:47 UTC."""
    time = datetime.fromisoformat(when)
    return f"{time.day} {time:%B %Y, %H:%M} UTC"


async def sentence_for(address: Address, progress: Progress) -> str:
    """Return where a page stands as a sentence, and where it waits, what it waits for."""
    if progress.state != "queued":
        return sentence_of(progress)
    presses = [press for press in await _presses() if address.edition in press.editions]
    if any(press.able for press in presses):
        return sentence_of(progress)
    if any(press.state == "loading" for press in presses):
        return "The press is starting; this page is printed as soon as it is ready."
    broken = next((f" {press.sentence}" for press in presses if press.sentence), "")
    return f"No press of this edition is at work just now; the page waits for one.{broken}"


async def why_not(address: Address, progress: Progress) -> LibraryBusy | PrintFailed:
    """Return what to raise for a page whose picture or key is asked for and is not there."""
    sentence = await sentence_for(address, progress)
    if progress.state == "busy":
        return LibraryBusy(sentence)
    if progress.state == "failed":
        return PrintFailed(sentence, hint="Open the page itself to have it tried again; a program sets `again`.")
    return PrintFailed(f"This page is not printed yet. {sentence}", hint="Ask again in a few seconds.")


async def _presses() -> list[Press]:
    """Return the presses that are heard of, as of a moment ago: everybody who waits asks for the same."""
    global _heard
    heard_at, presses = _heard
    if time.monotonic() - heard_at > _HEARD_SECONDS:
        presses = await job_client().presses()
        _heard = (time.monotonic(), presses)
    return presses


def _duration(seconds: float) -> str:
    """Return a span in words, rounded as a person would."""
    if seconds < 1.5:
        return "a second"
    if seconds < 90:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes"


@dataclass(frozen=True)
class Links:
    """Every path that a page links to; None where there is nothing there."""

    page: str
    picture: str
    picture_with_key: str
    key: str
    json: str
    events: str
    preview: str
    card: str
    thumbnail: str
    leave: str
    again: str
    next_page: str | None
    previous_page: str | None
    next_volume: str | None
    previous_volume: str | None
    next_key: str | None
    previous_key: str | None


def links_of(address: Address) -> Links:
    """Return the links of a page. The neighbours of a prompt's volume are looked up when they are followed."""

    def form(suffix: str) -> str:
        return path_of(address, suffix)

    def volume(by: int, lookup: str) -> str | None:
        if address.kind == "prompt":
            return form(lookup)
        neighbour = neighbour_volume(address, by)
        return None if neighbour is None else neighbour.path()

    following, preceding = neighbour_page(address, 1), neighbour_page(address, -1)
    is_mark = address.kind == "mark"
    return Links(
        page=form("/"),
        picture=form(".png"),
        picture_with_key=form("/with-key.png"),
        key=form(".txt"),
        json=form(".json"),
        events=form("/events"),
        preview=form("/preview.webp"),
        card=form("/card.png"),
        thumbnail=form("/thumbnail.webp"),
        leave=form("/leave"),
        again=form("/again"),
        next_page=following.path() if following else None,
        previous_page=preceding.path() if preceding else None,
        next_volume=volume(1, "/next-volume"),
        previous_volume=volume(-1, "/previous-volume"),
        next_key=form("/next-key") if is_mark else None,
        previous_key=form("/previous-key") if is_mark else None,
    )


def described(standing: Standing) -> dict[str, Any]:
    """Return what is known of a page as JSON: the `.json` form and the API's answer."""
    address, progress, facts = standing.address, standing.progress, standing.facts
    links = links_of(address)
    return {
        "address": address.format(),
        "edition": address.edition,
        "kind": address.kind,
        "name": address.name,
        "page": address.page,
        "state": progress.state,
        "sentence": standing.sentence,
        "place": progress.place,
        "step": progress.step,
        "of": progress.of,
        "seconds_left": progress.seconds,
        "mark": facts.mark if facts else progress.mark,
        "rendition": facts.rendition if facts else None,
        "pixel_digest": facts.pixel_digest if facts else None,
        "file_digest": facts.file_digest if facts else None,
        "steps": facts.steps if facts else None,
        "seconds": facts.seconds if facts else None,
        "printed_at": facts.printed_at if facts else None,
        "flagged": facts.flagged if facts else None,
        "links": {
            "page": links.page,
            "picture": links.picture,
            "key": links.key,
            "json": links.json,
            "events": links.events,
            "next_page": links.next_page,
            "previous_page": links.previous_page,
            "next_volume": links.next_volume,
            "previous_volume": links.previous_volume,
        },
    }


def opened(standing: Standing) -> None:
    """Note that somebody opened a kept page; on the event loop, returns at once."""
    if standing.facts is not None:
        ledger.note_opening(standing.address, standing.facts)
