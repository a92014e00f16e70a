"""Gradients: an embedding that fits a picture better, and latents whose page comes nearer."""

import numpy as np
import numpy.typing as npt
import pytest
import torch

from worker.catalogue.address import Address
from worker.catalogue.float15 import LATENTS
from worker.catalogue.key import Key, snap_embedding
from worker.engine.engine import Engine
from worker.engine.gradients import Descent, EmbeddingFit, Latents, LatentsFit
from worker.engine.inversion import decode


@pytest.fixture(scope="module")
def key(tiny_engine: Engine) -> Key:
    """The key of a page without guidance."""
    dog = tiny_engine.resolve(Address("tiny", "prompt", "a dog", 1))
    return Key.pack(2, tiny_engine.embed(""), dog.latents)


def test_an_embedding_fits_a_picture_better_and_is_the_same_each_time(tiny_engine: Engine, key: Key) -> None:
    dog = tiny_engine.resolve(Address("tiny", "prompt", "a dog", 2))
    latents = tiny_engine.encode(tiny_engine.print_page(dog, steps=2).pixels[None])[0]
    plan, begun = tiny_engine.plan(1), snap_embedding(tiny_engine.embed(""))  # one timestep: errors of like with like

    def fitted(strokes: int) -> tuple[EmbeddingFit, list[float]]:
        fit = EmbeddingFit(tiny_engine, plan, latents, begun, 0.05)
        return fit, [fit.stroke() for _ in range(strokes)]

    none, _ = fitted(0)
    assert np.array_equal(none.embedding, begun)
    fit, errors = fitted(12)
    assert np.mean(errors[-3:]) < np.mean(errors[:3])
    assert np.array_equal(snap_embedding(fit.embedding), fit.embedding)
    assert not np.array_equal(fit.embedding, begun)
    assert np.array_equal(fitted(12)[0].embedding, fit.embedding)


def test_the_decoder_paints_a_picture_better_of_fitted_latents(tiny_engine: Engine, key: Key) -> None:
    pixels = tiny_engine.print_page(key).pixels
    latents = tiny_engine.encode(pixels[None])[0]
    fit = fit_of_latents(tiny_engine, pixels, latents, weight=0.0)
    assert np.array_equal(fit.latents, latents)
    errors = [fit.stroke() for _ in range(4)]
    assert errors[-1] < errors[0]
    said = (((decode(tiny_engine, latents).astype(np.float64) - pixels) / 127.5) ** 2).mean()
    assert errors[0] == pytest.approx(said, rel=0.02)  # pixels of a page are rounded and gradients' are not


@pytest.mark.parametrize("words", ["", "a dog"], ids=["alone", "guided"])
def test_the_unet_finds_fitted_latents_again_the_better_the_more_that_weighs(tiny_engine: Engine, words: str) -> None:
    dog = tiny_engine.resolve(Address("tiny", "prompt", "a dog", 1))
    pixels = tiny_engine.print_page(dog, steps=2).pixels
    latents = tiny_engine.encode(pixels[None])[0]
    missed = []
    for weight in (0.0, 1000.0):
        fit = fit_of_latents(tiny_engine, pixels, latents, weight=weight, words=words)
        for _ in range(4):
            fit.stroke()
        loss, error = fit_of_latents(tiny_engine, pixels, fit.latents, weight=1.0, words=words)._loss(
            torch.from_numpy(fit.latents)[None]
        )
        missed.append(float(loss - error))
    assert missed[1] < missed[0]


def fit_of_latents(
    engine: Engine, pixels: npt.NDArray[np.uint8], latents: Latents, *, weight: float, words: str = ""
) -> LatentsFit:
    """One of four strokes, at one timestep, so that errors are of like with like."""
    embedding = snap_embedding(engine.embed(words))
    return LatentsFit(engine, pixels, latents, embedding, engine.plan(1), strokes=4, rate=0.05, weight=weight)


@pytest.mark.parametrize("guided", [False, True], ids=["alone", "guided"])
def test_a_descent_comes_nearer_and_says_what_the_engine_draws(tiny_engine: Engine, key: Key, guided: bool) -> None:
    dog = tiny_engine.resolve(Address("tiny", "prompt", "a dog", 2))
    begin = Key.pack(2, dog.embedding if guided else key.embedding, key.latents)
    goal = tiny_engine.print_page(Key.pack(2, begin.embedding, dog.latents)).pixels
    descent = Descent(tiny_engine, goal, begin, 3, 0.05)
    errors = [descent.stroke() for _ in range(3)]
    assert errors[-1] < errors[0]
    pixels = tiny_engine.print_page(begin).pixels
    ours = float((((pixels.astype(np.float64) - goal) / 127.5) ** 2).mean())
    assert errors[0] == pytest.approx(ours, rel=0.02)  # pixels of a page are rounded and gradients' are not
    assert np.array_equal(LATENTS.snap(descent.on_grid), descent.on_grid)
    assert not np.array_equal(descent.on_grid, begin.latents)


def test_a_descent_stays_inside_the_range_of_keys(tiny_engine: Engine, key: Key) -> None:
    edge = Key.pack(2, key.embedding, np.full(key.latents.shape, LATENTS.largest))
    descent = Descent(tiny_engine, np.zeros((416, 640, 3), np.uint8), edge, 2, 0.5)
    descent.stroke()
    assert np.abs(descent.on_grid).max() == LATENTS.largest
