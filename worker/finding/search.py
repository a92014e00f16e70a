"""A search: from a picture to a key whose page looks like it, step by step.

Drives worker.engine, which is handed in and imported inside functions alone; may import worker.errors,
worker.catalogue and NumPy besides.

A search draws with the ordinary engine: what a step says of decibels is said of the page that its key prints. It keeps
nothing but that key: whoever stops a search, or loses the process that does it, begins the next one with it.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, get_args

import numpy as np
import numpy.typing as npt

from worker.catalogue.address import canonical_prompt
from worker.catalogue.comparison import compare
from worker.catalogue.key import Floats, Key, snap_embedding

if TYPE_CHECKING:
    from worker.engine.engine import Engine
    from worker.engine.inversion import Course, Latents

Depth = Literal["quick", "good", "best"]
DEPTHS: Final[tuple[Depth, ...]] = get_args(Depth)
Phase = Literal["encode", "invert", "draw", "fit", "improve"]
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
    """(416, 640, 3): the page of `key`, or before there is one the picture as the autoencoder gives it back;
    None where that is what the last step that had pixels showed."""
    decibels: float | None
    """How near the page of `key` is: peak signal-to-noise ratio over pixels and channels; 100 where it is the same."""
    bound: float
    """What the autoencoder alone gives, in dB, encoding the picture and decoding it."""
    likeness: float | None
    """How like ordinary noise the latents of `key` are (`like_noise`), 0 … 1."""


def search(engine: Engine, pixels: Pixels, wish: Wish, begin: Key | None = None) -> Iterator[SearchStep]:
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
    """Of the pages that are found by inversion under a given embedding."""
    fitted_steps: int
    """Of those under an embedding that was fitted: twice as many bring them no nearer."""
    goes: int
    """Inversions under one embedding, at most: each after the first makes up for what the page before it lacked."""
    embedding_fit: int
    """Strokes of a fit of an embedding, where the first inversion falls short and no prompt was given."""
    latents_fit: int = 0
    """Strokes of the fit of latents to the picture, after a first inversion and before what follows."""
    strokes: int = 0
    """Steps of the descent that follows, at most."""
    few: int = 8
    """Steps of the pages that are found by descent: a gradient goes through each of them."""
    enough: float | None = None
    """Decibels below what the autoencoder alone gives from which on no descent follows; None: one always does."""


_EFFORTS: Final[dict[Depth, _Effort]] = {
    "quick": _Effort(steps=64, fitted_steps=32, goes=1, embedding_fit=100),
    "good": _Effort(steps=64, fitted_steps=32, goes=4, embedding_fit=150, strokes=60, enough=0.5),
    "best": _Effort(steps=64, fitted_steps=32, goes=8, embedding_fit=300, latents_fit=50, strokes=300, enough=0.5),
}
_SHORT: Final = 0.5
"""Decibels below what the latents that it ends at may give from which on an inversion falls short."""
_STEADY: Final = 0.003
"""What the loop is worth to a fit of latents, beside the pixels (`LatentsFit`)."""
_FIT_RATE: Final = 0.05
"""Of Adam, for an embedding: its numbers are about 1."""
_ENCODINGS: Final = 3
"""Of the picture, at most: each after the first makes up for what decoding the one before it lost. What more of them
add is such fine detail that the way back from it goes astray."""
_FEW_ROUNDS: Final = 6
"""Calls of the U-Net for each step of the inversion that a descent begins at: where steps are small, one will do."""
_RATE: Final = 0.05
"""Of Adam: a twentieth of the spread of ordinary noise."""
_LOOK: Final = 10
"""Strokes after which the page is drawn as it will be printed."""
_WORSE: Final = 1.0
"""Decibels by which a correction may fall short of the page that it corrects before no more are tried."""
_PAYS: Final = 0.02
"""Decibels that the last two looks at a descent, or the last two inversions, have to bring together, or another
encoding, or it ends."""


class _Search:
    """One search under way."""

    def __init__(self, engine: Engine, pixels: Pixels, wish: Wish) -> None:
        self._engine, self._pixels, self._wish = engine, pixels, wish
        self._effort = _EFFORTS[wish.depth]
        self._done = self._of = 0
        self._bound = 0.0
        self._within_reach = 0.0  # decibels that an inversion might have; it falls short where it is far from them
        self._found: Key | None = None
        self._drawn: Key | None = None
        self._decibels = self._last = -1.0
        self._course: Course

    def run(self, begin: Key | None) -> Iterator[SearchStep]:
        """All of its steps."""
        from worker.engine.inversion import decode

        effort, prompt = self._effort, self._wish.prompt
        embedding = snap_embedding(self._engine.embed("" if prompt is None else canonical_prompt(prompt)))
        most = self._engine.edition.step_limit // 2 * 2
        steps, fitted_steps, few = (min(each, most) for each in (effort.steps, effort.fitted_steps, effort.few))
        if begin is not None and prompt is None:
            embedding = begin.embedding  # one that was fitted to this picture, or that of the empty prompt
        goes_on = begin is not None and effort.strokes > 0 and begin.steps == few
        goes_on = goes_on and begin is not None and np.array_equal(begin.embedding, embedding)
        self._of = (1 if begin is None else begin.steps + 2) + _ENCODINGS
        if not goes_on:
            self._of += self._most_of_inversions(steps, fitted_steps, fits=prompt is None)
        if effort.strokes:
            self._of += effort.strokes + -(-effort.strokes // _LOOK) * (few + 1) + (0 if goes_on else 2 * few + 1)
        encoded = self._engine.encode(self._pixels[None])[0]
        decoded = decode(self._engine, encoded)
        self._bound = self._within_reach = decibels_between(decoded, self._pixels)
        yield self._step("encode", decoded)
        wanted = yield from self._encode_again(encoded, decoded)
        if begin is not None:
            yield from self._draw(begin)
        if not goes_on:
            wanted, embedding = yield from self._find_by_inversion(
                wanted, embedding, steps, fitted_steps, fits=prompt is None
            )
        if effort.strokes and (effort.enough is None or self._decibels < self._bound - effort.enough):
            if not goes_on:
                yield from self._invert(wanted, embedding, few, _FEW_ROUNDS, 1)
            assert self._drawn is not None, "a descent begins at the page that was drawn last"
            yield from self._descend(self._drawn)
        self._of = self._done + 1
        yield self._step("draw")

    def _most_of_inversions(self, steps: int, fitted_steps: int, *, fits: bool) -> int:
        """Steps of `_find_by_inversion`, at most."""
        effort, one = self._effort, 2 * steps + 1
        fit = effort.embedding_fit if fits else 0
        first = one + fit + effort.latents_fit if effort.latents_fit else 0
        fitted = fit + (2 * fitted_steps + 1) * effort.goes if fits else 0
        return first + one * effort.goes + fitted

    def _find_by_inversion(
        self, wanted: Latents, embedding: Floats, steps: int, fitted_steps: int, *, fits: bool
    ) -> Generator[SearchStep, None, tuple[Latents, Floats]]:
        """Pages of encoded latents, under an embedding that is fitted to them where `fits` and the first falls short.

        Returns the latents and the embedding of the last of them.
        """
        effort = self._effort
        least = self._within_reach - _SHORT if fits else -np.inf
        falls_short = False
        if effort.latents_fit:  # which takes long, and until then there is a page to look at
            yield from self._invert(wanted, embedding, steps, 1, 1)
            falls_short = self._decibels < least
            if falls_short:
                embedding = yield from self._fit_embedding(wanted, embedding, steps, effort.embedding_fit)
            elif fits:
                self._of -= effort.embedding_fit
            wanted = yield from self._fit_latents(wanted, embedding, steps, effort.latents_fit)
        if falls_short:
            self._of -= (2 * steps + 1) * effort.goes
        else:
            yield from self._invert(wanted, embedding, steps, 1, effort.goes, least)
        if fits and self._decibels < self._within_reach - _SHORT:
            embedding = yield from self._fit_embedding(wanted, embedding, steps, effort.embedding_fit)
            yield from self._invert(wanted, embedding, fitted_steps, 1, effort.goes)
        elif fits:
            self._of -= effort.embedding_fit + (2 * fitted_steps + 1) * effort.goes
        return wanted, embedding

    def _encode_again(self, encoded: Latents, decoded: Pixels) -> Generator[SearchStep, None, Latents]:
        """Latents whose decoding, encoded again, is `encoded`, as long as their decoding comes nearer to the picture.

        z' = z + E(x) − E(D(z)): the root of E(D(z)) = E(x) by a fixed-point iteration, as the encoder nearly undoes
        the decoder. Of a page of this edition that takes 44 dB to 55.
        """
        from worker.engine.inversion import decode

        wanted = tried = encoded
        best = self._bound
        for done in range(1, _ENCODINGS):
            tried = tried + encoded - self._engine.encode(decoded[None])[0]
            decoded = decode(self._engine, tried)
            found = decibels_between(decoded, self._pixels)
            if found > best:
                wanted = tried
            if found < best + _PAYS:
                self._of -= _ENCODINGS - 1 - done
                yield self._step("encode")
                break
            best = found
            yield self._step("encode", decoded)
        return wanted

    def _fit_latents(
        self, wanted: Latents, embedding: Floats, steps: int, strokes: int
    ) -> Generator[SearchStep, None, Latents]:
        """Latents whose decoding comes nearer to the picture, by gradients; those that were given where none does."""
        from worker.engine.gradients import LatentsFit
        from worker.engine.inversion import decode

        plan = self._engine.plan(steps)
        fit = LatentsFit(
            self._engine, self._pixels, wanted, embedding, plan, strokes=strokes, rate=_RATE, weight=_STEADY
        )
        for _ in range(strokes):
            fit.stroke()
            yield self._step("encode")
        before, after = (decibels_between(decode(self._engine, z), self._pixels) for z in (wanted, fit.latents))
        self._within_reach = max(before, after)
        return fit.latents if after > before else wanted

    def _fit_embedding(
        self, wanted: Latents, embedding: Floats, steps: int, strokes: int
    ) -> Generator[SearchStep, None, Floats]:
        """An embedding under which the loop leads to the encoded latents more stably, beginning at another one."""
        from worker.engine.gradients import EmbeddingFit

        fit = EmbeddingFit(self._engine, self._engine.plan(steps), wanted, embedding, _FIT_RATE)
        for _ in range(strokes):
            fit.stroke()
            yield self._step("fit")
        return fit.embedding

    def _invert(
        self, wanted: Latents, embedding: Floats, steps: int, rounds: int, goes: int, least: float = -np.inf
    ) -> Iterator[SearchStep]:
        """Encoded latents backwards through the loop, and what its page lacks on top of them, and so on.

        `least`: decibels that the first page needs, or no more goes follow.
        """
        from worker.engine.inversion import Inversion

        inversion = Inversion(self._engine, steps, embedding, wanted)
        best, seen = -1.0, list[float]()
        for go in range(goes):
            latents: Floats | None = None
            for begun in inversion.backwards(rounds):
                latents = begun
                yield self._step("invert")
            assert latents is not None, "a page without steps"
            yield from self._draw(Key.pack(steps, embedding, latents))
            best = max(best, self._last)
            seen.append(best)
            if (
                (len(seen) > 3 and best - seen[-3] < _PAYS)
                or self._last < best - _WORSE
                or (go == 0 and self._last < least)
            ):
                self._of -= (2 * steps + 1) * (goes - go - 1)
                return
            inversion.correct(self._course)

    def _descend(self, begun: Key) -> Iterator[SearchStep]:
        """From a key on by gradients, as long as it pays."""
        from worker.engine.gradients import Descent

        descent = Descent(self._engine, self._pixels, begun, self._effort.strokes, _RATE)
        seen: list[float] = []
        for stroke in range(1, self._effort.strokes + 1):
            descent.stroke()
            yield self._step("improve")
            if stroke % _LOOK and stroke < self._effort.strokes:
                continue
            yield from self._draw(Key.pack(begun.steps, begun.embedding, descent.on_grid))
            seen.append(self._last)
            if len(seen) > 4 and seen[-1] - seen[-3] < _PAYS:
                return

    def _draw(self, key: Key) -> Iterator[SearchStep]:
        """Draw the page of a key as it is printed, and take it for the best so far where it is."""
        from worker.engine.inversion import decode, draw

        for course in draw(self._engine, key):
            self._course = course
            yield self._step("draw")
        self._drawn = key
        drawn = decode(self._engine, self._course.end)
        self._last = decibels_between(drawn, self._pixels)
        better = self._found is None or self._last > self._decibels
        if better:
            self._found, self._decibels = key, self._last
        yield self._step("draw", drawn if better else None)

    def _step(self, phase: Phase, drawn: Pixels | None = None) -> SearchStep:
        """One step more, and what is known by then."""
        self._done += 1
        found = self._found
        decibels = None if found is None else self._decibels
        likeness = None if found is None else like_noise(found.latents)
        return SearchStep(phase, self._done, self._of, found, drawn, decibels, self._bound, likeness)


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
