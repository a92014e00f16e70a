"""The same key gives the same pixels: 0 differing bytes, whatever the process, the neighbours, the time or the load.

Every test says on which rendition. What only a GPU can show (its own kernels, at its own batch) is not tested here.
"""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests import ROOT
from worker.catalogue.address import Address
from worker.catalogue.expansion import stacks_key
from worker.catalogue.key import Key
from worker.editions.edition import Edition
from worker.engine.device import has_bfloat16
from worker.engine.engine import Engine
from worker.engine.loop import Step

STEPS = 2


@pytest.fixture(scope="module", params=["float32", "bfloat16"])
def batch_engine(request: pytest.FixtureRequest, tiny_edition: Edition) -> Iterator[Engine]:
    """An engine of three rows a run, in each precision that this CPU has instructions for."""
    if request.param == "bfloat16" and not has_bfloat16():
        pytest.skip("this CPU has no instructions for bfloat16: no edition is printed in it here")
    threads = torch.get_num_threads()
    yield Engine(replace(tiny_edition, precision={"cpu": request.param}), device="cpu", threads=1, batch=3)
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(False)


def key_of(engine: Engine, address: str = "tiny/prompt/a dog in the snow/7") -> Key:
    return engine.resolve(Address.parse(address))


def neighbour(number: int) -> Key:
    """A key of random bits: a loud neighbour, whose values reach the ends of the format."""
    return stacks_key("neighbour", number)


def test_twice_in_one_process(tiny_engine: Engine) -> None:
    key = key_of(tiny_engine)
    first, second = (tiny_engine.print_page(key, steps=STEPS) for _ in range(2))
    print(f"\ntwice in a process, on {tiny_engine.rendition}")
    assert np.array_equal(first.pixels, second.pixels)
    assert first.digest == second.digest


def test_after_other_pages(tiny_engine: Engine) -> None:
    key = key_of(tiny_engine)
    before = tiny_engine.print_page(key, steps=STEPS)
    tiny_engine.print_page(key_of(tiny_engine, "tiny/key/borges/1"), steps=3)
    tiny_engine.print_page(neighbour(1), steps=1)
    tiny_engine.print_page(Key.pack(4, tiny_engine.embed(""), key.latents), steps=STEPS)  # without the second row
    abandoned = tiny_engine.run([neighbour(2)], steps=STEPS)
    next(abandoned)
    abandoned.close()
    after = tiny_engine.print_page(key, steps=STEPS)
    print(f"\nafter other pages, on {tiny_engine.rendition}")
    assert np.array_equal(before.pixels, after.pixels)


def test_in_two_engines(tiny_engine: Engine, tiny_edition: Edition) -> None:
    key = key_of(tiny_engine)
    other = Engine(tiny_edition, device="cpu", threads=1, batch=1)
    assert other.rendition == tiny_engine.rendition
    print(f"\nin two engines, on {other.rendition}")
    assert tiny_engine.print_page(key, steps=STEPS).digest == other.print_page(key, steps=STEPS).digest


def test_in_two_processes_at_once(tiny_engine: Engine, tiny_data: Path) -> None:
    """Two fresh processes print at the same time, so that each disturbs the other, and this one prints too."""
    script = f"""
from pathlib import Path
from worker.catalogue.address import Address
from worker.editions.edition import load_edition
from worker.engine.engine import Engine
engine = Engine(load_edition("tiny", Path({str(tiny_data)!r})), device="cpu", threads=1, batch=1)
key = engine.resolve(Address.parse("tiny/prompt/a dog in the snow/7"))
print(engine.rendition)
print(key.mark)
print(engine.print_page(key, steps={STEPS}).digest)
"""
    command = [sys.executable, "-c", script]
    pair = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    key = key_of(tiny_engine)
    expected = [str(tiny_engine.rendition), key.mark, tiny_engine.print_page(key, steps=STEPS).digest]
    found = [process.communicate(timeout=120)[0].splitlines() for process in pair]
    print(f"\nin three processes, on {tiny_engine.rendition}")
    assert found == [expected, expected]


def test_in_every_row_of_a_batch_with_random_neighbours(batch_engine: Engine) -> None:
    seen: list[Step] = []
    key = key_of(batch_engine)
    alone = batch_engine.print_pages([key], seen.append, steps=STEPS)[0]  # two rows of padding beside it
    latents = seen[-1].latents[0]
    for row in range(3):
        keys = [neighbour(10 * row + 1), neighbour(10 * row + 2)]
        keys.insert(row, key)
        pages = batch_engine.print_pages(keys, seen.append, steps=STEPS)
        assert np.array_equal(pages[row].pixels, alone.pixels), f"row {row} has other pixels"
        assert torch.equal(seen[-1].latents[row], latents), f"row {row} has other latents"
    assert len(seen) == 4 * STEPS
    print(f"\nin every row of a batch, on {batch_engine.rendition}")


def test_in_every_row_of_a_batch_without_the_second_row(batch_engine: Engine) -> None:
    empty = batch_engine.embed("")
    key = Key.pack(4, empty, key_of(batch_engine).latents)
    others = [Key.pack(4, empty, neighbour(number).latents) for number in (5, 6)]
    alone = batch_engine.print_pages([key], steps=1)[0]
    for row in range(3):
        keys = [*others[:row], key, *others[row:]]
        assert batch_engine.print_pages(keys, steps=1)[row].digest == alone.digest, f"row {row} differs"
    print(f"\nin every row without the second row, on {batch_engine.rendition}")


def test_a_real_batch_computes_the_same_pages_but_for_rounding(tiny_edition: Edition) -> None:
    """On the CPU each page of a batch is computed alone; on a GPU they go through the models together. Here they do so
    too, to see that rows are not mixed up: with random neighbours and both rows of guidance."""
    engine = Engine(tiny_edition, device="cpu", threads=1, batch=3)
    keys = [neighbour(1), key_of(engine), neighbour(2)]
    *_, alone = engine.run(keys, steps=STEPS)
    pixels = engine.decode(alone.latents)
    engine.denoiser._together = engine.decoder._together = 3
    *_, together = engine.run(keys, steps=STEPS)
    difference = (together.latents - alone.latents).abs().amax((1, 2, 3)) / alone.latents.abs().amax((1, 2, 3))
    moved = np.abs(engine.decode(together.latents).astype(int) - pixels).max(axis=(1, 2, 3))
    print(f"\na real batch: latents differ by {difference.tolist()}, pixels by {moved.tolist()}, on {engine.rendition}")
    assert difference.max() < 1e-4  # float32 sums in another order, over two steps
    assert moved.max() <= 1


def test_a_preview_or_a_progress_hook_changes_nothing(tiny_engine: Engine) -> None:
    key = key_of(tiny_engine)
    plain = tiny_engine.print_page(key, steps=STEPS)
    watched = tiny_engine.print_page(key, lambda step: tiny_engine.preview(step.predicted), steps=STEPS)
    assert plain.digest == watched.digest
