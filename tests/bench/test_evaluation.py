"""bench.evaluation: sides that compute another model end the bench."""

import pytest
import torch

from bench import evaluation


def test_sides_that_agree_are_told_by_how_much():
    assert evaluation._difference(torch.tensor([0.0, 1.0]), torch.tensor([0.0, 1.0 + 2**-12])) == 2**-12


@pytest.mark.parametrize("value", [1.1, float("nan")])
def test_sides_that_compute_another_model_end_the_bench(value):
    with pytest.raises(SystemExit, match="different models"):
        evaluation._difference(torch.tensor([0.0, 1.0]), torch.tensor([0.0, value]))
