"""The student's tokenizer: the shipped one's pieces for the captions' words, and new ones learned on the lexicon.

A merge that is learned later has a later rank, so the words of the captions fall into the same pieces as before and the
new encoder can begin with the old one's vectors for them (the standard library and `tokenizers`' files only).
"""

from __future__ import annotations

import heapq
import json
import shutil
from collections import defaultdict
from collections.abc import Iterable, Mapping
from itertools import pairwise
from pathlib import Path

from training.errors import TrainingError
from training.trainers.text_encoder import END, START

Merge = tuple[str, str]
_BYTES = [*range(33, 127), *range(161, 173), *range(174, 256)]
_LETTERS = {b: chr(b) for b in _BYTES} | {
    b: chr(256 + i) for i, b in enumerate(b for b in range(256) if b not in _BYTES)
}


def letters_of(word: str) -> tuple[str, ...]:
    """A word's bytes as byte-level BPE writes them, the last one closed: "dog" → ("d", "o", "g</w>")."""
    letters = [_LETTERS[b] for b in word.encode()]
    return (*letters[:-1], letters[-1] + "</w>")


def read_merges(folder: Path) -> list[Merge]:
    """The merges of a tokenizer's folder in their order."""
    lines = (folder / "merges.txt").read_text(encoding="utf-8").splitlines()[1:]
    return [(a, b) for a, b in (line.split(" ") for line in lines if line)]


def split(word: str, ranks: Mapping[Merge, int], used: set[Merge] | None = None) -> tuple[str, ...]:
    """A word's pieces; the merges applied on the way are added to `used`."""
    pieces = list(letters_of(word))
    while len(pieces) > 1:
        rank, at = min((ranks.get((a, b), len(ranks)), i) for i, (a, b) in enumerate(pairwise(pieces)))
        if rank == len(ranks):
            break
        if used is not None:
            used.add((pieces[at], pieces[at + 1]))
        pieces[at : at + 2] = [pieces[at] + pieces[at + 1]]
    return tuple(pieces)


def learn(words: Mapping[str, float], merges: list[Merge], number: int) -> list[Merge]:
    """`number` more merges, each the heaviest pair of neighbours in the weighted words as they then are split."""
    ranks = {m: i for i, m in enumerate(merges)}
    split_words = [list(split(w, ranks)) for w in words]
    weights = list(words.values())
    totals: defaultdict[Merge, float] = defaultdict(float)
    where: defaultdict[Merge, set[int]] = defaultdict(set)
    for i, pieces in enumerate(split_words):
        for pair in pairwise(pieces):
            totals[pair] += weights[i]
            where[pair].add(i)
    heaviest = [(-total, pair) for pair, total in totals.items()]
    heapq.heapify(heaviest)
    learned: list[Merge] = []
    while len(learned) < number and heaviest:
        total, best = heapq.heappop(heaviest)
        if best not in where or -total != totals[best]:
            continue  # a total of before: the pair stands in the heap again with its own
        learned.append(best)
        changed: set[Merge] = set()
        for i in where.pop(best):
            pieces = split_words[i]
            for pair in pairwise(pieces):
                totals[pair] -= weights[i]
                changed.add(pair)
            at = 0
            while at < len(pieces) - 1:
                if (pieces[at], pieces[at + 1]) == best:
                    pieces[at : at + 2] = [pieces[at] + pieces[at + 1]]
                at += 1
            for pair in pairwise(pieces):
                totals[pair] += weights[i]
                where[pair].add(i)
                changed.add(pair)
        for pair in changed - {best}:
            heapq.heappush(heaviest, (-totals[pair], pair))
    return learned


def extend(shipped: Path, folder: Path, kept: Iterable[str], words: Mapping[str, float], size: int) -> None:
    """Writes a tokenizer of `size` pieces: what the shipped one needs for the `kept` words, the rest for `words`."""
    merges = read_merges(shipped)
    ranks = {m: i for i, m in enumerate(merges)}
    used: set[Merge] = set()
    for word in kept:
        split(word, ranks, used)
    old = [m for m in merges if m in used]
    letters = sorted(_LETTERS.values())
    room = size - 2 - 2 * len(letters) - len(old)
    if room < 0:
        raise TrainingError(f"The captions alone need {size - room} pieces, more than {size}.", "Allow more pieces.")
    everything = old + learn(words, old, room)
    pieces = [*letters, *(a + "</w>" for a in letters), *(a + b for a, b in everything), START, END]
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = {piece: number for number, piece in enumerate(dict.fromkeys(pieces))}
    (folder / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False), encoding="utf-8")
    lines = "\n".join(f"{a} {b}" for a, b in everything)
    (folder / "merges.txt").write_text(f"#version: 0.2\n{lines}\n", encoding="utf-8")
    for name in ("tokenizer_config.json", "special_tokens_map.json"):
        shutil.copyfile(shipped / name, folder / name)
