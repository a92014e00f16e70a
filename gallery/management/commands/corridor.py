"""`manage.py corridor`: the way between two pictures as a film, from the command line, without the site.

Reads the options and speaks; pages are worker.series', frames worker.catalogue.walks', files worker.films'. torch is
imported only when everything is worked out, and the file is written when all of it is there.
"""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser
from tqdm import tqdm

from gallery.management.sentences import PressCommand, integer
from worker.catalogue.address import KINDS, Address
from worker.catalogue.key import Key, is_mark
from worker.catalogue.walks import FRAMES_LEAST, FRAMES_MOST, WHOLE, Between, even_places, key_between, places
from worker.catalogue.walks import require_way as require_way_between
from worker.editions.edition import DEFAULT_EDITION, Edition
from worker.errors import InputRefused, StoreUnavailable
from worker.files import require_folder, write_outputs
from worker.films import KINDS as FILMS
from worker.films import PACE, PACE_MOST, difference, encode_film, in_circle, kind_of
from worker.keys import note_derived
from worker.series import Order, PlannedPage, describe_print, make_pages, plan, plan_page, print_all
from worker.store.store import Store

FRAMES = 24


class Command(PressCommand):
    """Print the way between two pictures as a film."""

    help = (
        "Print the way between two pictures as a film: .mp4, .webp (a moving picture) or .png (side by side). Every "
        "picture on the way is a page of its own, whose mark opens in this library."
    )
    interrupted = "Stopped; nothing was written."

    def add_arguments(self, parser: CommandParser) -> None:
        add = parser.add_argument
        add("first", metavar="FROM", help="key/borges/1, 'prompt/a dog/1', mark/…, or words")
        add("last", metavar="TO", help="the other end, the same way")
        add(
            "--frames",
            type=integer(FRAMES_LEAST, FRAMES_MOST, "the number of pictures is"),
            default=FRAMES,
            metavar="N",
            help=f"how many pictures, both ends among them ({FRAMES})",
        )
        add("--output", required=True, metavar="FILE", help=f"the film; its name ends in {', '.join(FILMS)}")
        add("--overwrite", action="store_true", help="replace a file that is there")
        add("--closed", action="store_true", help="there and back again, neither end shown twice in a row")
        add("--even", action="store_true", help="print at equal steps first, then where pictures differ alike")
        add("--pace", type=integer(1, PACE_MOST, "the pace is"), default=PACE, metavar="N", help=f"a second ({PACE})")
        add("--edition", metavar="SLUG", help=f"the edition ({DEFAULT_EDITION}, or the addresses' own)")
        add("--json", action="store_true", help="one JSON object on standard output instead of a line for people")

    def run(self, **options: Any) -> None:
        output = Path(options["output"])
        kind = kind_of(output.name)
        require_folder(output.parent)
        if output.exists() and not options["overwrite"]:
            raise InputRefused(f"{output} is there already.", hint="Give another name, or --overwrite.")
        orders = [order_of(options[end], options["edition"]) for end in ("first", "last")]
        (edition, first), (other, last) = (plan(order, settings.DATA_DIR) for order in orders)
        if edition.slug != other.slug:
            raise InputRefused(
                f"These two pictures are drawn by different models, {edition.slug} and {other.slug}, and neither draws "
                "what lies between."
            )
        edition.check()

        from worker.engine.engine import Engine, Print

        engine = Engine(edition, settings.DEVICE, settings.THREADS or None, settings.BATCH or None)
        self.say(f"The press took {engine.device}: {engine.rendition.format()}")
        ends = [
            make_pages(engine, wanted, order, settings.DATA_DIR, None)[0]
            for wanted, order in zip((first, last), orders, strict=True)
        ]
        require_way_between(ends[0].key, ends[1].key)
        prints: dict[int, tuple[PlannedPage, Print]] = {}
        found = places(options["frames"])
        with tqdm(unit="step", disable=options["json"], leave=False) as bar:

            def on_steps(further: int) -> None:
                bar.update(further)

            def print_those_at(found: Sequence[int]) -> None:
                pages = {place: page_at(ends, place, edition) for place in found if place not in prints}
                bar.total = (bar.total or 0) + sum(page.steps for page in pages.values())
                bar.refresh()
                printed = print_all(
                    engine,
                    list(pages.values()),
                    lambda number: bar.set_description(f"picture {number} of {len(pages)}"),
                    on_steps,
                )
                prints.update(zip(pages, printed, strict=True))

            print_those_at(found)
            if options["even"]:
                pictures = [prints[place][1].pixels for place in found]
                apart = [difference(one, other) for one, other in itertools.pairwise(pictures)]
                found = even_places(found, apart, len(found))
                print_those_at(found)
        shown = [found[index] for index in (in_circle(len(found)) if options["closed"] else range(len(found)))]
        film = encode_film(kind, [prints[place][1].pixels for place in shown], options["pace"])
        write_outputs({output: film})
        self._note(ends, {place: prints[place][0].key for place in found})
        if options["json"]:
            frames = [describe_print(*prints[place]) | {"place": place / WHOLE} for place in found]
            self.write_json({"film": str(output), "edition": edition.slug, "frames": frames})
            return
        self.stdout.write(f"{output}  {len(shown)} pictures, {len(shown) / options['pace']:.1f} s")

    def _note(self, ends: Sequence[PlannedPage], keys: dict[int, Key]) -> None:
        """Have the pictures' marks open in this library."""
        store = Store(settings.DATA_DIR, reserve=settings.DISK_RESERVE)
        try:
            for end in ends:
                if not store.can_resolve(end.key.mark):
                    store.link(Address.parse_kept(end.address), end.key)
            one, other = (end.key.mark for end in ends)
            note_derived(store, {Between(one, other, place): key for place, key in keys.items() if 0 < place < WHOLE})
        except StoreUnavailable as error:
            self.say(f"The film is written, but the marks of its pictures do not open here. {error}")


def order_of(text: str, edition: str | None) -> Order:
    """What names an end: an address, or a mark, or words where it is neither."""
    if is_mark(text):
        return Order(edition=edition, address=f"mark/{text}")
    is_address = "://" in text or (any(part in KINDS for part in text.lstrip("/").split("/")[:2]) and "/" in text)
    return Order(edition=edition, address=text) if is_address else Order(edition=edition, prompt=text)


def page_at(ends: Sequence[PlannedPage], place: int, edition: Edition) -> PlannedPage:
    """The page at a place of the way; at its ends, the very pages that were asked for."""
    if place in (0, WHOLE):
        return ends[1 if place else 0]
    return plan_page(key_between(ends[0].key, ends[1].key, place), None, None, edition)
