"""The U-Net with guidance, as the loop calls it. May import torch and NumPy; knows nothing of solvers or editions.

Guidance convention (Ho & Salimans 2022, in the form of Stable Diffusion): the U-Net sees the rows of the empty prompt's
embedding, then those of the pages' own, and the prediction is uncond + guidance · (cond − uncond). Where a page's
embedding equals the empty prompt's bit for bit, or guidance is 1, that is the page's own row alone, and the other is
not computed.

An edition may state another guidance near pure noise, where a strong one pulls every page to the same mean picture
(Kynkäänniemi et al. 2024, "Applying guidance in a limited interval"). Both rows are computed there all the same, so
that a run has one shape.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from worker.catalogue.key import LATENTS_SHAPE
from worker.engine.networks.kernels import Kernels, choose_kernels
from worker.engine.networks.unet import Text, UNet


@dataclass(frozen=True)
class Guidance:
    """How far past the empty prompt's prediction a page goes: `scale`, and `early` beyond timestep `early_above`."""

    scale: float
    early: float
    early_above: int

    @property
    def is_none(self) -> bool:
        """Whether the empty prompt's prediction has no part in any step."""
        return self.scale == self.early == 1.0

    def at(self, timestep: Tensor) -> float | Tensor:
        """The guidance at a timestep (), where the device need not be waited for."""
        if self.scale == self.early:
            return self.scale
        return torch.where(timestep > self.early_above, self.early, self.scale)


class Denoiser:
    """(latents, timestep) → guided prediction, in one batch shape. `start` sets the embeddings of a run."""

    def __init__(
        self,
        unet: Any,
        embedding_of_empty: npt.NDArray[np.float16],
        guidance: Guidance,
        batch: int,
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        """Take a diffusers U-Net, the empty prompt's embedding (1, 77, 768) and the number of rows of every run.

        The U-Net's weights move into our own layers, and it cannot be used afterwards. Raises WeightsRefused where its
        form is not one that worker.engine.networks.unet knows.
        """
        self.batch, self.device, self.dtype = batch, device, dtype
        self.kernels: Kernels = choose_kernels(device, dtype)
        """How the U-Net is run; part of the rendition."""
        self._together = 1 if device.type == "cpu" else batch
        """Pages of one call of the U-Net. On a CPU a batch gains nothing, and torch's group normalisation divides it
        among the threads wherever that falls, so that a page's numbers would depend on its place."""
        self.guidance = guidance
        unet = unet.requires_grad_(False).eval().to(device)
        self._unet = UNet(unet, self.kernels, (self._together * (1 if guidance.is_none else 2), *LATENTS_SHAPE))
        self._empty = embedding_of_empty[0].copy()
        self._rows = torch.from_numpy(embedding_of_empty).to(device, dtype)  # (1, 77, 768)
        self._guided = False
        self.texts: list[Text] = []
        """What was read of the embeddings at the last `start`: another list after each."""

    def is_guided(self, embedding: npt.NDArray[np.float16]) -> bool:
        """Whether a page with this embedding (77, 768) needs the second row. Decided on the host, by the page alone."""
        return not self.guidance.is_none and not np.array_equal(embedding, self._empty)

    def start(self, embeddings: npt.NDArray[np.float16]) -> None:
        """Set the embeddings (B, 77, 768) of the run that follows; its pages must all be guided or all not.

        A page's numbers depend on the shape that it is computed in, so the shape must depend on the page alone and
        never on its neighbours: pages with and without a second row are never run together.
        """
        assert embeddings.shape == (self.batch, 77, 768), f"embeddings {embeddings.shape} in a batch of {self.batch}"
        guided = {self.is_guided(embedding) for embedding in embeddings}
        assert len(guided) == 1, "pages with and without guidance in one run"
        self._guided = guided.pop()
        states = torch.from_numpy(np.ascontiguousarray(embeddings)).to(self.device, self.dtype)  # (B, 77, 768)
        with torch.inference_mode():
            self.texts = [self._read(part) for part in states.split(self._together)]

    @torch.inference_mode()
    def __call__(self, latents: Tensor, timestep: Tensor) -> Tensor:
        """The prediction (B, 4, h, w), float32, for latents (B, 4, h, w), float32, and a timestep ()."""
        parts = zip(latents.split(self._together), self.texts, strict=True)
        return torch.cat([self._predict(part, timestep, text) for part, text in parts])

    @torch.inference_mode()
    def alone(self, latents: Tensor, timestep: Tensor) -> Tensor:
        """The prediction (1, 4, h, w) for the first page of the run, latents (1, 4, h, w), without the rows beside it.

        Its bits may be others than those of a call with every row: what is printed is computed by that call.
        """
        rows = latents.expand(self._together, -1, -1, -1)
        return self._predict(rows, timestep, self.texts[0])[:1]

    def _read(self, states: Tensor) -> Text:
        if self._guided:
            states = torch.cat([self._rows.expand_as(states), states])  # (2B, 77, 768)
        return self._unet.read(states)

    def _predict(self, latents: Tensor, timestep: Tensor, text: Text) -> Tensor:
        rows = latents.to(self.dtype).contiguous(memory_format=torch.channels_last)
        output = self._unet(rows, timestep, text).float()  # (B, 4, h, w), guided (2B, 4, h, w): as many as texts
        if not self._guided:
            return output
        uncond, cond = output.chunk(2)  # (B, 4, h, w) each
        return uncond + self.guidance.at(timestep) * (cond - uncond)
