"""A search: from a picture to a key whose page looks like it, step by step.

Drives worker.engine, which is handed in and imported inside functions alone; may import worker.errors,
worker.catalogue and NumPy besides.

A search draws with the ordinary engine: what a step says of decibels is said of the page that its key prints. It keeps
nothing but that key: whoever stops a search, or loses the process that does it, begins the next one with it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal, get_args

import numpy as np
import numpy.typing as npt

from worker.catalogue.address import canonical_prompt
from worker.catalogue.comparison import compare
from worker.catalogue.key import Floats, Key, snap_embedding

if TYPE_CHECKING:
    from worker.engine.engine import Engine

Depth = Literal["quick", "good", "best"]
DEPTHS: Final[tuple[Depth, ...]] = get_args(Depth)
Phase = Literal["encode", "invert", "draw", "improve"]
Pixels = npt.NDArray[np.uint8]
IDENTICAL: Final = 100.0
"""Decibels that stand for a page with the very pixels that were asked for, of which no noise is left to measure."""


@dataclass(frozen=True)
class Wish:
    """What somebody wants: in which edition, how long to search, and near which prompt, if any."""

    edition: str
    depth: Depth = "quick"
    prompt: str | None = None


@dataclass(frozen=True)
class SearchStep:
    """How far a search is. The last step has the key and the decibels of the best page that was found, and the last
    pixels that any step had are that page's."""

    phase: Phase
    index: int
    """Steps done, 1 … `of`, of the whole search."""
    of: int
    """Steps in all, at most: a search ends where it no longer pays, and its last step has `index` = `of`."""
    key: Key | None
    """The best key so far, on the grid of keys; None before there is one."""
    pixels: Pixels | None
    """(416, 640, 3): the page of `key`, or before there is one the picture as the autoencoder alone gives it back;
    None where that is what the last step that had pixels showed."""
    decibels: float | None
    """How near the page of `key` is: peak signal-to-noise ratio over pixels and channels; 100 where it is the same."""
    bound: float
    """What the autoencoder alone gives, in dB, encoding the picture and decoding it."""
    likeness: float | None
    """How like ordinary noise the latents of `key` are (`like_noise`), 0 … 1."""


def search(engine: "Engine", pixels: Pixels, wish: Wish, begin: Key | None = None) -> Iterator[SearchStep]:
    """Search the edition of an engine for a page that looks like `pixels`, uint8 (416, 640, 3).

    `begin` is a key that an earlier search for this picture had found: the search goes on from there, and what it
    finds is never further from the picture. Stop iterating to stop. Raises PrintFailed and InputRefused as the engine
    does.
    """
    assert wish.edition == engine.edition.slug, f"a wish for {wish.edition} and an engine of {engine.edition.slug}"
    return _Search(engine, pixels, wish).run(begin)


@dataclass(frozen=True)
class _Effort:
    """What a depth spends."""

    steps: int
    """Of the pages: those of more steps follow more closely what is asked of them."""
    rounds: int
    """Calls of the U-Net for each step of the first inversion."""
    strokes: int
    """Steps of the optimisation through the decoder."""
    goes: int
    """Inversions in all, at most: after the first each corrects what the page before it lacked."""


_EFFORTS: Final[dict[Depth, _Effort]] = {
    "quick": _Effort(steps=40, rounds=2, strokes=0, goes=1),
    "good": _Effort(steps=40, rounds=2, strokes=60, goes=4),
    "best": _Effort(steps=40, rounds=3, strokes=200, goes=12),
}
_PAYS: Final = 0.02
"""Decibels that the last two goes of a search have to bring together, or it ends."""


class _Search:
    """One search under way."""

    def __init__(self, engine: "Engine", pixels: Pixels, wish: Wish) -> None:
        self._engine, self._pixels, self._wish = engine, pixels, wish
        self._effort = _EFFORTS[wish.depth]
        self._steps = min(self._effort.steps, engine.edition.step_limit // 2 * 2)
        self._done, self._of = 0, 1 + self._effort.strokes + (2 * self._steps + 1) * self._effort.goes
        self._bound = 0.0
        self._found: Key | None = None
        self._decibels = -1.0
        self._gains: list[float] = []

    def run(self, begin: Key | None) -> Iterator[SearchStep]:
        """All of its steps."""
        from worker.engine.inversion import Course, Inversion, Strokes, decode, draw

        engine, effort, prompt = self._engine, self._effort, self._wish.prompt
        embedding = snap_embedding(engine.embed("" if prompt is None else canonical_prompt(prompt)))
        wanted = engine.encode(self._pixels[None])[0]
        alone = decode(engine, wanted)
        self._bound = decibels_between(alone, self._pixels)
        yield self._step("encode", alone)
        course: Course | None = None
        if begin is not None:
            self._of += begin.steps + 1
            for drawn in draw(engine, begin):
                course = drawn
                yield self._step("draw")
            assert course is not None, "a page without steps"
            yield self._judge(begin, decode(engine, course.end))
            if begin.steps != self._steps or not np.array_equal(begin.embedding, embedding):
                course = None  # it says nothing of the steps of a page with others
        if effort.strokes:
            strokes = Strokes(engine, self._pixels, wanted, effort.strokes)
            for _ in range(effort.strokes):
                strokes.stroke()
                yield self._step("improve")
            wanted = strokes.latents
        asked = wanted if course is None else wanted + (wanted - course.end)
        inversion = Inversion(engine, self._steps, embedding)
        for _ in range(effort.goes):
            latents: Floats | None = None
            for begun in inversion.backwards(asked, effort.rounds if course is None else 1, course):
                latents = begun
                yield self._step("invert")
            assert latents is not None, "a page without steps"
            key = Key.pack(self._steps, embedding, latents)
            for drawn in draw(engine, key):
                course = drawn
                yield self._step("draw")
            assert course is not None, "a page without steps"
            step = self._judge(key, decode(engine, course.end))
            last = self._done == self._of or not self._pays()
            if last:
                self._of = self._done
            yield replace(step, of=self._of)
            if last:
                return
            asked = asked + (wanted - course.end)

    def _step(self, phase: Phase, drawn: Pixels | None = None) -> SearchStep:
        """One step more, and what is known by then."""
        self._done += 1
        found = self._found
        decibels = None if found is None else self._decibels
        likeness = None if found is None else like_noise(found.latents)
        return SearchStep(phase, self._done, self._of, found, drawn, decibels, self._bound, likeness)

    def _judge(self, key: Key, drawn: Pixels) -> SearchStep:
        """The step after a page was drawn, which may be the best so far."""
        decibels = decibels_between(drawn, self._pixels)
        self._gains.append(max(0.0, decibels - self._decibels))
        better = self._found is None or decibels > self._decibels
        if better:
            self._found, self._decibels = key, decibels
        return self._step("draw", drawn if better else None)

    def _pays(self) -> bool:
        """Whether it is worth going on."""
        return len(self._gains) < 3 or sum(self._gains[-2:]) >= _PAYS


def decibels_between(first: Pixels, second: Pixels) -> float:
    """Peak signal-to-noise ratio of two pictures (416, 640, 3) in dB; `IDENTICAL` where they have the same pixels."""
    found = compare(first, second).psnr
    return IDENTICAL if found is None else found


def like_noise(latents: Floats) -> float:
    """How like ordinary noise latents (4, 52, 80) are, 0 … 1: 1 is what a volume's pages begin with.

    exp(−d), d the Kullback-Leibler divergence a number, in nats, of a Gaussian with the latents' mean spectrum from
    white noise of variance 1: the mean of (P − 1 − log P) / 2 over bands of the spectrum P, each as wide as 128 of its
    values, so that ordinary noise has 0.99 and more.
    """
    spectrum = np.abs(np.fft.fft2(latents.astype(np.float64), norm="ortho")) ** 2  # (4, 52, 80), mean 1 for noise
    height, width = spectrum.shape[1:]
    y, x = np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[None, :]
    order = np.argsort(np.hypot(y, x).ravel(), kind="stable")  # from coarse to fine
    sorted_ = spectrum.reshape(len(spectrum), -1)[:, order]  # (4, 4160)
    bands = sorted_[:, : sorted_.shape[1] // 128 * 128].reshape(len(spectrum), -1, 128).mean(axis=2)
    bands = np.maximum(bands, 1e-12)
    return float(np.exp(-np.mean(bands - 1 - np.log(bands)) / 2))
