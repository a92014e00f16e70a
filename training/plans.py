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
    guidance: float = 3.0
    oftener: tuple[str, ...] = ()  # subjects shown oftener than the others, because they are harder
