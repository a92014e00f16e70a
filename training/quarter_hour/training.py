"""The training itself: what happens in a step, from the bank to the averages (torch; the rest of this room)."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from training import runs
from training.configs import SCHEDULER
from training.errors import TrainingError
from training.plans import Kind, Part, Phase, QuarterPlan
from training.quarter_hour import heads, shards
from training.quarter_hour.bank import Bank, Batch, embed, spread
from training.quarter_hour.heads import Learner
from training.quarter_hour.networks import Autoencoder, TextEncoder, Unet
from training.quarter_hour.renderers import KINDS, Renderers
from training.quarter_hour.schedule import Costs
from training.quarter_hour.tokens import Tokenizer
from training.quarter_hour.vectors import DEAF, Vectors
from training.scenes.illustrator import SHAPES
from training.scenes.sprites import open_pack
from training.trainers.sampling import PROMPTS, sample
from worker.engine.solvers import alphas_cumprod

FOCUS_FALLS = (500, 700)  # the timesteps between which subjects come to count no more than the rest
ALIKE = 0.98  # least cosine between the gradients of the compiled network and of the plain one
_TIMED = 3  # pieces over which a cost is measured
Say = Callable[[str], None]


@dataclass(frozen=True)
class Frozen:
    """What is not trained: the edition's autoencoder and text encoder."""

    vae: Autoencoder
    encoder: TextEncoder
    tokenizer: Tokenizer

    @classmethod
    def of(cls, edition: Path, device: str) -> Frozen:
        """Reads them from an edition's folder. TrainingError where a file is missing or of another form."""
        built = []
        for name, kind, file in (
            ("vae", Autoencoder, "diffusion_pytorch_model"),
            ("text_encoder", TextEncoder, "model"),
        ):
            try:
                config = json.loads((edition / name / "config.json").read_text(encoding="utf-8"))
            except (OSError, ValueError) as error:
                raise TrainingError(
                    f"{edition / name} cannot be read: {error}", "Name an edition's folder with --edition."
                ) from error
            network: Any = kind(config)
            path = edition / name / f"{file}.safetensors"
            weights = {key.removeprefix("text_model."): tensor for key, tensor in shards.read(path)[0].items()}
            runs.fit(network, weights, str(path))
            built.append(network.to(device).eval().requires_grad_(False))
        return cls(built[0].to(memory_format=torch.channels_last), built[1], Tokenizer(edition / "tokenizer"))


class Training:
    """A learner, its banks and everything that a step needs. One thread uses it."""

    def __init__(
        self, plan: QuarterPlan, frozen: Frozen, pieces: dict[Kind, int], seed: int, say: Say,
        weights: dict[str, Tensor] | None = None,
    ) -> None:  # fmt: skip
        self.plan, self.frozen, self.pieces, self.say, self.device = plan, frozen, dict(pieces), say, plan.device
        torch.manual_seed(seed)
        unet = Unet(plan.channels, plan.layers, plan.heads)
        if weights is not None:
            runs.fit(unet, weights, "to begin with")
        else:
            with torch.no_grad():
                for name, weight in unet.named_parameters():
                    if "attn2.to_k" in name or "attn2.to_v" in name:
                        weight[:, DEAF] = 0
        things = len(open_pack().subjects())
        self.learner = Learner(unet, things).to(self.device, memory_format=torch.channels_last)
        self.network: Any = self.learner
        self.vectors = Vectors(self.learner, plan.averages)
        self.banks = {kind: Bank(kind, plan.bank[kind], frozen.vae, self.device, plan.bf16) for kind in KINDS}
        self.generator = torch.Generator(self.device).manual_seed(seed)
        alphas = torch.tensor(alphas_cumprod(SCHEDULER), dtype=torch.float32, device=self.device)
        self._signal, self._level = alphas.sqrt(), (1 - alphas).sqrt()
        self._empty = torch.tensor(frozen.tokenizer(""), device=self.device)  # (77,)
        self.losses = {kind: torch.zeros(3, device=self.device) for kind in KINDS}  # of latents, of heads, how many
        self._events: list[Any] = []

    # -- examples ------------------------------------------------------------------------------------------------------

    def feed(self, renderers: Renderers, seconds: float = 0.0) -> None:
        """Puts what the renderers have ready into the banks, after waiting so long at most for the first."""
        for chunk in renderers.chunks(seconds):
            self.banks[chunk.kind].put(chunk)

    def fill(self, renderers: Renderers) -> None:
        """Waits until both banks hold what the first step needs."""
        while any(self.banks[kind].made < self.plan.filled[kind] for kind in KINDS):
            self.feed(renderers, 0.5)

    # -- one step ------------------------------------------------------------------------------------------------------

    def loss(self, network: Any, part: Part, batch: Batch) -> Tensor:
        """Mean (v̂ − v)² with v = α·ε − σ·x₀ (Salimans & Ho 2022), and the heads' loss, (2,).

        Where a subject is, the error counts 1 + `focus` times, except at much noise, as in trainers.unet.
        """
        generator, number = self.generator, len(batch.latents)
        dropped = torch.rand(number, generator=generator, device=self.device) < self.plan.dropout
        states = embed(self.frozen.encoder, torch.where(dropped[:, None], self._empty, batch.tokens))
        t = spread(number, part.tilt, part.below, generator)
        noise = torch.randn(batch.latents.shape, generator=generator, device=self.device)
        low, high = FOCUS_FALLS
        weight = 1 + self.plan.focus * ((high - t) / (high - low)).clamp(0, 1).view(-1, 1, 1, 1) * batch.where
        a, s = self._signal[t].view(-1, 1, 1, 1), self._level[t].view(-1, 1, 1, 1)
        noised = (a * batch.latents + s * noise).contiguous(memory_format=torch.channels_last)
        with torch.autocast(self.device, torch.bfloat16, enabled=self.plan.bf16):
            said = network(noised, t, states)
        error = (said.prediction.float() - (a * noise - s * batch.latents)).pow(2).mean(1, keepdim=True)
        asked = heads.loss(said, batch.where, batch.things, batch.places, part.kind == "pages")
        return torch.stack(((error * weight).sum() / weight.sum(), asked))

    def step(self, phase: Phase, rate: float) -> None:
        """One step of all that a phase's parts ask for, piece by piece."""
        self.vectors.gradient.zero_()
        pieces = 0
        for part in phase.parts:
            size = self.pieces[part.kind]
            count = max(1, part.batch // size)
            for _ in range(count):
                lost = self.loss(self.network, part, self.banks[part.kind].take(size, self.generator))
                (lost.sum() / count).backward()
                self.losses[part.kind] += torch.cat((lost.detach(), lost.new_ones(1)))
            pieces += 1
        self.vectors.step(rate, pieces)
        self._pace()

    def _pace(self) -> None:
        """Waits for the step before the last, so that the host is never further ahead of the GPU than that."""
        if self.device == "cuda":
            event = torch.cuda.Event()
            event.record()
            self._events.append(event)
            if len(self._events) > 2:
                self._events.pop(0).synchronize()

    # -- getting ready -------------------------------------------------------------------------------------------------

    def compile(self, phases: tuple[Phase, ...]) -> float:
        """Compiles the learner for every piece; returns the seconds. Stays with the plain one where that is better.

        That is where there is no compiler, where compiling fails, or where gradients come out others.
        """
        began = time.monotonic()
        if self.device == "cpu" and shutil.which("g++") is None and shutil.which("clang++") is None:
            self.say("not compiled: there is no C++ compiler here")
            return 0.0
        network = torch.compile(self.learner, dynamic=False)
        for part in _one_of_each(phases):
            batch = self.banks[part.kind].take(self.pieces[part.kind], self.generator)
            state, gradients = self.generator.get_state(), []
            for candidate in (self.learner, network):
                self.generator.set_state(state)
                self.vectors.gradient.zero_()
                try:
                    self.loss(candidate, part, batch).sum().backward()
                except torch.OutOfMemoryError:
                    raise
                except Exception as error:  # whatever a compiler can say: the quarter of an hour goes on without it
                    self.say(f"not compiled: {type(error).__name__}: {str(error).splitlines()[0]}")
                    return time.monotonic() - began
                gradients.append(self.vectors.gradient.clone())
            alike = float(torch.cosine_similarity(gradients[0], gradients[1], dim=0))
            if not alike > ALIKE:
                self.say(f"not compiled: gradients of {part.kind} would have a cosine of {alike:.3f} to the true ones")
                return time.monotonic() - began
            self.say(f"compiled for {len(batch.latents)} {part.kind} after {time.monotonic() - began:.1f} s")
        self.network = network
        return time.monotonic() - began

    def fit_pieces(self, phases: tuple[Phase, ...]) -> None:
        """Halves a kind's piece until it fits the device's memory."""
        for part in _one_of_each(phases):
            while True:
                try:
                    batch = self.banks[part.kind].take(self.pieces[part.kind], self.generator)
                    self.loss(self.learner, part, batch).sum().backward()
                    break
                except torch.OutOfMemoryError:
                    if self.pieces[part.kind] <= 1:
                        raise
                    self.pieces[part.kind] //= 2
                    torch.cuda.empty_cache()
                    self.say(f"memory allows {self.pieces[part.kind]} {part.kind} at once")

    def train_costs(self, phases: tuple[Phase, ...]) -> dict[Kind, float]:
        """Seconds that one example of each kind takes to train on; the weights stay as they are."""
        costs: dict[Kind, float] = {}
        for part in _one_of_each(phases):
            size, began = self.pieces[part.kind], 0.0
            for number in range(_TIMED + 1):
                if number == 1:  # the first is not counted
                    self.wait()
                    began = time.monotonic()
                batch = self.banks[part.kind].take(size, self.generator)
                self.loss(self.network, part, batch).sum().backward()
            self.wait()
            costs[part.kind] = (time.monotonic() - began) / _TIMED / size
        self.vectors.gradient.zero_()
        return costs

    def costs(self, phases: tuple[Phase, ...], renderers: Renderers) -> Costs:
        """What an example of each kind costs now."""
        return Costs(dict(renderers.costs), self.train_costs(phases))

    def wait(self) -> None:
        """Until the device has done what it was told."""
        if self.device == "cuda":
            torch.cuda.synchronize()

    # -- looking at it -------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def draw(self, path: Path) -> None:
        """A sheet of whole pages, drawn with the narrowest average."""
        plan, texts = self.plan, list(PROMPTS[: self.plan.drawn])
        unet = Unet(plan.channels, plan.layers, plan.heads).to(self.device, memory_format=torch.channels_last)
        average = self.vectors.named(self.vectors.averages[min(plan.averages)])
        unet.load_state_dict({n.removeprefix("unet."): t for n, t in average.items() if n.startswith("unet.")})
        tokens = torch.tensor([self.frozen.tokenizer(text) for text in ("", *texts)], device=self.device)
        states = embed(self.frozen.encoder, tokens)
        latents = sample(
            lambda x, t, s: SimpleNamespace(sample=unet(x, t.expand(len(x)), s).prediction), states[1:], states[:1],
            SHAPES["pages"], plan.guidance, plan.drawn_steps, 7, device=self.device,
        )  # fmt: skip
        pictures = [runs.picture(self.frozen.vae.decode(z[None])[0]) for z in latents]
        runs.save_sheet(path, pictures, min(3, len(pictures)), 0.7)


def _one_of_each(phases: tuple[Phase, ...]) -> list[Part]:
    """The first part of each kind."""
    found: dict[Kind, Part] = {}
    for phase in phases:
        for part in phase.parts:
            found.setdefault(part.kind, part)
    return list(found.values())
