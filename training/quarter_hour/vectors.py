"""A learner's parameters as one flat vector, its steps and its averages (torch, trainers.muon).

Parameters lie in the vector sorted by how they are stepped: first those of AdamW, then matrices of one shape side by
side, so that a step is a few large operations. Nothing in a step makes the host wait for the GPU.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from training.configs import FIXED
from training.trainers.muon import ADAM_RATE, is_inner_matrix, step_matrices, views

DEAF = [place for place, _ in FIXED]
"""Columns of an embedding that the U-Net reads as 0 in training: values of 30 stand there that no key holds."""


class Vectors:
    """The parameters of a network, their gradients and moments and power-function averages, each one flat vector."""

    def __init__(self, network: nn.Module, averages: tuple[float, ...]) -> None:
        named = sorted(network.named_parameters(), key=lambda item: _order(*item))
        self.names, parameters = [name for name, _ in named], [parameter for _, parameter in named]
        self._parameters = parameters
        self.now = torch.cat([_flat(parameter.data) for parameter in parameters])
        self.gradient, self._moment = torch.zeros_like(self.now), torch.zeros_like(self.now)
        for parameter, view, slope in zip(
            parameters, views(self.now, parameters), views(self.gradient, parameters), strict=True
        ):
            parameter.data, parameter.grad = view, slope
        self._matrices: list[tuple[slice, tuple[int, int, int]]] = []
        start = 0
        for (out, inner), count, size in _runs(named):
            part = slice(start, start + size)
            start = part.stop
            if out == 0:
                value = nn.Parameter(self.now[part])
                value.grad = self.gradient[part]
                on_gpu = self.now.is_cuda
                self._adam = torch.optim.AdamW([value], lr=0.0, betas=(0.9, 0.99), weight_decay=1e-2, fused=on_gpu)
            else:
                self._matrices.append((part, (count, out, inner)))
        self.averages = {width: self.now.clone() for width in averages}
        self._gammas = {width: power_of(width) for width in averages}
        self.step_number = 0
        self.skipped = torch.zeros((), device=self.now.device)

    @torch.no_grad()
    def step(self, rate: float, pieces: float) -> None:
        """Brings the gradient, a sum over `pieces`, to their mean and its norm down to 1 at most, and steps.

        A gradient that is not finite counts as 0: the step then goes on by its momentum alone, and is counted.
        """
        norm = self.gradient.norm() / pieces
        finite = torch.isfinite(norm)
        self.skipped += (~finite).float()
        scale = torch.where(finite, (1 / (norm + 1e-6)).clamp(max=1.0), 0.0) / pieces
        self.gradient.mul_(scale).masked_fill_(~finite, 0.0)
        for group in self._adam.param_groups:
            group["lr"] = rate * ADAM_RATE
        self._adam.step()
        for part, shape in self._matrices:
            vectors = (v[part].view(shape) for v in (self.now, self.gradient, self._moment))
            step_matrices(*vectors, rate=rate)
        self.step_number += 1
        for width, average in self.averages.items():
            average.lerp_(self.now, 1 - decay_at(self._gammas[width], self.step_number))

    def named(self, vector: Tensor) -> dict[str, Tensor]:
        """The parameters by name, as they stand in this vector."""
        return dict(zip(self.names, views(vector, self._parameters), strict=True))

    def load(self, weights: dict[str, Tensor]) -> None:
        """Takes over parameters by name; all averages begin there."""
        for name, view in self.named(self.now).items():
            if name in weights:
                view.copy_(weights[name])
        for average in self.averages.values():
            average.copy_(self.now)


def _order(name: str, parameter: nn.Parameter) -> tuple[int, int, str]:
    return (*_shape(name, parameter), name)


def _shape(name: str, parameter: nn.Parameter) -> tuple[int, int]:
    """(out, in) of a matrix that Muon steps, (0, 0) of everything else."""
    return (len(parameter), parameter[0].numel()) if is_inner_matrix(name, parameter) else (0, 0)


def _runs(named: list[tuple[str, nn.Parameter]]) -> list[tuple[tuple[int, int], int, int]]:
    """Shape, how many, and how many numbers in all, of each run of parameters that are stepped together."""
    found: list[tuple[tuple[int, int], int, int]] = []
    for name, parameter in named:
        shape, size = _shape(name, parameter), parameter.numel()
        if found and found[-1][0] == shape:
            found[-1] = (shape, found[-1][1] + 1, found[-1][2] + size)
        else:
            found.append((shape, 1, size))
    return found


def _flat(parameter: Tensor) -> Tensor:
    """A parameter's numbers in the order of `muon.views`."""
    return (parameter.permute(0, 2, 3, 1) if parameter.dim() == 4 else parameter).reshape(-1)


# -- averages whose width is a part of the training's length ----------------------------------------------------------


def power_of(width: float) -> float:
    """γ of the average with weights t^γ over steps 0 … t whose standard deviation is `width` of t.

    width² = (γ + 1) / ((γ + 2)² (γ + 3)) (Karras et al. 2024, "Analyzing and Improving the Training Dynamics of
    Diffusion Models", section 3.1).
    """
    inverse = width**-2
    roots = np.roots([1, 7, 16 - inverse, 12 - inverse])
    return float(np.real(roots[np.abs(np.imag(roots)) < 1e-9]).max())


def decay_at(gamma: float, step: int) -> float:
    """What is kept of the average at step 1, 2, …: (1 − 1 / step)^(γ + 1)."""
    return float((1 - 1 / step) ** (gamma + 1))
