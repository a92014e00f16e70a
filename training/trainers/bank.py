"""Banks of training examples: latents and caption embeddings in memory that all workers share (torch, scenes, text).

An example's kind and number decide everything about it, so a bank's contents follow from the step and the number of
workers, however often the training was killed. The oldest examples are replaced by the next ones as a stage goes; every
stage begins with example 0 again, so stages of one kind share their first examples, unless they show
other subjects oftener.
"""

from __future__ import annotations

import mmap
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from training.scenes.illustrator import SHAPES, Illustrator
from training.trainers.autoencoder import to_model
from training.trainers.precision import autocast
from training.trainers.text_encoder import embed, keep_noise
from worker.engine.networks.autoencoder import PocketAutoencoder


def shared(shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
    """Zeros that child processes share with this one, without a file."""
    count = int(np.prod(shape))
    size = torch.empty(0, dtype=dtype).element_size()
    return torch.frombuffer(mmap.mmap(-1, max(1, count * size)), dtype=dtype, count=count).view(shape)


class Bank:
    """`size` examples of one kind, in shared memory.

    Latents (size, 4, h, w) and embeddings (size, 77, 768) in float16, and which latents a subject touches
    (size, h, w) in uint8.
    """

    def __init__(
        self, illustrator: Illustrator, size: int, vae: PocketAutoencoder, encoder: Any, tokenizer: Any, device: str
    ) -> None:
        self.illustrator, self.size, self.device = illustrator, size, device
        self.vae, self.encoder, self.tokenizer = vae, encoder, tokenizer
        keep_noise(illustrator.source, tokenizer)
        h, w = SHAPES[illustrator.kind]
        self.latents = shared((size, 4, h, w), torch.float16)
        self.embeddings = shared((size, 77, 768), torch.float16)
        self.subjects = shared((size, h, w), torch.uint8)

    @torch.no_grad()
    def put(self, numbers: list[int]) -> None:
        """Draws, encodes and keeps the examples of these numbers; number n lies in slot n mod size."""
        for start in range(0, len(numbers), 8):
            part = numbers[start : start + 8]
            drawn = [self.illustrator.draw(n) for n in part]
            x = to_model(np.stack([example.pixels for example in drawn])).to(self.device)
            with autocast(self.device):
                latents = self.vae.encode(x).latents  # type: ignore[union-attr]
            slots = [n % self.size for n in part]
            self.latents[slots] = latents.to("cpu", torch.float16)
            self.embeddings[slots] = torch.from_numpy(
                embed(self.encoder, self.tokenizer, [example.text for example in drawn], self.device)
            )
            where = torch.from_numpy(np.stack([example.subjects for example in drawn])).float()
            self.subjects[slots] = F.max_pool2d(where, 8).to(torch.uint8)

    def take(self, rng: np.random.Generator, number: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """`number` examples at random in float32: latents, embeddings, and 1 where a subject is, (B, 1, h, w)."""
        chosen = torch.from_numpy(rng.integers(0, self.size, number))
        where = self.subjects[chosen].float()[:, None]
        return self.latents[chosen].float(), self.embeddings[chosen].float(), where
