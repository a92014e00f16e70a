"""The three networks of an edition in plain torch: U-Net, autoencoder, text encoder. Imports torch and nothing else.

A machine with a GPU that is lent for minutes has torch and perhaps nothing beside it, so nothing here needs diffusers
or transformers. Every parameter has the name and the shape that it has in their classes (UNet2DConditionModel,
CLIPTextModel) and in our PocketAutoencoder: a state dictionary fits both ways, and the tests hold the outputs equal.

Shapes: B rows, C channels, h × w places, N = h · w tokens, M = 77 tokens of text.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_NORM_OF_TRANSFORMER = 1e-6  # its group norm's ε in diffusers; all others have 1e-5


class Seen(NamedTuple):
    """What the U-Net computes on the way: its prediction (B, 4, h, w), and the features that heads can read.

    `middle` (B, C, h/4, w/4) leaves the middle block; `up` are those of each block on the way up, coarse to fine,
    before its map is made larger.
    """

    prediction: Tensor
    middle: Tensor
    up: list[Tensor]


class Unet(nn.Module):
    """diffusers' UNet2DConditionModel in the one form of our editions: attention at the coarsest size only.

    (noised latents (B, 4, h, w), timesteps (B,), embeddings (B, M, 768)) → Seen. h and w are multiples of
    2 ** (sizes − 1).
    """

    def __init__(self, channels: Sequence[int], layers: int, heads: int, groups: int = 8, text: int = 768) -> None:
        super().__init__()
        self.channels = tuple(channels)
        first, last, time = channels[0], channels[-1], 4 * channels[0]
        self.conv_in = nn.Conv2d(4, first, 3, padding=1)
        self.time_embedding = _Time(first, time)
        skips, before = [first], first
        self.down_blocks = nn.ModuleList()
        for level, width in enumerate(channels):
            widths = [(before if layer == 0 else width, width) for layer in range(layers)]
            ends = level == len(channels) - 1
            self.down_blocks.append(_Block(widths, time, groups, heads if ends else 0, text, None if ends else "down"))
            skips += [width] * (layers if ends else layers + 1)
            before = width
        self.mid_block = _Block([(last, last), (last, last)], time, groups, heads, text, None, middle=True)
        self.up_blocks = nn.ModuleList()
        for level, width in enumerate(reversed(channels)):
            widths = []
            for _ in range(layers + 1):
                widths.append((before + skips.pop(), width))
                before = width
            ends = level == len(channels) - 1
            self.up_blocks.append(_Block(widths, time, groups, 0 if level else heads, text, None if ends else "up"))
        self.conv_norm_out = nn.GroupNorm(groups, first)
        self.conv_out = nn.Conv2d(first, 4, 3, padding=1)

    def forward(self, sample: Tensor, timestep: Tensor, states: Tensor) -> Seen:
        """See the class."""
        time = F.silu(self.time_embedding(timestep))  # (B, 4C); every residual block begins with this SiLU
        x = self.conv_in(sample)
        skips = [x]
        for block in self.down_blocks:
            x, passed, _ = block(x, time, states, None)
            skips += passed
        x, _, middle = self.mid_block(x, time, states, None)
        up = []
        for block in self.up_blocks:
            x, _, features = block(x, time, states, skips)
            up.append(features)
        prediction = self.conv_out(F.silu(self.conv_norm_out(x)))
        return Seen(prediction, middle, up)


class _Time(nn.Module):
    """Timesteps (B,) → (B, 4C): cosines and sines of C/2 frequencies (Vaswani et al. 2017), then two linear layers."""

    def __init__(self, width: int, out: int) -> None:
        super().__init__()
        self.linear_1, self.linear_2 = nn.Linear(width, out), nn.Linear(out, out)
        frequencies = torch.exp(-math.log(10_000) * torch.arange(width // 2, dtype=torch.float32) / (width // 2))
        self.frequencies: Tensor
        self.register_buffer("frequencies", frequencies, persistent=False)

    def forward(self, timestep: Tensor) -> Tensor:
        angles = timestep[:, None].float() * self.frequencies
        embedded: Tensor = self.linear_2(F.silu(self.linear_1(torch.cat([angles.cos(), angles.sin()], -1))))
        return embedded


class _Block(nn.Module):
    """Residual blocks of one size, each with a transformer behind it where there are `heads`; a step down or up."""

    def __init__(
        self, widths: Sequence[tuple[int, int]], time: int, groups: int, heads: int, text: int, then: str | None,
        middle: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        self.resnets = nn.ModuleList([_Resnet(i, o, time, groups) for i, o in widths])
        self.middle, out = middle, widths[-1][1]
        if heads:
            count = len(widths) - 1 if middle else len(widths)
            self.attentions = nn.ModuleList([_Transformer(out, heads, groups, text) for _ in range(count)])
        if then == "down":
            self.downsamplers = nn.ModuleList([_Sampler(out, stride=2)])
        if then == "up":
            self.upsamplers = nn.ModuleList([_Sampler(out, stride=1)])

    def forward(
        self, x: Tensor, time: Tensor, states: Tensor, skips: list[Tensor] | None
    ) -> tuple[Tensor, list[Tensor], Tensor]:
        """The map after the block, what it passes to the way up, and its features before the step down or up.

        On the way up it takes its `skips` off the end of the list.
        """
        passed = []
        own: Any = self
        transformers: list[Any] = list(own.attentions) if hasattr(self, "attentions") else []
        transformers = [*transformers, *[None] * (len(self.resnets) - len(transformers))]
        for resnet, transformer in zip(self.resnets, transformers, strict=True):
            x = resnet(x if skips is None else torch.cat([x, skips.pop()], 1), time)
            if transformer is not None:
                x = transformer(x, states)
            passed.append(x)
        features = x
        if hasattr(self, "downsamplers"):
            x = own.downsamplers[0].conv(x)
            passed.append(x)
        if hasattr(self, "upsamplers"):
            x = own.upsamplers[0].conv(_doubled(x))
        return x, passed, features


class _Sampler(nn.Module):
    """Holds a convolution under the name that it has in diffusers."""

    def __init__(self, width: int, stride: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, stride=stride, padding=1)


def _doubled(x: Tensor) -> Tensor:
    """Every place of (B, C, h, w) twice each way, (B, C, 2h, 2w): what F.interpolate computes by nearest neighbours.

    What torch.compile (2.13, CPU) makes of that one in bfloat16 passes no gradient back.
    """
    doubled = x[:, :, :, None, :, None].expand(-1, -1, -1, 2, -1, 2).flatten(4, 5).flatten(2, 3)
    return doubled.contiguous(memory_format=torch.channels_last)


class _Resnet(nn.Module):
    """x + conv(silu(norm(conv(silu(norm(x))) + time))), with a 1×1 convolution of x where the channels change."""

    def __init__(self, i: int, o: int, time: int, groups: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.GroupNorm(groups, i), nn.GroupNorm(groups, o)
        self.conv1, self.conv2 = nn.Conv2d(i, o, 3, padding=1), nn.Conv2d(o, o, 3, padding=1)
        self.time_emb_proj = nn.Linear(time, o)
        self.conv_shortcut = nn.Conv2d(i, o, 1) if i != o else None

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        y = self.conv1(F.silu(self.norm1(x))) + self.time_emb_proj(time)[:, :, None, None]
        y = self.conv2(F.silu(self.norm2(y)))
        summed: Tensor = y + (x if self.conv_shortcut is None else self.conv_shortcut(x))
        return summed


class _Transformer(nn.Module):
    """A transformer block over the places of a map (B, C, h, w), between two 1×1 convolutions; x is added."""

    def __init__(self, width: int, heads: int, groups: int, text: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(groups, width, eps=_NORM_OF_TRANSFORMER)
        self.proj_in, self.proj_out = nn.Conv2d(width, width, 1), nn.Conv2d(width, width, 1)
        self.transformer_blocks = nn.ModuleList([_TransformerBlock(width, heads, text)])

    def forward(self, x: Tensor, states: Tensor) -> Tensor:
        height, width = x.shape[2:]
        tokens = self.proj_in(self.norm(x)).flatten(2).transpose(1, 2)  # (B, N, C)
        tokens = self.transformer_blocks[0](tokens, states)
        back = tokens.transpose(1, 2).unflatten(2, (height, width))
        projected: Tensor = self.proj_out(back.contiguous(memory_format=torch.channels_last))
        return x + projected


class _TransformerBlock(nn.Module):
    """Self-attention, cross-attention to the text, feed-forward; each after a layer norm and added to its input."""

    def __init__(self, width: int, heads: int, text: int) -> None:
        super().__init__()
        self.norm1, self.norm2, self.norm3 = nn.LayerNorm(width), nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn1, self.attn2 = _Attention(width, width, heads), _Attention(width, text, heads)
        self.ff = _FeedForward(width)

    def forward(self, x: Tensor, states: Tensor) -> Tensor:
        normed = self.norm1(x)
        x = x + self.attn1(normed, normed)
        x = x + self.attn2(self.norm2(x), states)
        fed: Tensor = self.ff(self.norm3(x))
        return x + fed


class _Attention(nn.Module):
    """softmax(q kᵀ / √d) v with q of (B, N, C) and k, v of (B, M, text)."""

    def __init__(self, width: int, text: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.to_q = nn.Linear(width, width, bias=False)
        self.to_k, self.to_v = nn.Linear(text, width, bias=False), nn.Linear(text, width, bias=False)
        self.to_out = nn.ModuleList([nn.Linear(width, width)])

    def forward(self, x: Tensor, states: Tensor) -> Tensor:
        parts = (self.to_q(x), self.to_k(states), self.to_v(states))
        q, k, v = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in parts)
        found: Tensor = self.to_out[0](F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
        return found


class _FeedForward(nn.Module):
    """GEGLU (Shazeer 2020): out(value(x) · gelu(gate(x)))."""

    def __init__(self, width: int) -> None:
        super().__init__()
        gate = nn.Module()
        gate.proj = nn.Linear(width, 8 * width)
        self.net = nn.ModuleList([gate, nn.Identity(), nn.Linear(4 * width, width)])

    def forward(self, x: Tensor) -> Tensor:
        first: Any = self.net[0]
        value, gate = first.proj(x).chunk(2, -1)
        left: Tensor = self.net[2](value * F.gelu(gate))
        return left


# -- the autoencoder, frozen ------------------------------------------------------------------------------------------


class _Residual(nn.Module):
    """x + gain · conv(silu(conv(silu(x)))), as in worker.engine.networks.autoencoder."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.gain = nn.Parameter(torch.full((1, channels, 1, 1), 0.3))

    def forward(self, x: Tensor) -> Tensor:
        changed: Tensor = self.conv2(F.silu(self.conv1(F.silu(x))))
        return x + self.gain * changed


class Autoencoder(nn.Module):
    """PocketAutoencoder without diffusers: pictures (B, 3, H, W) in −1 … 1 to latents (B, 4, H/8, W/8) and back."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        quarter, eighth = config["block_out_channels"][-2:]
        latent, encoding, decoding = config["latent_channels"], config["encoder_blocks"], config["decoder_blocks"]
        self.encoder = nn.Sequential(
            nn.PixelUnshuffle(4), nn.Conv2d(48, quarter, 3, padding=1),
            *(_Residual(quarter) for _ in range(encoding[0])),
            nn.Conv2d(quarter, eighth, 3, stride=2, padding=1),
            *(_Residual(eighth) for _ in range(encoding[1])),
            nn.SiLU(), nn.Conv2d(eighth, latent, 3, padding=1),
        )  # fmt: skip
        self.decoder = nn.Sequential(
            nn.Conv2d(latent, eighth, 3, padding=1), *(_Residual(eighth) for _ in range(decoding[0])),
            nn.Conv2d(eighth, 4 * quarter, 3, padding=1), nn.PixelShuffle(2),
            *(_Residual(quarter) for _ in range(decoding[1])),
            nn.SiLU(), nn.Conv2d(quarter, 48, 3, padding=1), nn.PixelShuffle(4),
        )  # fmt: skip
        self.latent_mean: Tensor
        self.latent_std: Tensor
        self.register_buffer("latent_mean", torch.zeros(1, latent, 1, 1))
        self.register_buffer("latent_std", torch.ones(1, latent, 1, 1))

    def encode(self, x: Tensor) -> Tensor:
        """Latents (B, 4, H/8, W/8) of zero mean and unit variance."""
        latents: Tensor = (self.encoder(x) - self.latent_mean) / self.latent_std
        return latents

    def decode(self, z: Tensor) -> Tensor:
        """Pictures (B, 3, H, W), about −1 … 1."""
        pictures: Tensor = self.decoder(z * self.latent_std + self.latent_mean)
        return pictures


# -- the text encoder, frozen -----------------------------------------------------------------------------------------


class TextEncoder(nn.Module):
    """CLIPTextModel without transformers: tokens (B, M) → the last hidden state (B, M, 768), causal."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        assert config["hidden_act"] == "quick_gelu", f"a text encoder of {config['hidden_act']}"
        width, eps = config["hidden_size"], config["layer_norm_eps"]
        self.embeddings = nn.Module()
        self.embeddings.token_embedding = nn.Embedding(config["vocab_size"], width)
        self.embeddings.position_embedding = nn.Embedding(config["max_position_embeddings"], width)
        self.encoder = nn.Module()
        self.encoder.layers = nn.ModuleList(
            [
                _TextLayer(width, config["intermediate_size"], config["num_attention_heads"], eps)
                for _ in range(config["num_hidden_layers"])
            ]
        )
        self.final_layer_norm = nn.LayerNorm(width, eps=eps)

    def forward(self, tokens: Tensor) -> Tensor:
        """See the class."""
        embeddings: Any = self.embeddings
        x = embeddings.token_embedding(tokens) + embeddings.position_embedding.weight[: tokens.shape[1]]
        layers: Any = self.encoder.layers
        for layer in layers:
            x = layer(x)
        states: Tensor = self.final_layer_norm(x)
        return states


class _TextLayer(nn.Module):
    """Causal self-attention and a small MLP, each after a layer norm and added to what was there."""

    def __init__(self, width: int, inner: int, heads: int, eps: float) -> None:
        super().__init__()
        self.heads = heads
        self.layer_norm1, self.layer_norm2 = nn.LayerNorm(width, eps=eps), nn.LayerNorm(width, eps=eps)
        self.self_attn = nn.ModuleDict({f"{part}_proj": nn.Linear(width, width) for part in ("q", "k", "v", "out")})
        self.mlp = nn.ModuleDict({"fc1": nn.Linear(width, inner), "fc2": nn.Linear(inner, width)})

    def forward(self, x: Tensor) -> Tensor:
        normed = self.layer_norm1(x)
        q, k, v = (
            self.self_attn[f"{part}_proj"](normed).unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in "qkv"
        )
        found = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2)
        x = x + self.self_attn["out_proj"](found)
        inner = self.mlp["fc1"](self.layer_norm2(x))
        added: Tensor = self.mlp["fc2"](inner * torch.sigmoid(1.702 * inner))
        return x + added
