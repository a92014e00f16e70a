"""The press: takes pages that wait, prints them with an engine, keeps them, tells how far it is.

May import everything of `worker` but the tasks; torch comes in with the engine, when the first edition is opened, so
that the parent of the worker's processes never touches it. Knows neither Django nor Celery.
"""

from __future__ import annotations

import json
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from worker.catalogue import comparison
from worker.catalogue.address import Address
from worker.catalogue.key import Key
from worker.catalogue.png import encode_page
from worker.editions.edition import SHIPPED, load_edition
from worker.errors import BabeliaError, EditionRefused, InputRefused, PageHidden, PrintFailed, StoreUnavailable
from worker.finding.copies import Copies
from worker.jobs import preview
from worker.jobs.consumer import Claim, ClaimsLost, JobConsumer, SteppedAside, press_name
from worker.jobs.progress import Press, Reprint, Search, Wanted
from worker.keys import find_key
from worker.searches import Searches, Sought
from worker.store.hidden import require_shown
from worker.store.records import Picture
from worker.store.store import Store
from worker.store.upkeep import make_room

if TYPE_CHECKING:
    from worker.engine.engine import Engine, Lane, Print
    from worker.engine.loop import Step

PULSE = 5.0
"""Seconds between two signs of life."""
UNHEARD_PULSES = 4
"""So many signs of life in a row with messages that nobody takes, and the worker's connection counts as lost."""
SILENCE = 600.0
"""Seconds that one step may take: until then the signs of life renew the claim too, after it the page is another's."""
PREVIEW_PAUSE = 0.1
"""Seconds between two previews: more than ten in a second nobody sees."""
DISK_PAUSE = 60
"""Seconds until a page that met a full disk may be tried again."""
HIDDEN_PAUSE = 5
"""Seconds until a page that was hidden may be tried again: it may be shown again any time."""

log = logging.getLogger(__name__)


@dataclass
class Times:
    """Where the seconds of one run went: the model's work, and the press's own."""

    model: float = 0.0  # text encoder, loop, decoder
    own: float = 0.0  # taking, previews, telling, PNG, thumbnail, disk
    began: float = field(default_factory=time.perf_counter)

    @contextmanager
    def of_model(self) -> Iterator[None]:
        """What runs in here is the model's work, but for what `of_own` took inside."""
        began, own = time.perf_counter(), self.own
        try:
            yield
        finally:
            self.model += time.perf_counter() - began - (self.own - own)

    @contextmanager
    def of_own(self) -> Iterator[None]:
        """What runs in here is the press's own work."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.own += time.perf_counter() - began

    @property
    def share(self) -> float:
        """The press's own share of the time, 0 … 1."""
        return self.own / (self.model + self.own) if self.own else 0.0


class PrintingPress:
    """Prints the pages of some editions, in one process, one batch at a time."""

    def __init__(
        self,
        store: Store,
        jobs: JobConsumer,
        editions: Sequence[str],
        *,
        device: str = "auto",
        threads: int | None = None,
        batch: int | None = None,
        restart: Callable[[], None] = lambda: None,
        remind: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`editions`: the slugs it prints pages of, the most wanted first. Nothing is loaded yet.

        `restart` ends the worker that this press is the child of, for its supervisor to start another; `remind` tells
        presses, this one among them, that pages of an edition wait (see worker.tasks).
        """
        self._restart = restart
        self._remind = remind
        self._unheard = False
        self.store = store
        self.copies = Copies(store)
        self.jobs = jobs
        self.editions = tuple(editions)
        self.times = Times()
        self._searches = Searches(store, jobs)
        self._shown_at = 0.0
        self._closed = threading.Event()
        self._printing: list[Claim] = []
        self._heard = 0.0  # time.monotonic() of the last step
        self._disk_failed_for = ""  # the edition whose last page the disk did not take
        self._device = device
        self._threads = threads
        self._batch = batch
        self._engines: dict[str, Engine] = {}
        self._press = Press(
            name=press_name(),
            state="loading",
            editions=self.editions,
            rendition="",
            sentence="",
            host=socket.gethostname(),
            parent=int(press_name().rpartition(":")[2]),
        )

    # -- being there

    def open(self) -> None:
        """Load the first edition, and say from now on that this press is there. A broken edition makes it broken."""
        self._say(state="loading")
        threading.Thread(target=self._beat, name="pulse", daemon=True).start()
        if not self.editions:
            self._say(state="broken", sentence="No edition is installed, so this press has nothing to print.")
            return
        try:
            engine = self.engine(self.editions[0])
        except BabeliaError as error:
            log.error("Edition %s cannot be printed: %s %s", self.editions[0], error, error.hint)
            self._say(state="broken", sentence=self._sentence(error))
            return
        except Exception as error:  # a library's own: OSError of a disk, RuntimeError of a device
            log.exception("Edition %s could not be loaded.", self.editions[0])
            self._say(state="broken", sentence=_could_not_load(self.editions[0], error))
            return
        self._stand()
        log.info("Ready to print: %s (loaded in %.1f s)", engine.rendition.format(), engine.seconds_to_load)

    def engine(self, slug: str) -> Engine:
        """The engine of an edition, loaded at its first use."""
        if slug not in self.editions:
            raise EditionRefused(
                f"This press prints {', '.join(self.editions) or 'nothing'}, not {slug}.",
                hint="BABELIA_EDITIONS names what a press prints.",
            )
        if slug not in self._engines:
            edition = load_edition(slug, self.store.data)
            from worker.engine.engine import Engine  # torch: only here, in the process that prints, if it has what to

            self._engines[slug] = Engine(edition, self._device, self._threads, self._batch)
        return self._engines[slug]

    def _say(self, **changes: object) -> None:
        self._press = replace(self._press, **changes)  # type: ignore[arg-type]  # fields of Press
        try:
            self.jobs.announce(self._press)
        except StoreUnavailable as error:
            if not self._unheard:  # once, not at every sign of life
                log.warning("Nobody hears that this press is %s: %s", self._press.state, error)
            self._unheard = True
        else:
            if self._unheard:
                log.warning("This press is heard again.")
            self._unheard = False

    def _stand(self) -> None:
        """Say where this press stands: at work or idle, unless it has no engine or the disk has no room."""
        engine = next(iter(self._engines.values()), None)
        if engine is None:
            self._say(state="broken")  # as it was: its sentence says why
            return
        try:
            self._require_disk()
        except StoreUnavailable as error:
            self._say(state="blocked", rendition=engine.rendition.format(), sentence=self._sentence(error))
        else:
            state = "printing" if self._printing else "ready"
            self._say(state=state, rendition=engine.rendition.format(), sentence="")

    def _require_disk(self) -> None:
        """Raise StoreUnavailable where the disk has no room, or did not take the last page and takes none now either.

        A quota is seen by trying alone: without that each visitor in turn would be promised a page, and lose it.
        """
        self.store.require_room()
        if self._disk_failed_for:
            self.store.try_writing(self._disk_failed_for)
            self._disk_failed_for = ""

    def close(self) -> None:
        """Say no longer that this press is there."""
        self._closed.set()

    def _beat(self) -> None:
        unheard = 0
        while not self._closed.wait(PULSE):
            if self._press.state not in ("loading", "broken"):
                self._stand()  # the disk may have filled up, or been freed
            else:
                self._say()
            if self._press.able and not self._printing:
                self.take_up_what_waits()
            loading = self._press.state == "loading"  # no message is taken before, however long that is
            unheard = unheard + 1 if not loading and self._lost_its_connection() else 0
            if unheard == UNHEARD_PULSES:
                log.error("This press has not heard of waiting pages for %.0f s; it restarts.", PULSE * UNHEARD_PULSES)
                self._restart()
            if time.monotonic() - self._heard < SILENCE:
                for claim in list(self._printing):
                    self.jobs.renew(claim)

    def take_up_what_waits(self) -> None:
        """Put pages of presses that are gone back into the queue, and be told of what waits: nobody else may ask."""
        try:
            self.jobs.recover()
            for edition in self.editions:
                if self.jobs.waiting(edition) and not self.jobs.has_unheard_messages(edition):
                    self._remind(edition)
        except StoreUnavailable:
            return  # said already
        except Exception as error:  # of the library that carries messages; the next sign of life tries again
            log.warning("This press could not remind itself of pages that wait: %s", error)

    def _lost_its_connection(self) -> bool:
        """Whether this press is idle while messages for it lie in the queue: Celery's worker noticed nothing."""
        try:
            return not self._printing and any(self.jobs.has_unheard_messages(edition) for edition in self.editions)
        except StoreUnavailable:
            return False

    # -- printing

    def print_waiting(self, edition: str) -> bool:
        """Take what waits of an edition, one search or as much as one run holds, and print it. Whether more waits.

        Whatever goes wrong with a page is told to those who wait for it; only a Redis that is away is raised, as
        StoreUnavailable, before anything was taken.
        """
        self.times = Times()
        with self.times.of_own():
            engine = self._engines.get(edition)
            claims = self.jobs.take(edition, engine.batch if engine else 1)
        if claims:
            self._heard, self._printing = time.monotonic(), claims
            if self._engines:  # a press that could not load never says that it prints
                self._stand()
            if isinstance(claims[0].wanted, Search):
                self._search(claims[0])
            else:
                self._print(claims)
            self._printing = []
            self._stand()
            make_room(self.store)
        return self.jobs.waiting(edition) > 0

    def _print(self, claims: list[Claim]) -> None:
        try:
            self._require_disk()
            engine = self.engine(claims[0].edition)
        except Exception as error:
            for claim in claims:
                self._give_up(claim, error)
            return
        found: list[tuple[Lane, Claim, Key]] = []
        for claim in claims:
            try:
                with self.times.of_model():
                    key = self.key_of(claim.address)
                self._require_shown(claim.address, key)
                if claim.again:
                    self._first_print(claim.address.edition, key)  # before anything is printed in vain
                elif self._is_kept_already(claim, key):
                    continue
                self.jobs.step(claim, 0, key.steps, mark=key.mark)
                found.append((engine.lane(key), claim, key))
            except Exception as error:
                self._give_up(claim, error)
        found.sort(key=lambda entry: entry[0])
        for _, entries in groupby(found, key=lambda entry: entry[0]):
            self._run(engine, [(claim, key) for _, claim, key in entries])

    def key_of(self, address: Address) -> Key:
        """The key of any address: of a mark, the one that is stored or can be derived again."""
        key = find_key(self.store, address, lambda derived: self.engine(derived.edition).resolve(derived))
        if key is None:
            raise InputRefused(
                f"The library does not hold the key of the mark {address.name}.",
                hint="Paste the key, or open the page by an address; a mark alone does not say which bits it names.",
            )
        return key

    def _require_shown(self, address: Address, key: Key) -> None:
        """Raise PageHidden before anything is told of a page whose key is hidden, StoreUnavailable if that is unknown.

        The site cannot know the key of a prompt that was never printed; the link tells it from now on.
        """
        try:
            require_shown(self.store.data, address, key.mark)
        except PageHidden:
            self.store.link(address, key)
            raise

    def _is_kept_already(self, claim: Claim, key: Key) -> bool:
        """Whether the page was printed before, under this address or another one."""
        if not self.store.has(claim.address.edition, key.mark):
            return False
        if self.store.picture(Address(claim.address.edition, "mark", key.mark, None)) is None:
            return False
        self.store.link(claim.address, key)
        unread = self._unread(claim.address)
        if unread is not None:
            self.store.note_unread(claim.address.edition, key.mark, unread)
        self.jobs.finish(claim, key.mark)
        return True

    def _first_print(self, edition: str, key: Key) -> Picture:
        """The kept picture that a second print is compared with. Raises InputRefused where there is none."""
        picture = self.store.picture(Address(edition, "mark", key.mark, None))
        if picture is None:
            raise InputRefused("The first print of this page is not kept any more: there is nothing to compare with.")
        return picture

    def _run(self, engine: Engine, entries: list[tuple[Claim, Key]]) -> None:
        """One run of the engine: previews and steps while it goes, then each page is kept."""

        def on_step(step: Step) -> None:
            with self.times.of_own():
                self._tell(engine, entries, step)

        try:
            with self.times.of_model():
                prints = engine.print_pages([key for _, key in entries], on_step)
        except ClaimsLost:
            log.warning(
                "Stopped: other presses have taken over %s.", [name_in_log(claim.wanted) for claim, _ in entries]
            )
            return
        except SteppedAside:
            log.info("Stopped, for others wait: %s", [name_in_log(claim.wanted) for claim, _ in entries])
            return
        except Exception as error:
            for claim, _ in entries:
                self._give_up(claim, error)
            return
        for (claim, key), printed in zip(entries, prints, strict=True):
            try:
                with self.times.of_own():
                    if claim.again:
                        self._compare(claim, key, printed)
                    else:
                        self._keep(claim, key, printed)
            except Exception as error:
                if isinstance(error, StoreUnavailable) and not claim.again:
                    self._disk_failed_for = claim.edition
                self._give_up(claim, error)

    def _tell(self, engine: Engine, entries: list[tuple[Claim, Key]], step: Step) -> None:
        previews = [b""] * len(entries)
        self._heard = now = time.monotonic()
        if step.index in (1, step.of) or now - self._shown_at >= PREVIEW_PAUSE:
            self._shown_at = now
            previews = [preview.encode(pixels) for pixels in engine.preview(step.predicted)]
        still_ours = [
            self.jobs.step(claim, step.index, step.of, mark=key.mark, preview=previews[row])
            for row, (claim, key) in enumerate(entries)
        ]
        if not any(still_ours):
            raise ClaimsLost
        if step.index < step.of and self.jobs.step_aside([claim for claim, _ in entries]):
            raise SteppedAside

    def _keep(self, claim: Claim, key: Key, printed: Print) -> None:
        seconds = time.monotonic() - claim.began
        self._keep_page(claim.address, key, printed, seconds)
        self.jobs.finish(claim, key.mark, seconds=seconds)
        log.info("Printed %s in %.2f s", name_in_log(claim.wanted), seconds)

    def _keep_page(self, address: Address, key: Key, printed: Print, seconds: float) -> None:
        """Keep the page of an address."""
        rendition = printed.rendition.format()
        png = encode_page(
            printed.pixels,
            address=address.format(),
            mark=key.mark,
            edition=address.edition,
            rendition=rendition,
        )
        self.store.keep(
            address,
            key,
            png,
            printed.pixels,
            rendition=rendition,
            steps=printed.steps,
            seconds=seconds,
            flagged=printed.flagged,
            weights=printed.rendition.weights,
            unread=self._unread(address),
        )
        self.copies.note(address.edition, key.mark, printed.pixels)

    # -- searching

    def _search(self, claim: Claim) -> None:
        """Go on with a search; where it comes to its end, its page is printed from the key and kept as any other."""
        try:
            self._require_disk()
            engine = self.engine(claim.edition)
            with self.times.of_model():
                sought = self._searches.look_for(engine, claim, self.editions, self._hear)
                picture = self._page_of(engine, sought)
        except ClaimsLost:
            log.warning("Stopped: another press has taken over %s.", name_in_log(claim.wanted))
        except SteppedAside:
            log.info("Stopped for now: %s", name_in_log(claim.wanted))
        except Exception as error:
            self._give_up(claim, error)
        else:
            self._tell_found(claim, sought, picture)

    def _hear(self) -> None:
        self._heard = time.monotonic()

    def _page_of(self, engine: Engine, sought: Sought) -> Picture:
        """The picture of the key that a search has found: of the page that is kept, else printed now, and both kept."""
        address = Address(engine.edition.slug, "mark", sought.key.mark, None)
        self._require_shown(address, sought.key)
        self.store.keep_key(sought.key)
        picture = self.store.picture(address)
        if picture is None:
            began = time.monotonic()
            (printed,) = engine.print_pages([sought.key])
            self._keep_page(address, sought.key, printed, time.monotonic() - began)
            picture = self.store.picture(address)
        if picture is None:
            raise StoreUnavailable("The page was printed, and is not on the disk.")
        return picture

    def _tell_found(self, claim: Claim, sought: Sought, picture: Picture) -> None:
        """Say what a search has found; how far it is off is measured on the page itself."""
        difference = comparison.compare(comparison.pixels_of(picture.png), sought.target)
        found = sought.facts | {"mark": sought.key.mark, "decibels": difference.psnr, "largest": difference.largest}
        try:
            self.jobs.tell_found(claim, json.dumps(found).encode())
        except StoreUnavailable as error:  # the claim lapses, and whoever is next goes on from the draft
            log.warning("Nobody hears what %s found: %s", name_in_log(claim.wanted), error)
            return
        self.jobs.finish(claim, sought.key.mark, seconds=sought.facts["seconds"])
        log.info("Found %s in %.2f s", name_in_log(claim.wanted), sought.facts["seconds"])

    def _compare(self, claim: Claim, key: Key, printed: Print) -> None:
        """Tell how a second print of a page compares with the first, which stays."""
        first, seconds = self._first_print(claim.address.edition, key), time.monotonic() - claim.began
        found = comparison.to_json(
            comparison.compare(comparison.pixels_of(first.png), printed.pixels),
            first=first.digest,
            rendition=printed.rendition.format(),
            pixel_digest=printed.digest,
            seconds=round(seconds, 3),
            printed_at=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        self.jobs.tell_of_reprint(claim, found)
        self.jobs.finish(claim, key.mark, seconds=seconds)
        log.info("Printed %s a second time in %.2f s", name_in_log(claim.address), seconds)

    def _unread(self, address: Address) -> str | None:
        """The end of a page's prompt that decided nothing of its picture; None where no prompt names it."""
        return self.engine(address.edition).unread(address.name).strip() if address.kind == "prompt" else None

    def _sentence(self, error: BabeliaError) -> str:
        """An error and what to do, for visitors: where our folders lie is none of their business."""
        said = f"{error} {error.hint}".strip().replace(str(self.store.data), "data")
        for slug in self.editions:
            with suppress(BabeliaError):
                edition = load_edition(slug, self.store.data)
                for folder in (edition.weights, edition.folder):
                    said = said.replace(str(folder), f"{slug}/{folder.name}" if folder.name != slug else slug)
        return said.replace(str(SHIPPED), "editions")

    def _give_up(self, claim: Claim, error: Exception) -> None:
        """Tell those who wait what went wrong; what another try cannot mend is final."""
        name = name_in_log(claim.wanted)
        if isinstance(error, StoreUnavailable):
            final, pause = True, {"pause": DISK_PAUSE}
        elif isinstance(error, PageHidden):
            final, pause = True, {"pause": HIDDEN_PAUSE}
        else:
            final, pause = isinstance(error, BabeliaError) and not isinstance(error, PrintFailed), {}
        if isinstance(error, BabeliaError):
            sentence = self._sentence(error)
            log.error("Could not print %s: %s", name, sentence)
        else:
            sentence = (
                f"The press could not print this page ({type(error).__name__}). Try again in a few minutes; "
                "the press's log says more."
            )
            log.error("Could not print %s", name, exc_info=error)
        try:
            self.jobs.give_up(claim, sentence, final=final, **pause)
        except StoreUnavailable as away:
            log.warning("Nobody hears that %s failed: %s", name, away)


def _could_not_load(edition: str, error: Exception) -> str:
    """What visitors are told of an error that is not ours: its words may name files and machines."""
    return f"Edition {edition} could not be loaded ({type(error).__name__}); the press's log says more."


def name_in_log(address: Wanted) -> str:
    """An address as the log may name it: what somebody wrote as a prompt is theirs, and stands there by its digest.

    So is a picture that is searched for, and what was said of it.
    """
    if isinstance(address, Search):
        return f"{address.edition}/search/({address.id[:16]})"
    if isinstance(address, Reprint):
        address = address.address
    if address.kind != "prompt":
        return address.format()
    return f"{address.edition}/prompt/({address.digest[:16]})/{address.page}"


def editions_here(data: Path, wanted: Sequence[str]) -> list[str]:
    """The slugs that a press of this machine prints: what is `wanted`, else every edition that is installed."""
    from worker.editions.edition import all_editions

    return list(wanted) or [edition.slug for edition in all_editions(data) if edition.installed]
