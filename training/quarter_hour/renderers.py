"""Processes that draw training examples into shared memory, as fast as the machine's cores allow (NumPy, scenes).

Each process has a few slots of its own. It draws a chunk of examples of one kind into a free slot and says so through
its pipe; once the chunk is taken, the slot's number goes back to it. Which kind is next follows from the share of its
time that each kind is to have, which the training may change at any moment. The processes are forked, so they must be
started before anything touches the GPU.
"""

from __future__ import annotations

import contextlib
import mmap
import multiprocessing
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing import connection
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.errors import TrainingError
from training.plans import Kind, QuarterPlan
from training.quarter_hour.tokens import ROWS, Tokenizer
from training.scenes.drawing import CELL
from training.scenes.illustrator import SHAPES, Illustrator
from training.scenes.sprites import open_pack

SLOTS = 3  # of each process: one being drawn, one waiting, one being taken
KINDS: tuple[Kind, ...] = ("crops", "pages")
_NICENESS = 5  # the process that feeds the GPU comes first


@dataclass(frozen=True)
class Chunk:
    """Examples of one kind, as views of a slot: copy what is to stay.

    pixels (n, H, W, 3) uint8, subjects (n, h, w) uint8 (1 where a subject or its shadow touches a latent), things
    (n, h, w) int16 and places (n, 2, h, w) uint8 as in drawing.Cells, tokens (n, 77) int16.
    """

    kind: Kind
    seconds: float
    pixels: NDArray[np.uint8]
    subjects: NDArray[np.uint8]
    things: NDArray[np.int16]
    places: NDArray[np.uint8]
    tokens: NDArray[np.int16]

    def __len__(self) -> int:
        return len(self.pixels)


class Renderers:
    """The processes; `tokenizer` is the folder of the edition's. Use it in a `with`: its end is theirs."""

    def __init__(self, plan: QuarterPlan, tokenizer: Path, seed: int) -> None:
        self.plan, self.tokenizer, self.seed = plan, tokenizer, seed
        sizes = [sum(_bytes(kind, plan.chunk[kind])) for kind in KINDS]
        self._slots = [[mmap.mmap(-1, max(sizes)) for _ in range(SLOTS)] for _ in range(plan.renderers)]
        self._shares: NDArray[np.float64] = np.frombuffer(mmap.mmap(-1, 8 * len(KINDS)), np.float64)
        self.share({kind: 1 / len(KINDS) for kind in KINDS})
        self.costs: dict[Kind, float] = {}
        """Seconds of one process for one example, by kind: the mean of the last chunks."""
        open_pack()  # read once, before the fork
        context = multiprocessing.get_context("fork")
        self._pipes: dict[int, connection.Connection] = {}
        self._processes: dict[int, Any] = {}
        for rank in range(plan.renderers):
            here, there = context.Pipe()
            process = context.Process(target=self._work, args=(rank, there, os.getpid()), daemon=True)
            process.start()
            there.close()
            self._pipes[rank], self._processes[rank] = here, process

    def __enter__(self) -> Renderers:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes.values():
            process.kill()
            process.join(timeout=5)
        for pipe in self._pipes.values():
            pipe.close()

    def share(self, shares: dict[Kind, float]) -> None:
        """Sets the part of the processes' time that goes to each kind."""
        self._shares[:] = [shares.get(kind, 0.0) for kind in KINDS]

    def chunks(self, seconds: float = 0.0) -> Iterator[Chunk]:
        """What is ready, after waiting so long at most for the first; each slot goes back once the next is asked for.

        TrainingError where a process has said why it ended, or all have ended.
        """
        ready = connection.wait(self._pipes.values(), timeout=seconds)
        for rank, pipe in [*self._pipes.items()]:
            if pipe not in ready:
                continue
            try:
                message = pipe.recv()
            except (EOFError, OSError):
                self._bury(rank)
                continue
            if isinstance(message, str):
                raise TrainingError(f"A renderer ended: {message}", "Draw some pages with `python -m training scenes`.")
            slot, number, took = message
            kind = KINDS[number]
            chunk = _chunk(self._slots[rank][slot], kind, self.plan.chunk[kind], took)
            before, now = self.costs.get(kind, took / len(chunk)), took / len(chunk)
            self.costs[kind] = 0.9 * before + 0.1 * now
            yield chunk
            with contextlib.suppress(OSError):
                pipe.send(slot)

    def _bury(self, rank: int) -> None:
        """Goes on without a process that has died, as long as there is another."""
        self._pipes.pop(rank).close()
        self._processes.pop(rank).join(timeout=1)
        if not self._pipes:
            raise TrainingError("All renderers have ended.", "Run the same command again with more memory.")

    # -- in the process ------------------------------------------------------------------------------------------------

    def _work(self, rank: int, pipe: connection.Connection, parent: int) -> None:
        os.nice(_NICENESS)
        try:
            tokenizer, pack = Tokenizer(self.tokenizer), open_pack()
            artists = {kind: Illustrator(kind, pack, self.seed) for kind in KINDS}
            free, spent, made = list(range(SLOTS)), np.zeros(len(KINDS)), [0] * len(KINDS)
            while True:
                while not free or pipe.poll():
                    if pipe.poll(1.0):
                        free.append(pipe.recv())
                    elif os.getppid() != parent:
                        return
                shares = np.maximum(self._shares, 1e-9)
                number = int((spent / shares).argmin())
                kind, began, slot = KINDS[number], time.perf_counter(), free.pop()
                chunk = _chunk(self._slots[rank][slot], kind, self.plan.chunk[kind], 0.0)
                first = (made[number] * self.plan.renderers + rank) * len(chunk)
                for i in range(len(chunk)):
                    _draw(artists[kind], first + i, chunk, i, tokenizer)
                made[number] += 1
                took = time.perf_counter() - began
                # What lies back counts less and less, so that a new share is soon kept.
                spent = spent * 0.98
                spent[number] += took
                pipe.send((slot, number, took))
        except (EOFError, BrokenPipeError, KeyboardInterrupt):
            pass
        except Exception as error:
            with contextlib.suppress(OSError):
                pipe.send(f"{type(error).__name__}: {error}")


def _draw(artist: Illustrator, number: int, chunk: Chunk, i: int, tokenizer: Tokenizer) -> None:
    """Example `number` into place i of a chunk."""
    example = artist.draw(number)
    assert example.cells is not None
    h, w = SHAPES[chunk.kind]
    chunk.pixels[i] = example.pixels
    chunk.subjects[i] = example.subjects.reshape(h, CELL, w, CELL).any((1, 3))
    chunk.things[i], chunk.places[i] = example.cells.things, example.cells.places
    chunk.tokens[i] = tokenizer(example.text)


def _bytes(kind: Kind, number: int) -> list[int]:
    """Sizes of a chunk's five arrays in bytes, in the order in which they lie in a slot."""
    h, w = SHAPES[kind]
    cells = number * h * w
    return [cells * CELL * CELL * 3, cells, cells * 2, cells * 2, number * ROWS * 2]


def _chunk(memory: mmap.mmap, kind: Kind, number: int, seconds: float) -> Chunk:
    h, w = SHAPES[kind]
    sizes = _bytes(kind, number)
    starts = np.cumsum([0, *sizes[:-1]])
    parts = [memoryview(memory)[start : start + size] for start, size in zip(starts, sizes, strict=True)]
    return Chunk(
        kind, seconds,
        np.frombuffer(parts[0], np.uint8).reshape(number, h * CELL, w * CELL, 3),
        np.frombuffer(parts[1], np.uint8).reshape(number, h, w),
        np.frombuffer(parts[2], np.int16).reshape(number, h, w),
        np.frombuffer(parts[3], np.uint8).reshape(number, 2, h, w),
        np.frombuffer(parts[4], np.int16).reshape(number, ROWS),
    )  # fmt: skip
