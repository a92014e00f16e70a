"""The presets: how much of everything a training does (no code of its own; imports the plans)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from training.errors import TrainingError
from training.plans import AutoencoderPlan, Part, Phase, QuarterPlan, Share, TextPlan, UnetPlan


@dataclass(frozen=True)
class Preset:
    """One recipe. The U-Net's stages go on from one another in this order."""

    name: str
    summary: str
    autoencoder: AutoencoderPlan
    decoder: AutoencoderPlan | None
    text: TextPlan
    unet: tuple[UnetPlan, ...]
    device: str = "cpu"
    workers: int = 2
    seed: int = 1
    everything: bool = False

    @property
    def stages(self) -> tuple[str, ...]:
        """The names of all stages in the order in which they are due."""
        decoder = ("decoder",) if self.decoder else ()
        return ("autoencoder", "text", *(plan.name for plan in self.unet), *decoder)


_BRIEFLY: dict[str, Any] = {"report": 1, "keep_every": 1, "sheet_every": 9, "sheet_steps": 2, "warmup": 2}

SMOKE = Preset(
    "smoke",
    "half a minute on 2 cores, in the tests: every stage once, too short to draw anything",
    AutoencoderPlan(steps=6, batch=4, edge=64, pages=4, report=2, keep_every=2),
    AutoencoderPlan(steps=2, batch=4, edge=64, pages=4, report=1, keep_every=1),
    TextPlan(steps=4, batch=8, report=2, keep_every=2, captions=2000, held_out=100),
    (
        UnetPlan("crops", 1, (Share("crops", 4, 16),), **_BRIEFLY),
        UnetPlan("several", 1, (Share("several", 2, 4),), **_BRIEFLY),
        UnetPlan("pages", 2, (Share("pages", 1, 4), Share("crops", 2, 8)), **_BRIEFLY),
    ),
)

# What the weights after pages-3 drew worst on 642 pages of other seeds than the evaluation's, and what is like it;
# crocodile, snake, horse and star were among the ten worst of the evaluation.
HARD = (
    "dog", "cat", "horse", "cow", "camel", "deer", "mouse", "rabbit", "koala", "chicken", "duck", "crocodile", "snake",
    "tree", "pine", "apple", "ice cream", "cake", "car", "bicycle", "house", "fountain", "guitar", "trumpet", "chair",
    "camera", "key", "star",
)  # fmt: skip

# A stage takes at most two hours on 2 cores that do nothing else: about 115 crops or 19 pages a second.
CPU = Preset(
    "cpu",
    "what ships: about eight hours on 2 cores, in stages that can be days apart",
    AutoencoderPlan(),
    AutoencoderPlan(steps=3000, rate=1e-3),
    TextPlan(),
    (
        UnetPlan("crops", 6_500, (Share("crops", 16, 3000),)),
        UnetPlan("several", 800, (Share("several", 3, 300, 4), Share("crops", 8, 2000)), rate=5e-3),
        UnetPlan("pages", 8_500, (Share("pages", 3, 800, 4), Share("crops", 3, 2000)), rate=5e-3, decay=0.3),
        UnetPlan("crops-2", 8_500, (Share("crops", 12, 3000, 1), Share("pages", 1, 800, 4, tilt=0.4)), rate=3e-3),
        UnetPlan(
            "pages-2", 8_000, (Share("pages", 3, 800, 3, tilt=0.4), Share("crops", 6, 3000, 1)), rate=3e-3, decay=0.6
        ),
        UnetPlan(
            "pages-3", 12_500, (Share("pages", 4, 800, 2, tilt=0.4), Share("crops", 4, 3000, 1)), rate=3e-3, decay=0.6
        ),
        UnetPlan(
            "pages-4",
            12_000,
            (Share("pages", 3, 800, 2, tilt=0.4), Share("crops", 6, 3000, 1)),
            rate=3e-3,
            decay=0.6,
            oftener=HARD,
        ),
    ),
)  # fmt: skip

GPU = Preset(
    "gpu",
    "one GPU, bf16, every picture of the pack: larger batches, and each kind of stage once",
    AutoencoderPlan(steps=20_000, batch=64, pages=1000, report=200, keep_every=1000),
    None,
    TextPlan(steps=8000, batch=128),
    (
        UnetPlan("crops", 60_000, (Share("crops", 128, 20_000),)),
        UnetPlan("several", 20_000, (Share("several", 48, 4000), Share("crops", 32, 4000)), rate=5e-3),
        UnetPlan("pages", 60_000, (Share("pages", 32, 4000, tilt=0.4), Share("crops", 32, 4000)), rate=4e-3, decay=0.5),
    ),
    device="cuda",
    workers=1,
    everything=True,
)

PRESETS = {preset.name: preset for preset in (SMOKE, CPU, GPU)}

# -- by the clock -----------------------------------------------------------------------------------------------------

_CROPS = Phase("crops", 0.16, (Part("crops", 2048),))
_BOTH = Phase("both", 0.66, (Part("pages", 192, tilt=0.4), Part("crops", 1024, tilt=0.8, below=750)))
_PAGES = Phase("pages", 0.18, (Part("pages", 384, tilt=0.45),))

# Eight minutes of an H100 are about nine times the arithmetic of all stages of the preset cpu. Crops teach shapes,
# which are lost at little and middle noise; beside pages they have no more than that.
QUARTER_HOUR = QuarterPlan(
    "quarter-hour",
    "eight minutes of one H100 or H200 and 16 cores: a U-Net of 12.2 million parameters",
    channels=(64, 128, 160),
    layers=2,
    heads=5,
    phases=(_CROPS, _BOTH, _PAGES),
    going_on=(replace(_BOTH, share=0.75), replace(_PAGES, share=0.25)),
    pieces={"crops": 1024, "pages": 192},
    renderers=14,
    chunk={"crops": 48, "pages": 8},
    bank={"crops": 800_000, "pages": 120_000},
    filled={"crops": 4800, "pages": 480},
    least=60,
)

REHEARSAL = QuarterPlan(
    "rehearsal",
    "the same in seconds on a CPU: a tiny U-Net that draws nothing",
    channels=(16, 24, 32),
    layers=2,
    heads=2,
    phases=(
        Phase("crops", 0.3, (Part("crops", 8),)),
        Phase("both", 0.4, (Part("pages", 1, tilt=0.4), Part("crops", 4, tilt=0.8, below=750))),
        Phase("pages", 0.3, (Part("pages", 2, tilt=0.45),)),
    ),
    going_on=(Phase("both", 1.0, (Part("pages", 1, tilt=0.4), Part("crops", 4, tilt=0.8, below=750))),),
    pieces={"crops": 4, "pages": 1},
    renderers=1,
    chunk={"crops": 6, "pages": 1},
    bank={"crops": 200, "pages": 20},
    filled={"crops": 6, "pages": 2},
    least=2,
    device="cpu",
    compiled=False,
    bf16=False,
    warmup=4,
    keep_seconds=2.0,
    drawn=1,
    drawn_steps=2,
)

QUARTERS = {plan.name: plan for plan in (QUARTER_HOUR, REHEARSAL)}
"""Trainings that a clock ends and not a number of steps: `python -m training quarter-hour`."""


def preset_named(name: str) -> Preset:
    """The preset of stages; TrainingError that lists them where there is none of that name."""
    if name in QUARTERS:
        raise TrainingError(
            f"The preset {name} is trained by the clock.",
            f"Run `python -m training quarter-hour --preset {name} --seconds 480 --output FOLDER`.",
        )
    if name not in PRESETS:
        raise TrainingError(f"There is no preset {name!r}.", f"The presets are {', '.join(PRESETS)}.")
    return PRESETS[name]


def quarter_named(name: str) -> QuarterPlan:
    """The preset by the clock; TrainingError that lists them where there is none of that name."""
    if name not in QUARTERS:
        raise TrainingError(f"There is no preset {name!r} by the clock.", f"There are {', '.join(QUARTERS)}.")
    return QUARTERS[name]
