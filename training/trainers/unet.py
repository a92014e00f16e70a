"""Trains the U-Net on banks of latents: v-prediction, zero terminal SNR, EMA; one thread in each of several processes.

Processes instead of threads: on a busy machine every operation of a two-thread network waits for the slower thread,
while two one-thread processes meet only once a step. They share the weights themselves: each writes its gradient, all
read the sum, and each updates its own part of the weights (torch, diffusers).
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch._inductor.config as inductor
import torch.nn as nn
from diffusers.models.attention_processor import AttnProcessor

from training import runs
from training.configs import FIXED, SCHEDULER, TEXT_LAYERS
from training.errors import TrainingError
from training.export import new_unet
from training.plans import Share, UnetPlan
from training.scenes.illustrator import SHAPES, Illustrator
from training.scenes.sprites import SpritePack
from training.trainers import auxiliary
from training.trainers.auxiliary import WithHeads
from training.trainers.bank import Bank, shared
from training.trainers.muon import ADAM_RATE, is_inner_matrix, views
from training.trainers.precision import autocast
from training.trainers.sampling import PROMPTS, sample
from training.trainers.text_encoder import embed
from worker.engine.networks.autoencoder import PocketAutoencoder
from worker.engine.solvers import alphas_cumprod

WORTH_COMPILING = 1000  # steps that are left; compiling takes two minutes at each start
FOCUS_FALLS = (500, 700)  # the timesteps between which subjects come to count no more than the rest


@dataclass
class Meeting:
    """A place where all workers wait for each other; one that finds the others dead ends."""

    workers: int
    gates: list[list[Any]] = field(init=False)
    turn: int = 0

    def __post_init__(self) -> None:
        context = multiprocessing.get_context("fork")
        self.gates = [[context.Semaphore(0) for _ in range(self.workers)] for _ in range(2)]

    def wait(self, rank: int, alive: Callable[[], bool]) -> None:
        """Returns once every worker has come. Two rows of gates take turns, so that nobody overtakes."""
        row = self.gates[self.turn]
        self.turn = 1 - self.turn
        for other in range(self.workers):
            if other != rank:
                row[other].release()
        for _ in range(self.workers - 1):
            while not row[rank].acquire(timeout=5):
                if not alive():
                    raise TrainingError("Another worker of the training has ended.", "Run the same command again.")


class Weights:
    """A network's parameters, their average, the gradients and the optimizers' moments, each one flat shared vector.

    Muon steps the matrices inside the network and AdamW all other parameters (trainers.muon); both are torch's.
    """

    def __init__(self, model: nn.Module, average: nn.Module, workers: int, device: str) -> None:
        self.names = [name for name, _ in model.named_parameters()]
        self.parameters = list(model.parameters())
        self.count = sum(p.numel() for p in self.parameters)

        def make() -> torch.Tensor:
            if device == "cpu":
                return shared((self.count,), torch.float32)
            return torch.zeros(self.count, device=device)

        self.now, self.average, self.first, self.second = make(), make(), make(), make()
        self.gradients = [make() for _ in range(workers)]
        for vector, network in ((self.now, model), (self.average, average)):
            for parameter, view in zip(network.parameters(), views(vector, self.parameters), strict=True):
                view.copy_(parameter.data)
                parameter.data = view
        self._views = [views(vector, self.parameters) for vector in self.gradients]

    def attach(self, rank: int) -> None:
        """Lets backward write into this worker's gradient vector."""
        self.gradients[rank].zero_()
        for parameter, view in zip(self.parameters, self._views[rank], strict=True):
            parameter.grad = view


class Stepper:
    """One worker's part of every step: it gives each parameter to one worker and steps those of its own.

    The moments are places in `Weights.first` and `Weights.second`, so that one worker can save them all.
    """

    def __init__(self, weights: Weights, rank: int, updates: int) -> None:
        self.weights, self.total = weights, torch.zeros_like(weights.now)
        workers, start = len(weights.gradients), 0
        burdens = [0.0] * workers
        matrices: list[tuple[nn.Parameter, slice]] = []
        others: list[tuple[nn.Parameter, slice]] = []
        self._own: list[slice] = []
        for name, parameter in zip(weights.names, weights.parameters, strict=True):
            part = slice(start, start + parameter.numel())
            start = part.stop
            inner = is_inner_matrix(name, parameter)
            owner = burdens.index(min(burdens))
            burdens[owner] += parameter.numel() * (min(len(parameter), parameter[0].numel()) + 64 if inner else 64)
            if owner != rank:
                continue
            self._own.append(part)
            shape = (len(parameter), -1) if inner else (-1,)
            value = nn.Parameter(weights.now[part].view(shape))
            value.grad = self.total[part].view(shape)
            (matrices if inner else others).append((value, part))
        self.optimizers: list[tuple[torch.optim.Optimizer, float]] = []  # each with its rate, of the stage's
        if matrices:
            muon = torch.optim.Muon([value for value, _ in matrices], lr=0, weight_decay=0.0)
            for value, part in matrices:
                muon.state[value] = {"momentum_buffer": weights.first[part].view(value.shape)}
            self.optimizers.append((muon, 1.0))
        if others:
            adam = torch.optim.AdamW([value for value, _ in others], lr=0, betas=(0.9, 0.99), weight_decay=1e-2)
            for value, part in others:
                moments = {"exp_avg": weights.first[part], "exp_avg_sq": weights.second[part]}
                adam.state[value] = {"step": torch.tensor(float(updates)), **moments}
            self.optimizers.append((adam, ADAM_RATE))
        # Values of 30 in the two places that no key holds would saturate the attention: nothing is learned of them.
        self._deaf = [
            view
            for name, view in zip(weights.names, views(self.total, weights.parameters), strict=True)
            if name.endswith(TEXT_LAYERS)
        ]

    @torch.no_grad()
    def step(self, rate: float, average_decay: float) -> None:
        """Averages all gradients, brings their norm down to 1 at most, and steps this worker's parameters."""
        gradients = self.weights.gradients
        self.total.copy_(gradients[0])
        for gradient in gradients[1:]:
            self.total += gradient
        for view in self._deaf:
            view[:, [place for place, _ in FIXED]] = 0
        self.total *= min(1 / len(gradients), 1 / (float(self.total.norm()) + 1e-6))
        for optimizer, factor in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate * factor
            optimizer.step()
        for part in self._own:
            self.weights.average[part].lerp_(self.weights.now[part], 1 - average_decay)


def _doubled(_: nn.Module, inputs: tuple[torch.Tensor]) -> tuple[torch.Tensor]:
    """Every place of (B, C, h, w) twice each way, (B, C, 2h, 2w)."""
    x = inputs[0][:, :, :, None, :, None].expand(-1, -1, -1, 2, -1, 2)
    return (x.flatten(4, 5).flatten(2, 3).contiguous(memory_format=torch.channels_last),)


def prepare(unet: Any) -> None:
    """Makes a U-Net quick to train on a CPU: the same function, with other operations.

    torch's fused attention spends 40 % of a step on its way back. What torch.compile (2.13, CPU) makes of
    nearest-neighbour upsampling in bfloat16 passes no gradient back, so places are repeated instead.
    """
    unet.set_attn_processor(AttnProcessor())
    for block in unet.up_blocks:
        for upsampler in block.upsamplers or ():
            upsampler.interpolate = False
            upsampler.conv.register_forward_pre_hook(_doubled)


def rate_at(plan: UnetPlan, step: int) -> float:
    """Warm-up, then constant, then over the last part a straight line to a tenth."""
    rate = plan.rate * min(1.0, (step + 1) / plan.warmup)
    left = (plan.steps - step) / plan.steps
    return rate * (0.1 + 0.9 * left / plan.decay) if plan.decay and left < plan.decay else rate


@dataclass
class Trainer:
    """Everything that the workers of one stage share."""

    plan: UnetPlan
    folder: Path
    seed: int
    device: str
    workers: int
    model: WithHeads
    average: WithHeads  # of which the heads go unused: it has every parameter that the model has
    weights: Weights
    vae: PocketAutoencoder
    encoder: Any
    tokenizer: Any
    banks: list[Bank]
    empty: torch.Tensor
    progress: dict[str, int]
    log: runs.Log
    meeting: Meeting
    losses: torch.Tensor
    updates: int = 0

    def work(self, rank: int, alive: Callable[[], bool]) -> None:
        """The training as one worker sees it."""
        plan, step = self.plan, self.progress.get(self.plan.name, 0)
        alphas = torch.tensor(alphas_cumprod(SCHEDULER), dtype=torch.float32)
        signal, noise_level = alphas.sqrt().to(self.device), (1 - alphas).sqrt().to(self.device)
        for bank, share in zip(self.banks, plan.shares, strict=True):
            first = step // share.every * self.workers
            bank.put([n for n in range(first, first + share.bank) if n % self.workers == rank])
        self.meeting.wait(rank, alive)
        if rank == 0:
            self.log.say(f"banks filled: {', '.join(f'{s.bank} {s.kind}' for s in plan.shares)}")
        network = self._compiled(rank, signal, noise_level) if plan.steps - step > WORTH_COMPILING else self.model
        self.meeting.wait(rank, alive)
        self.log.tick(0)
        mean, stepper = torch.zeros(2), Stepper(self.weights, rank, self.updates)
        while step < plan.steps:
            self.weights.attach(rank)
            self.losses[rank] = 0
            for number, (bank, share) in enumerate(zip(self.banks, plan.shares, strict=True)):
                rng = np.random.default_rng((self.seed, step, rank, number))
                loss = self._loss(network, bank, share, rng, signal, noise_level)
                loss.sum().backward()
                self.losses[rank] += loss.detach().cpu()
            self.meeting.wait(rank, alive)
            now = self.losses.mean(0)  # between the two meetings, where nobody writes it
            decay = min(plan.average_decay, (1 + self.updates) / (10 + self.updates))
            stepper.step(rate_at(plan, step), decay)
            for bank, share in zip(self.banks, plan.shares, strict=True):
                if (step + 1) % share.every == 0:
                    bank.put([share.bank + step // share.every * self.workers + rank])
            self.meeting.wait(rank, alive)
            step += 1
            self.updates += 1
            if rank == 0:
                mean = 0.98 * mean + 0.02 * now if mean.any() else now
                self._keep(step, mean)

    def _compiled(self, rank: int, signal: torch.Tensor, level: torch.Tensor) -> Any:
        """The U-Net through torch.compile, or as it is where there is no C++ compiler or its gradients are others.

        On one core 87 crops a second instead of 69, 14.5 pages instead of 12.4.
        """
        if self.device == "cpu" and shutil.which("g++") is None and shutil.which("clang++") is None:
            return self.model
        inductor.compile_threads = 1  # no pool of compilers beside the workers
        network = torch.compile(self.model, dynamic=False)
        for number, (bank, share) in enumerate(zip(self.banks, self.plan.shares, strict=True)):
            gradients = []
            for candidate in (self.model, network):
                self.weights.attach(rank)
                self._loss(candidate, bank, share, np.random.default_rng(number), signal, level).sum().backward()
                gradients.append(self.weights.gradients[rank].clone())
            if not (alike := float(torch.cosine_similarity(gradients[0], gradients[1], dim=0))) > 0.98:
                self.log.say(f"not compiled: gradients of {share.kind} would have a cosine of {alike:.3f} to the true")
                return self.model
        if rank == 0:
            self.log.say("compiled")
        return network

    def _loss(
        self, network: Any, bank: Bank, share: Share, rng: np.random.Generator, signal: torch.Tensor,
        level: torch.Tensor,
    ) -> torch.Tensor:  # fmt: skip
        """Mean (v̂ − v)² with v = α·ε − σ·x₀ (Salimans & Ho 2022), and the heads' loss (0 unless on whole pages).

        Timesteps are spread over the batch; their density rises with t: at low noise there is little left to learn.
        Where a subject is, the error counts 1 + `focus` times, except at much noise: there little tells yet where it
        is, and the weight would make the net expect it everywhere.
        """
        x, states, where = bank.take(rng, share.batch)
        dropped = torch.from_numpy(rng.random(share.batch) < self.plan.dropout)
        states[dropped] = self.empty
        even = (rng.random() + np.arange(share.batch) / share.batch) % 1
        t = torch.from_numpy((even**share.tilt * 1000).astype(np.int64))
        noise = torch.from_numpy(rng.standard_normal(x.shape, dtype=np.float32))
        low, high = FOCUS_FALLS
        weight = 1 + share.focus * ((high - t) / (high - low)).clamp(0, 1).view(-1, 1, 1, 1) * where
        x, states, t, noise, weight, where = (v.to(self.device) for v in (x, states, t, noise, weight, where))
        a, s = signal[t].view(-1, 1, 1, 1), level[t].view(-1, 1, 1, 1)
        noised = (a * x + s * noise).contiguous(memory_format=torch.channels_last)
        with autocast(self.device):
            output, position, subjects = network(noised, t, states)
        error: torch.Tensor = (output.float() - (a * noise - s * x)).pow(2).mean(1, keepdim=True)
        heads = auxiliary.loss(position, subjects, where) if share.kind == "pages" else error.new_zeros(())
        return torch.stack(((error * weight).sum() / weight.sum(), heads))

    def _keep(self, step: int, mean: torch.Tensor) -> None:
        """Reports, saves and draws where it is time."""
        plan = self.plan
        self.log.tick(self.workers * sum(share.batch for share in plan.shares))
        if step % plan.report == 0:
            self.log.report(step, float(mean[0]), f", heads {float(mean[1]):.3f}")
        if step % plan.keep_every == 0 or step == plan.steps:
            self.progress[plan.name] = step
            self.save()
        if step % plan.sheet_every == 0 or step == plan.steps:
            self.sheet(self.folder / f"{plan.name}-{step:06d}.webp")

    def save(self) -> None:
        """The one checkpoint of all U-Net stages."""
        state = {
            "model": self.model.unet.state_dict(), "average": self.average.unet.state_dict(),
            "heads": self.model.heads.state_dict(),
            "first": self.weights.first, "second": self.weights.second, "progress": dict(self.progress),
            "updates": self.updates,
        }  # fmt: skip
        runs.save(self.folder / "unet.pt", state)

    def sheet(self, path: Path) -> None:
        """Samples with the averaged weights, of the kind of the stage's first share: twelve, or six whole pages."""
        kind = self.plan.shares[0].kind
        texts = list(PROMPTS if kind != "pages" else PROMPTS[:6])
        states = torch.from_numpy(embed(self.encoder, self.tokenizer, texts, self.device)).float()
        latents = sample(
            self.average.unet, states, self.empty[None], SHAPES[kind], self.plan.guidance, self.plan.sheet_steps, 7,
            device=self.device,
        )  # fmt: skip
        with torch.no_grad():
            pictures = [runs.picture(self.vae.decode(z[None]).sample[0]) for z in latents]  # type: ignore[union-attr]
        runs.save_sheet(path, pictures, 6 if kind == "crops" else 3, 1.0 if kind == "crops" else 0.7)


def train(
    plan: UnetPlan, pack: SpritePack, folder: Path, seed: int, vae: PocketAutoencoder, encoder: Any, tokenizer: Any,
    start: dict[str, torch.Tensor] | None = None, done: dict[str, int] | None = None, device: str = "cpu",
    workers: int = 2, everything: bool = False,
) -> None:  # fmt: skip
    """Runs one stage, or what is left of it.

    `start` (weights) and `done` (steps of each of the U-Net's stages) count where the folder has no checkpoint.
    """
    workers = workers if device == "cpu" else 1
    log = runs.Log(folder, plan.name, plan.steps)
    torch.manual_seed(seed)
    model, average = WithHeads(new_unet()).to(device), WithHeads(new_unet()).to(device)
    if device == "cpu":
        prepare(model.unet)
    path = folder / "unet.pt"
    state = runs.load(path)
    progress = dict(done or {})
    if state is not None:
        runs.fit(model.unet, state["model"], str(path))
        runs.fit(average.unet, state["average"], str(path))
        runs.fit(model.heads, state["heads"], str(path))
        progress = dict(state["progress"])
    else:
        if start is not None:
            runs.fit(model.unet, start, "of the edition")
        average.unet.load_state_dict(model.unet.state_dict())
    if progress.get(plan.name, 0) >= plan.steps:
        return
    weights = Weights(model, average.requires_grad_(False), workers, device)
    updates = 0
    if state is not None:
        weights.first.copy_(state["first"])
        weights.second.copy_(state["second"])
        updates = int(state["updates"])
        log.say(f"goes on from step {progress.get(plan.name, 0)}")
    vae.eval().requires_grad_(False)
    encoder.eval().requires_grad_(False)
    banks = [
        Bank(Illustrator(share.kind, pack, seed, everything, plan.oftener), share.bank, vae, encoder, tokenizer, device)
        for share in plan.shares
    ]
    empty = torch.from_numpy(embed(encoder, tokenizer, [""], device))[0].float()  # (77, 768)
    trainer = Trainer(
        plan, folder, seed, device, workers, model, average, weights, vae, encoder, tokenizer, banks, empty, progress,
        log, Meeting(workers), shared((workers, 2), torch.float32), updates,
    )  # fmt: skip
    _run(trainer)


def _run(trainer: Trainer) -> None:
    """Starts the other workers, is the first of them, and ends with them."""
    context, parent = multiprocessing.get_context("fork"), os.getpid()

    def child(rank: int) -> None:
        try:
            trainer.work(rank, lambda: os.getppid() == parent)
        except TrainingError:
            os._exit(1)

    threads = torch.get_num_threads()
    if trainer.workers > 1:
        torch.set_num_threads(1)
    children = [context.Process(target=child, args=(rank,), daemon=True) for rank in range(1, trainer.workers)]
    for process in children:
        process.start()
    began = time.time()
    try:
        trainer.work(0, lambda: all(process.is_alive() for process in children))
    finally:
        for process in children:
            process.join(timeout=20)
            process.kill()
        torch.set_num_threads(threads)
    trainer.log.say(f"done after {(time.time() - began) / 60:.1f} minutes")
