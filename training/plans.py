"""How much of everything the trainings do, as plain records: presets fill them, trainers read them. Imports nothing.

Kept apart from the trainers, so that a preset can be read where their libraries are not installed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["crops", "several", "pages"]
"""What an example shows: one thing on a crop of 192 × 192 pixels, some on 448 × 288, or a whole page of 640 × 416."""


@dataclass(frozen=True)
class AutoencoderPlan:
    """How the autoencoder is trained: steps, crops a step, crop edge in pixels, pages held at once."""

    steps: int = 1600
    batch: int = 16
    edge: int = 128
    pages: int = 240
    rate: float = 2e-3
    noise: float = 0.06
    warmup: int = 100
    report: int = 50
    keep_every: int = 50


@dataclass(frozen=True)
class TextPlan:
    """How the text encoder is trained."""

    steps: int = 2000
    batch: int = 32
    tokens: int = 32
    rate: float = 1e-3
    warmup: int = 100
    report: int = 50
    keep_every: int = 100
    captions: int = 20_000  # of which the tokenizer learns its pieces
    held_out: int = 1000  # captions that the probes are asked about in the end, in hundreds


@dataclass(frozen=True)
class Share:
    """A part of every step: so many examples a worker out of a bank of one kind."""

    kind: Kind
    batch: int
    bank: int
    every: int = 2  # steps after which each worker puts one new example in
    tilt: float = 0.6  # timesteps are 1000 · u^tilt with u uniform: the smaller, the more noise
    focus: float = 2.0  # at little noise an error counts 1 + focus times where a subject is


@dataclass(frozen=True)
class UnetPlan:
    """One stage of the U-Net's training."""

    name: str
    steps: int
    shares: tuple[Share, ...]
    rate: float = 6e-3
    warmup: int = 200
    decay: float = 0.0  # the last part of the steps, over which the rate falls to a tenth
    average_decay: float = 0.999
    dropout: float = 0.1
    report: int = 50
    keep_every: int = 250
    sheet_every: int = 1000
    sheet_steps: int = 16  # of the solver, for each picture on a sheet
    guidance: float = 3.0
    oftener: tuple[str, ...] = ()  # subjects shown oftener than the others, because they are harder


# -- the quarter of an hour on a GPU ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Part:
    """Some examples of one kind in every step. Timesteps are `below` · u^tilt with u uniform."""

    kind: Kind
    batch: int
    tilt: float = 0.6
    below: int = 1000


@dataclass(frozen=True)
class Phase:
    """A share of the training's time, and what a step is made of in it."""

    name: str
    share: float
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class QuarterPlan:
    """A U-Net trained by the clock from first to last (training.quarter_hour)."""

    name: str
    summary: str
    channels: tuple[int, ...]
    layers: int
    heads: int
    phases: tuple[Phase, ...]
    going_on: tuple[Phase, ...]  # of a run that begins with the weights of another
    pieces: dict[Kind, int]  # examples that go through the network at once: the only shapes that are compiled
    renderers: int
    chunk: dict[Kind, int]  # examples that a renderer hands over at once
    bank: dict[Kind, int]  # examples kept; the oldest make room
    filled: dict[Kind, int]  # examples that must be there before the first step
    least: int  # seconds of training below which a run is refused
    device: str = "cuda"
    compiled: bool = True
    bf16: bool = True  # autocast; a CPU without instructions for it is quicker in float32
    seed: int = 1
    rate: float = 8e-3
    warmup: int = 150  # steps
    falls: float = 0.5  # the last part of the time, over which the rate falls to 0
    averages: tuple[float, ...] = (0.05, 0.10)  # widths of the two averages, of the training's length
    dropout: float = 0.1
    focus: float = 2.0  # at little noise an error counts 1 + focus times where a subject is
    uses: float = 16.0  # of one example, above which the mixture takes more crops
    keep_seconds: float = 60.0  # between two savings
    drawn: int = 12  # pages on the sheet
    drawn_steps: int = 20
    guidance: float = 3.0
