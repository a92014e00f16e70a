"""The VAE: from latents to pixels, and back for an initial picture. May import torch."""

from typing import Any

import torch
from torch import Tensor


class Decoder:
    """Latents ↔ 8-bit pictures, in one batch shape."""

    kernels = "eager"
    """How the VAE is run; part of the rendition."""

    def __init__(self, vae: Any, batch: int, device: torch.device, dtype: torch.dtype) -> None:
        """Take a VAE of the diffusers kind; its latents' scale is read from its configuration."""
        self.batch, self.device, self.dtype = batch, device, dtype
        self._vae = vae.requires_grad_(False).eval().to(device).to(memory_format=torch.channels_last)
        self._scale = float(vae.config.scaling_factor)

    @torch.inference_mode()
    def decode(self, latents: Tensor) -> Tensor:
        """Pixels, uint8 (B, 8h, 8w, 3), of latents (B, 4, h, w), float32; both on the device."""
        scaled = (latents / self._scale).to(self.dtype).contiguous(memory_format=torch.channels_last)
        picture: Tensor = self._vae.decode(scaled, return_dict=False)[0]  # (B, 3, 8h, 8w), −1 … 1
        return (
            (picture.float() * 127.5 + 127.5).round_().clamp_(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous()
        )

    @torch.inference_mode()
    def encode(self, pictures: Tensor) -> Tensor:
        """Latents, float32 (B, 4, h, w), of pixels, uint8 (B, 8h, 8w, 3): the mode of what the encoder finds likely."""
        scaled = (pictures.permute(0, 3, 1, 2).float() / 127.5 - 1.0).to(self.dtype)  # (B, 3, 8h, 8w)
        found = self._vae.encode(scaled.contiguous(memory_format=torch.channels_last))
        latents: Tensor = found.latents if hasattr(found, "latents") else found.latent_dist.mode()
        return latents.float() * self._scale  # (B, 4, h, w)
