"""What gradients through the networks find: embeddings under which a picture is easily drawn, and better latents.

The U-Net and the VAE are diffusers' own classes in float32, since the engine's kernels have no gradients: what they
compute is what the engine does to within a rounding. May import torch and the engine's modules.
"""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from worker.catalogue.float15 import LATENTS
from worker.catalogue.key import Floats, Key, snap_embedding
from worker.engine.networks.loading import load_model, load_unet
from worker.engine.solvers import ALMOST_ZERO, Plan, Update, alphas_cumprod

if TYPE_CHECKING:
    from worker.engine.engine import Engine

Latents = npt.NDArray[np.float32]
"""(4, 52, 80)."""
_LARGE: Final = 100_000_000
"""Parameters of a U-Net from which on its activations are computed again on the way back rather than kept."""


class _Network:
    """The U-Net of an engine's edition, as one that has gradients, and its guidance."""

    def __init__(self, engine: "Engine") -> None:
        unet = load_unet(engine.edition.weights, engine.edition.adapters, torch.float32).requires_grad_(False).eval()
        self._unet = unet.to(engine.device, memory_format=torch.channels_last)
        self._guidance = engine.denoiser.guidance
        self._empty = torch.from_numpy(engine.embed("").astype(np.float16).astype(np.float32))[None].to(engine.device)
        self._recompute = sum(part.numel() for part in unet.parameters()) > _LARGE

    def __call__(self, x: Tensor, timestep: Tensor, text: Tensor, *, guided: bool) -> Tensor:
        """Its output for latents (1, 4, h, w), with the empty prompt's part taken off where the page is guided.

        `text` (1, 77, 768). That part, of the latents alone, has gradients where they have.
        """
        output = self._output(x, timestep, text)
        if not guided:
            return output
        empty = self._output(x, timestep, self._empty)
        return empty + self._guidance.at(timestep) * (output - empty)

    def _output(self, x: Tensor, timestep: Tensor, text: Tensor) -> Tensor:
        if self._recompute and torch.is_grad_enabled():
            output: Tensor = checkpoint(
                lambda *given: self._unet(*given).sample, x, timestep, text, use_reentrant=False
            )
        else:
            output = self._unet(x, timestep, text).sample
        return output


class _Decoder:
    """The decoder of an engine's edition, as one that has gradients, and a picture that it should paint."""

    def __init__(self, engine: "Engine", pixels: npt.NDArray[np.uint8]) -> None:
        vae = load_model(engine.edition.weights, "vae", torch.float32).requires_grad_(False).eval()
        self._vae = vae.to(engine.device, memory_format=torch.channels_last)
        self._scale = float(self._vae.config.scaling_factor)
        wanted = torch.tensor(pixels, device=engine.device).permute(2, 0, 1)[None]
        self._wanted = wanted.float().div(127.5).sub(1.0).contiguous(memory_format=torch.channels_last)

    def error(self, latents: Tensor) -> Tensor:
        """The mean squared error of what it paints of latents (1, 4, h, w), of pixels in −1 … 1."""
        painted: Tensor = self._vae.decode(latents / self._scale).sample  # (1, 3, 8h, 8w)
        return (painted.clamp(-1.0, 1.0) - self._wanted).square().mean()


class _Noising:
    """Latents under noise at a timestep of a plan, both drawn by lot from one seed, as in training."""

    def __init__(self, engine: "Engine", plan: Plan) -> None:
        self._device = engine.device
        self._plan = plan
        bars = alphas_cumprod(engine.edition.scheduler_config)
        self._alphas = [max(float(bars[update.timestep]), ALMOST_ZERO) ** 0.5 for update in plan]
        self._lot = torch.Generator().manual_seed(0)

    def __call__(self, latents: Tensor) -> tuple[Tensor, Update]:
        """Latents (1, 4, h, w) and noise, and the step of the loop that such latents go into."""
        index = int(torch.randint(len(self._plan), (), generator=self._lot))
        noise = torch.randn(latents.shape, generator=self._lot).to(self._device)
        alpha = self._alphas[index]
        noisy = alpha * latents + (1 - alpha**2) ** 0.5 * noise
        return noisy.contiguous(memory_format=torch.channels_last), self._plan[index]


class EmbeddingFit:
    """An embedding under which the U-Net takes a picture for one of its own, by Adam on the training loss.

    Each stroke adds noise to the latents of the picture, at a timestep drawn by lot, and changes the embedding so that
    the guided prediction comes nearer to them: textual inversion (Gal et al. 2022) with one picture and all 77 rows
    free. Of a picture that is foreign to the edition the loop without words is unstable: what a key's grid rounds off
    grows a thousandfold. With such an embedding it hardly grows, and the picture's start is more like noise. Noise and
    timesteps are drawn from one seed, so that a search that is made again ends where it did.
    """

    def __init__(self, engine: "Engine", plan: Plan, latents: Latents, embedding: Floats, rate: float) -> None:
        """Of `latents` (4, 52, 80), at the timesteps of `plan`; begins at `embedding`, and `rate` is Adam's."""
        self._network = _Network(engine)
        self._noising = _Noising(engine, plan)
        self._latents = torch.from_numpy(np.ascontiguousarray(latents))[None].to(engine.device)
        first = torch.from_numpy(embedding.astype(np.float32))[None].to(engine.device)
        self._embedding = first.clone().requires_grad_(True)
        self._guided = not engine.denoiser.guidance.is_none
        self._adam = torch.optim.Adam([self._embedding], lr=rate, betas=(0.9, 0.98))

    def stroke(self) -> float:
        """One step of Adam; returns the mean squared error before it, of what the U-Net puts out."""
        noisy, update = self._noising(self._latents)
        wanted = (self._latents - update.of_latents * noisy) / update.of_output
        timestep = torch.tensor(update.timestep, device=noisy.device)
        with torch.enable_grad():
            self._adam.zero_grad()
            output = self._network(noisy, timestep, self._embedding, guided=self._guided)
            error = (output - wanted).square().mean()
            error.backward()
            self._adam.step()
        return float(error.item())

    @property
    def embedding(self) -> Floats:
        """The embedding (77, 768) by now, on the key's grid."""
        return snap_embedding(self._embedding.detach()[0].cpu().numpy())


class _Fit(ABC):
    """Latents that are made better for a picture by Adam; what is better, those who inherit say."""

    def __init__(
        self, engine: "Engine", pixels: npt.NDArray[np.uint8], latents: Latents, strokes: int, rate: float
    ) -> None:
        """`pixels` (416, 640, 3) are asked for; begins at `latents`; `strokes` steps of Adam are planned."""
        self._decoder = _Decoder(engine, pixels)
        first = torch.from_numpy(latents.copy())[None].to(engine.device)
        self._latents = first.contiguous(memory_format=torch.channels_last).requires_grad_(True)
        self._adam = torch.optim.Adam([self._latents], lr=rate, betas=(0.9, 0.98))
        self._fall = torch.optim.lr_scheduler.CosineAnnealingLR(self._adam, strokes, eta_min=rate / 10)

    def stroke(self) -> float:
        """One step of Adam; returns the mean squared error of the pixels before it, in −1 … 1."""
        with torch.enable_grad():
            self._adam.zero_grad()
            loss, error = self._loss(self._latents)
            loss.backward()
            self._adam.step()
            self._fall.step()
        return float(error.item())

    @abstractmethod
    def _loss(self, latents: Tensor) -> tuple[Tensor, Tensor]:
        """What is to be small for latents (1, 4, h, w), and the error of the pixels alone."""

    @property
    def latents(self) -> Latents:
        """The latents (4, 52, 80) by now."""
        return self._latents.detach()[0].contiguous().cpu().numpy()


class LatentsFit(_Fit):
    """Latents of which the decoder paints a picture better than of the encoder's, and to which the loop leads.

    By gradients through the decoder, and through the U-Net that should find the latents again when noise was added to
    them: without that they gain such fine detail that the U-Net takes it for noise, and the loop that is to end at them
    ends further off than it would at the encoder's.
    """

    def __init__(
        self,
        engine: "Engine",
        pixels: npt.NDArray[np.uint8],
        latents: Latents,
        embedding: Floats,
        plan: Plan,
        *,
        strokes: int,
        rate: float,
        weight: float,
    ) -> None:
        """As of any fit; the U-Net is asked under `embedding` (77, 768), at the timesteps of `plan`.

        `weight`: of the mean squared error of the latents that it finds, beside that of pixels in −1 … 1.
        """
        super().__init__(engine, pixels, latents, strokes, rate)
        self._network = _Network(engine)
        self._noising = _Noising(engine, plan)
        self._text = torch.from_numpy(embedding.astype(np.float32))[None].to(engine.device)
        self._guided = engine.denoiser.is_guided(embedding)
        self._weight = weight

    def _loss(self, latents: Tensor) -> tuple[Tensor, Tensor]:
        noisy, update = self._noising(latents)
        timestep = torch.tensor(update.timestep, device=noisy.device)
        output = self._network(noisy, timestep, self._text, guided=self._guided)
        predicted = update.of_latents * noisy + update.of_output * output
        error = self._decoder.error(latents)
        return error + self._weight * (predicted - latents).square().mean(), error


class Descent(_Fit):
    """Latents of a key made better by Adam's gradients from the pixels through the decoder and every step of the loop.

    The latents are put on the key's grid in every forward run, and the gradient goes straight through that (Bengio et
    al. 2013); what leaves the key's range is brought back to its edge.
    """

    def __init__(self, engine: "Engine", pixels: npt.NDArray[np.uint8], key: Key, strokes: int, rate: float) -> None:
        """`pixels` (416, 640, 3) are asked for; `key` is where it begins; `strokes` steps of Adam are planned."""
        super().__init__(engine, pixels, key.latents.astype(np.float32), strokes, rate)
        self._network = _Network(engine)
        self._plan = engine.plan(key.steps)
        self._times = torch.tensor([update.timestep for update in self._plan], device=engine.device)
        self._guided = engine.denoiser.is_guided(key.embedding)
        self._text = torch.from_numpy(key.embedding.astype(np.float32))[None].to(engine.device)

    def stroke(self) -> float:
        """As of a fit, and back into the range of keys."""
        error = super().stroke()
        with torch.no_grad():
            self._latents.clamp_(-LATENTS.largest, LATENTS.largest)
        return error

    def _loss(self, latents: Tensor) -> tuple[Tensor, Tensor]:
        error = self._decoder.error(self._loop(latents + (_on_grid(latents) - latents).detach()))
        return error, error

    def _loop(self, x: Tensor) -> Tensor:
        before = torch.zeros_like(x)
        for update, timestep in zip(self._plan, self._times, strict=True):
            output = self._network(x, timestep, self._text, guided=self._guided)
            predicted = update.of_latents * x + update.of_output * output
            x = update.keep * x + update.to_predicted * predicted + update.to_previous * before
            before = predicted
        return x

    @property
    def on_grid(self) -> Floats:
        """The latents (4, 52, 80) by now, on the key's grid."""
        return LATENTS.snap(self.latents.astype(np.float64))


def _on_grid(latents: Tensor) -> Tensor:
    """Latents rounded as the key's 15-bit floats are, but for the 2⁻¹⁴ next to nought."""
    return latents.clamp(-LATENTS.largest, LATENTS.largest).half().float()
