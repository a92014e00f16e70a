"""What an edition's words are understood as: reads its words.tsv.gz (the standard library only; no torch).

The first line of the table is "# <digest of weights>", each other "word <tab> kind <tab> name": "hound  thing  dog",
"jungle  place  forest". The kinds are thing, place, sky, weather, colour, size, count and nothing; "nothing" is a word
of which the model draws nothing. Of the weights that it names the table is true: their tokenizer reads each word as
what stands there. Of others it says no more than what is near in meaning.
"""

from __future__ import annotations

import gzip
import re
import unicodedata
import zlib
from pathlib import Path

from worker.errors import WeightsRefused

FILE = "words.tsv.gz"
KINDS = ("thing", "place", "sky", "weather", "colour", "size", "count", "nothing")
NOTHING = "nothing"
LONGEST = 8  # words of a phrase, hyphens parting them, and of Chinese each character
APOSTROPHES = "’ʼ´`"
"""What people type for an apostrophe."""
HAN = "\u3005\u3007\u3400-\u9fff"
"""Characters that no space parts into words, as a class of regular expressions; tokenizers of tables read the same."""
_STRAIGHT = str.maketrans(dict.fromkeys(APOSTROPHES, "'"))
_DIGEST = re.compile(r"# ([0-9a-f]{64})\n")


class Words:
    """The table of one edition, opened once."""

    def __init__(self, path: Path) -> None:
        """Read the table. Raises WeightsRefused where it is broken; a missing file is the caller's to look for."""
        self._table: dict[str, tuple[str, str]] = {}
        targets: dict[tuple[str, str], tuple[str, str]] = {}  # one of each: 10 MB instead of 24
        try:
            with gzip.open(path, "rt", encoding="utf-8") as file:
                first = file.readline()
                head = _DIGEST.fullmatch(first)
                if head is None:
                    raise ValueError(f"its first line should be '# <digest of weights>' and is {first[:80]!r}")
                self.weights: str = head[1]
                """The digest of the weights that it is true of."""
                for number, line in enumerate(file, 2):
                    word, kind, name = line.rstrip("\n").split("\t")
                    if kind not in KINDS:
                        raise ValueError(f"line {number} has the kind {kind!r}")
                    self._table[word] = targets.setdefault((kind, name), (kind, name))
        except FileNotFoundError:
            raise
        except (EOFError, OSError, ValueError, zlib.error) as error:
            raise WeightsRefused(f"{path} is no table of words: {error}.") from error

    def __len__(self) -> int:
        return len(self._table)

    def get(self, text: str) -> tuple[str, str] | None:
        """Return kind and name of a word or phrase as it stands in a prompt; None where it is not in the table."""
        text = " ".join(unicodedata.normalize("NFC", text).split()).translate(_STRAIGHT).lower()
        return self._table.get(text)
