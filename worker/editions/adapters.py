"""Adapters: LoRA files that change an edition's weights when they are loaded. Reads safetensors headers; never torch.

May import worker.errors and editions.weights. What is in them is for worker.engine.networks.adapters; here they are
found, held to their digests, and made part of what an edition's weights are called by.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from worker.editions.weights import read_header
from worker.errors import WeightsRefused


@dataclass(frozen=True)
class Adapter:
    """One LoRA file, how strongly it is fused, and the SHA-256 that it must have, 64 hex digits."""

    file: Path
    strength: float
    digest: str

    def format(self) -> str:
        """What a rendition says of it, such as "lcm.safetensors 9f86d081884c7d65 × 0.8"."""
        return f"{self.file.name} {self.digest[:16]} × {self.strength!r}"


def check_adapter(adapter: Adapter) -> None:
    """Hold a LoRA file to its digest and to the format. Raises WeightsRefused that says what was expected and found."""
    path = adapter.file
    if not path.is_file():
        raise WeightsRefused(f"[[adapters]] names {path}, which should be a file and is not there.")
    tensors = read_header(path)  # a pickle, or a file that is cut short, is refused by name
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != adapter.digest:
        raise WeightsRefused(f"{path} should have the SHA-256 {adapter.digest} and has {found}.")
    if not tensors:
        raise WeightsRefused(f"{path} should be a LoRA and holds no tensor.")


def digest_with_adapters(weights: str, adapters: Sequence[Adapter]) -> str:
    """The digest of weights and what is fused into them: that of the weights alone where there is nothing.

    Else SHA-256 over a line with the weights' digest and a line "<sha256>  <strength>" for each adapter, in order.
    """
    if not adapters:
        return weights
    lines = [weights, *(f"{adapter.digest}  {adapter.strength!r}" for adapter in adapters)]
    return hashlib.sha256("".join(f"{line}\n" for line in lines).encode()).hexdigest()
