"""The edition's tokenizer in plain Python: byte-level BPE (Sennrich et al. 2016), as CLIP's. Standard library only.

The words of captions are few, so each is split once and remembered. Captions are ASCII; anything else is refused, since
which letters a word is made of is only worked out for ASCII here. The tests hold it equal to CLIPTokenizer.
"""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path

ROWS = 77
_WORDS = re.compile(r"'s|'t|'re|'ve|'m|'ll|'d|[a-z]+|[0-9]|[^\sa-z0-9]+")


class Tokenizer:
    """Captions → 77 token numbers. Reads `vocab.json` and `merges.txt` of a tokenizer's folder."""

    def __init__(self, folder: Path) -> None:
        self._vocabulary: dict[str, int] = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))
        merges = (folder / "merges.txt").read_text(encoding="utf-8").splitlines()[1:]
        self._ranks = {tuple(line.split(" ")): rank for rank, line in enumerate(merges) if line}
        special = json.loads((folder / "special_tokens_map.json").read_text(encoding="utf-8"))
        named = {k: v["content"] if isinstance(v, dict) else v for k, v in special.items()}
        self.start, self.end = self._vocabulary[named["bos_token"]], self._vocabulary[named["eos_token"]]
        self.pad = self._vocabulary[named["pad_token"]]
        self._known: dict[str, list[int]] = {}

    def __call__(self, text: str) -> list[int]:
        """The 77 tokens of a caption: start, its pieces as far as they fit, end, padding."""
        if not text.isascii():
            raise ValueError(f"The caption {text!r} is not ASCII.")
        pieces = [piece for word in _WORDS.findall(text.lower()) for piece in self._pieces(word)][: ROWS - 2]
        return [self.start, *pieces, self.end, *[self.pad] * (ROWS - 2 - len(pieces))]

    def _pieces(self, word: str) -> list[int]:
        if word not in self._known:
            parts = [*word[:-1], word[-1] + "</w>"]
            while len(parts) > 1:
                pairs = {pair: i for i, pair in reversed([*enumerate(itertools.pairwise(parts))])}
                best = min(pairs, key=lambda pair: self._ranks.get(pair, len(self._ranks)))
                if best not in self._ranks:
                    break
                merged, i = [], 0
                while i < len(parts):
                    both = tuple(parts[i : i + 2]) == best
                    merged.append("".join(best) if both else parts[i])
                    i += 2 if both else 1
                parts = merged
            self._known[word] = [self._vocabulary[part] for part in parts]
        return self._known[word]
