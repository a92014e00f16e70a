"""worker.engine.networks.kernels: every layer in both ways of computing it, against torch's own in double precision."""

from collections.abc import Iterator

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from worker.engine.networks import kernels
from worker.engine.networks.kernels import Conv, Kernels, Linear, UpsampledConv, attention, choose_kernels, split_heads

CPU = torch.device("cpu")
WAYS: tuple[Kernels, ...] = ("eager", "onednn")
ERROR = {torch.float32: 2e-6, torch.bfloat16: 6e-3}
"""The largest relative error (Euclidean norms) that a layer may have: a few roundings of its precision."""

pytestmark = pytest.mark.skipif(
    choose_kernels(CPU, torch.bfloat16) != "onednn", reason="this machine's CPU has no oneDNN kernels for bfloat16"
)


@pytest.fixture(autouse=True)
def without_gradients() -> Iterator[None]:
    torch.manual_seed(1)
    with torch.no_grad():
        yield


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> Kernels:
    return request.param


@pytest.fixture(params=ERROR, ids=str)
def dtype(request: pytest.FixtureRequest) -> torch.dtype:
    return request.param


def error(found: Tensor, expected: Tensor) -> float:
    assert found.shape == expected.shape
    return float((found.double() - expected).norm() / expected.norm())


def a_map(rows: int, channels: int, h: int, w: int, dtype: torch.dtype) -> Tensor:
    return torch.randn(rows, channels, h, w).to(dtype).contiguous(memory_format=torch.channels_last)


def test_every_device_but_a_cpu_takes_torch_s_own_kernels() -> None:
    assert choose_kernels(CPU, torch.float32) == "onednn"
    assert choose_kernels(CPU, torch.float16) == "eager"
    assert {choose_kernels(torch.device(name), torch.bfloat16) for name in ("cuda", "mps", "meta")} == {"eager"}


@pytest.mark.parametrize("gelu", [False, True])
def test_a_linear_layer_is_that_of_torch(way: Kernels, dtype: torch.dtype, gelu: bool) -> None:
    layer, x = nn.Linear(96, 48).to(dtype), torch.randn(2, 50, 96).to(dtype)
    expected = F.linear(x.double(), layer.weight.double(), layer.bias.double())
    found = Linear(layer.weight, layer.bias, way, gelu)(x)
    assert error(found, F.gelu(expected) if gelu else expected) < ERROR[dtype]


@pytest.mark.parametrize(("size", "stride"), [(3, 1), (3, 2), (1, 1)])
def test_a_convolution_is_that_of_torch(way: Kernels, dtype: torch.dtype, size: int, stride: int) -> None:
    layer = nn.Conv2d(16, 24, size, stride, padding=size // 2).to(dtype)
    x = a_map(2, 16, 13, 20, dtype)
    expected = F.conv2d(x.double(), layer.weight.double(), layer.bias.double(), stride, size // 2)  # type: ignore[union-attr]
    ours = Conv(layer, way, (2, 16, 13, 20))
    assert error(ours(x), expected) < ERROR[dtype]
    assert ours(x).is_contiguous(memory_format=torch.channels_last)
    assert error(Conv(layer, way, (2, 16, 13, 20), silu=True)(x), F.silu(expected)) < ERROR[dtype]
    shift, add = torch.randn(24).to(dtype), a_map(2, 24, *expected.shape[2:], dtype)
    summed = expected + shift.double()[:, None, None] + add.double()
    found = ours(x, add=add, shift=shift)
    assert error(found, summed) < ERROR[dtype]
    assert found.data_ptr() == add.data_ptr(), "the sum is not where it should be"


def test_upsampling_in_four_parts_is_upsampling_and_then_the_convolution(way: Kernels, dtype: torch.dtype) -> None:
    layer, x = nn.Conv2d(16, 24, 3, padding=1).to(dtype), a_map(2, 16, 5, 7, dtype)
    large = F.interpolate(x.double(), scale_factor=2.0, mode="nearest")
    expected = F.conv2d(large, layer.weight.double(), layer.bias.double(), padding=1)  # type: ignore[union-attr]
    found = UpsampledConv(layer, way, (2, 16, 5, 7))(x)
    assert error(found, expected) < ERROR[dtype]
    assert found.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(("n", "m", "d"), [(260, 260, 48), (260, 77, 48), (300, 300, 16)])
@pytest.mark.parametrize("scores", [10**9, 20_000])
def test_attention_is_softmax_of_the_scores_times_the_values(
    way: Kernels, dtype: torch.dtype, n: int, m: int, d: int, scores: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one piece and in chunks, the last of which is shorter."""
    monkeypatch.setattr(kernels, "_SCORES_OF_CHUNK", scores)
    monkeypatch.setattr(kernels, "_SCORES_OF_HEAD", scores)
    q, k, v = (split_heads(torch.randn(2, length, 4 * d).to(dtype), 4) for length in (n, m, m))
    shares = torch.softmax(q.double() @ k.double().transpose(2, 3) * d**-0.5, -1)
    expected = (shares @ v.double()).transpose(1, 2).flatten(2)
    assert error(attention(q, k, v, way), expected) < ERROR[dtype]


def test_attention_stands_scores_that_an_exponential_does_not(way: Kernels, dtype: torch.dtype) -> None:
    """Scores of a thousand: exp of one overflows, so the greatest must be taken off first."""
    q = k = split_heads(30 * torch.randn(1, 64, 2 * 48).to(dtype), 2)
    v = split_heads(torch.randn(1, 64, 2 * 48).to(dtype), 2)
    shares = torch.softmax(q.double() @ k.double().transpose(2, 3) * 48**-0.5, -1)
    assert error(attention(q, k, v, way), (shares @ v.double()).transpose(1, 2).flatten(2)) < ERROR[dtype]
