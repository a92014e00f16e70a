"""U-Nets and VAEs of forms that our own layers do not know, computed by the classes of diffusers. May import torch.

They take the same arguments as our own, so that whoever calls them need not ask which of the two it has; their kernels
are "diffusers", and a rendition says so. They are slower: nothing is packed, and nothing is left out.
"""

from typing import Any

import torch
from torch import Tensor


class ForeignUNet:
    """Any UNet2DConditionModel that needs nothing but latents, timestep, text and guidance; see networks.unet.UNet."""

    def __init__(self, source: Any) -> None:
        self._source = source

    def read(self, states: Tensor) -> Tensor:
        """The texts' embeddings (B, M, 768) as they are: this class reads them again at every step."""
        return states

    def __call__(self, latents: Tensor, timestep: Tensor, text: Tensor, guidance: Tensor | None = None) -> Tensor:
        """The prediction for as many rows as there are texts: B, or 2B where each page's latents go with two texts."""
        if len(text) != len(latents):
            latents = torch.cat([latents, latents])
        if guidance is not None:
            guidance = guidance.expand(len(text), -1)
        output: Tensor = self._source(latents, timestep, text, timestep_cond=guidance, return_dict=False)[0]
        return output


class ForeignPainter:
    """The decoder of a VAE by its own class: latents (B, 4, h, w) to a picture (B, 3, 8h, 8w) in about −1 … 1."""

    def __init__(self, vae: Any) -> None:
        self._vae = vae

    def __call__(self, x: Tensor) -> Tensor:
        picture: Tensor = self._vae.decode(x, return_dict=False)[0]
        return picture
