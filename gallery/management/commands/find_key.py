"""`manage.py find_key`: from pictures back to keys whose pages look like them, without the site.

Reads the options and speaks; the work is worker.finding. torch is imported only when a search begins.
"""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.management.base import CommandParser
from tqdm import tqdm

from gallery.management.sentences import PressCommand
from worker.catalogue.address import Address, canonical_prompt
from worker.catalogue.key_files import parse_key_file
from worker.catalogue.png import encode_page, is_png
from worker.editions.edition import DEFAULT_EDITION, Edition, load_edition
from worker.errors import AddressRefused, InputRefused, KeyRefused, StoreUnavailable
from worker.files import write_outputs
from worker.finding.copies import Copies
from worker.finding.fitting import WAYS, Fitted, read_picture
from worker.finding.search import DEPTHS, SearchStep, Wish, search
from worker.series import file_names, output_base
from worker.store.store import Store

if TYPE_CHECKING:
    from worker.engine.engine import Engine

DEFAULT_NAME = "found"


class Command(PressCommand):
    """Find the keys of pictures."""

    help = (
        "Find keys whose pages look like pictures (PNG, JPEG, WebP, AVIF, GIF, TIFF, BMP). Each is first looked up "
        "among the pages that are kept here; if it is no copy of one, a key is searched for. Files are named "
        "NAME-000.png and NAME-000.key.txt; numbers go on after those that are there. The key is kept, so that its "
        "mark opens its page."
    )
    interrupted = "Stopped; the pictures found so far are written."

    def add_arguments(self, parser: CommandParser) -> None:
        add = parser.add_argument
        add("pictures", nargs="+", type=Path, metavar="PICTURE", help="picture files")
        add("--depth", choices=DEPTHS, default="quick", help="how long to search (quick)")
        add("--prompt", metavar="TEXT", help="search among the pages of this prompt")
        add("--fit", choices=WAYS, default="fill", help="how a picture of another shape becomes 640×416 (fill)")
        add("--edition", metavar="SLUG", default=DEFAULT_EDITION, help=f"the edition to search ({DEFAULT_EDITION})")
        add("--output", metavar="NAME", help=f"files NAME-000.png …, or a folder for them (./{DEFAULT_NAME})")
        add("--search-anyway", action="store_true", help="search for a key of a picture that is a copy, too")
        add("--json", action="store_true", help="one JSON object on standard output instead of lines for people")

    def run(self, **options: Any) -> None:
        edition = load_edition(options["edition"], settings.DATA_DIR)
        if options["prompt"] is not None:
            try:
                options["prompt"] = canonical_prompt(options["prompt"])
            except AddressRefused as error:
                raise InputRefused(f"--prompt cannot be used. {error}") from error
        wish = Wish(edition.slug, options["depth"], options["prompt"])
        names = file_names(output_base(options["output"], DEFAULT_NAME), overwrite=False)
        fitted = [(path, *read_picture(path, options["fit"])) for path in options["pictures"]]
        edition.check()
        store = Store(settings.DATA_DIR)
        copies = Copies(store)
        engine: Engine | None = None
        entries: list[dict[str, Any]] = []
        for path, data, picture in fitted:
            entry: dict[str, Any] = {"picture": str(path), "said": picture.sentence}
            entry |= copy_of(data, picture, copies)
            if "copy" not in entry or options["search_anyway"]:
                engine = engine or self._load(edition)
                last = self._search(engine, picture, wish, path.name, quiet=options["json"])
                entry |= write_found(next(names), engine, last, store)
            entries.append(entry)
            if not options["json"]:
                self.stdout.write(line_of(entry))
        if options["json"]:
            self.write_json({"edition": edition.slug, "depth": wish.depth, "pictures": entries})

    def _load(self, edition: Edition) -> "Engine":
        from worker.engine.engine import Engine

        engine = Engine(edition, settings.DEVICE, settings.THREADS or None, settings.BATCH or None)
        self.say(f"The press took {engine.device}: {engine.rendition.format()}")
        return engine

    def _search(self, engine: "Engine", picture: Fitted, wish: Wish, name: str, *, quiet: bool) -> SearchStep:
        """The last step of a search, with a progress bar."""
        steps: Iterator[SearchStep] = search(engine, picture.pixels, wish)
        calm = 0.1 if self.stderr.isatty() else 2.0  # seconds between two states of the bar: a log wants few
        with tqdm(unit="step", disable=quiet, leave=False, mininterval=calm, desc=name) as bar:
            for step in steps:
                bar.total = step.of
                if step.decibels is not None:
                    bar.set_postfix_str(f"{step.decibels:.1f} dB of {step.bound:.1f}", refresh=False)
                bar.update(step.index - bar.n)
        return step


def copy_of(data: bytes, picture: Fitted, copies: Copies) -> dict[str, Any]:
    """What is said of a picture that is here already: by the texts inside it, or as a copy of a kept page."""
    if is_png(data):
        try:
            inside = parse_key_file(data)
        except (InputRefused, KeyRefused):
            inside = None  # damaged texts; its pixels say more
        if inside is not None and inside.address is not None:
            return {"copy": inside.address, "inside": True}
    found = copies.find(picture.pixels)
    if not found:
        return {}
    best = found[0]
    return {"copy": best.address.format(), "exact": best.exact, "decibels_from_copy": best.decibels}


def write_found(name: Path, engine: "Engine", last: SearchStep, store: Store) -> dict[str, Any]:
    """Print the page of a found key, write NAME.png and NAME.key.txt, both or none, and keep the key."""
    assert last.key is not None, "a search ends with a key"
    key = last.key
    printed = engine.print_page(key)
    address = Address(engine.edition.slug, "mark", key.mark, None).format()
    png, text = (name.parent / f"{name.name}{suffix}" for suffix in (".png", ".key.txt"))
    data = encode_page(
        printed.pixels,
        address=address,
        mark=key.mark,
        edition=engine.edition.slug,
        rendition=engine.rendition.format(),
        key=key,
    )
    write_outputs({png: data, text: (key.format() + "\n").encode("ascii")})
    entry: dict[str, Any] = {
        "png": str(png),
        "key_file": str(text),
        "address": address,
        "mark": key.mark,
        "steps": key.steps,
        "pixel_digest": printed.digest,
        **{
            name: value for name, value in dataclasses.asdict(last).items() if name in ("decibels", "bound", "likeness")
        },
    }
    try:
        store.keep_key(key)
    except StoreUnavailable as error:  # the files hold all of it
        entry["not_kept"] = str(error)
    return entry


def line_of(entry: dict[str, Any]) -> str:
    """One picture for people."""
    lines = [f"{entry['picture']}: {entry['said']}"]
    if entry.get("inside"):
        lines.append(f"  It says itself which page it is: {entry['copy']}")
    elif "copy" in entry:
        how = "It is, to the pixel," if entry["exact"] else f"It is, {entry['decibels_from_copy']:.1f} dB apart,"
        lines.append(f"  {how} a page that is kept here: {entry['copy']}")
    if "png" in entry:
        lines.append(
            f"  {entry['png']}  {entry['decibels']:.2f} dB from the picture; the autoencoder alone: "
            f"{entry['bound']:.2f} dB; latents {100 * entry['likeness']:.0f} % like noise"
        )
        lines.append(f"  {entry['address']}" + (f"  (not kept: {entry['not_kept']})" if "not_kept" in entry else ""))
    return "\n".join(lines)
