"""From the latents of a picture back to those that a page begins with. May import torch and the engine's modules.

The loop is  pᵢ = a·xᵢ + b·f(xᵢ),  xᵢ₊₁ = k·xᵢ + c·pᵢ + d·pᵢ₋₁  (worker.engine.solvers) with the U-Net f. Backwards,
xᵢ is what goes into a step that ends at xᵢ₊₁, found by one round of a fixed-point iteration or a few; each costs one
call of the U-Net. The first guess of xᵢ takes pᵢ for pᵢ₊₁, which is known. pᵢ₋₁ belongs to a step that is not known
yet: it is taken to lie as far from pᵢ as that does from pᵢ₊₁, so that the way back is of second order, as the solver
is. Where steps are small, one round of it is nearer than many that take pᵢ₋₁ for pᵢ.

What comes out is put on the key's grid and drawn; what the page lacks is then put on top of what is asked for, and so
on: a quasi-Newton method whose Jacobian is the inversion. Clipping and rounding are inside it, for each drawing begins
at what a key can hold. The U-Net is called without gradients, so that the engine's own kernels compute all of it, on
any device and for any edition. Where that ends, gradients through decoder and loop go on
(`Descent`).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from worker.catalogue.float15 import LATENTS
from worker.catalogue.key import Floats, Key
from worker.engine.device import pinned_attention
from worker.engine.networks.loading import load_model, load_unet
from worker.engine.solvers import ALMOST_ZERO, Plan, alphas_cumprod
from worker.errors import InputRefused

if TYPE_CHECKING:
    from worker.engine.engine import Engine

Latents = npt.NDArray[np.float32]
"""(4, 52, 80)."""
_LARGE: Final = 100_000_000
"""Parameters of a U-Net from which on its activations are computed again on the way back rather than kept."""
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


class Descent:
    """Latents of a key made better by Adam's gradients from the pixels through the decoder and every step of the loop.

    U-Net and VAE are diffusers' own classes in float32, since the engine's kernels have no gradients: what they draw is
    the page to within a rounding. The latents are put on the key's grid in every forward run, and the gradient goes
    straight through that (Bengio et al. 2013); what leaves the key's range is brought back to its edge.
    """

    def __init__(self, engine: "Engine", pixels: npt.NDArray[np.uint8], key: Key, strokes: int, rate: float) -> None:
        """`pixels` (416, 640, 3) are asked for; `key` is where it begins; `strokes` steps of Adam are planned."""
        device = engine.device
        self._unet = load_unet(engine.edition.weights, engine.edition.adapters, torch.float32)
        self._unet.requires_grad_(False).eval()
        self._vae = load_model(engine.edition.weights, "vae", torch.float32).requires_grad_(False).eval()
        for model in (self._unet, self._vae):
            model.to(device, memory_format=torch.channels_last)
        self._scale = float(self._vae.config.scaling_factor)
        self._plan = engine.plan(key.steps)
        self._times = torch.tensor([update.timestep for update in self._plan], device=device)
        self._guidance = engine.denoiser.guidance
        texts = [key.embedding]
        if engine.denoiser.is_guided(key.embedding):
            texts = [engine.embed("").astype(np.float16), key.embedding]
        self._texts = torch.from_numpy(np.stack(texts).astype(np.float32)).to(device)  # (1 or 2, 77, 768)
        self._recompute = sum(part.numel() for part in self._unet.parameters()) > _LARGE
        wanted = torch.from_numpy(pixels).to(device).permute(2, 0, 1)[None]
        self._wanted = wanted.float().div(127.5).sub(1.0).contiguous(memory_format=torch.channels_last)
        first = torch.from_numpy(key.latents.astype(np.float32)).to(device)[None]
        self._latents = first.contiguous(memory_format=torch.channels_last).clone().requires_grad_(True)
        self._adam = torch.optim.Adam([self._latents], lr=rate, betas=(0.9, 0.98))
        self._fall = torch.optim.lr_scheduler.CosineAnnealingLR(self._adam, strokes, eta_min=rate / 10)

    def stroke(self) -> float:
        """One step of Adam; returns the mean squared error before it, of pixels in −1 … 1."""
        with torch.enable_grad():
            self._adam.zero_grad()
            on_grid = self._latents + (_on_grid(self._latents) - self._latents).detach()
            painted = self._vae.decode(self._loop(on_grid) / self._scale).sample  # (1, 3, 8h, 8w)
            error = (painted.clamp(-1.0, 1.0) - self._wanted).square().mean()
            error.backward()
            self._adam.step()
            self._fall.step()
        with torch.no_grad():
            self._latents.clamp_(-LATENTS.largest, LATENTS.largest)
        return float(error.item())

    def _loop(self, x: Tensor) -> Tensor:
        before = torch.zeros_like(x)
        for update, timestep in zip(self._plan, self._times, strict=True):
            if self._recompute:
                output = checkpoint(self._output, x, timestep, use_reentrant=False)
            else:
                output = self._output(x, timestep)
            predicted = update.of_latents * x + update.of_output * output
            x = update.keep * x + update.to_predicted * predicted + update.to_previous * before
            before = predicted
        return x

    def _output(self, x: Tensor, timestep: Tensor) -> Tensor:
        rows: Tensor = self._unet(x.expand(len(self._texts), -1, -1, -1), timestep, self._texts).sample
        if len(rows) == 1:
            return rows
        uncond, cond = rows.chunk(2)
        return uncond + self._guidance.at(timestep) * (cond - uncond)

    @property
    def latents(self) -> Floats:
        """The latents (4, 52, 80) by now, on the key's grid."""
        return LATENTS.snap(self._latents.detach()[0].contiguous().double().cpu().numpy())


def _on_grid(latents: Tensor) -> Tensor:
    """Latents rounded as the key's 15-bit floats are, but for the 2⁻¹⁴ next to nought."""
    return latents.clamp(-LATENTS.largest, LATENTS.largest).half().float()
