"""The U-Net of diffusers' UNet2DConditionModel in the layers of networks.kernels. May import torch and worker.errors.

The order of the layers is that of diffusers' class and of the paper (Rombach et al. 2022, "High-Resolution Image
Synthesis with Latent Diffusion Models"), in the form of Stable Diffusion 1.5 and of what was distilled from it: fewer
blocks, no middle or one without attention (BK-SDM, small-sd), guidance as part of the time (LCM). Any other form is
named by `other_form` and left to networks.foreign. What is written here rather than taken from there:

* where every page's latents go with two texts, everything before the first cross-attention is computed once for both;
* the keys and values of the cross-attention are computed once for a run (`UNet.read`), since the text stays;
* a time embedding is computed for one row and added with the bias of the convolution before it;
* feed-forward layers go over the tokens in chunks whose inner activations fit the cache;
* the map of a page's latents has one size, so every layer knows its shape when it is made.

Shapes: B rows, C channels, h × w places, N = h · w tokens, M = 77 tokens of text. Maps are channels-last in memory, so
that a map (B, C, h, w) and its tokens (B, N, C) are two views of the same numbers.
"""

from typing import Any, Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from worker.engine.networks.kernels import (
    Conv,
    GroupNorm,
    Kernels,
    LayerNorm,
    Linear,
    LinearSum,
    UpsampledConv,
    attention,
    split_heads,
)
from worker.errors import WeightsRefused

Text = list[tuple[Tensor, Tensor]]
"""What the U-Net has read of a run's texts: for each cross-attention its keys and values, (B, heads, M, d)."""

_FORM: Final[dict[str, tuple[object, ...]]] = {
    "act_fn": ("silu",),
    "addition_embed_type": (None,),
    "attention_type": ("default",),
    "center_input_sample": (False,),
    "class_embed_type": (None,),
    "conv_in_kernel": (3,),
    "conv_out_kernel": (3,),
    "cross_attention_norm": (None,),
    "downsample_padding": (1,),
    "dual_cross_attention": (False,),
    "encoder_hid_dim": (None,),
    "encoder_hid_dim_type": (None,),
    "mid_block_only_cross_attention": (None, False),
    "mid_block_scale_factor": (1,),
    "mid_block_type": ("UNetMidBlock2DCrossAttn", "UNetMidBlock2D", None),
    "only_cross_attention": (False,),
    "resnet_out_scale_factor": (1.0,),
    "resnet_skip_time_act": (False,),
    "resnet_time_scale_shift": ("default",),
    "time_embedding_act_fn": (None,),
    "time_embedding_type": ("positional",),
    "timestep_post_act": (None,),
    "upcast_attention": (False, None),
}
"""The settings of a UNet2DConditionModel that decide how it computes, and their values that this module knows."""
_BLOCKS: Final = frozenset({"DownBlock2D", "CrossAttnDownBlock2D", "UpBlock2D", "CrossAttnUpBlock2D"})
_INNER_OF_CHUNK: Final = 2_600_000
"""Inner activations of a feed-forward layer's chunk of tokens: 5 MB in bfloat16."""


def other_form(source: Any) -> str | None:
    """What a diffusers U-Net has that this module does not know, as a sentence; None where it knows all of it."""
    for name, known in _FORM.items():
        found = source.config.get(name, known[0])
        if found not in known:
            return f"The U-Net's {name} should be {' or '.join(map(str, known))} and is {found}."
    depths = source.config.get("transformer_layers_per_block", 1)
    if any(depth != 1 for depth in (depths if isinstance(depths, list | tuple) else [depths])):
        return f"The U-Net's transformer_layers_per_block should be 1 and is {depths}."
    for found in (*source.config["down_block_types"], *source.config["up_block_types"]):
        if found not in _BLOCKS:
            return f"The U-Net's blocks should be of {', '.join(sorted(_BLOCKS))}; one is {found}."
    return None


class UNet:
    """(latents (B, 4, h, w), timestep (), text) → the model's prediction (B, 4, h, w), all in one precision.

    Takes a diffusers U-Net apart: its weights move into the layers here, and it cannot be used afterwards. `shape` is
    (B, 4, h, w). Raises WeightsRefused where it has another form than those known.
    """

    def __init__(self, source: Any, kernels: Kernels, shape: tuple[int, int, int, int]) -> None:
        if (other := other_form(source)) is not None:
            raise WeightsRefused(other)
        rows, _, h, w = shape
        self._time_sines = source.time_proj
        self._time = [
            Linear(layer.weight, layer.bias, kernels)
            for layer in (source.time_embedding.linear_1, source.time_embedding.linear_2)
        ]
        guidance = source.time_embedding.cond_proj
        self._guidance = Linear(guidance.weight, None, kernels) if guidance is not None else None
        self._conv_in = Conv(source.conv_in, kernels, shape)
        sizes = [(h, w)]
        self._down: list[_Stage] = []
        for block in source.down_blocks:
            self._down.append(_Stage(block, kernels, rows, sizes[-1], None))
            if block.downsamplers is not None:
                sizes.append(((sizes[-1][0] + 1) // 2, (sizes[-1][1] + 1) // 2))
            _empty(block)
        self._mid: list[_Stage] = []
        if source.mid_block is not None:
            self._mid.append(_Stage(source.mid_block, kernels, rows, sizes[-1], None))
            _empty(source.mid_block)
        self._up: list[_Stage] = []
        for block in source.up_blocks:
            size = sizes.pop() if block.upsamplers is not None else sizes[-1]
            self._up.append(_Stage(block, kernels, rows, size, sizes[-1]))
            _empty(block)
        self._norm_out = GroupNorm(source.conv_norm_out, silu=True)
        self._conv_out = Conv(source.conv_out, kernels, (rows, source.conv_out.in_channels, h, w))
        self._texts = [block.text for stage in (*self._down, *self._mid, *self._up) for block in stage.transformers]

    def read(self, states: Tensor) -> Text:
        """What the cross-attentions need of the texts' embeddings (B, M, 768), in the order in which they come."""
        return [attend.read(states) for attend in self._texts]

    def __call__(self, latents: Tensor, timestep: Tensor, text: Text, guidance: Tensor | None = None) -> Tensor:
        """The prediction for as many rows as there are texts: B, or 2B where each page's latents go with two texts.

        `guidance` (1, time_cond_proj_dim) goes to the time of a U-Net that was distilled to be told of it.
        Up to the first cross-attention the two halves are the same numbers, and only one of them is computed.
        """
        time = self._time_sines(timestep.reshape(1)).to(latents.dtype)  # (1, C)
        if guidance is not None:
            assert self._guidance is not None, "guidance for a U-Net that is not told of it"
            time = time + self._guidance(guidance)
        time = self._time[1](F.silu(self._time[0](time)))
        time = F.silu(time)  # (1, 4C); every residual block begins with this SiLU
        texts = iter(text)
        x = self._conv_in(latents)
        skips = [x]
        for stage in self._down:
            for resnet, transformer in stage.layers:
                x = resnet(x, time)
                if transformer is not None:
                    x = transformer(x, next(texts))
                skips.append(x)
            if stage.down is not None:
                x = stage.down(x)
                skips.append(x)
        for stage in self._mid:
            for resnet, transformer in stage.layers:
                x = resnet(x, time)
                if transformer is not None:
                    x = transformer(x, next(texts))
        for stage in self._up:
            for resnet, transformer in stage.layers:
                skip = skips.pop()
                x = resnet(torch.cat([x, skip if len(skip) == len(x) else _twice(skip)], 1), time)
                if transformer is not None:
                    x = transformer(x, next(texts))
            if stage.up is not None:
                x = stage.up(x)
        return self._conv_out(self._norm_out(x))


class _Stage:
    """The layers at one size: residual blocks, each with its transformer where there is one, and the way down or up."""

    def __init__(
        self, source: Any, kernels: Kernels, rows: int, size: tuple[int, int], above: tuple[int, int] | None
    ) -> None:
        resnets = [_Resnet(resnet, kernels, rows, size) for resnet in source.resnets]
        found = [layer for layer in getattr(source, "attentions", None) or () if layer is not None]
        self.transformers = [_Transformer(transformer, kernels) for transformer in found]
        # The middle ends with a residual block that no transformer follows; other blocks have one for each or none.
        transformers = [*self.transformers, *[None] * (len(resnets) - len(self.transformers))]
        self.layers: list[tuple[_Resnet, _Transformer | None]] = list(zip(resnets, transformers, strict=True))
        self.down = self.up = None
        if getattr(source, "downsamplers", None) is not None:
            (sampler,) = source.downsamplers
            self.down = Conv(sampler.conv, kernels, (rows, sampler.conv.in_channels, *size))
        if getattr(source, "upsamplers", None) is not None:
            assert above is not None
            (sampler,) = source.upsamplers
            self.up = _Upsample(sampler.conv, kernels, rows, size, above)


class _Resnet:
    """x + conv(silu(norm(conv(silu(norm(x))) + time))), with a 1×1 convolution of x where the channels change."""

    def __init__(self, source: Any, kernels: Kernels, rows: int, size: tuple[int, int]) -> None:
        self._norm1, self._norm2 = GroupNorm(source.norm1, silu=True), GroupNorm(source.norm2, silu=True)
        self._conv1 = Conv(source.conv1, kernels, (rows, source.conv1.in_channels, *size))
        self._conv2 = Conv(source.conv2, kernels, (rows, source.conv2.in_channels, *size))
        self._time = Linear(source.time_emb_proj.weight, source.time_emb_proj.bias, kernels)
        shortcut = source.conv_shortcut
        self._shortcut = shortcut and Conv(shortcut, kernels, (rows, shortcut.in_channels, *size))

    def __call__(self, x: Tensor, time: Tensor) -> Tensor:
        y = self._conv1(self._norm1(x), shift=self._time(time)[0])  # (B, C, h, w)
        # x may be one of the U-Net's skips, so its sum goes to a copy.
        return self._conv2(self._norm2(y), add=x.clone() if self._shortcut is None else self._shortcut(x))


class _Upsample:
    """Nearest neighbours to the size above, then a 3×3 convolution. From 7 × 10 up to 13 × 20 is not quite twice."""

    def __init__(
        self, conv: nn.Conv2d, kernels: Kernels, rows: int, size: tuple[int, int], above: tuple[int, int]
    ) -> None:
        self._above = above
        self._twice = above == (2 * size[0], 2 * size[1])
        kind, shape = (UpsampledConv, size) if self._twice else (Conv, above)
        self._conv = kind(conv, kernels, (rows, conv.in_channels, *shape))

    def __call__(self, x: Tensor) -> Tensor:
        return self._conv(x if self._twice else F.interpolate(x, size=self._above, mode="nearest"))


class _Transformer:
    """One or more transformer blocks over the places of a map, between two projections; (B, C, h, w) → the same."""

    def __init__(self, source: Any, kernels: Kernels) -> None:
        self._norm = GroupNorm(source.norm)
        self._enter = Linear(source.proj_in.weight, source.proj_in.bias, kernels)
        self._leave = LinearSum(source.proj_out.weight, source.proj_out.bias, kernels)
        (block,) = source.transformer_blocks
        self._norms = [LayerNorm(norm) for norm in (block.norm1, block.norm2, block.norm3)]
        self._itself = _SelfAttention(block.attn1, kernels)
        self.text = _CrossAttention(block.attn2, kernels)
        self._feed = _FeedForward(block.ff, kernels)

    def __call__(self, x: Tensor, text: tuple[Tensor, Tensor]) -> Tensor:
        """The sum of x and what the transformer makes of it; x may be overwritten.

        The texts may be twice as many as the rows of x: from here on there are two of each.
        """
        tokens = self._enter(_tokens(self._norm(x)))  # (B, N, C)
        self._itself(self._norms[0](tokens), tokens)
        if len(text[0]) != len(x):
            x, tokens = _twice(x), _twice(tokens)
        self.text(self._norms[1](tokens), text, tokens)
        self._feed(self._norms[2](tokens), tokens)
        self._leave(tokens, _tokens(x))
        return x


class _SelfAttention:
    """Every token asks every token of its row; the three projections are one matrix."""

    def __init__(self, source: Any, kernels: Kernels) -> None:
        self._heads, self._kernels = source.heads, kernels
        parts = (source.to_q, source.to_k, source.to_v)
        assert all(part.bias is None for part in parts), "an attention with biases"
        self._enter = Linear(torch.cat([part.weight for part in parts]), None, kernels)
        self._leave = LinearSum(source.to_out[0].weight, source.to_out[0].bias, kernels)

    def __call__(self, x: Tensor, add: Tensor) -> None:
        """Add what the layer makes of x (B, N, C) to `add`, in place."""
        q, k, v = (split_heads(part, self._heads) for part in self._enter(x).chunk(3, -1))  # (B, heads, N, d)
        self._leave(attention(q, k, v, self._kernels), add)


class _CrossAttention:
    """Every token asks the tokens of its row's text."""

    def __init__(self, source: Any, kernels: Kernels) -> None:
        self._heads, self._kernels = source.heads, kernels
        assert source.to_q.bias is None and source.to_k.bias is None and source.to_v.bias is None
        self._ask = Linear(source.to_q.weight, None, kernels)
        self._keys, self._values = (Linear(part.weight, None, kernels) for part in (source.to_k, source.to_v))
        self._leave = LinearSum(source.to_out[0].weight, source.to_out[0].bias, kernels)

    def read(self, states: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values, (B, heads, M, d) each, of the texts' embeddings (B, M, 768)."""
        keys, values = (split_heads(part(states), self._heads).contiguous() for part in (self._keys, self._values))
        return keys, values

    def __call__(self, x: Tensor, text: tuple[Tensor, Tensor], add: Tensor) -> None:
        """Add what the layer makes of x (B, N, C) to `add`, in place."""
        self._leave(attention(split_heads(self._ask(x), self._heads), *text, self._kernels), add)


class _FeedForward:
    """GEGLU (Shazeer 2020, "GLU Variants Improve Transformer"): leave(value(x) · gelu(gate(x)))."""

    def __init__(self, source: Any, kernels: Kernels) -> None:
        first, _, last = source.net
        if type(first).__name__ != "GEGLU":
            raise WeightsRefused(f"The U-Net's feed-forward layers should be GEGLU and are {type(first).__name__}.")
        weights, biases = first.proj.weight.chunk(2), first.proj.bias.chunk(2)
        self._value = Linear(weights[0], biases[0], kernels)
        self._gate = Linear(weights[1], biases[1], kernels, gelu=True)
        self._leave = LinearSum(last.weight, last.bias, kernels)
        self._inner = len(biases[0])
        self._chunked = kernels == "onednn"

    def __call__(self, x: Tensor, add: Tensor) -> None:
        """Add what the layer makes of x (B, N, C) to `add`, in place."""
        if not self._chunked or x.shape[0] * x.shape[1] * self._inner <= _INNER_OF_CHUNK:
            self._leave(self._value(x).mul_(self._gate(x)), add)
            return
        count = -(-x.shape[1] * self._inner // _INNER_OF_CHUNK)
        for row in range(x.shape[0]):
            for part, sum_ in zip(x[row, None].chunk(count, 1), add[row, None].chunk(count, 1), strict=True):
                self._leave(self._value(part).mul_(self._gate(part)), sum_)  # (1, chunk, C)


def _tokens(x: Tensor) -> Tensor:
    """A map (B, C, h, w) as tokens (B, h · w, C): a view where the map is channels-last, as ours are."""
    return x.permute(0, 2, 3, 1).flatten(1, 2)


def _twice(x: Tensor) -> Tensor:
    """Rows (B, …) and the same rows again, (2B, …)."""
    return torch.cat([x, x])


def _empty(source: nn.Module) -> None:
    """Let go of the weights of a part that has been taken over, so that never more than one part is held twice."""
    for module in source.modules():
        for name in module._parameters:
            module._parameters[name] = None
