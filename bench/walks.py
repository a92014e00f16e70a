"""What a corridor and a sheet of nine cost beside as many ordinary pages: `python -m bench.walks`.

Pages and frames are printed in turns, each from its address or its mark to the files on disk, as a press does it;
frames are derived from what is written down of them, for nothing of their bits is kept. The ordinary pages are of two
prompts that are embedded already: what costs least. Seconds of the processor are counted, for on a machine with other
work the clock says little. Imports everything.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from worker.catalogue.address import Address
from worker.catalogue.key import Key
from worker.catalogue.png import encode_page
from worker.catalogue.walks import DIRECTIONS, WHOLE, Between, Derivation, Nearby, derive, places
from worker.editions.edition import load_edition
from worker.engine.engine import Engine
from worker.keys import find_key, note_derived
from worker.store.store import Store

AT_MOST = 1.05
"""What is promised: times of as many ordinary pages."""


def main() -> None:
    """Measure and report; exit code 1 where the promise is not kept."""
    parser = argparse.ArgumentParser(prog="python -m bench.walks", description=__doc__)
    parser.add_argument("--edition", default="pocket-1")
    parser.add_argument("--frames", type=int, default=24, help="of the corridor (default 24)")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        engine = Engine(load_edition(arguments.edition, Path(folder)), "cpu", arguments.threads)
        bench = Bench(engine, Store(Path(folder), reserve=0))
        first, last = (Address(arguments.edition, "prompt", words, 1) for words in ("a red boat", "a lighthouse"))
        kept = [
            bench.compare(f"a corridor of {arguments.frames}", bench.corridor(first, last, arguments.frames)),
            bench.compare("the nine of a sheet, other latents", bench.nine(first, "latents")),
            bench.compare("the nine of a sheet, other words", bench.nine(first, "words")),
        ]
    sys.exit(not all(kept))


class Bench:
    """An engine and a store, between which pages are printed as a press prints them."""

    def __init__(self, engine: Engine, store: Store) -> None:
        self.engine = engine
        self.store = store
        self._ordinary = 1  # the page of the volumes that comes next

    def corridor(self, first: Address, last: Address, frames: int) -> list[Address]:
        """The frames of a corridor, by their marks, none of whose bits are kept."""
        ends = self._resolved(first), self._resolved(last)
        steps = [Between(ends[0].mark, ends[1].mark, place) for place in places(frames) if 0 < place < WHOLE]
        return [first, *self._noted(steps, ends), last]

    def nine(self, middle: Address, of: str) -> list[Address]:
        """A page and its eight neighbours, likewise."""
        key = self._resolved(middle)
        steps: list[Derivation] = []
        for direction in range(1, DIRECTIONS + 1):
            steps.append(Nearby(key.mark, "words" if of == "words" else "latents", "far", direction))
        return [middle, *self._noted(steps, (key,))]

    def compare(self, what: str, walk: Sequence[Address]) -> bool:
        """Print a walk and as many ordinary pages in turns, and report the ratio of their seconds."""
        self._print(self._next())  # warm
        ours, others = 0.0, 0.0
        for address in walk:
            others += self._print(self._next())
            ours += self._print(address)
        kept = ours <= AT_MOST * others
        promise = f"{ours / others:.3f} ×, at most {AT_MOST:.2f} ×: {'kept' if kept else 'NOT KEPT'}"
        print(f"{what:<34} {ours:6.1f} s, as many ordinary pages {others:6.1f} s  {promise}", flush=True)
        return kept

    def _next(self) -> Address:
        number, which = divmod(self._ordinary, 2)
        self._ordinary += 1
        return Address(self.engine.edition.slug, "prompt", ("a red boat", "a lighthouse")[which], number + 2)

    def _resolved(self, address: Address) -> Key:
        key = self.engine.resolve(address)
        self.store.link(address, key)
        return key

    def _noted(self, steps: Sequence[Derivation], parents: Sequence[Key]) -> list[Address]:
        keys = {how: derive(how, parents) for how in steps}
        note_derived(self.store, keys)
        return [Address(self.engine.edition.slug, "mark", key.mark, None) for key in keys.values()]

    def _print(self, address: Address) -> float:
        """The seconds of the processor from an address to the files of its page."""
        began = time.process_time()
        key = find_key(self.store, address, self.engine.resolve)
        assert key is not None, "a page has a key"
        printed = self.engine.print_page(key)
        rendition = printed.rendition.format()
        png = encode_page(
            printed.pixels, address=address.format(), mark=key.mark, edition=address.edition, rendition=rendition
        )
        self.store.keep(
            address,
            key,
            png,
            printed.pixels,
            rendition=rendition,
            steps=printed.steps,
            seconds=time.process_time() - began,
        )
        return time.process_time() - began


if __name__ == "__main__":
    main()
