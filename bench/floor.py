"""The floor under a guided evaluation: what its multiplications cost where nothing else does. Imports torch alone.

The floor is the number of floating-point operations of the U-Net's convolutions and linear layers, as diffusers writes
the model, over the rate at which this processor multiplies two large matrices in the same run. Norms, attention and
memory come on top of it; arithmetic that is left out (see networks.unet) goes below it.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from bench.timing import clock

SIDE = 4096
WORK = 2 * SIDE**3
"""Floating-point operations of one product of two matrices SIDE × SIDE."""


def large_product() -> Callable[[], object]:
    """A product of two float32 matrices (4096, 4096) by the faster of the two libraries that torch has for it."""
    generator = torch.Generator().manual_seed(1)
    a, b = (torch.randn(SIDE, SIDE, generator=generator) for _ in range(2))
    ways: list[Callable[[], object]] = [lambda: torch.mm(a, b)]  # MKL, mostly
    if torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise"):
        onednn: Any = torch.ops.mkldnn
        packed = onednn._reorder_linear_weight(b)
        ways.append(lambda: onednn._linear_pointwise(a, packed, None, "none", [], ""))
    for way in ways:
        way()
    return min(ways, key=clock)


def count_operations(call: Callable[[], object]) -> int:
    """Floating-point operations of the convolutions and matrix products that torch runs in a call.

    torch's counter knows neither attention on a CPU (3 % of pocket-1's operations) nor oneDNN's packed layers.
    """
    with FlopCounterMode(display=False) as counter:
        call()
    return int(counter.get_total_flops())
