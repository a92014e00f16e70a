"""In what precision a training computes. Torch; may import worker.engine.device."""

import torch

from worker.engine.device import has_bfloat16


def autocast(device: str) -> torch.autocast:
    """Within it, products are computed in bfloat16 where the device has instructions for it, else in float32.

    A processor without them only imitates bfloat16, and is the slower for it.
    """
    return torch.autocast(device, torch.bfloat16, enabled=device != "cpu" or has_bfloat16())
