"""Whether int8 pays on this processor: torch's own quantisation of the U-Net beside our float32 layers.

May import bench.timing, worker.engine and torch.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from bench.timing import clock


def int8(weights: Path, threads: int) -> dict[str, Any]:
    """In this process: one row of the U-Net by our float32 layers, and by diffusers with int8 linear layers.

    The latter are torch's own dynamic quantisation: weights in int8 for each row, activations for each call.
    """
    import warnings

    import torch

    from worker.engine import device as devices
    from worker.engine.networks.kernels import Conv
    from worker.engine.networks.loading import load_model
    from worker.engine.networks.unet import UNet

    warnings.simplefilter("ignore")  # torch announces another library for this, which compiles
    torch.set_num_threads(threads)
    generator = torch.Generator().manual_seed(1)
    latents, states = torch.randn(1, 4, 52, 80, generator=generator), torch.randn(1, 77, 768, generator=generator)
    latents = latents.contiguous(memory_format=torch.channels_last)
    timestep = torch.tensor(501)
    with torch.inference_mode():
        source = load_model(weights, "unet", torch.float32).eval().requires_grad_(False)
        exact = source(latents, timestep, states, return_dict=False)[0]
        size = sum(parameter.numel() * 4 for parameter in source.parameters())
        shape = (1, 320, 52, 80)
        conv = torch.nn.Conv2d(320, 320, 3, padding=1).requires_grad_(False)
        packed = Conv(conv, "onednn", shape)
        x = torch.randn(shape, generator=generator).contiguous(memory_format=torch.channels_last)
        scales = conv.weight.abs().amax((1, 2, 3)) / 127
        eights = torch.quantize_per_channel(conv.weight, scales, torch.zeros(320, dtype=torch.int64), 0, torch.qint8)
        kernel = torch.ops.quantized.conv2d_prepack(eights, conv.bias, [1, 1], [1, 1], [1, 1], 1)

        def convolve() -> None:
            given = torch.quantize_per_tensor(x, 0.04, 128, torch.quint8)
            torch.ops.quantized.conv2d(given, kernel, 0.04, 128).dequantize()

        convolutions = times(lambda: packed(x), 8), times(convolve, 8)
        quantised: Any = torch.ao.quantization.quantize_dynamic(source, {torch.nn.Linear}, dtype=torch.qint8)
        found = quantised(latents, timestep, states, return_dict=False)[0]
        decibels = 20 * float(torch.log10(exact.norm() / (found - exact).norm()))
        kind: Any = torch.ao.nn.quantized.dynamic.Linear
        linear = sum(module.weight().numel() for module in quantised.modules() if isinstance(module, kind))
        slower = times(partial(quantised, latents, timestep, states, return_dict=False), 3)
        del quantised, source
        ours = UNet(load_model(weights, "unet", torch.float32).requires_grad_(False), "onednn", (1, 4, 52, 80))
        text = ours.read(states)
        faster = times(lambda: ours(latents, timestep, text), 3)
    return {
        "engine": torch.backends.quantized.engine,
        "instructions": devices.instruction_set(torch.device("cpu")),
        "bytes": [size, size - 3 * linear],
        "decibels": decibels,
        "linear": {"what": "int8 linear layers, one row of a step", "float32": faster, "int8": slower},
        "convolution": {
            "what": "int8 convolution, 320 channels at 52×80",
            "float32": convolutions[0],
            "int8": convolutions[1],
        },
    }


def times(call: Callable[[], object], count: int) -> list[float]:
    """Seconds of some calls, after one that is not timed."""
    call()
    return [clock(call) for _ in range(count)]
