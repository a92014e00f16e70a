"""The layers of the U-Net and the VAE, each in two ways to compute it. May import torch; knows no model.

"eager" is torch's own kernels, for every device. "onednn", on a CPU that has oneDNN, does the same arithmetic with

* weights laid out once as oneDNN's kernels read them; eager lays them out again in every call, and in float32 hands
  matrix products to MKL, which on processors not of its maker runs at half of oneDNN's speed;
* attention as two matrix products and a softmax over chunks of queries small enough for the cache;
* what follows a product (bias, GELU, SiLU, the residual sum) done by the kernel that made it.

Which of the two runs is decided at load by `choose_kernels` and belongs to the rendition; nothing changes over by
itself. oneDNN's packed weights are reached through the operators that torch.compile generates calls to
(`torch.ops.mkldnn`, the same in torch 2.11 and 2.13); they have no public name yet.
"""

import math
from typing import Any, Final, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Kernels = Literal["eager", "onednn", "diffusers"]
"""The two ways, and what a rendition calls a network that these layers do not know (networks.foreign)."""

_SCORES_OF_CHUNK: Final = 3_500_000
"""Attention scores of one chunk, all heads together in bfloat16: 7 MB, a good part of a level-3 cache."""
_SCORES_OF_HEAD: Final = 540_000
"""Attention scores of one chunk of one head in float32: 2 MB."""
_WIDTH_OF_HEAD: Final = 40
"""The least d from which float32 attention head by head is faster than torch's kernel for all heads at once."""


def choose_kernels(device: torch.device, dtype: torch.dtype) -> Kernels:
    """The kernels for this device and precision: "onednn" on a CPU that has it for this precision, else "eager"."""
    if device.type != "cpu" or not torch.backends.mkldnn.is_available():
        return "eager"
    if not all(hasattr(torch.ops.mkldnn, name) for name in ("_linear_pointwise", "_convolution_pointwise")):
        return "eager"
    if dtype == torch.float32 or (dtype == torch.bfloat16 and torch.ops.mkldnn._is_mkldnn_bf16_supported()):
        return "onednn"
    return "eager"


class Linear:
    """x · weightᵀ + bias, (…, in) → (…, out), then GELU where `gelu`. Takes a weight (out, in) or (out, in, 1, 1)."""

    def __init__(self, weight: Tensor, bias: Tensor | None, kernels: Kernels, gelu: bool = False) -> None:
        self.bias, self.kernels, self.gelu = bias, kernels, gelu
        self.weight = weight.flatten(1).contiguous()  # (out, in)
        if kernels == "onednn":
            self.weight = torch.ops.mkldnn._reorder_linear_weight(self.weight)

    def __call__(self, x: Tensor) -> Tensor:
        if self.kernels == "onednn":
            then, algorithm = ("gelu", "none") if self.gelu else ("none", "")
            packed: Tensor = torch.ops.mkldnn._linear_pointwise(x, self.weight, self.bias, then, [], algorithm)
            return packed
        y = F.linear(x, self.weight, self.bias)
        return F.gelu(y) if self.gelu else y


class LinearSum:
    """add + x · weightᵀ + bias, written over `add`: x (B, N, in), add (B, N, out), its numbers in one piece.

    In float32 with oneDNN it is a 1×1 convolution over N places, which adds before it rounds, and in the same pass. In
    bfloat16 that convolution takes six times as long as the product and the sum one after the other, so it is these.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None, kernels: Kernels) -> None:
        self._bias = bias
        self._linear: Linear | None = None
        if kernels == "onednn" and weight.dtype == torch.float32:
            pack: Any = torch._C._nn.mkldnn_reorder_conv2d_weight
            square = weight.flatten(1)[:, :, None, None].contiguous(memory_format=torch.channels_last)
            self._weight = pack(square.to_mkldnn(), [0, 0], [1, 1], [1, 1], 1, None)
        else:
            self._linear = Linear(weight, bias, kernels)

    def __call__(self, x: Tensor, add: Tensor) -> None:
        if self._linear is not None:
            add += self._linear(x)
            return
        x, add = (tokens.transpose(1, 2)[..., None] for tokens in (x, add))  # (B, C, N, 1), channels-last
        place = (self._weight, self._bias, [0, 0], [1, 1], [1, 1], 1)
        torch.ops.mkldnn._convolution_pointwise_(add, x, *place, "add", 1.0, None, [], None)


class Conv:
    """A convolution, (B, in, h, w) → (B, out, h', w') in channels-last, then SiLU where `silu`.

    `shape` is the input's (B, in, h, w); other sizes give the same numbers, only slower.
    """

    def __init__(
        self, source: nn.Conv2d, kernels: Kernels, shape: tuple[int, int, int, int], silu: bool = False
    ) -> None:
        assert source.groups == 1 and source.dilation == (1, 1) and source.padding_mode == "zeros", f"{source}"
        assert not isinstance(source.padding, str)
        self.stride, self.padding = list(source.stride), list(source.padding)
        self.bias, self.kernels, self.silu = source.bias, kernels, silu
        self.weight = source.weight.detach().contiguous(memory_format=torch.channels_last)
        if kernels == "onednn":
            pack: Any = torch._C._nn.mkldnn_reorder_conv2d_weight
            self.weight = pack(self.weight.to_mkldnn(), self.padding, self.stride, [1, 1], 1, list(shape))

    def __call__(self, x: Tensor, add: Tensor | None = None, shift: Tensor | None = None) -> Tensor:
        """The convolution of x; `shift` (out,) goes to the bias, the sum with `add` (B, out, h', w') into `add`."""
        bias = self.bias
        if shift is not None:
            bias = shift if bias is None else bias + shift
        if self.kernels == "onednn":
            place = (self.weight, bias, self.padding, self.stride, [1, 1], 1)
            if add is not None:
                torch.ops.mkldnn._convolution_pointwise_(add, x, *place, "add", 1.0, None, [], None)
                return add
            packed: Tensor = torch.ops.mkldnn._convolution_pointwise(
                x, *place, "swish" if self.silu else "none", [], ""
            )
            return packed
        y = F.conv2d(x, self.weight, bias, self.stride, self.padding)
        if add is not None:
            return add.add_(y)
        return F.silu(y, inplace=True) if self.silu else y


class UpsampledConv:
    """Nearest neighbours to twice the size, then a 3×3 convolution: (B, C, h, w) → (B, out, 2h, 2w).

    Of the nine pixels under the 3×3 kernel at most four differ, so each of the four places (row and column even or
    odd) is a 2×2 convolution of the small picture, whose weights are sums of the nine: 4/9 of the multiplications. For
    one axis with weights a, b, c the even places take (a, b + c) of the pixels i − 1, i, the odd ones (a + b, c) of i,
    i + 1.
    """

    def __init__(self, source: nn.Conv2d, kernels: Kernels, shape: tuple[int, int, int, int]) -> None:
        assert source.kernel_size == (3, 3) and source.stride == (1, 1) and source.padding == (1, 1), f"{source}"
        self.places: list[tuple[int, int, Conv]] = []
        weight = source.weight.detach()
        for row in (0, 1):
            for column in (0, 1):
                part = nn.Conv2d(source.in_channels, source.out_channels, 2, padding=1, device="meta")
                summed = _summed(_summed(weight.float(), 2, row), 3, column)  # (out, in, 2, 2)
                part.weight = nn.Parameter(summed.to(weight.dtype), requires_grad=False)
                part.bias = source.bias
                self.places.append((row, column, Conv(part, kernels, shape)))

    def __call__(self, x: Tensor) -> Tensor:
        rows, _, h, w = x.shape
        y: Tensor | None = None
        for row, column, conv in self.places:
            part = conv(x)[:, :, row : row + h, column : column + w]  # (B, out, h, w) of (B, out, h + 1, w + 1)
            if y is None:
                y = part.new_empty((rows, 2 * h, 2 * w, part.shape[1])).permute(0, 3, 1, 2)  # (B, out, 2h, 2w)
            y[:, :, row::2, column::2] = part
        assert y is not None
        return y


def _summed(weight: Tensor, axis: int, odd: int) -> Tensor:
    a, b, c = weight.unbind(axis)
    return torch.stack((a + b, c) if odd else (a, b + c), axis)


class GroupNorm:
    """Group normalisation over (B, C, h, w), then SiLU where `silu`."""

    def __init__(self, source: nn.GroupNorm, silu: bool = False) -> None:
        self.groups, self.eps, self.silu = source.num_groups, source.eps, silu
        self.weight, self.bias = source.weight, source.bias

    def __call__(self, x: Tensor) -> Tensor:
        y = F.group_norm(x, self.groups, self.weight, self.bias, self.eps)
        return F.silu(y, inplace=True) if self.silu else y


class LayerNorm:
    """Layer normalisation over the last axis."""

    def __init__(self, source: nn.LayerNorm) -> None:
        self.shape, self.eps = source.normalized_shape, source.eps
        self.weight, self.bias = source.weight, source.bias

    def __call__(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, self.shape, self.weight, self.bias, self.eps)


def split_heads(x: Tensor, heads: int) -> Tensor:
    """(B, N, heads · d) → (B, heads, N, d), a view."""
    parts: Tensor = x.unflatten(-1, (heads, -1))
    return parts.transpose(1, 2)


def attention(q: Tensor, k: Tensor, v: Tensor, kernels: Kernels) -> Tensor:
    """softmax(q kᵀ / √d) v: q (B, heads, N, d), k and v (B, heads, M, d) → (B, N, heads · d)."""
    if kernels == "eager" or (q.dtype == torch.float32 and q.shape[-1] < _WIDTH_OF_HEAD):
        return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
    if q.dtype == torch.float32:
        return _attention_by_head(q, k, v)
    return _attention_by_chunk(q, k, v)


def _attention_by_chunk(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """`attention` in bfloat16: all heads of all rows at once where the scores are few, else row by row in chunks."""
    rows, heads, n, d = q.shape
    m, scale = k.shape[2], d**-0.5
    if rows * heads * n * m <= _SCORES_OF_CHUNK:
        parts = [(q.flatten(0, 1), k.flatten(0, 1).transpose(1, 2), v.flatten(0, 1))]
    else:
        parts = [(q[row], k[row].contiguous().transpose(1, 2), v[row].contiguous()) for row in range(rows)]
    together = rows * heads // len(parts)
    chunk = _chunk(n, _SCORES_OF_CHUNK // (together * m))
    scores, shares = q.new_empty((2, together * chunk * m))
    answers = q.new_empty((len(parts), together, n, d))
    for (queries, keys, values), answer in zip(parts, answers, strict=True):
        for start in range(0, n, chunk):
            part = queries[:, start : start + chunk]  # (together, chunk, d)
            shape = (together, part.shape[1], m)
            s, p = (buffer[: math.prod(shape)].view(shape) for buffer in (scores, shares))
            torch.baddbmm(s, part, keys, beta=0, alpha=scale, out=s)
            torch.softmax(s, -1, out=p)
            if chunk == n:
                torch.bmm(p, values, out=answer)
            else:
                answer[:, start : start + chunk] = torch.bmm(p, values)
    return answers.view(rows, heads, n, d).transpose(1, 2).flatten(2)


def _attention_by_head(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """`attention` in float32: one head at a time, its products as oneDNN's linear layers (torch's own go to MKL)."""
    product: Any = torch.ops.mkldnn._linear_pointwise
    rows, heads, n, d = q.shape
    q = (q * d**-0.5).contiguous()
    k, turned = k.contiguous(), v.transpose(2, 3).contiguous()  # (B, heads, M, d), (B, heads, d, M)
    y = q.new_empty((rows, n, heads, d))
    chunk = _chunk(n, _SCORES_OF_HEAD // k.shape[2])
    for row in range(rows):
        for head in range(heads):
            keys, values = k[row, head], turned[row, head]
            for start in range(0, n, chunk):
                scores = product(q[row, head, start : start + chunk], keys, None, "none", [], "")  # (chunk, M)
                y[row, start : start + chunk, head] = product(torch.softmax(scores, -1), values, None, "none", [], "")
    return y.flatten(2)


def _chunk(n: int, most: int) -> int:
    """The size of equal chunks of n queries, none larger than `most` (the last may be smaller)."""
    count = -(-n // max(1, most))
    return -(-n // count)
