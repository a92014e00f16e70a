"""Previews: a small picture of latents by one matrix, far cheaper than the VAE. May import torch and editions.edition.

A VAE's latents are nearly colours already: RGB ≈ bias + latents · matrix, pixel by pixel at an eighth of the size
(K. Lewis, "Decoding latents to RGB without upscaling", Hugging Face forum, 2022). The matrix is the edition's, or is
fitted by least squares to what its VAE makes of given latents.
"""

import hashlib

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from worker.editions.edition import PreviewMatrix


class Previewer:
    """Latents (B, 4, h, w) → 8-bit RGB (B, h, w, 3), computed on the latents' device."""

    def __init__(self, matrix: PreviewMatrix, device: torch.device) -> None:
        # From −1 … 1 to 0 … 255 in the same matrix; the channels of a picture stand last, those of latents first.
        self._matrix = 127.5 * torch.tensor(matrix.matrix, dtype=torch.float32, device=device)  # (4, 3)
        self._bias = 127.5 + 127.5 * torch.tensor(matrix.bias, dtype=torch.float32, device=device)  # (3,)

    def __call__(self, latents: Tensor) -> Tensor:
        """The picture, uint8 (B, h, w, 3), still on the device."""
        rgb = torch.addmm(self._bias, latents.permute(0, 2, 3, 1).reshape(-1, 4), self._matrix)  # (B·h·w, 3)
        shape = (latents.shape[0], *latents.shape[2:], 3)
        return rgb.round_().clamp_(0, 255).to(torch.uint8).reshape(shape)


def fit_preview(latents: npt.NDArray[np.floating], pictures: npt.NDArray[np.uint8]) -> PreviewMatrix:
    """The matrix that comes nearest to `pictures` (N, 8h, 8w, 3) of `latents` (N, 4, h, w), by least squares.

    A picture is averaged over 8×8 pixels first. Real pictures' latents fit best; noise will do.
    """
    count, _, height, width = latents.shape
    cells = pictures.reshape(count, height, 8, width, 8, 3).mean(axis=(2, 4), dtype=np.float64)  # (N, h, w, 3)
    colours = cells.reshape(-1, 3) / 127.5 - 1.0
    values = latents.transpose(0, 2, 3, 1).reshape(-1, 4).astype(np.float64)
    design = np.concatenate([values, np.ones((len(values), 1))], axis=1)  # (N·h·w, 5)
    solution = np.linalg.lstsq(design, colours, rcond=None)[0]  # (5, 3)
    rows = [(float(r), float(g), float(b)) for r, g, b in solution]
    return PreviewMatrix(tuple(rows[:4]), rows[4])


def probe_latents(count: int, height: int = 52, width: int = 80) -> npt.NDArray[np.float32]:
    """Latents (count, 4, height, width) to fit a preview to where no pictures are at hand: patches of plain colours.

    4×4 patches, so that a VAE sees areas and not noise; the values, in −2 … 2, are the bytes of a SHAKE-256.
    """
    patches = (count, 4, height // 4, width // 4)
    stream = hashlib.shake_256(b"babelia/1/preview").digest(int(np.prod(patches)))
    values = np.frombuffer(stream, np.uint8).reshape(patches).astype(np.float32) / 63.75 - 2.0
    return values.repeat(4, axis=2).repeat(4, axis=3)
