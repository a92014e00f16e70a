"""From a key to its picture as a function that can be differentiated: diffusers' own networks in float32.

May import torch, the engine's loading, solvers and kernels' switches. The press's kernels have no derivatives, so that
this is the same map by other arithmetic: a page differs from the press's by rounding alone (the tests say by how much).
"""

import warnings
from collections.abc import Callable
from typing import Any

import torch
from diffusers.models.attention_processor import AttnProcessor
from torch import Tensor
from torch.autograd import forward_ad

from worker.catalogue.key import CONSTANTS
from worker.editions.edition import Edition
from worker.engine.networks.denoiser import Guidance
from worker.engine.networks.loading import load_model
from worker.engine.solvers import Plan, make_plan

GREY: float = 127.5
"""Grey levels in one unit of the decoder's picture, which runs from −1 to 1."""

Map = Callable[[Tensor], Tensor]


class Sampler:
    """One edition's way from latents and embedding to pixels before they are rounded, in grey levels."""

    def __init__(self, edition: Edition, empty: Tensor, steps: int) -> None:
        """Take the embedding of the empty prompt, (77, 768) float32, and the number of steps of every run."""
        self.steps = steps
        self._guidance = Guidance(edition.guidance, edition.early_guidance, edition.early_above)
        self._unet: Any = load_model(edition.weights, "unet", torch.float32).requires_grad_(False).eval()
        self._unet.set_attn_processor(AttnProcessor())  # torch's fused attention has no forward derivatives
        self._vae: Any = load_model(edition.weights, "vae", torch.float32).requires_grad_(False).eval()
        if hasattr(self._vae, "set_attn_processor"):
            self._vae.set_attn_processor(AttnProcessor())
        self._plan: Plan = make_plan(edition.solver, edition.scheduler_config, steps)
        self._empty = empty[None]  # (1, 77, 768)
        constants = torch.zeros(empty.numel())
        constants[list(CONSTANTS)] = 1.0
        self._free = (1.0 - constants).reshape(empty.shape)  # (77, 768): 0 where no key stores anything

    def picture(self, latents: Tensor, embedding: Tensor) -> Tensor:
        """Grey levels (3, 416, 640), neither rounded nor clamped, of latents (4, 52, 80), embedding (77, 768)."""
        x, before = latents[None], torch.zeros_like(latents)[None]  # (1, 4, 52, 80)
        states = torch.cat([self._empty, embedding[None]])  # (2, 77, 768)
        for update in self._plan:
            timestep = torch.tensor(update.timestep)
            output = self._unet(x.expand(2, -1, -1, -1), timestep, states, return_dict=False)[0]
            without, told = output.chunk(2)
            said = without + self._guidance.at(timestep) * (told - without)
            predicted = update.of_latents * x + update.of_output * said
            x = update.keep * x + update.to_predicted * predicted + update.to_previous * before
            before = predicted
        decoded = self._vae.decode(x / self._vae.config.scaling_factor, return_dict=False)[0]
        grey: Tensor = decoded[0] * GREY + GREY
        return grey

    def of_latents(self, embedding: Tensor) -> Map:
        """The map from latents (4, 52, 80) alone, the embedding fixed."""
        return lambda latents: self.picture(latents, embedding)

    def of_embedding(self, latents: Tensor) -> Map:
        """The map from the embedding (77, 768) alone; the places that no key stores move nothing."""

        def picture(embedding: Tensor) -> Tensor:
            held = embedding.detach()
            return self.picture(latents, held + self._free * (embedding - held))

        return picture


class Slope:
    """The derivative of a map at a point: products with it and with its transpose. The graph is built once."""

    def __init__(self, map_: Map, at: Tensor) -> None:
        self._map, self._at = map_, at
        self._leaf = at.clone().requires_grad_(True)
        self._value = map_(self._leaf)

    def forward(self, direction: Tensor) -> Tensor:
        """J·v, of the shape of the map's values, for a direction of the shape of the point (forward mode)."""
        with warnings.catch_warnings(), torch.no_grad(), forward_ad.dual_level():
            # torch compiles some of its own forward derivatives by what it has deprecated since
            warnings.filterwarnings("ignore", "`torch.jit", DeprecationWarning)
            value = self._map(forward_ad.make_dual(self._at, direction))
            found: Tensor | None = forward_ad.unpack_dual(value).tangent
        assert found is not None, "the map does not depend on its point"
        return found

    def backward(self, weights: Tensor) -> Tensor:
        """Jᵀ·w, of the shape of the point, for weights of the shape of the map's values (reverse mode)."""
        (found,) = torch.autograd.grad(self._value, self._leaf, weights, retain_graph=True)
        return found
