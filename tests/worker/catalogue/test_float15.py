"""15-bit floats: rounding, clamping, signs, and the vectors that every implementation must meet."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import ROOT
from worker.catalogue.float15 import EMBEDDING, LATENTS, Float15

VECTORS = json.loads((ROOT / "tests" / "vectors" / "float15.json").read_text())
GRIDS = pytest.mark.parametrize("grid", [EMBEDDING, LATENTS], ids=["embedding", "latents"])
CODES = np.arange(1 << 15, dtype=np.uint16)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: str(v["value"]))
def test_it_meets_the_vector(vector: dict[str, float]) -> None:
    value = float(vector["value"])
    for grid, name in ((EMBEDDING, "embedding"), (LATENTS, "latent")):
        assert int(grid.encode([value])[0]) == vector[f"{name}_code"]
        assert float(grid.decode(np.array([vector[f"{name}_code"]]))[0]) == vector[f"{name}_value"]


@GRIDS
def test_every_code_is_a_value_of_its_own_and_comes_back(grid: Float15) -> None:
    values = grid.decode(CODES)
    assert len(set(values.tolist())) == len(CODES)
    assert np.isfinite(values).all() and (values != 0).all()
    assert np.array_equal(grid.encode(values), CODES)


@GRIDS
def test_the_value_of_a_code_is_the_formula_of_the_design(grid: Float15) -> None:
    sign, exponent, fraction = CODES >> 14, (CODES >> 10) & 15, CODES & 1023
    exact = (1 - 2.0 * sign) * (1 + fraction / 1024) * 2.0 ** (exponent + float(grid.e_min))
    assert np.array_equal(grid.decode(CODES).astype(np.float64), exact)


@GRIDS
def test_halfway_between_two_values_the_even_fraction_wins(grid: Float15) -> None:
    values = grid.decode(CODES[: 1 << 14]).astype(np.float64)
    halves = (values[:-1] + values[1:]) / 2
    assert (grid.encode(halves) % 2 == 0).all()


@GRIDS
@given(value=st.floats(allow_nan=False, width=64))
def test_a_value_goes_to_the_nearest_of_the_grid(grid: Float15, value: float) -> None:
    found = float(grid.snap([value])[0])
    magnitudes = grid.decode(CODES[: 1 << 14]).astype(np.float64)
    nearest = magnitudes[np.argmin(np.abs(magnitudes - min(abs(value), grid.largest)))]
    distance = abs(abs(found) - min(abs(value), grid.largest))
    assert distance <= abs(nearest - min(abs(value), grid.largest))
    assert np.signbit(found) == np.signbit(value)


@GRIDS
def test_it_refuses_nan(grid: Float15) -> None:
    with pytest.raises(ValueError, match="no 15-bit float for NaN"):
        grid.encode([1.0, np.nan])


@GRIDS
def test_infinity_is_the_largest_magnitude_and_zero_the_smallest(grid: Float15) -> None:
    found = grid.snap([np.inf, -np.inf, 0.0, -0.0, 1e-300, -1e-300]).tolist()
    large, small = grid.largest, grid.smallest
    assert found == [large, -large, small, -small, small, -small]
