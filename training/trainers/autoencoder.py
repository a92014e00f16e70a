"""Trains the autoencoder on crops of rendered pages (torch, worker.engine.networks.autoencoder)."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from training import runs
from training.plans import AutoencoderPlan
from training.scenes.drawing import draw_page
from training.scenes.scene import Director
from training.scenes.sprites import SpritePack
from training.trainers.precision import autocast
from worker.engine.networks.autoencoder import PocketAutoencoder

HELD_OUT_SEED = 10_000_019  # pages of the evaluation: no training page has this seed or one after it


def page_of_seed(pack: SpritePack, seed: int, everything: bool = False) -> NDArray[np.uint8]:
    """The rendered page (416, 640, 3) of one seed, with the subjects of the list or everything in the pack."""
    return draw_page(Director(pack, seed, everything))[1]


def to_model(pixels: NDArray[np.uint8] | torch.Tensor) -> torch.Tensor:
    """(B, H, W, 3) uint8 to (B, 3, H, W) in −1 … 1, channels last."""
    x = torch.as_tensor(pixels).permute(0, 3, 1, 2).float() / 127.5 - 1
    return x.contiguous(memory_format=torch.channels_last)


@torch.no_grad()
def psnr(model: PocketAutoencoder, pages: torch.Tensor) -> float:
    """Mean peak signal to noise ratio in dB over pages (B, 3, H, W) in −1 … 1: 10 log₁₀(1 / mean((x − y)² / 4))."""
    values = []
    for page in pages:
        y = model(page[None]).float().clamp(-1, 1)
        values.append(-10 * math.log10(float(((y - page[None]) / 2).pow(2).mean())))
    return sum(values) / len(values)


def held_out_pages(pack: SpritePack, number: int) -> torch.Tensor:
    """Pages never trained on, (number, 3, 416, 640) in −1 … 1."""
    return to_model(np.stack([page_of_seed(pack, HELD_OUT_SEED + i) for i in range(number)]))


def train(
    plan: AutoencoderPlan,
    pack: SpritePack,
    folder: Path,
    seed: int,
    device: str = "cpu",
    frozen: PocketAutoencoder | None = None,
    everything: bool = False,
) -> PocketAutoencoder:
    """Trains, or goes on where the checkpoint in the folder stands; returns the model with its latents normalised.

    With `frozen` only the decoder of that model is trained further: its latents, and so the U-Net, stay as they are.
    """
    stage = "decoder" if frozen else "autoencoder"
    log = runs.Log(folder, stage, plan.steps)
    torch.manual_seed(seed)
    model: PocketAutoencoder = (frozen or PocketAutoencoder()).to(device=device, memory_format=torch.channels_last)
    model.encoder.requires_grad_(frozen is None)
    trained = model.decoder if frozen else model
    optimizer = torch.optim.AdamW(trained.parameters(), plan.rate, betas=(0.9, 0.99), weight_decay=1e-4)
    path = folder / f"{stage}.pt"
    step = 0
    if (state := runs.load(path)) is not None:
        runs.fit(model, state["model"], str(path))
        optimizer.load_state_dict(state["optimizer"])
        step = int(state["step"])
        log.say(f"goes on from step {step}")
    if step >= plan.steps:
        return model
    # Page n lies in slot n mod pages, whenever the training was last begun.
    numbers = [step + (slot - step) % plan.pages for slot in range(plan.pages)]
    pages = np.stack([page_of_seed(pack, seed * 1_000_000 + number, everything) for number in numbers])
    held_out = held_out_pages(pack, 4).to(device)
    mean = 0.0
    while step < plan.steps:
        progress = step / plan.steps
        rate = plan.rate * min(1, (step + 1) / plan.warmup) * max(0.01, 0.5 * (1 + math.cos(math.pi * progress)))
        for group in optimizer.param_groups:
            group["lr"] = rate
        rng = np.random.default_rng((seed, step))
        rows = rng.integers(0, 416 - plan.edge + 1, plan.batch)
        columns = rng.integers(0, 640 - plan.edge + 1, plan.batch)
        chosen = rng.integers(0, plan.pages, plan.batch)
        crops = [pages[i, r : r + plan.edge, c : c + plan.edge] for i, r, c in zip(chosen, rows, columns, strict=True)]
        x = to_model(np.stack(crops)).to(device)
        with autocast(device):
            z = model.encoder(x)
            generator = torch.Generator().manual_seed(seed * 1_000_003 + step)
            noise = torch.randn(z.shape, generator=generator).to(z)
            y = model.decoder(z + plan.noise * noise)
        d = y.float() - x
        gradient = (d[..., 1:] - d[..., :-1]).abs().mean() + (d[..., 1:, :] - d[..., :-1, :]).abs().mean()
        loss = d.abs().mean() + 0.3 * gradient + 0.3 * d.pow(2).mean() + 1e-2 * F.relu(z.float().pow(2).mean() - 1)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        # Page n of the run replaces the oldest one: what the pool holds follows from the step alone.
        pages[step % plan.pages] = page_of_seed(pack, seed * 1_000_000 + step + plan.pages, everything)
        step += 1
        mean = 0.98 * mean + 0.02 * loss.item() if mean else loss.item()
        log.tick(plan.batch)
        if step % plan.report == 0:
            log.report(step, mean, f", {psnr(model, held_out[:2]):.2f} dB" if step % (plan.report * 2) == 0 else "")
        if step % plan.keep_every == 0 or step == plan.steps:
            if step == plan.steps and frozen is None:
                normalise(model, torch.as_tensor(pages[: min(64, plan.pages)]), device)
            runs.save(path, {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": step})
    samples = [side for page in held_out for side in (page, model(page[None])[0])]
    runs.save_sheet(folder / f"{stage}.png", [runs.picture(s) for s in samples], 2)
    log.say(f"done, {psnr(model, held_out):.2f} dB on {len(held_out)} held-out pages")
    return model


@torch.no_grad()
def normalise(model: PocketAutoencoder, pages: torch.Tensor, device: str) -> None:
    """Sets the model's buffers so that the latents of these pages have zero mean and unit variance in each channel."""
    latents = torch.cat([model.encoder(to_model(page[None]).to(device)).float() for page in pages])
    model.latent_mean.copy_(latents.mean((0, 2, 3), keepdim=True))
    model.latent_std.copy_(latents.std((0, 2, 3), keepdim=True))
