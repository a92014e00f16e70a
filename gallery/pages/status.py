"""The status of a page: whether it is kept, where it waits, what it waits for; and its key. Plain functions, no HTTP.

Imports `worker` (addresses, store, print jobs) and babelia.services.
"""

import asyncio
from contextlib import aclosing
from dataclasses import dataclass
from math import ceil
from typing import Final

from cachetools import TTLCache

from babelia.services import job_client, store
from gallery import ledger
from gallery.description import PageOut, WordOut, describe
from gallery.editions import edition_of, weights_here
from gallery.pages.colours import colours_of
from gallery.pages.sentences import notice_of, sentence_of
from gallery.pages.words import words_of
from gallery.visits import PATIENCE
from worker.catalogue.address import Address
from worker.catalogue.key import Key
from worker.errors import AddressRefused, EditionRefused, LibraryBusy, PrintFailed, StoreUnavailable
from worker.jobs.progress import Press, Progress, Visitor, Wanted
from worker.keys import derive_without_model, find_key
from worker.store.records import PageRecord, Picture

ASK_AGAIN_SECONDS: Final = 5
"""Seconds after which a picture that is not printed should be asked for again, where there is no estimate."""
AHEAD_PATIENCE: Final = 60.0
"""Seconds within which a page that is printed ahead is begun, or not at all: its tab says when it leaves."""

FOR_KEEPER: Final = "For the keeper:"
"""What stands before a detail that visitors need not understand: its meaning for them was said already."""

# Many people open one page at once, and everybody who waits asks after the presses: for a second, one look serves all.
_records: TTLCache[Address, PageRecord] = TTLCache(maxsize=2000, ttl=1.0)
_presses: TTLCache[str, list[Press]] = TTLCache(maxsize=1, ttl=1.0)


@dataclass(frozen=True)
class PageStatus:
    """The status of a page; `record` is there when it is kept."""

    address: Address
    progress: Progress
    sentence: str
    record: PageRecord | None = None
    former: PageRecord | None = None
    """Of a page that is not kept: the record of an earlier print, where that had other weights than those of now."""
    named: Address | None = None
    """Of a kept page that was opened by its mark: the address that it was printed for, where that leads to it."""

    words: list[WordOut] | None = None
    """What the edition makes of a prompt's words, where that is known."""
    colours: str = ""
    """Of a kept page of a volume that no words name: its dominant colours."""

    @property
    def kept(self) -> bool:
        """Whether the picture can be shown."""
        return self.record is not None

    @property
    def flagged(self) -> bool:
        """Whether the edition's safety checker has flagged the picture."""
        return bool(self.record and self.record.flagged)

    @property
    def mark(self) -> str | None:
        """The mark, of a kept page or as far as the press has said."""
        return self.progress.mark if self.record is None else self.record.mark

    def describe(self) -> PageOut:
        """Return what is known of the page."""
        notice = notice_of(self.record, self.former)
        return describe(
            self.address,
            self.progress,
            self.sentence,
            self.record,
            former=self.former,
            notice=notice,
            words=self.words,
        )


async def page_status(
    address: Address,
    visitor: Visitor | str,
    *,
    starts: bool,
    again: bool = False,
    patience: float = PATIENCE,
    follows: bool = False,
) -> PageStatus:
    """Return the status of a page and, if `starts`, ask the press for one that is not kept.

    Raises AddressRefused for a mark that this library does not know, PageHidden for a page that is hidden, TooMany
    where the visitor has asked for as many as one may, and StoreUnavailable where Redis does not answer.
    """
    record = await kept_record(address)
    await ledger.require_shown(address, record.mark if record is not None else None)
    if record is not None:
        progress = Progress("kept", mark=record.mark)
        named = await asyncio.to_thread(_own_name, record) if address.kind == "mark" else None
        words = await words_of(address, record.unread)
        colours = await colours_of(record) if address.kind in ("key", "stacks") else ""
        return PageStatus(address, progress, sentence_of(progress), record, None, named, words, colours)
    client = job_client()
    if starts:
        await require_printable(address)
        progress = await client.ask(address, visitor, patience=patience, again=again, follows=follows)
    else:
        await require_known(address)
        progress = await client.look(address)
    if progress.state == "kept":  # since we looked
        record = await kept_record(address)
    await ledger.require_shown(address, progress.mark)
    former = None if record is not None else await _former_print(address)
    words = await words_of(address, None if record is None else record.unread)
    return PageStatus(address, progress, await sentence_for(address, progress), record, former, words=words)


def _own_name(record: PageRecord) -> Address | None:
    """Return the address that a page was first printed for, where it can be opened and leads to its mark."""
    address = Address.parse_kept(record.address)
    leads = address.kind != "mark" and address.is_current and ledger.known_mark(address) == record.mark
    return address if leads else None


async def is_awaited(address: Address) -> bool:
    """Say whether somebody waits for a page that is not kept. Raises StoreUnavailable."""
    return (await job_client().look(address)).state in ("queued", "printing")


async def print_ahead(address: Address, visitor: Visitor) -> None:
    """Have a page printed that a visitor may turn to, where the presses have nothing else to do. Raises as above."""
    if await kept_record(address) is None:
        await require_printable(address)
        await job_client().ask(address, visitor, patience=AHEAD_PATIENCE)


async def _former_print(address: Address) -> PageRecord | None:
    """Return the record of an earlier print of a page that had other weights than its edition has now; else None."""

    def look() -> PageRecord | None:
        mark = ledger.known_mark(address)
        return None if mark is None else store().record(address.edition, mark)

    former = await asyncio.to_thread(look)
    if former is None or former.known_weights is None:
        return None
    edition = edition_of(address.edition)
    here = await asyncio.to_thread(weights_here, edition)
    # Where the weights are on the presses' machines alone, what these print names them.
    words = [press.rendition.split(" ") for press in await presses() if press.rendition]
    now = [here[:16]] if here is not None else [weights for slug, weights, *_ in words if slug == edition.slug]
    return former if now and former.known_weights not in now else None


async def kept_record(address: Address) -> PageRecord | None:
    """Return the record of a page whose picture is kept, else None; for a second, the disk is not asked again."""
    record = _records.get(address)
    if record is not None:
        return record

    def look() -> PageRecord | None:
        mark = store().find(address)
        return None if mark is None else store().record(address.edition, mark)

    record = await asyncio.to_thread(look)
    if record is not None:
        _records[address] = record
    return record


async def require_known(address: Address) -> None:
    """Raise AddressRefused where a mark's key is neither held here nor can be derived here."""
    if address.kind == "mark" and not await asyncio.to_thread(store().can_resolve, address.name):
        raise AddressRefused(
            f"This library has not seen the key with the short name {address.name} yet.",
            hint="Paste the whole key, or drop a picture that was saved from its page.",
        )


async def require_printable(address: Address) -> None:
    """Raise AddressRefused for an unknown mark, EditionRefused where no press could ever print the page.

    That is so where the edition is not installed here and no press that is running prints it.
    """
    await require_known(address)
    await require_press(address.edition)


async def require_press(slug: str) -> None:
    """Raise EditionRefused where no press could ever print a page of an edition: as `require_printable` says."""
    edition = edition_of(slug)
    if edition.installed or any(edition.slug in press.editions for press in await presses()):
        return
    remedy = edition.remedy if edition.hub else "Put its weights into the edition's folder."
    raise EditionRefused(f"{edition.title} is not installed here.", hint=f"{FOR_KEEPER} {remedy}")


async def presses() -> list[Press]:
    """Return the presses that are running, as of a second ago. Raises StoreUnavailable."""
    found = _presses.get("running")
    if found is None:
        found = _presses["running"] = await job_client().presses()
    return found


# -- waiting for a print


async def require_picture(address: Address, visitor: Visitor, seconds: float) -> Picture:
    """Return the picture of a page that was not kept: ask for it and wait, at most so many seconds.

    Raises what `not_printed` returns where it is not there in time, and what `require_printable` raises.
    """
    progress = await _wait_for_print(address, visitor, seconds)
    picture = await kept_picture(address)
    if picture is None:
        raise await not_printed(address, progress)
    return picture


async def kept_picture(address: Address) -> Picture | None:
    """Return the picture of a page, None where none is kept. Raises PageHidden, StoreUnavailable."""
    picture = await job_client().picture(address)
    await ledger.require_shown(address, picture.mark if picture is not None else None)
    return picture


async def preview_of(address: Address) -> bytes | None:
    """Return the last preview (WebP) of a page being printed; None where there is none. Raises as `kept_picture`."""
    found = await job_client().preview(address)
    await ledger.require_shown(address, (await job_client().look(address)).mark)
    return None if found is None else found[1]


async def require_key(address: Address, visitor: Visitor, seconds: float) -> Key:
    """Return the key of a page: at once where it is here, else as soon as the press has made it. Raises as above."""
    key = await asyncio.to_thread(held_key, address)
    if key is None:
        progress = await _wait_for_print(address, visitor, seconds)
        key = await asyncio.to_thread(held_key, address)
        if key is None:
            raise await not_printed(address, progress)
    await ledger.require_shown(address, key.mark)
    return key


async def _wait_for_print(address: Address, visitor: Visitor, seconds: float) -> Progress:
    """Ask for a page and follow it until it is final or nothing can be printed, at most so many seconds.

    Return its last progress.
    """
    await require_printable(address)
    progress = Progress("absent")
    try:
        async with asyncio.timeout(seconds), aclosing(job_client().follow(address, visitor)) as news:  # type: ignore[type-var]
            async for latest in news:
                progress = latest
                if progress.state == "queued" and await _blocked(address.edition) is not None:
                    return progress  # nothing moves, which is to be said now and not when the visitor has waited
    except TimeoutError:
        return progress
    await note_printed(address, openings=1)
    return progress


async def not_printed(address: Address, progress: Progress) -> LibraryBusy | PrintFailed:
    """Return what to raise for a page whose picture or key is asked for and is not there; it says when to come back.

    Raises PageHidden where it turned out to be hidden as the press worked out its key.
    """
    await ledger.require_shown(address, progress.mark)
    sentence = await sentence_for(address, progress)
    error: LibraryBusy | PrintFailed
    if progress.state == "busy":
        error = LibraryBusy(sentence)
    elif progress.state == "failed":
        hint = "Open its page to have it tried again; a program sets `again`."
        error = PrintFailed(sentence, hint=hint)
    else:
        if progress.state != "absent":
            sentence = f"This picture is not drawn yet. {sentence}"
        error = PrintFailed(sentence, hint="Ask again in a few seconds.")
    error.retry_after = progress.retry_after or ceil(progress.seconds or ASK_AGAIN_SECONDS)
    return error


async def sentence_for(address: Wanted, progress: Progress) -> str:
    """Return the status of a page as a sentence; of a page that waits for a press, which has to start or is broken."""
    if progress.state != "queued":
        return sentence_of(progress)
    own = [press for press in await presses() if address.edition in press.editions]
    if any(press.able for press in own):
        return sentence_of(progress)
    blocked = await _blocked(address.edition)
    if blocked is not None:
        return f"New pictures cannot be drawn right now; those opened before still show. {FOR_KEEPER} {blocked}"
    if any(press.state == "loading" for press in own):
        return "The model is being loaded; your picture is drawn as soon as it is ready."
    broken = next((f" {FOR_KEEPER} {press.sentence}" for press in own if press.sentence), "")
    return f"Nothing draws new pictures right now. Yours waits for its turn; those opened before still show.{broken}"


async def _blocked(edition: str) -> str | None:
    """Return why no page of an edition can be printed, where that may pass without a press being started; else None.

    A press says so of itself. Where none can print, the disk is asked too: it is the one that the presses write to, and
    whoever waits for a press in vain should know that one would print nothing.
    """
    own = [press for press in await presses() if edition in press.editions]
    if any(press.able for press in own):
        return None
    for press in own:
        if press.state == "blocked":
            return press.sentence
    try:
        await asyncio.to_thread(store().require_room)
    except StoreUnavailable as error:
        return f"{error} {error.hint}"
    return None


# -- what the ledger is told


async def note_printed(address: Address, openings: int = 0) -> None:
    """Tell the ledger of a page that has just been printed, so that it is listed among the recent ones."""
    record = await kept_record(address)
    if record is not None and not await ledger.is_hidden(address, record.mark):
        ledger.note_opening(address, record, openings)


# -- keys


def held_key(address: Address) -> Key | None:
    """Return the key of a page without the press: of `stacks` at once, of others when the store has it; else None."""
    return find_key(store(), address, derive_without_model)
