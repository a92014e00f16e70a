"""One guided evaluation of the U-Net of `pocket-1` in float32: ours, diffusers, OpenVINO, in turn, and the floor.

May import bench.* and worker.*.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bench import floor
from bench.peers import openvino_side
from bench.peers.sides import Say, as_shipped, edition_over
from bench.timing import Line, in_turn
from worker.catalogue.address import Address
from worker.engine.engine import Engine
from worker.engine.networks.loading import load_model
from worker.engine.networks.unet import UNet

OF_A_PEER = 0.75
OF_THE_FLOOR = 0.85
AGREEMENT = 1e-3
"""The largest difference, of predictions of about unit variance, at which two sides still compute the same model."""


@dataclass(frozen=True)
class Evaluated:
    """The table's lines, sentences to go below it, and the operations a second of this processor's large product."""

    lines: list[Line]
    notes: list[str]
    rate: float


def measure(weights: Path | None, threads: int, rounds: int, say: Say) -> Evaluated:
    """Evaluate the same latents, timestep and two texts on every side, and state the floor.

    Our side computes what the loop asks of it in a step: the texts' keys and values are read once for a run.
    """
    say("a guided evaluation: all sides are loaded")
    edition = edition_over("pocket-1", weights, "float32")
    engine = Engine(edition, device="cpu", threads=threads, batch=1)
    key = engine.resolve(Address.parse("pocket-1/prompt/a dog on a beach/1"))
    latents = torch.from_numpy(key.latents.astype(np.float32))[None]  # (1, 4, 52, 80)
    states = torch.from_numpy(np.stack([engine.embed(""), key.embedding]).astype(np.float32))  # (2, 77, 768)
    unet = load_model(edition.weights, "unet", torch.float32).eval()
    inputs = (latents.repeat(2, 1, 1, 1), torch.tensor(500), states)
    own = UNet(load_model(edition.weights, "unet", torch.float32), engine.denoiser.kernels, (2, *latents.shape[1:]))
    ours = _ours(own, latents, inputs[1], states)

    def diffusers() -> Tensor:
        with as_shipped(), torch.inference_mode():
            answer: Tensor = unet(inputs[0], inputs[1], encoder_hidden_states=states, return_dict=False)[0]
            return answer

    calls: list[Callable[[], Any]] = [floor.large_product(), ours, diffusers]
    notes = []
    peers = ["diffusers"]
    try:
        version, openvino = openvino_side.prepare(unet, inputs, threads)
    except ImportError as error:
        notes.append(f"OpenVINO is not measured: {error}. `make bench` installs it where it can be had.")
    else:
        calls.append(openvino)
        peers.append(f"OpenVINO {version}")
    for name, call in zip(peers, calls[2:], strict=True):
        notes.append(f"The predictions of {name} and ours differ by at most {_difference(ours(), call()):.1e}.")
    say("a guided evaluation: in turn")
    product, own_times, *others = in_turn(calls, rounds, [1] + [5] * (len(calls) - 1))
    what = "a guided evaluation (fp32)"
    lines = [
        Line.of(f"pocket size, {what}", own_times, name, times, OF_A_PEER)
        for name, times in zip(peers, others, strict=True)
    ]
    operations, left = floor.count_operations(diffusers), _count_ours(edition.weights, latents, inputs[1], states)
    rate = floor.WORK / product.median
    least = operations / rate
    share = least / own_times.median
    lines.append(
        Line(
            f"pocket size, the floor's share of {what}",
            own_times.format(),
            f"{operations / 1e9:.1f} GFLOP at {rate / 1e9:.0f} GFLOP/s, {1e3 * least:.3g} ms",
            f"{share:.2f}",
            f"≥ {OF_THE_FLOOR:.2f}",
            share >= OF_THE_FLOOR,
        )
    )
    notes += [
        f"The floor is that of the model as diffusers writes it. Ours computes {left / 1e9:.1f} of these"
        f" {operations / 1e9:.1f} GFLOP (what both texts share once, upsampling folded), at"
        f" {left / own_times.median / 1e9:.0f} GFLOP/s: {left / own_times.median / rate:.0%} of the product's rate."
    ]
    notes += [
        f"{name} computes all of them at {operations / times.median / 1e9:.0f} GFLOP/s; ours at the full rate of the"
        f" product would be {left / rate / times.median:.2f} of its time."
        for name, times in zip(peers, others, strict=True)
    ]
    return Evaluated(lines, notes, rate)


def _ours(unet: UNet, latents: Tensor, timestep: Tensor, states: Tensor) -> Callable[[], Tensor]:
    with torch.inference_mode():
        text = unet.read(states)
        rows = latents.contiguous(memory_format=torch.channels_last)

    def evaluate() -> Tensor:
        with torch.inference_mode():
            return unet(rows, timestep, text)  # (2, 4, 52, 80)

    return evaluate


def _count_ours(weights: Path, latents: Tensor, timestep: Tensor, states: Tensor) -> int:
    """The operations of our own layers, counted where torch sees them: in the eager kernels."""
    unet = UNet(load_model(weights, "unet", torch.float32), "eager", (2, *latents.shape[1:]))
    return floor.count_operations(_ours(unet, latents, timestep, states))


def _difference(ours: Tensor, other: Any) -> float:
    """The largest difference of two predictions. Ends the bench where they are not those of one model."""
    found = float((ours - torch.as_tensor(other)).abs().max())
    if not found <= AGREEMENT:
        raise SystemExit(f"Two sides differ by {found:.1e} and not by {AGREEMENT} at most: they run different models.")
    return found
