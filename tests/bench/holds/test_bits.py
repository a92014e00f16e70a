"""bench.holds.bits: which bit of a key is which, and what is drawn anew."""

import numpy as np
import pytest

from bench.holds.bits import flipped, place_of, redrawn
from worker.catalogue.expansion import stacks_key
from worker.catalogue.key import BITS

KEY = stacks_key("bits", 1)


@pytest.mark.parametrize("bit", range(6))
def test_a_bit_of_the_steps_changes_the_steps_alone(bit: int) -> None:
    other = flipped(KEY, place_of("steps", 0, bit))
    assert abs(other.steps - KEY.steps) == 2 << (5 - bit)
    assert np.array_equal(other.embedding, KEY.embedding) and np.array_equal(other.latents, KEY.latents)


@pytest.mark.parametrize("field", ["embedding", "latents"])
@pytest.mark.parametrize(("bit", "ratio"), [(0, -1.0), (1, 2.0**8), (4, 2.0)])
def test_a_bit_of_a_number_changes_that_number_as_its_place_says(field: str, bit: int, ratio: float) -> None:
    number = 18  # before the first constant of an embedding, so that places in key and array are one
    other = flipped(KEY, place_of(field, number, bit))
    before, after = getattr(KEY, field).ravel().astype(float), getattr(other, field).ravel().astype(float)
    assert np.flatnonzero(before != after).tolist() == [number]
    assert after[number] / before[number] in (ratio, 1 / ratio)


def test_the_last_bit_of_the_latents_is_the_last_bit_of_the_key() -> None:
    assert place_of("latents", 16_639, 14) == BITS - 1


def test_only_the_lowest_bits_of_one_field_are_drawn_anew() -> None:
    other = redrawn(KEY, "latents", 2, np.random.default_rng(1))
    assert other.steps == KEY.steps and np.array_equal(other.embedding, KEY.embedding)
    apart = np.abs(other.latents.astype(float) / KEY.latents - 1)
    assert 0 < apart.max() < 4 / 1024
    assert (apart == 0).mean() == pytest.approx(0.25, abs=0.02), "a quarter of two bits falls as it was"
