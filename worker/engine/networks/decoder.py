"""The VAE: from latents to pixels, and back for an initial picture. May import torch and the modules it names below.

The way back is the VAE's own class as it is, since it runs once for a picture that somebody gives. The way to pixels
runs for every page, so it is written out here in the layers of networks.kernels: for diffusers' AutoencoderKL (the form
of Stable Diffusion 1.5's) and for our PocketAutoencoder. Another form of AutoencoderKL, and AutoencoderTiny (TAESD), is
computed by its own class (networks.foreign). Nothing needs a map after the residual sum that follows it, so
these sums overwrite it: at full size a map of 128 channels has 68 MB in bfloat16, and a fresh one costs as much in page
faults as a pass over it.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from worker.catalogue.key import LATENTS_SHAPE
from worker.engine.networks.autoencoder import PocketAutoencoder, ResidualBlock
from worker.engine.networks.foreign import ForeignPainter
from worker.engine.networks.kernels import (
    Conv,
    GroupNorm,
    Kernels,
    Linear,
    UpsampledConv,
    attention,
    choose_kernels,
    split_heads,
)
from worker.errors import WeightsRefused


class Decoder:
    """Latents ↔ 8-bit pictures, in one batch shape."""

    def __init__(self, vae: Any, batch: int, device: torch.device, dtype: torch.dtype) -> None:
        """Take a VAE; its latents' scale is read from its configuration.

        Its decoder's weights move into our own layers where they know its form, and only its encoder can be used
        afterwards. Raises WeightsRefused where its latents are not made by a scale alone.
        """
        self.batch, self.device, self.dtype = batch, device, dtype
        kernels = choose_kernels(device, dtype)
        self.kernels: Kernels = kernels if _is_our_form(vae) else "diffusers"
        """How the VAE is run; part of the rendition."""
        self._scale = float(vae.config.scaling_factor)
        self._vae = vae.requires_grad_(False).eval().to(device)
        self._together = 1 if device.type == "cpu" else batch
        """Pages of one call of the VAE; on a CPU each is computed alone, for the reason given in networks.denoiser."""
        shape = (self._together, *LATENTS_SHAPE)
        self._paint: Callable[[Tensor], Tensor]
        if self.kernels == "diffusers":
            self._paint = ForeignPainter(self._vae)
        elif isinstance(vae, PocketAutoencoder):
            self._paint = _PocketPainter(self._vae, kernels, shape)
        else:
            self._paint = _Painter(self._vae, kernels, shape)

    @torch.inference_mode()
    def decode(self, latents: Tensor) -> tuple[Tensor, Tensor]:
        """Pixels, uint8 (B, 8h, 8w, 3), of latents (B, 4, h, w), float32; all on the device.

        The second tensor, bool (B,), says of each picture whether every number that it was rounded from was finite. In
        half precision a decoder may overflow where the loop did not, and rounding would turn that into a black page.
        """
        parts = [self._decode(part) for part in latents.split(self._together)]
        return torch.cat([pixels for pixels, _ in parts]), torch.cat([finite for _, finite in parts])

    def _decode(self, latents: Tensor) -> tuple[Tensor, Tensor]:
        scaled = (latents / self._scale).to(self.dtype).contiguous(memory_format=torch.channels_last)
        picture = self._paint(scaled).permute(0, 2, 3, 1).float()  # (B, 8h, 8w, 3), −1 … 1
        finite = torch.isfinite(picture).all(dim=3).all(dim=2).all(dim=1)  # (B,)
        return picture.mul_(127.5).add_(127.5).round_().clamp_(0, 255).to(torch.uint8).contiguous(), finite

    @torch.inference_mode()
    def encode(self, pictures: Tensor) -> Tensor:
        """Latents, float32 (B, 4, h, w), of pixels, uint8 (B, 8h, 8w, 3): the mode of what the encoder finds likely."""
        return torch.cat([self._encode(part) for part in pictures.split(self._together)])

    def _encode(self, pictures: Tensor) -> Tensor:
        scaled = (pictures.permute(0, 3, 1, 2).float() / 127.5 - 1.0).to(self.dtype)  # (B, 3, 8h, 8w)
        found = self._vae.encode(scaled.contiguous(memory_format=torch.channels_last))
        latents: Tensor = found.latents if hasattr(found, "latents") else found.latent_dist.mode()
        return latents.float() * self._scale  # (B, 4, h, w)


class _Painter:
    """The decoder of an AutoencoderKL: latents (B, 4, h, w), unscaled, to a picture (B, 3, 8h, 8w) in about −1 … 1."""

    def __init__(self, vae: Any, kernels: Kernels, shape: tuple[int, int, int, int]) -> None:
        source = vae.decoder
        rows, _, h, w = shape
        self._layers: list[Callable[[Tensor], Tensor]] = []
        if vae.post_quant_conv is not None:
            self._layers.append(Conv(vae.post_quant_conv, kernels, shape))
        before, after = source.mid_block.resnets
        (attend,) = source.mid_block.attentions
        self._layers += [
            Conv(source.conv_in, kernels, shape),
            _Resnet(before, kernels, (rows, h, w)),
            _Attention(attend, kernels),
            _Resnet(after, kernels, (rows, h, w)),
        ]
        for block in source.up_blocks:
            self._layers += [_Resnet(resnet, kernels, (rows, h, w)) for resnet in block.resnets]
            if block.upsamplers is not None:
                (sampler,) = block.upsamplers
                self._layers.append(UpsampledConv(sampler.conv, kernels, (rows, sampler.conv.in_channels, h, w)))
                h, w = 2 * h, 2 * w
        self._norm = GroupNorm(source.conv_norm_out, silu=True)
        self._leave = Conv(source.conv_out, kernels, (rows, source.conv_out.in_channels, h, w))
        del vae.decoder, vae.post_quant_conv

    def __call__(self, x: Tensor) -> Tensor:
        for layer in self._layers:
            x = layer(x)
        return self._leave(self._norm(x))


class _Resnet:
    """x + conv(silu(norm(conv(silu(norm(x)))))), with a 1×1 convolution of x where C changes; overwrites x."""

    def __init__(self, source: Any, kernels: Kernels, size: tuple[int, int, int]) -> None:
        rows, h, w = size
        self._norm1, self._norm2 = GroupNorm(source.norm1, silu=True), GroupNorm(source.norm2, silu=True)
        self._conv1 = Conv(source.conv1, kernels, (rows, source.conv1.in_channels, h, w))
        self._conv2 = Conv(source.conv2, kernels, (rows, source.conv2.in_channels, h, w))
        shortcut = source.conv_shortcut
        self._shortcut = shortcut and Conv(shortcut, kernels, (rows, shortcut.in_channels, h, w))

    def __call__(self, x: Tensor) -> Tensor:
        y = self._norm2(self._conv1(self._norm1(x)))
        return self._conv2(y, add=x if self._shortcut is None else self._shortcut(x))


class _Attention:
    """Every place of a map asks every other, in one head. Overwrites x (B, C, h, w) with its sum with the answer."""

    def __init__(self, source: Any, kernels: Kernels) -> None:
        self._kernels, self._heads = kernels, source.heads
        self._norm = GroupNorm(source.group_norm)
        parts = (source.to_q, source.to_k, source.to_v, source.to_out[0])
        self._q, self._k, self._v, self._leave = (Linear(part.weight, part.bias, kernels) for part in parts)

    def __call__(self, x: Tensor) -> Tensor:
        tokens = self._norm(x).permute(0, 2, 3, 1).flatten(1, 2)  # (B, N, C)
        q, k, v = (split_heads(part(tokens), self._heads) for part in (self._q, self._k, self._v))
        answer = self._leave(attention(q, k, v, self._kernels))  # (B, N, C)
        return x.add_(answer.unflatten(1, x.shape[2:]).permute(0, 3, 1, 2))


def _is_our_form(vae: Any) -> bool:
    """Whether our own layers know every part of a VAE's decoder. Raises WeightsRefused where no class may run it."""
    if isinstance(vae, PocketAutoencoder):
        return True
    for name in ("shift_factor", "latents_mean"):
        if vae.config.get(name):
            raise WeightsRefused(
                f"The VAE's {name} is {vae.config.get(name)} and should not be there: the latents of Stable Diffusion"
                " 1.x have a scale alone."
            )
    return (
        type(vae).__name__ == "AutoencoderKL"
        and vae.config.act_fn == "silu"
        and set(vae.config.up_block_types) == {"UpDecoderBlock2D"}
        and bool(vae.config.get("mid_block_add_attention", True))
    )


class _PocketPainter:
    """The decoder of a PocketAutoencoder: latents (B, 4, h, w) to a picture (B, 3, 8h, 8w) in about −1 … 1."""

    def __init__(self, vae: PocketAutoencoder, kernels: Kernels, shape: tuple[int, int, int, int]) -> None:
        rows, _, h, w = shape
        self._mean, self._std = vae.latent_mean, vae.latent_std
        self._layers: list[Callable[[Tensor], Tensor]] = []
        for source in vae.decoder:
            if isinstance(source, nn.Conv2d):
                self._layers.append(Conv(source, kernels, (rows, source.in_channels, h, w)))
            elif isinstance(source, ResidualBlock):
                self._layers.append(_PocketResnet(source, kernels, (rows, source.conv1.in_channels, h, w)))
            elif isinstance(source, nn.PixelShuffle):
                self._layers.append(_Unfold(source.upscale_factor))
                h, w = h * source.upscale_factor, w * source.upscale_factor
            elif isinstance(source, nn.SiLU):
                self._layers.append(F.silu)
            else:
                raise WeightsRefused(f"The VAE's decoder has a {type(source).__name__}, which the press cannot run.")
        del vae.decoder

    def __call__(self, x: Tensor) -> Tensor:
        x = x * self._std + self._mean
        for layer in self._layers:
            x = layer(x)
        return x


class _PocketResnet:
    """x + gain · conv(silu(conv(silu(x)))), the gain multiplied into the second convolution. Overwrites x."""

    def __init__(self, source: ResidualBlock, kernels: Kernels, shape: tuple[int, int, int, int]) -> None:
        self._conv1 = Conv(source.conv1, kernels, shape, silu=True)
        gain = source.gain.detach().float().reshape(-1)  # (C,)
        weight, bias = source.conv2.weight, source.conv2.bias
        assert bias is not None
        last = nn.Conv2d(gain.numel(), gain.numel(), 3, padding=1, device="meta")
        last.weight = nn.Parameter((weight.float() * gain[:, None, None, None]).to(weight.dtype), requires_grad=False)
        last.bias = nn.Parameter((bias.float() * gain).to(bias.dtype), requires_grad=False)
        self._conv2 = Conv(last, kernels, shape)

    def __call__(self, x: Tensor) -> Tensor:
        return self._conv2(self._conv1(F.silu(x)), add=x)


class _Unfold:
    """Pixel shuffle that keeps a map channels-last: (B, C · s², h, w) → (B, C, s · h, s · w)."""

    def __init__(self, scale: int) -> None:
        self._scale = scale

    def __call__(self, x: Tensor) -> Tensor:
        rows, _, h, w = x.shape
        s = self._scale
        parts = x.permute(0, 2, 3, 1).reshape(rows, h, w, -1, s, s)  # (B, h, w, C, s, s)
        return parts.permute(0, 1, 4, 2, 5, 3).reshape(rows, h * s, w * s, -1).permute(0, 3, 1, 2)
