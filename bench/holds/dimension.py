"""How many directions of a key move its picture, and by how much: singular values of the map from key to picture.

May import torch, the sampler and the record's rows. Of the map's derivative J at a page only products J·v and Jᵀ·w can
be had, so its singular values are counted by stochastic Lanczos quadrature (Ubaru, Chen, Saad, “Fast estimation of
tr(f(A)) via stochastic Lanczos quadrature”, 2017): m steps of Lanczos with JᵀJ from a random unit vector give m nodes
θ (squares of singular values) and weights w of sum 1; w is the share of all n directions that lie about θ, and n·Σ w·f
over the nodes estimates the sum of f over all of them. The largest nodes converge to the largest values themselves.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from bench.holds.sampler import Sampler, Slope
from worker.catalogue.address import Address
from worker.catalogue.key import EMBEDDING_CODES, LATENTS_CODES
from worker.engine.engine import Engine

STEPS = 4
"""Of the solver: the whole plan of a page would take five times as long, and five times the memory."""
ROUNDS = 6
"""Of Lanczos, for each page and field: pages even out what one random start says, more rounds would not."""
SEED = 20261128
DIRECTIONS = {"latents": LATENTS_CODES, "embedding": EMBEDDING_CODES}

Doubles = npt.NDArray[np.float64]
Product = Callable[[Doubles], Doubles]


@dataclass(frozen=True)
class Spectrum:
    """`strengths`, falling: singular values; `shares`: what part of all directions lies about each."""

    strengths: list[float]
    shares: list[float]


def spectrum(product: Product, start: Doubles, rounds: int) -> Spectrum:
    """Lanczos with the symmetric, nowhere negative `product` (JᵀJ·v) from `start`, fully orthogonalised."""
    vector = start / np.linalg.norm(start)
    basis: list[Doubles] = []
    diagonal: list[float] = []
    beside: list[float] = []
    for _ in range(min(rounds, len(start))):
        basis.append(vector)
        found = product(vector)
        diagonal.append(float(found @ vector))
        for _ in range(2):  # once leaves what rounding put in
            for each in basis:
                found = found - (found @ each) * each
        length = float(np.linalg.norm(found))
        beside.append(length)
        if length < 1e-7 * max(diagonal):
            break
        vector = found / length
    size = len(diagonal)
    matrix = np.diag(diagonal) + np.diag(beside[: size - 1], 1) + np.diag(beside[: size - 1], -1)
    nodes, vectors = np.linalg.eigh(matrix)
    strengths, shares = np.sqrt(np.maximum(nodes[::-1], 0.0)), vectors[0, ::-1] ** 2
    return Spectrum([float(f"{s:.5g}") for s in strengths], [float(f"{w:.4g}") for w in shares])


def measure(engine: Engine, number: int) -> Iterator[dict[str, Any]]:
    """Rows for the pages `number`, `number` + 1, …: each the page of a short key that nobody chose."""
    empty = torch.from_numpy(engine.embed("").astype(np.float32))
    sampler = Sampler(engine.edition, empty, STEPS)
    while True:
        address = Address(engine.edition.slug, "key", f"holds-dimension-{number + 1}", 1)
        key = engine.resolve(address)
        latents = torch.from_numpy(key.latents.astype(np.float32))  # (4, 52, 80)
        embedding = torch.from_numpy(key.embedding.astype(np.float32))  # (77, 768)
        yield {
            "address": address.format(),
            "latents": vars(of_map(Slope(sampler.of_latents(embedding), latents), latents, number)),
            "embedding": vars(of_map(Slope(sampler.of_embedding(latents), embedding), embedding, number)),
        }
        number += 1


def of_map(slope: Slope, at: Tensor, number: int) -> Spectrum:
    """The spectrum of a map's derivative, in grey levels for a step of length 1; the start is drawn by the number."""
    start = np.random.default_rng((SEED, number, at.numel())).standard_normal(at.numel())

    def product(vector: Doubles) -> Doubles:
        direction = torch.from_numpy(vector.astype(np.float32)).reshape(at.shape)
        found = slope.backward(slope.forward(direction))
        return found.double().reshape(-1).numpy()

    return spectrum(product, start, ROUNDS)
