"""`manage.py key_to_image`: print pages from the command line, without the site.

What is to be printed is worked out and refused before anything is loaded; torch is imported only then.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import itertools
import json
import re
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from django.conf import settings
from django.core.management.base import CommandParser
from tqdm import tqdm

from gallery.management.sentences import PressCommand, whole
from worker.catalogue.address import PAGES, Address, canonical_prompt
from worker.catalogue.expansion import stacks_key
from worker.catalogue.key import STEPS_LIMIT, Key
from worker.catalogue.key_files import read_key_file
from worker.catalogue.png import encode_page
from worker.editions.edition import DEFAULT_EDITION, Edition, load_edition
from worker.engine.start_latents import SOURCES, latents_from, read_picture
from worker.errors import AddressRefused, InputRefused, PrintFailed
from worker.files import require_folder, write_outputs
from worker.store.store import Store

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from worker.engine.engine import Engine, Print
    from worker.engine.loop import Step

Wanted = tuple[Address | Key, Address | None]
"""A page's key, or its address where the key takes the text encoder; and the address to show, where there is one."""

DIFFERENT: Final = 1
DEFAULT_NAME: Final = "page"


@dataclass(frozen=True)
class Page:
    """One page to print: the key of the picture, how many steps, and what is said of it."""

    key: Key
    address: str
    steps: int
    catalogued: bool
    note: str


class Command(PressCommand):
    """Print pages."""

    help = (
        "Print pages as 640×416 PNG files, each with the text file of its key. Without an address, a prompt or a key, "
        "a random page is printed. Files are named NAME-000.png and NAME-000.key.txt; numbers go on after those that "
        "are there, so that nothing is overwritten."
    )
    interrupted = "Stopped; the pages printed so far are whole."

    def add_arguments(self, parser: CommandParser) -> None:
        add = parser.add_argument
        add(
            "address_given",
            nargs="?",
            metavar="ADDRESS",
            help="key/borges/1, 'prompt/a dog/1', stacks/borges/1, mark/…",
        )
        add("--address", metavar="ADDRESS", help="the same as an option")
        add("--prompt", metavar="TEXT", help="the volume of a prompt, from --page on")
        add("--key-file", type=Path, metavar="FILE", help="a key's text, or a PNG that carries its key")
        add("--seed", metavar="NAME", help="random pages that are the same for the same name")
        add("--page", type=whole(1, PAGES, "a volume has the pages"), help="first page of --prompt (1)")
        add(
            "--nb-keys",
            type=whole(1, PAGES, "the number of keys is"),
            default=1,
            metavar="N",
            help="how many pages: those that follow in a volume, the next keys of a key, other random ones (1)",
        )
        add(
            "--num-inference-steps",
            type=whole(1, STEPS_LIMIT, "the number of steps is"),
            metavar="N",
            help="1 to 128 instead of the key's own; a number that no key holds is printed off the catalogue",
        )
        add("--latents-type", choices=SOURCES, default="key", help="where the initial latents come from (key)")
        add("--image", type=Path, metavar="FILE", help="the picture for --latents-type image")
        add("--edition", metavar="SLUG", help=f"the edition ({DEFAULT_EDITION}, or the address's own)")
        add("--output", metavar="NAME", help=f"files NAME-000.png …, or a folder for them (./{DEFAULT_NAME})")
        add("--overwrite", action="store_true", help="begin at 000 and replace files that are there")
        add("--with-key", action="store_true", help="put the whole key inside the PNG too (about 140 kB)")
        add(
            "--check-determinism",
            action="store_true",
            help="print each page three times (again after another page, and in a fresh process) and compare pixels",
        )
        add("--digest-only", action="store_true", help="print the pixel digests and write nothing")
        add("--json", action="store_true", help="one JSON object on standard output instead of lines for people")

    def run(self, **options: Any) -> None:
        edition, wanted = work_out(options, settings.DATA_DIR)
        picture = None if options["image"] is None else read_picture(options["image"])
        names = None if options["digest_only"] else file_names(output_base(options["output"]), options["overwrite"])
        edition.check()

        from worker.engine.engine import Engine

        engine = Engine(edition, settings.DEVICE, settings.THREADS or None, settings.BATCH or None)
        self.say(f"The press took {engine.device}: {engine.rendition.format()}")
        pages = make_pages(engine, wanted, options, picture)
        for note in filter(None, [unread_note(engine, wanted), *(page.note for page in pages)]):
            self.say(note)
        entries = []
        calm = 0.1 if sys.stderr.isatty() else 2.0  # seconds between two states of the bar: a log wants few
        total = sum(page.steps for page in pages)
        with tqdm(total=total, unit="step", disable=options["json"], leave=False, mininterval=calm) as bar:
            for page, printed in print_all(engine, pages, bar):
                bar.clear()
                entry = facts(page, printed)
                if names is not None:
                    entry |= write_page(next(names), page, printed, options["with_key"])
                if printed.flagged:
                    self.say(f"The safety checker flags {page.address}: look at it with care.")
                if options["check_determinism"]:
                    entry["digests"] = [printed.digest, *print_again(engine, page)]
                    entry["same"] = same(entry)
                entries.append(entry)
                if not options["json"]:
                    self.stdout.write(line_of(entry))
        if options["json"]:
            report = {"edition": edition.slug, "device": str(engine.device), "rendition": engine.rendition.format()}
            self.stdout.write(json.dumps(report | {"pages": entries}, indent=2, ensure_ascii=False))
        if not all(same(entry) for entry in entries):
            self.say("The prints of one key differ.")
            sys.exit(DIFFERENT)


def work_out(options: dict[str, Any], data_dir: Path) -> tuple[Edition, list[Wanted]]:
    """The edition and the pages that are asked for; nothing is loaded for it.

    Raises AddressRefused, EditionRefused, InputRefused or KeyRefused for everything that a person can get wrong.
    """
    given = {name: options[name] for name in ("address_given", "address", "prompt", "key_file", "seed")}
    if sum(value is not None for value in given.values()) > 1:
        raise InputRefused("Give one of an address, --prompt, --key-file and --seed, not several.")
    if (options["image"] is None) == (options["latents_type"] == "image"):
        raise InputRefused("--image FILE and --latents-type image go together, and one of them is missing.")
    if options["page"] is not None and options["prompt"] is None:
        raise InputRefused("--page goes with --prompt; an address has its page in itself.")
    edition, wanted = find_pages(options, data_dir)
    for source, shown in wanted:
        if isinstance(source, Key):
            page_of(source, shown, options["num_inference_steps"], edition)
    return edition, wanted


def find_pages(options: dict[str, Any], data_dir: Path) -> tuple[Edition, list[Wanted]]:
    """The edition and the pages, as they are named by an address, a prompt, a file, a seed or nothing."""
    address = options["address_given"] if options["address"] is None else options["address"]
    count = options["nb_keys"]
    slug = options["edition"]
    if address is not None:
        parsed = parse_address(address, slug or DEFAULT_EDITION)
        if slug is not None and parsed.edition != slug:
            raise InputRefused(f"The address names edition {parsed.edition}, and --edition names {slug}.")
        edition = load_edition(parsed.edition, data_dir)
        if parsed.page is None:
            if count > 1:
                raise InputRefused("A mark names one page; --nb-keys needs an address with a page.")
            return edition, [(held(Store(data_dir), parsed.name), parsed)]
        pages = volume_pages(parsed, count)
        if parsed.kind == "stacks":
            return edition, [(stacks_key(parsed.name, int(page.page or 0)), page) for page in pages]
        return edition, [(page, page) for page in pages]
    edition = load_edition(slug or DEFAULT_EDITION, data_dir)
    if options["key_file"] is not None:
        key = read_key_file(options["key_file"])
        keys: list[Wanted] = [(key, None)]
        while len(keys) < count:
            key = key.next()
            keys.append((key, None))
        return edition, keys
    if options["prompt"] is not None:
        try:
            prompt = canonical_prompt(options["prompt"])
        except AddressRefused as error:
            raise InputRefused(f"--prompt cannot be used. {error}") from error
        first = Address(edition.slug, "prompt", prompt, options["page"] or 1)
        return edition, [(page, page) for page in volume_pages(first, count)]
    seed = options["seed"]
    if seed is not None and not 1 <= len(seed) <= 500:
        raise InputRefused(f"The name of a seed has 1 to 500 characters; this one has {len(seed):,}.")
    drawn = [random_address(edition.slug, seed, index) for index in range(count)]
    return edition, [(page, page) for page in drawn]


def parse_address(text: str, default_edition: str) -> Address:
    """An address as written, or as copied from a browser with its slash or scheme in front and percent signs inside."""
    if text.startswith("/") or "://" in text:
        return Address.parse_path(text, default_edition)
    return Address.parse(text, default_edition)


def volume_pages(first: Address, count: int) -> list[Address]:
    """`first` and the pages that follow it in its volume. Raises InputRefused where the volume ends before."""
    assert first.page is not None, "a mark has no pages"
    last = first.page + count - 1
    if last > PAGES:
        raise InputRefused(
            f"A volume has the pages 1 to {PAGES}; {count} pages from page {first.page} on go to {last}."
        )
    return [first.with_page(page) for page in range(first.page, last + 1)]


def random_address(edition: str, seed: str | None, index: int) -> Address:
    """A random short key of 16 characters and a page of it; with a seed, the same for the same seed and index.

    With a seed the 14 bytes (12 for the name, 2 for the page) are SHAKE-256 of "babelia/1/seed", seed and index, joined
    by NUL.
    """
    if seed is None:
        drawn = secrets.token_bytes(12) + secrets.randbelow(PAGES).to_bytes(2, "big")
    else:
        drawn = hashlib.shake_256(f"babelia/1/seed\0{seed}\0{index}".encode()).digest(14)
    name = base64.urlsafe_b64encode(drawn[:12]).decode("ascii")
    return Address(edition, "key", name, 1 + int.from_bytes(drawn[12:], "big") % PAGES)


def page_of(key: Key, shown: Address | None, steps: int | None, edition: Edition) -> Page:
    """The page that is printed of `key` with `steps`, or with the key's own where that is None.

    An even number within the edition's limit makes another key, whose page this is. Any other is off the catalogue:
    the page keeps the key that it was begun from, and no address leads to it.
    """
    own = key.steps
    if steps is None or steps == own:
        address = shown or Address(edition.slug, "mark", key.mark, None)
        if own > edition.step_limit:
            raise InputRefused(
                f"This key asks for {own} steps and edition {edition.slug} prints at most {edition.step_limit}.",
                hint="Print it with another number of steps: --num-inference-steps N.",
            )
        return Page(key, address.format(), own, True, "")
    if steps % 2 or steps > edition.step_limit:
        what = "is odd" if steps % 2 else f"is more than the {edition.step_limit} of edition {edition.slug}"
        origin = (shown or Address(edition.slug, "mark", key.mark, None)).format()
        note = (
            f"Off the catalogue: {steps} steps {what}, so no key holds this page; its .key.txt is the key that it was "
            f"begun from, which holds {own}."
        )
        return Page(key, f"off the catalogue: {steps} steps from {origin}", steps, False, note)
    other = Key.pack(steps, key.embedding, key.latents)
    note = f"With {steps} steps instead of {own} this is the page of another key, mark {other.mark}."
    return Page(other, Address(edition.slug, "mark", other.mark, None).format(), steps, True, note)


def make_pages(
    engine: Engine, wanted: list[Wanted], options: dict[str, Any], picture: npt.NDArray[np.uint8] | None
) -> list[Page]:
    """The pages with their keys: by the edition's text encoder, with the latents and the steps that are asked for."""
    pages = []
    for index, (source, shown) in enumerate(wanted):
        key = source if isinstance(source, Key) else engine.resolve(source)
        if options["latents_type"] != "key":
            latents = latents_from(options["latents_type"], index, engine.encode, picture)
            key, shown = Key.pack(key.steps, key.embedding, latents), None
        pages.append(page_of(key, shown, options["num_inference_steps"], engine.edition))
    return pages


def unread_note(engine: Engine, wanted: list[Wanted]) -> str:
    """What is to be said of a prompt that is longer than the text encoder reads; mostly nothing."""
    _, shown = wanted[0]
    unread = engine.unread(shown.name).strip() if shown is not None and shown.kind == "prompt" else ""
    return unread and f"The text encoder has room for 75 pieces of text and does not read the end: “{unread}”."


def held(store: Store, mark: str) -> Key:
    """The key that this library holds under a mark. Raises InputRefused where it holds none."""
    key = store.key(mark)
    if key is None:
        raise InputRefused(f"This library holds no key with the mark {mark}.")
    return key


def output_base(output: str | None) -> Path:
    """The path to which -000.png is added. Raises InputRefused where its folder does not take files."""
    base = Path(DEFAULT_NAME if output is None else output)
    if output == "":
        raise InputRefused("--output is empty; give the beginning of the files' names.")
    if base.is_dir() or (output or "").endswith("/"):
        base = base / DEFAULT_NAME
    require_folder(base.parent)
    return base


def file_names(base: Path, overwrite: bool) -> Iterator[Path]:
    """NAME-000, NAME-001, …; after the highest number that is there, unless it may be overwritten."""
    first = 0
    if not overwrite:
        pattern = re.compile(re.escape(base.name) + r"-([0-9]{3,9})\.(?:png|key\.txt)", re.ASCII)
        taken = [int(found[1]) for path in base.parent.iterdir() if (found := pattern.fullmatch(path.name))]
        first = max(taken, default=-1) + 1
    return (base.with_name(f"{base.name}-{number:03d}") for number in itertools.count(first))


def write_page(name: Path, page: Page, printed: Print, with_key: bool) -> dict[str, str]:
    """Write NAME.png and NAME.key.txt, both or none, and return their paths."""
    png, text = (name.parent / f"{name.name}{suffix}" for suffix in (".png", ".key.txt"))
    data = encode_page(
        printed.pixels,
        address=page.address,
        mark=page.key.mark if page.catalogued else "",
        edition=printed.rendition.edition,
        rendition=printed.rendition.format(),
        key=page.key if with_key and page.catalogued else None,
    )
    write_outputs({png: data, text: (page.key.format() + "\n").encode("ascii")})
    return {"png": str(png), "key_file": str(text)}


def print_all(engine: Engine, pages: list[Page], bar: tqdm[Any]) -> Iterator[tuple[Page, Print]]:
    """Print pages in order, as many in one run as the engine's batch has rows and as can be run together."""

    waiting = [(page, engine.lane(page.key, page.steps)) for page in pages]
    while waiting:
        _, lane = waiting[0]
        rows = engine.batch
        alike = next((i for i, (_, other) in enumerate(waiting[:rows]) if other != lane), rows)
        together = [page for page, _ in waiting[:alike]]
        bar.set_description(f"page {len(pages) - len(waiting) + 1} of {len(pages)}")
        waiting = waiting[len(together) :]
        keys = [page.key for page in together]
        advance = functools.partial(_advance, bar, len(together))
        yield from zip(together, engine.print_pages(keys, advance, together[0].steps), strict=True)


def _advance(bar: tqdm[Any], pages: int, _: Step) -> None:
    bar.update(pages)


def print_again(engine: Engine, page: Page) -> tuple[str, str]:
    """The pixel digests of a page printed again here after another page, and in a fresh process."""
    engine.print_page(stacks_key("another page", 1), steps=2)
    here = engine.print_page(page.key, steps=page.steps).digest
    with tempfile.TemporaryDirectory() as folder:
        key_file = Path(folder) / "page.key.txt"
        key_file.write_text(page.key.format(), encoding="ascii")
        command = [sys.executable, str(settings.BASE_DIR / "manage.py"), "key_to_image", "--digest-only", "--json"]
        command += ["--key-file", str(key_file), "--edition", engine.edition.slug]
        command += ["--num-inference-steps", str(page.steps)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise PrintFailed(f"The fresh process that should print the page again ended with: {done.stderr.strip()}")
    fresh = json.loads(done.stdout)
    if fresh["rendition"] != engine.rendition.format():
        raise PrintFailed(f"The fresh process prints another rendition: {fresh['rendition']}.")
    return here, str(fresh["pages"][0]["pixel_digest"])


def facts(page: Page, printed: Print) -> dict[str, Any]:
    """What is known of one printed page, fit for JSON."""
    return {
        "address": page.address,
        "mark": page.key.mark,
        "steps": page.steps,
        "catalogued": page.catalogued,
        "pixel_digest": printed.digest,
        "flagged": printed.flagged,
        "seconds": round(sum(printed.seconds.values()), 3),
    }


def same(entry: dict[str, Any]) -> bool:
    """Whether the prints of a page that were compared, if any, have the same pixels."""
    return len(set(entry.get("digests", ["one"]))) == 1


def line_of(entry: dict[str, Any]) -> str:
    """The facts of one page for people: one line, and one for each digest where they were compared."""
    name = entry.get("png", "not written")
    lines = [f"{name}  {entry['address']}  {entry['steps']} steps, {entry['seconds']:.1f} s, mark {entry['mark']}"]
    if "digests" in entry:
        wheres = ("first print", "after another page", "in a fresh process")
        lines += [f"  {where:<20} {digest}" for where, digest in zip(wheres, entry["digests"], strict=True)]
        lines.append("  the same pixels" if same(entry) else "  DIFFERENT PIXELS")
    elif "png" not in entry:
        lines.append(f"  pixels {entry['pixel_digest']}")
    return "\n".join(lines)
