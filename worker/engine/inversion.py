"""From the latents of a picture back to those that a page begins with. May import torch and the engine's modules.

The loop is  pᵢ = a·xᵢ + b·f(xᵢ),  xᵢ₊₁ = k·xᵢ + c·pᵢ + d·pᵢ₋₁  (worker.engine.solvers) with the U-Net f. Backwards,
xᵢ is what goes into a step that ends at xᵢ₊₁, found by one round of a fixed-point iteration or a few; each costs one
call of the U-Net. The first guess of xᵢ takes pᵢ for pᵢ₊₁, which is known. pᵢ₋₁ belongs to a step that is not known
yet: it is taken to lie as far from pᵢ as that does from pᵢ₊₁, so that the way back is of second order, as the solver
is. Where steps are small, one round of it is nearer than many that take pᵢ₋₁ for pᵢ.

What comes out is put on the key's grid and drawn; what the page lacks is then put on top of what is asked for, and so
on: a quasi-Newton method whose Jacobian is the inversion. Clipping and rounding are inside it, for each drawing begins
at what a key can hold. The U-Net is called without gradients, so that the engine's own kernels compute all of it, on
any device and for any edition. Where that ends, gradients go on: worker.engine.gradients.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from worker.catalogue.float15 import LATENTS
from worker.catalogue.key import Floats, Key
from worker.engine.device import pinned_attention
from worker.engine.solvers import ALMOST_ZERO, Plan, alphas_cumprod
from worker.errors import InputRefused

if TYPE_CHECKING:
    from worker.engine.engine import Engine

Latents = npt.NDArray[np.float32]
"""(4, 52, 80)."""
_KEEPS: Final = 0.3
"""The share of its latents that a step has to keep for them to be guessed from what comes out of it."""
_REMEMBERED: Final = 4
"""Points that Anderson's mixing looks back at."""


@dataclass
class Course:
    """A page as it was drawn: what went into each step, what was predicted there, and what came out at the end."""

    latents: list[Tensor] = field(default_factory=list)  # (1, 4, h, w) each, float32
    predicted: list[Tensor] = field(default_factory=list)

    @property
    def end(self) -> Latents:
        """The latents of the picture."""
        return self.latents[-1][0].cpu().numpy()


def draw(engine: "Engine", key: Key) -> Iterator[Course]:
    """Draw the page of a key as it is printed; yields the course after each step, one and the same, growing.

    Where the engine has printed something else between two steps, those before are done again.
    """
    start = torch.from_numpy(key.latents.astype(np.float32))[None].to(engine.device)
    course = Course([start])
    steps = engine.run([key])
    run = engine.runs
    for done in range(key.steps):
        if engine.runs != run:
            steps = engine.run([key])
            run = engine.runs
            for _ in range(done):
                next(steps)
        step = next(steps)
        course.latents.append(step.latents[:1])
        course.predicted.append(step.predicted[:1])
        yield course


def decode(engine: "Engine", latents: Latents) -> npt.NDArray[np.uint8]:
    """The picture (416, 640, 3) of latents, by the ordinary decoder. Raises PrintFailed for an overflow."""
    rows = torch.from_numpy(np.ascontiguousarray(latents)).to(engine.device)[None].expand(engine.batch, -1, -1, -1)
    pixels: npt.NDArray[np.uint8] = engine.decode(rows.contiguous())[0]
    return pixels


class Inversion:
    """The loop of one embedding and number of steps, backwards, for one page at a time.

    Between two steps the engine may print: the embedding is read again then.
    """

    def __init__(self, engine: "Engine", steps: int, embedding: Floats, wanted: Latents) -> None:
        """`embedding` (77, 768) on the key's grid; `wanted` is where the loop is to end.

        Raises InputRefused where the edition has no such run.
        """
        self._engine = engine
        self._embeddings = np.repeat(embedding[None], engine.batch, 0)
        self._plan: Plan = engine.plan(steps)
        if any(update.to_noise for update in self._plan):
            raise InputRefused(
                f"Edition {engine.edition.slug} adds noise between its steps (solver {engine.edition.solver}), so"
                " that no way leads back from a picture to its key.",
                hint="Search in an edition with another solver.",
            )
        bars = alphas_cumprod(engine.edition.scheduler_config)
        self._alphas = [max(float(bars[update.timestep]), ALMOST_ZERO) ** 0.5 for update in self._plan]
        self._times = torch.tensor([update.timestep for update in self._plan], device=engine.device)
        self._wanted = self._asked = _tensor(wanted, engine)
        self._tried: list[tuple[Tensor, Tensor]] = []

    def correct(self, drawn: Course) -> None:
        """Have the next `backwards` make up for what the page of the last one, `drawn`, lacks.

        Anderson's mixing again: what is asked for and what is then lacking belong to one function, whose root it looks
        for.
        """
        self._tried.append((self._asked, self._wanted - drawn.latents[-1]))
        self._asked = _mixed(self._tried[-_REMEMBERED:])

    def backwards(self, rounds: int) -> Iterator[Floats | None]:
        """Latents, float16 (4, 52, 80) on the key's grid, from which the loop ends near what is wanted.

        Each step takes so many rounds. Yields None after each step but the last.
        """
        denoiser = self._engine.denoiser
        x, texts, later = self._asked, None, None
        for index in reversed(range(len(self._plan))):
            if texts is not denoiser.texts:
                denoiser.start(self._embeddings)
                texts = denoiser.texts
            x, later = self._before(index, x, rounds, later)
            if index:
                yield None
        yield LATENTS.snap(x[0].double().nan_to_num(0.0, posinf=4.0, neginf=-4.0).cpu().numpy())

    @torch.inference_mode()
    def _before(self, index: int, after: Tensor, rounds: int, later: Tensor | None) -> tuple[Tensor, Tensor]:
        """What went into step `index` if `after` came out of it, and what was predicted there.

        `later` is what the step after it predicted, None for the last step. Each round is a call of the U-Net.

        Anderson's mixing (1965) of rounds that take the slope of pᵢ as ¾·α. Of latents that the model finds to be of
        unit variance it is α, of details that it takes for noise 0.
        """
        update = self._plan[index]
        share = update.to_predicted + update.to_previous
        slope = update.keep + 0.75 * share * self._alphas[index]
        guess = after
        if later is not None and update.keep > _KEEPS:
            guess = (after - share * later) / update.keep
        predicted, tried = after, list[tuple[Tensor, Tensor]]()
        for _ in range(rounds):
            with pinned_attention(self._engine.device):
                output = self._engine.denoiser.alone(guess, self._times[index])
            predicted = update.of_latents * guess + update.of_output * output
            missing = after - update.keep * guess - share * predicted
            if later is not None:
                missing -= update.to_previous * (predicted - later)
            tried.append((guess, missing / slope))
            guess = _mixed(tried[-_REMEMBERED:])
        return guess, predicted


def _tensor(latents: Latents, engine: "Engine") -> Tensor:
    """Latents (4, h, w) as (1, 4, h, w) on the engine's device."""
    return torch.from_numpy(np.ascontiguousarray(latents)).to(engine.device)[None]


def _mixed(tried: list[tuple[Tensor, Tensor]]) -> Tensor:
    """The next point of a fixed-point iteration from the last points and their steps, by Anderson's mixing."""
    points, steps = zip(*tried, strict=True)
    if len(tried) == 1:
        return torch.add(points[0], steps[0])
    moved = torch.stack([(b - a).flatten() for a, b in pairwise(points)])  # (m, n)
    changed = torch.stack([(b - a).flatten() for a, b in pairwise(steps)])
    last = steps[-1].flatten()
    square = changed @ changed.T
    square += (1e-6 * square.diagonal().mean() + 1e-20) * torch.eye(len(square), device=square.device)
    shares = torch.linalg.solve(square, changed @ last)  # (m,)
    return torch.add(points[-1], (last - shares @ (moved + changed)).view_as(points[-1]))
