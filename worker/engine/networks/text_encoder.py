"""The text encoder: from a prompt to its embedding. May import torch, transformers, worker.errors, catalogue.key and
editions.adapters.

It runs on the CPU in float64, whatever the press prints on. Float32 sums depend on the number of threads and on the
processor, and with them 0.4 % of an embedding's values on the key's grid; the error of a float64 sum (1e-16) is so far
below the grid's step (2⁻¹¹ of a value) that the snapped values are the same everywhere. Attention is torch's own, by
its plain kernel: the "eager" attention of transformers takes its softmax in float32, whatever the model's type.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers import CLIPTextModel, CLIPTokenizer, PreTrainedTokenizerFast
from transformers.utils import logging as transformers_logging

from worker.catalogue.key import EMBEDDING_SHAPE, snap_embedding
from worker.editions.adapters import Adapter
from worker.errors import WeightsRefused

GENERAL: Final = "PreTrainedTokenizerFast"
"""The class of a tokenizer that `tokenizer.json` describes wholly, whatever it is."""


def open_tokenizer(folder: Path) -> Any:
    """Open CLIP's tokenizer, or what `tokenizer.json` describes where its configuration names the general class."""
    try:
        configuration = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):  # CLIP's own opens without it
        configuration = {}
    described = configuration.get("tokenizer_class") in (GENERAL, "TokenizersBackend")
    return (PreTrainedTokenizerFast if described else CLIPTokenizer).from_pretrained(str(folder), local_files_only=True)


class TextEncoder:
    """The tokenizer and text encoder of one edition, loaded once. Nothing of one prompt survives into the next."""

    def __init__(self, weights: Path, adapters: Sequence[Adapter] = ()) -> None:
        """Load `tokenizer/` and `text_encoder/` of `weights`, and fuse what the adapters say of the latter.

        Raises WeightsRefused where tensors are missing, or an adapter does not fit.
        """
        transformers_logging.disable_progress_bar()  # loading takes a second; the commands draw bars of their own
        self._tokenizer: Any = open_tokenizer(weights / "tokenizer")
        model, info = CLIPTextModel.from_pretrained(
            str(weights / "text_encoder"),
            dtype=torch.float64,
            attn_implementation="sdpa",
            use_safetensors=True,
            local_files_only=True,
            output_loading_info=True,
        )
        for what in ("missing_keys", "mismatched_keys"):
            if info.get(what):
                name = min(map(str, info[what]))
                raise WeightsRefused(f"{weights / 'text_encoder'} should hold the tensor {name} and does not.")
        if adapters:
            from worker.engine.networks.adapters import fuse  # peft takes seconds to import

            fuse(model, "text_encoder", adapters)
        self._model: Any = model.eval().requires_grad_(False)

    def embed(self, prompt: str) -> npt.NDArray[np.float64]:
        """Return the embedding (77, 768) of `prompt`: the last hidden state on the key's grid, constants in place.

        Raises WeightsRefused where a number of it is not finite.
        """
        states = self._states(prompt)
        if not bool(torch.isfinite(states).all()):
            raise WeightsRefused("The text encoder's numbers are not finite, so its weights are damaged.")
        return snap_embedding(states.numpy()).astype(np.float64)

    def unread(self, prompt: str) -> str:
        """Return the end of `prompt` that does not fit into 77 tokens and so decides nothing; mostly an empty text."""
        found = self._tokenizer(prompt, return_offsets_mapping=True, add_special_tokens=False, verbose=False)
        offsets = found["offset_mapping"]
        room = EMBEDDING_SHAPE[0] - 2  # a start and an end token
        return prompt[offsets[room][0] :] if len(offsets) > room else ""

    def _states(self, prompt: str) -> torch.Tensor:
        """The last hidden state (77, 768), float64, before it is snapped."""
        with torch.inference_mode(), sdpa_kernel(SDPBackend.MATH):
            states: torch.Tensor = self._model(input_ids=self._tokens(prompt)).last_hidden_state  # (1, 77, 768)
        return states[0]

    def _tokens(self, prompt: str) -> torch.Tensor:
        found = self._tokenizer(
            prompt, padding="max_length", max_length=EMBEDDING_SHAPE[0], truncation=True, return_tensors="pt"
        )
        tokens: torch.Tensor = found.input_ids  # (1, 77)
        return tokens
