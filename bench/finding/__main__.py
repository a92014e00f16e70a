"""`python -m bench.finding`: how near searches come, and how sure copies are found. May import bench.*, worker.*.

Prints a line a picture and medians with the bars of each kind; exits 1 where a bar is missed. Decibels are those of the
page that the ordinary engine prints of the found key, against the picture; "alone" is the autoencoder's own. Processor
seconds are those of all threads together, and say more than the clock where others use the machine. In the end every
found key is printed again in a fresh process, whose pixels have to be the same.
"""

import argparse
import io
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from bench.finding.reprints import reprinted
from bench.pictures import KINDS, TUXPAINT, Kind, pictures
from worker.catalogue.address import Address, random_address
from worker.catalogue.expansion import stacks_key
from worker.catalogue.key import Key
from worker.catalogue.png import encode_page, pixel_digest
from worker.editions.edition import DEFAULT_EDITION, SHIPPED, load_edition
from worker.errors import BabeliaError
from worker.finding.copies import Copies
from worker.finding.fitting import fit_picture
from worker.finding.search import DEPTHS, Depth, Wish, search
from worker.store.store import Store

if TYPE_CHECKING:
    from worker.engine.engine import Engine

Pixels = npt.NDArray[np.uint8]
CHANGES: Final = ("JPEG at quality 60", "screenshot at 150 %", "WebP", "cut of 5 %")
QUICK_STEPS: Final = 8
"""Steps of the pages that are not kept: their pictures are pages all the same, and cost less than half."""


class Found(NamedTuple):
    """What one search came to."""

    decibels: float
    alone: float
    likeness: float
    wall: float
    processor: float
    key: Key
    digest: str
    """SHA-256 of the pixels of its page."""


class Bar(NamedTuple):
    """What the median of a kind has to reach at a depth."""

    least: float | None = None  # dB
    over_alone: float | None = None  # dB above what the autoencoder alone gives; negative: below
    wall: float | None = None  # seconds, on two cores that nobody else uses


BARS: Final[dict[tuple[Kind, Depth], Bar]] = {
    ("pages", "quick"): Bar(least=43, wall=12),
    ("pages", "good"): Bar(least=46, wall=90),
    ("scenes", "good"): Bar(over_alone=-1.5),
    ("photographs", "quick"): Bar(over_alone=-1.5),
    ("photographs", "good"): Bar(over_alone=-0.5),
    ("photographs", "best"): Bar(over_alone=0.5),
    ("drawings", "quick"): Bar(over_alone=-1.5),
    ("drawings", "good"): Bar(over_alone=-0.5),
    ("drawings", "best"): Bar(over_alone=0.5),
}


def find(engine: "Engine", pixels: Pixels, depth: Depth, prompt: str | None = None) -> Found:
    """One search, timed."""
    clock, processor = time.perf_counter(), time.process_time()
    step, drawn = None, None
    for step in search(engine, pixels, Wish(engine.edition.slug, depth, prompt)):
        drawn = drawn if step.pixels is None else step.pixels
    assert step is not None and drawn is not None, "a search ends with a page"
    assert step.key is not None
    assert step.decibels is not None
    assert step.likeness is not None
    seconds = time.perf_counter() - clock, time.process_time() - processor
    return Found(step.decibels, step.bound, step.likeness, *seconds, step.key, pixel_digest(drawn))


def report(kind: Kind, depth: Depth, found: Sequence[Found]) -> tuple[str, bool]:
    """A line with the medians of a kind at a depth, and whether its bar was kept."""

    def middle(values: Iterator[float]) -> float:
        return statistics.median(values)

    over = middle(one.decibels - one.alone for one in found)
    decibels, alone = middle(one.decibels for one in found), middle(one.alone for one in found)
    wall, processor = middle(one.wall for one in found), middle(one.processor for one in found)
    bar = BARS.get((kind, depth), Bar())
    kept = (bar.least is None or decibels >= bar.least) and (bar.over_alone is None or over >= bar.over_alone)
    kept = kept and (bar.wall is None or wall <= bar.wall)
    asked = [
        *([f"≥ {bar.least:.0f} dB"] if bar.least is not None else []),
        *([f"≥ alone {bar.over_alone:+.1f} dB"] if bar.over_alone is not None else []),
        *([f"≤ {bar.wall:.0f} s"] if bar.wall is not None else []),
    ]
    said = f"; asked: {', '.join(asked)}: {'kept' if kept else 'MISSED'}" if asked else ""
    return (
        f"{kind}, {depth}, median of {len(found)}: {decibels:.2f} dB, alone {alone:.2f} dB ({over:+.2f}), "
        f"{wall:.1f} s by the clock, {processor:.1f} s of processor{said}",
        kept,
    )


def changed(pixels: Pixels) -> dict[str, bytes]:
    """A picture after each of `CHANGES`, as a file."""
    image = Image.fromarray(pixels)
    width, height = image.size
    across, down = round(0.025 * width), round(0.025 * height)
    larger = image.resize((round(1.5 * width), round(1.5 * height)), Image.Resampling.BICUBIC)
    cut = image.crop((across, down, width - across, height - down))
    files = (
        _saved(image, "JPEG", quality=60),
        _saved(larger, "PNG"),
        _saved(image, "WEBP", quality=75),
        _saved(cut, "PNG"),
    )
    return dict(zip(CHANGES, files, strict=True))


def _saved(image: Image.Image, kind: str, **more: int) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **more)
    return file.getvalue()


def measure_copies(engine: "Engine", kept: int, others: int, folder: Path) -> bool:
    """Print how many of `kept` pages are found after each change, and of `others` pictures that are not kept; whether
    all of the first are and none of the second.
    """
    with tempfile.TemporaryDirectory() as data:
        store = Store(Path(data), reserve=0)
        pages = [picture.pixels for picture in pictures("pages", kept, engine)]
        marks = [_keep(store, engine.edition.slug, number, pixels) for number, pixels in enumerate(pages, start=1)]
        copies = Copies(store)
        copies.complete()
        led = dict.fromkeys(CHANGES, 0)
        seconds = []
        for mark, pixels in zip(marks, pages, strict=True):
            for change, file in changed(pixels).items():
                began = time.process_time()
                found = copies.find(fit_picture(file).pixels)
                seconds.append(time.process_time() - began)
                led[change] += bool(found) and found[0].address.name == mark
        for change, count in led.items():
            print(f"copies, {change}: {count} of {kept} lead to their page", flush=True)
        looked, wrong = 0, 0
        for pixels in _others(engine, others, folder):
            looked += 1
            wrong += bool(copies.find(pixels))
        whole = sum(led.values())
        print(
            f"copies: {whole} of {len(CHANGES) * kept} found, {1000 * statistics.median(seconds):.0f} ms of processor "
            f"each; {wrong} of {looked} others found by mistake",
            flush=True,
        )
    return whole == len(CHANGES) * kept and wrong == 0


def _keep(store: Store, edition: str, number: int, pixels: Pixels) -> str:
    """Keep a picture under a key of its own; returns its mark."""
    address, key = Address(edition, "stacks", "copies", number), stacks_key("copies", number)
    png = encode_page(pixels, address=address.format(), mark=key.mark, edition=edition, rendition="")
    store.keep(address, key, png, pixels, rendition="", steps=key.steps, seconds=0.0)
    return key.mark


def _others(engine: "Engine", count: int, folder: Path) -> Iterator[Pixels]:
    """Pictures that are not kept: a quarter are pages, some what the package ships, the rest scenes."""
    pages = count // 4
    for number in range(pages):
        key = engine.resolve(random_address(engine.edition.slug, "pictures that are not kept", number))
        yield engine.print_page(key, steps=QUICK_STEPS).pixels
    shipped: list[Pixels] = []
    for kind in KINDS:
        if kind not in ("pages", "scenes"):
            shipped += [picture.pixels for picture in pictures(kind, 16, folder=folder)]
    yield from shipped[: count - pages]
    for picture in pictures("scenes", max(0, count - pages - len(shipped)), first=1000):
        yield picture.pixels


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; 1 where a bar was missed, 2 where something that was asked for cannot be."""
    parser = argparse.ArgumentParser(prog="python -m bench.finding", description=__doc__.partition("\n")[0])
    add = parser.add_argument
    add("--kind", choices=[*KINDS, "copies"], action="append", help="measure this alone (all); may be repeated")
    add("--depth", choices=DEPTHS, action="append", help="at this depth alone (all); may be repeated")
    add("--count", type=int, default=8, help="pictures of each kind (8)")
    add("--first", type=int, default=0, help="the number of the first picture (0)")
    add("--prompt", help="search near this prompt")
    add("--kept", type=int, default=50, help="copies: pages that are kept (50)")
    add("--others", type=int, default=1000, help="copies: pictures that are not (1000)")
    add("--tuxpaint", type=Path, default=TUXPAINT, help=f"where the photographs and drawings lie ({TUXPAINT})")
    add("--edition", default=DEFAULT_EDITION, help=f"the edition ({DEFAULT_EDITION})")
    add("--data", type=Path, default=SHIPPED.parent / "data", help="the data folder (./data)")
    add("--threads", type=int, help="threads of the CPU (all)")
    asked = parser.parse_args(arguments)
    try:
        return _measure(asked)
    except BabeliaError as error:
        print(f"{error} {error.hint}".rstrip(), file=sys.stderr)
        return 2


def _measure(asked: argparse.Namespace) -> int:
    from worker.engine.engine import Engine

    engine = Engine(load_edition(asked.edition, asked.data), threads=asked.threads)
    print(engine.rendition.format(), flush=True)
    kinds = asked.kind or [*KINDS, "copies"]
    lines, missed = [], 0
    every: list[Found] = []
    for kind in kinds:
        if kind == "copies":
            missed += not measure_copies(engine, asked.kept, asked.others, asked.tuxpaint)
            continue
        found: dict[Depth, list[Found]] = {depth: [] for depth in asked.depth or DEPTHS}
        for picture in pictures(kind, asked.count, engine, asked.tuxpaint, asked.first):
            for depth, those in found.items():
                one = find(engine, picture.pixels, depth, asked.prompt)
                those.append(one)
                print(
                    f"{kind}, {picture.name}, {depth}: {one.decibels:.2f} dB, alone {one.alone:.2f} dB, "
                    f"{100 * one.likeness:.0f} % like noise, {one.key.steps} steps, {one.wall:.1f} s by the clock, "
                    f"{one.processor:.1f} s of processor",
                    flush=True,
                )
        for depth, those in found.items():
            line, kept = report(kind, depth, those)
            lines.append(line)
            missed += not kept
            every += those
    if every:
        again = reprinted(asked.edition, asked.data, asked.threads, [one.key for one in every])
        others = sum(one.digest != found for one, found in zip(every, again, strict=True))
        lines.append(f"printed again in a fresh process: {others} of {len(every)} found pages differ; asked: 0")
        missed += others > 0
    print("\n".join(["", *lines]))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
