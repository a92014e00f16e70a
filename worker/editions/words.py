"""What an edition's words are understood as: reads its words.tsv.gz (the standard library only; no torch).

Each line of the table is "word <tab> kind <tab> name": "hound  thing  dog", "jungle  place  forest". The kinds are
thing, place, sky, weather, colour, size, count and nothing; "nothing" is a word of which the model draws nothing.
The table says what the text encoder was taught, not what it makes of a prompt: words that it does not hold are open.
"""

from __future__ import annotations

import gzip
import re
import zlib
from dataclasses import dataclass
from pathlib import Path

from worker.errors import WeightsRefused

FILE = "words.tsv.gz"
KINDS = ("thing", "place", "sky", "weather", "colour", "size", "count", "nothing")
_LONGEST = 4  # words of a phrase
_TOKEN = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*|\d+", re.UNICODE)


@dataclass(frozen=True)
class Reading:
    """Some words of a prompt and what they are understood as: `kind` and `name`, None for words of no known meaning."""

    words: str
    kind: str | None
    name: str | None

    @property
    def drawn(self) -> bool:
        """Whether something of the picture follows from these words."""
        return self.kind is not None and self.kind != "nothing"


class Words:
    """The table of one edition, opened once."""

    def __init__(self, path: Path) -> None:
        """Read the table. Raises WeightsRefused where it is broken; a missing file is the caller's to look for."""
        self._table: dict[str, tuple[str, str]] = {}
        targets: dict[tuple[str, str], tuple[str, str]] = {}  # one of each: 10 MB instead of 24
        try:
            with gzip.open(path, "rt", encoding="utf-8") as file:
                for number, line in enumerate(file, 1):
                    word, kind, name = line.rstrip("\n").split("\t")
                    if kind not in KINDS:
                        raise ValueError(f"line {number} has the kind {kind!r}")
                    self._table[word] = targets.setdefault((kind, name), (kind, name))
        except (EOFError, OSError, ValueError, zlib.error) as error:
            raise WeightsRefused(f"{path} is no table of words: {error}.") from error

    def __len__(self) -> int:
        return len(self._table)

    def read(self, prompt: str) -> list[Reading]:
        """A prompt's words in their order, the longest phrases first: "hot air balloon" is one reading, not three."""
        tokens = [part for t in _TOKEN.findall(prompt) for part in self._parts(t.lower().replace("’", "'"))]
        readings: list[Reading] = []
        at = 0
        while at < len(tokens):
            for length in range(min(_LONGEST, len(tokens) - at), 0, -1):
                phrase = " ".join(tokens[at : at + length])
                if (target := self._lookup(phrase)) is not None:
                    readings.append(Reading(phrase, *target))
                    break
            else:
                length = 1
                readings.append(Reading(tokens[at], None, None))
            at += length
        return readings

    def _parts(self, token: str) -> list[str]:
        """A token as it is, or Chinese, which has no spaces, as the longest words of the table that it is made of."""
        if token in self._table or not any("\u4e00" <= letter <= "\u9fff" for letter in token):
            return [token]
        parts, at = [], 0
        while at < len(token):
            end = next((e for e in range(len(token), at, -1) if token[at:e] in self._table), at + 1)
            parts.append(token[at:end])
            at = end
        return parts

    def _lookup(self, phrase: str) -> tuple[str, str] | None:
        """The target of a phrase, or of what has it: "queen's" is the queen."""
        return self._table.get(phrase) or self._table.get(phrase.removesuffix("'s"))
