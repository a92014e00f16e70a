"""The edition's tokenizer for captions, in plain Python: a word of theirs has its number, any other that of nothing.

Reads `tokenizer.json` (training.words.tokenizer writes it) with the standard library only. The words that captions do
not have are noise there, whatever the edition reads them as. The tests hold it equal to the press's on captions.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from training.scenes.sprites import read_subjects
from training.scenes.vocabulary import caption_tokens

ROWS = 77
_TOKENS = r"[a-z]+n't(?![a-z0-9])|'(?:s|t|re|ve|m|ll|d)(?![a-z])|[a-z]+|[0-9]+|[^\sa-z0-9]+"


class Tokenizer:
    """Captions → 77 token numbers."""

    def __init__(self, folder: Path) -> None:
        """Read the numbers that a tokenizer's folder states."""
        document = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
        numbers: dict[str, int] = document["model"]["vocab"]
        config = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
        self.start, self.end, self.pad = (numbers[config[f"{name}_token"]] for name in ("bos", "eos", "pad"))
        self._nothing = numbers[config["unk_token"]]
        self._numbers = {word: numbers[word] for word in caption_tokens(read_subjects()) if word in numbers}
        joined = [re.escape(word) for word in self._numbers if "-" in word]  # jack-o-lantern
        self._tokens = re.compile("|".join([*joined, _TOKENS]))

    def __call__(self, text: str) -> list[int]:
        """The 77 tokens of a caption: start, its words as far as they fit, end, padding. ValueError beyond ASCII."""
        if not text.isascii():
            raise ValueError(f"The caption {text!r} is not ASCII.")
        words = [self._numbers.get(word, self._nothing) for word in self._tokens.findall(text.lower())][: ROWS - 2]
        return [self.start, *words, self.end, *[self.pad] * (ROWS - 2 - len(words))]
