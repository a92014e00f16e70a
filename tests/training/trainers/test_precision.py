"""training.trainers.precision: bfloat16 where the processor has it, float32 where it would only imitate it."""

import pytest
import torch

from training.trainers import precision


@pytest.mark.parametrize(("has", "dtype"), [(True, torch.bfloat16), (False, torch.float32)])
def test_a_cpu_computes_in_what_it_has_instructions_for(has: bool, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(precision, "has_bfloat16", lambda: has)
    with precision.autocast("cpu"):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == dtype
