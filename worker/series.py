"""A series of pages printed without the site: planning them, printing them, printing them again, naming their files.

What is to be printed is worked out and refused before anything is loaded; torch is loaded with the engine, which is
handed in. May import everything of `worker` but jobs, press and tasks; never Django.
"""

from __future__ import annotations

import functools
import itertools
import json
import re
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from worker.catalogue.address import DEFAULT_EDITION, PAGES, Address, canonical_prompt, random_address
from worker.catalogue.expansion import stacks_key
from worker.catalogue.key import Key
from worker.catalogue.key_files import read_key_file
from worker.catalogue.png import encode_page
from worker.editions.edition import Edition, load_edition
from worker.engine.start_latents import Pixels, latents_from
from worker.errors import AddressRefused, InputRefused, PrintFailed
from worker.files import require_folder, write_outputs
from worker.keys import derive_key, derive_without_model, find_key, no_key_of, require_key
from worker.store.store import Store

if TYPE_CHECKING:
    from worker.engine.engine import Engine, Print
    from worker.engine.loop import Step

DEFAULT_NAME: Final = "page"
SEED_LIMIT: Final = 500
"""Characters of a seed's name."""


@dataclass(frozen=True)
class Order:
    """What somebody wants printed; pages are named by one of `address`, `prompt`, `key_file`, `seed` or by nothing."""

    edition: str | None = None  # None: the address's own, or the default
    address: str | None = None
    prompt: str | None = None
    first_page: int = 1  # of the prompt's volume
    key_file: Path | None = None
    seed: str | None = None
    count: int = 1
    steps: int | None = None  # None: the key's own
    latents: str = "key"  # one of worker.engine.start_latents.SOURCES


class Wanted(NamedTuple):
    """A page that is asked for, before a model is there."""

    source: Address | Key  # the key, or an address where the key takes the text encoder
    shown: Address | None  # the address to show, where there is one


@dataclass(frozen=True)
class PlannedPage:
    """One page to print: the key of the picture, how many steps, and what is said of it."""

    key: Key
    address: str
    steps: int
    catalogued: bool
    note: str


# -- planning


def plan(order: Order, data_dir: Path) -> tuple[Edition, list[Wanted]]:
    """The edition and the pages that are asked for; nothing is loaded for it.

    Raises AddressRefused, EditionRefused, InputRefused or KeyRefused for everything that a person can get wrong.
    """
    edition, wanted = find_pages(order, data_dir)
    for source, shown in wanted:
        if isinstance(source, Key):
            plan_page(source, shown, order.steps, edition)
    return edition, wanted


def find_pages(order: Order, data_dir: Path) -> tuple[Edition, list[Wanted]]:
    """The edition and the pages, as they are named by an address, a prompt, a file, a seed or nothing."""
    if order.address is not None:
        return _pages_of_address(order.address, order, data_dir)
    edition = load_edition(order.edition or DEFAULT_EDITION, data_dir)
    if order.key_file is not None:
        key = read_key_file(order.key_file)
        keys = [Wanted(key, None)]
        while len(keys) < order.count:
            key = key.next()
            keys.append(Wanted(key, None))
        return edition, keys
    if order.prompt is not None:
        try:
            prompt = canonical_prompt(order.prompt)
        except AddressRefused as error:
            raise InputRefused(f"--prompt cannot be used. {error}") from error
        first = Address(edition.slug, "prompt", prompt, order.first_page)
        return edition, [Wanted(page, page) for page in volume_pages(first, order.count)]
    if order.seed is not None and not 1 <= len(order.seed) <= SEED_LIMIT:
        raise InputRefused(f"The name of a seed has 1 to {SEED_LIMIT} characters; this one has {len(order.seed):,}.")
    drawn = [random_address(edition.slug, order.seed, index) for index in range(order.count)]
    return edition, [Wanted(page, page) for page in drawn]


def _pages_of_address(text: str, order: Order, data_dir: Path) -> tuple[Edition, list[Wanted]]:
    address = Address.parse_typed(text, order.edition or DEFAULT_EDITION)
    if order.edition is not None and address.edition != order.edition:
        raise InputRefused(f"The address names edition {address.edition}, and --edition names {order.edition}.")
    edition = load_edition(address.edition, data_dir)
    if address.kind != "mark":
        pages = volume_pages(address, order.count)
        return edition, [Wanted(derive_without_model(page) or page, page) for page in pages]
    if order.count > 1:
        raise InputRefused("A mark names one page; --nb-keys needs an address with a page.")
    store = Store(data_dir)
    key = find_key(store, address, derive_without_model)
    if key is None and not store.can_resolve(address.name):
        raise no_key_of(address)
    return edition, [Wanted(key or address, address)]


def volume_pages(first: Address, count: int) -> list[Address]:
    """`first` and the pages that follow it in its volume. Raises InputRefused where the volume ends before."""
    assert first.page is not None, "a mark has no pages"
    last = first.page + count - 1
    if last > PAGES:
        raise InputRefused(
            f"A volume has the pages 1 to {PAGES}; {count} pages from page {first.page} on go to {last}."
        )
    return [first.with_page(page) for page in range(first.page, last + 1)]


def plan_page(key: Key, shown: Address | None, steps: int | None, edition: Edition) -> PlannedPage:
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
        return PlannedPage(key, address.format(), own, True, "")
    if steps % 2 or steps > edition.step_limit:
        what = "is odd" if steps % 2 else f"is more than the {edition.step_limit} of edition {edition.slug}"
        origin = (shown or Address(edition.slug, "mark", key.mark, None)).format()
        note = (
            f"Off the catalogue: {steps} steps {what}, so no key holds this page; its .key.txt is the key that it was "
            f"begun from, which holds {own}."
        )
        return PlannedPage(key, f"off the catalogue: {steps} steps from {origin}", steps, False, note)
    other = Key.pack(steps, key.embedding, key.latents)
    note = f"With {steps} steps instead of {own} this is the page of another key, mark {other.mark}."
    return PlannedPage(other, Address(edition.slug, "mark", other.mark, None).format(), steps, True, note)


def make_pages(
    engine: Engine, wanted: list[Wanted], order: Order, data_dir: Path, picture: Pixels | None
) -> list[PlannedPage]:
    """The pages with their keys: by the edition's text encoder, with the latents and the steps that are asked for.

    `picture` (416, 640, 3) is what the latents "image" come from. Raises InputRefused as `plan` does.
    """
    store = Store(data_dir)

    def derive(address: Address) -> Key:
        if address.edition == engine.edition.slug:
            return engine.resolve(address)
        return derive_key(address, data_dir)  # a mark may have been made in another edition

    pages = []
    for index, (source, shown) in enumerate(wanted):
        key = source if isinstance(source, Key) else require_key(store, source, derive)
        if order.latents != "key":
            latents = latents_from(order.latents, index, engine.encode, picture)
            key, shown = Key.pack(key.steps, key.embedding, latents), None
        pages.append(plan_page(key, shown, order.steps, engine.edition))
    return pages


def unread_note(engine: Engine, wanted: list[Wanted]) -> str:
    """What is to be said of a prompt that is longer than the text encoder reads; mostly nothing."""
    _, shown = wanted[0]
    unread = engine.unread(shown.name).strip() if shown is not None and shown.kind == "prompt" else ""
    return unread and f"The text encoder has room for 75 pieces of text and does not read the end: “{unread}”."


# -- files


def output_base(output: str | None, default: str = DEFAULT_NAME) -> Path:
    """The path to which -000.png is added. Raises InputRefused where its folder does not take files."""
    base = Path(default if output is None else output)
    if output == "":
        raise InputRefused("--output is empty; give the beginning of the files' names.")
    if base.is_dir() or (output or "").endswith("/"):
        base = base / default
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


def write_page(name: Path, page: PlannedPage, printed: Print, with_key: bool) -> dict[str, str]:
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


# -- printing


def print_all(
    engine: Engine, pages: list[PlannedPage], on_run: Callable[[int], None], on_steps: Callable[[int], None]
) -> Iterator[tuple[PlannedPage, Print]]:
    """Print pages in order, as many in one run as the engine's batch has rows and as can be run together.

    `on_run` is called before each run with the number of its first page, from 1; `on_steps` whenever the pages of a run
    are a step further, with how many pages these are.
    """
    waiting = [(page, engine.lane(page.key, page.steps)) for page in pages]
    while waiting:
        _, lane = waiting[0]
        rows = engine.batch
        alike = next((i for i, (_, other) in enumerate(waiting[:rows]) if other != lane), rows)
        together = [page for page, _ in waiting[:alike]]
        on_run(len(pages) - len(waiting) + 1)
        waiting = waiting[len(together) :]
        advance = functools.partial(_advance, on_steps, len(together))
        yield from zip(
            together, engine.print_pages([page.key for page in together], advance, together[0].steps), strict=True
        )


def _advance(on_steps: Callable[[int], None], pages: int, _: Step) -> None:
    on_steps(pages)


def print_again(engine: Engine, page: PlannedPage, command: Sequence[str]) -> tuple[str, str]:
    """The pixel digests of a page printed again here after another page, and in a fresh process.

    `command` begins the fresh process; it takes the options of `key_to_image`. Raises PrintFailed where it fails.
    """
    engine.print_page(stacks_key("another page", 1), steps=2)
    here = engine.print_page(page.key, steps=page.steps).digest
    with tempfile.TemporaryDirectory() as folder:
        key_file = Path(folder) / "page.key.txt"
        key_file.write_text(page.key.format(), encoding="ascii")
        options = ["--digest-only", "--json", "--key-file", str(key_file), "--edition", engine.edition.slug]
        options += ["--num-inference-steps", str(page.steps)]
        done = subprocess.run([*command, *options], capture_output=True, check=False)
    if done.returncode != 0:
        raise PrintFailed(f"The fresh process that should print the page again ended with: {_said(done.stderr)}")
    fresh = json.loads(done.stdout)
    if fresh["rendition"] != engine.rendition.format():
        raise PrintFailed(f"The fresh process prints another rendition: {fresh['rendition']}.")
    return here, str(fresh["pages"][0]["pixel_digest"])


def _said(line: bytes) -> str:
    """What a process said, in whatever encoding its terminal has."""
    return line.decode("utf-8", errors="backslashreplace").strip()


def describe_print(page: PlannedPage, printed: Print) -> dict[str, Any]:
    """What is to be said of one printed page, fit for JSON."""
    return {
        "address": page.address,
        "mark": page.key.mark,
        "steps": page.steps,
        "catalogued": page.catalogued,
        "pixel_digest": printed.digest,
        "flagged": printed.flagged,
        "seconds": round(sum(printed.seconds.values()), 3),
    }
