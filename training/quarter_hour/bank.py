"""The growing bank on the training's device: latents, labels and captions of what the renderers drew (torch).

An embedding takes 118 KB and a crop's latents 5, so captions are kept as tokens and embedded when they are used.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from numpy.typing import NDArray
from torch import Tensor

from training.plans import Kind
from training.quarter_hour.networks import Autoencoder, TextEncoder
from training.quarter_hour.renderers import Chunk
from training.quarter_hour.tokens import ROWS
from training.quarter_hour.vectors import DEAF
from training.scenes.illustrator import SHAPES

_SMALLEST, _LARGEST = 2.0**-12, 16 - 2.0**-7
"""Least and greatest magnitude of an embedding's values in a key (worker.catalogue.float15.EMBEDDING)."""


class Batch(NamedTuple):
    """latents (B, 4, h, w) and where (B, 1, h, w) in float32, tokens (B, 77), things (B, h, w), places (B, 2, h, w)."""

    latents: Tensor
    tokens: Tensor
    where: Tensor
    things: Tensor
    places: Tensor


class Bank:
    """Room for `size` examples of one kind; the oldest make room for new ones."""

    def __init__(self, kind: Kind, size: int, vae: Autoencoder, device: str, bf16: bool) -> None:
        self.kind, self.size, self.vae, self.device, self.bf16 = kind, size, vae, device, bf16
        h, w = SHAPES[kind]
        self._latents = torch.zeros((size, 4, h, w), dtype=torch.float16, device=device)
        self._where = torch.zeros((size, h, w), dtype=torch.uint8, device=device)
        self._things = torch.zeros((size, h, w), dtype=torch.int16, device=device)
        self._places = torch.zeros((size, 2, h, w), dtype=torch.uint8, device=device)
        self._tokens = torch.zeros((size, ROWS), dtype=torch.int16, device=device)
        self.made, self.used = 0, 0

    @torch.no_grad()
    def put(self, chunk: Chunk) -> None:
        """Encodes and keeps a chunk; copies all that it needs of it."""
        pixels = self._sent(chunk.pixels).permute(0, 3, 1, 2).float() / 127.5 - 1
        with torch.autocast(self.device, torch.bfloat16, enabled=self.bf16):
            latents = self.vae.encode(pixels.contiguous(memory_format=torch.channels_last))
        slots = torch.arange(self.made, self.made + len(chunk), device=self.device) % self.size
        self._latents[slots] = latents.to(torch.float16)
        self._where[slots], self._things[slots] = self._sent(chunk.subjects), self._sent(chunk.things)
        self._places[slots], self._tokens[slots] = self._sent(chunk.places), self._sent(chunk.tokens)
        self.made += len(chunk)

    def _sent(self, array: NDArray[Any]) -> Tensor:
        """A copy of the array on the device; through pinned memory, so that the host need not wait for the GPU."""
        tensor = torch.from_numpy(array)
        return tensor.pin_memory().to(self.device, non_blocking=True) if self.device == "cuda" else tensor.clone()

    def take(self, number: int, generator: torch.Generator) -> Batch:
        """Examples at random."""
        chosen = torch.randint(min(self.made, self.size), (number,), generator=generator, device=self.device)
        self.used += number
        return Batch(
            self._latents[chosen].float(), self._tokens[chosen].long(), self._where[chosen].float()[:, None],
            self._things[chosen], self._places[chosen],
        )  # fmt: skip

    @property
    def uses(self) -> float:
        """How often each example has been used so far."""
        return self.used / max(1, self.made)


@torch.no_grad()
def embed(encoder: TextEncoder, tokens: Tensor) -> Tensor:
    """Embeddings (B, 77, 768) float32 on the key's grid, as the press sees them up to rounding, DEAF columns at 0."""
    states = encoder(tokens).to(torch.float16).float()
    states = states.abs().clamp(_SMALLEST, _LARGEST) * torch.where(states < 0, -1.0, 1.0)
    states[..., DEAF] = 0
    return states


def spread(number: int, tilt: float, below: int, generator: torch.Generator) -> Tensor:
    """Timesteps (B,), evenly spread over the batch: `below` · u^tilt with u uniform."""
    device = generator.device
    even = (torch.rand(1, generator=generator, device=device) + torch.arange(number, device=device) / number) % 1
    return (even**tilt * below).long().clamp(max=below - 1)
