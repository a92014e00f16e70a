"""bench.holds.dimension and sampler: singular values of what is known, and derivatives of the real networks."""

import numpy as np
import pytest
import torch

from bench.holds.dimension import spectrum
from bench.holds.sampler import Sampler, Slope
from worker.catalogue.expansion import stacks_key
from worker.engine.engine import Engine


def product_with(values: np.ndarray):
    return lambda vector: values**2 * vector


def test_as_many_rounds_as_directions_find_every_singular_value() -> None:
    values = np.array([30.0, 10.0, 3.0, 1.0])
    found = spectrum(product_with(values), np.array([1.0, 2.0, 3.0, 4.0]), 4)
    np.testing.assert_allclose(found.strengths, values, rtol=1e-4)
    np.testing.assert_allclose(found.shares, np.array([1, 4, 9, 16]) / 30, rtol=1e-3)


def test_few_rounds_count_the_strong_directions_of_many() -> None:
    values = np.concatenate([np.full(40, 100.0), np.full(1960, 1.0)])
    start = np.random.default_rng(1).standard_normal(2000)
    found = spectrum(product_with(values), start, 6)
    strong = sum(w for s, w in zip(found.strengths, found.shares, strict=True) if s > 50)
    assert 2000 * strong == pytest.approx(40, abs=25), "one random start: the error is about √(2 · 40) = 9"
    assert found.strengths[0] == pytest.approx(100, rel=1e-4)
    assert len(found.strengths) == 2, "there are two values, so two rounds find all"


@pytest.fixture(scope="module")
def sampler(tiny_engine: Engine) -> Sampler:
    empty = torch.from_numpy(tiny_engine.embed("").astype(np.float32))
    return Sampler(tiny_engine.edition, empty, steps=2)


def tensors(name: str) -> tuple[torch.Tensor, torch.Tensor]:
    key = stacks_key(name, 1)
    return torch.from_numpy(key.latents.astype(np.float32)), torch.from_numpy(key.embedding.astype(np.float32))


def test_the_sampler_draws_the_page_that_the_press_prints(sampler: Sampler, tiny_engine: Engine) -> None:
    key = stacks_key("holds", 1)
    with torch.no_grad():
        drawn = sampler.picture(*tensors("holds")).permute(1, 2, 0).round().clamp(0, 255).numpy()
    printed = tiny_engine.print_page(key, steps=2).pixels
    apart = np.abs(drawn - printed)
    assert apart.max() <= 1 and (apart > 0).mean() < 0.01, "another order of sums rounds a few values otherwise"


@pytest.mark.parametrize("field", ["latents", "embedding"])
def test_both_products_with_the_derivative_agree_with_each_other_and_with_a_small_step(
    sampler: Sampler, field: str
) -> None:
    latents, embedding = tensors("holds")
    map_, at = (
        (sampler.of_latents(embedding), latents) if field == "latents" else (sampler.of_embedding(latents), embedding)
    )
    slope, generator = Slope(map_, at), torch.Generator().manual_seed(2)
    direction = torch.randn(at.shape, generator=generator)
    moved = slope.forward(direction)
    weights = torch.randn(moved.shape, generator=generator)
    one, other = float((moved * weights).sum()), float((direction * slope.backward(weights)).sum())
    assert one == pytest.approx(other, rel=1e-3, abs=1e-3 * float(moved.norm()))
    step = 2e-3
    with torch.no_grad():
        difference = (map_(at + step * direction) - map_(at - step * direction)) / (2 * step)
    assert float((difference - moved).norm() / moved.norm()) < 0.05, "the map bends by the square of the step"


def test_the_constants_of_an_embedding_move_nothing(sampler: Sampler) -> None:
    latents, embedding = tensors("holds")
    direction = torch.zeros_like(embedding)
    direction.view(-1)[[19, 681]] = 1.0
    assert not Slope(sampler.of_embedding(latents), embedding).forward(direction).any()
