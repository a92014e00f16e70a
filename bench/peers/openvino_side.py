"""OpenVINO as a side of the bench: a diffusers U-Net converted from torch, with the same weights, in float32.

The package is installed for the bench alone (requirements-bench.txt). May import torch and OpenVINO.
"""

import importlib
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

Evaluate = Callable[[], npt.NDArray[np.float32]]


class _Positional(nn.Module):
    """The U-Net with its three inputs by position, as the converter calls it, and the bare tensor as its answer."""

    def __init__(self, unet: Any) -> None:
        super().__init__()
        self.unet = unet

    def forward(self, latents: Tensor, timestep: Tensor, states: Tensor) -> Tensor:
        """(B, 4, h, w), (), (B, 77, 768) → (B, 4, h, w)."""
        output: Tensor = self.unet(latents, timestep, encoder_hidden_states=states, return_dict=False)[0]
        return output


def prepare(unet: Any, inputs: tuple[Tensor, Tensor, Tensor], threads: int) -> tuple[str, Evaluate]:
    """OpenVINO's version, and a call that evaluates the U-Net on its inputs and returns the prediction (B, 4, h, w).

    The inputs are latents (B, 4, h, w), a timestep () and the texts' embeddings (B, 77, 768). Raises ImportError where
    the package is not installed, or has not been built for this machine.
    """
    openvino: Any = importlib.import_module("openvino")  # by name: type checks run where it is not installed, too
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the tracer, about each `if` in diffusers
        model = openvino.convert_model(
            _Positional(unet), example_input=inputs, input=[tuple(part.shape) for part in inputs]
        )
    settings = {
        "INFERENCE_NUM_THREADS": threads,
        "INFERENCE_PRECISION_HINT": "f32",  # it would take bfloat16 where the processor has it
        "PERFORMANCE_HINT": "LATENCY",
    }
    request = openvino.compile_model(model, "CPU", settings).create_infer_request()
    arrays = [part.numpy() for part in inputs]

    def evaluate() -> npt.NDArray[np.float32]:
        answer: npt.NDArray[np.float32] = request.infer(arrays)[0]
        return answer

    return str(openvino.__version__).partition("-")[0], evaluate
