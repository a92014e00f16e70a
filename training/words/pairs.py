"""Pairs of captions: what the shipped text encoder reads, and the same said with other words (scenes, worker.editions).

A pair is written once, with both readings of each place that differs, so that the rows of its words can be matched.
"""

from __future__ import annotations

import re
import zlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from training.scenes import captions
from training.scenes.backdrops.setting import HEIGHT, Backdrop, Setting
from training.scenes.captions import Caption, Writer, with_article
from training.scenes.scene import Director, Group, Scene, draw_setting
from training.scenes.sprites import SpritePack, Subject, plural_of, read_subjects
from training.words.lexicon import SHIPPED, Entry, read_sentences
from worker.editions.words import Reading, Words

FROM, TO, END = "\x01", "\x02", "\x03"
_PART = re.compile(f"{FROM}([^{TO}]*){TO}([^{END}]*){END}")
HELD_OUT = 33
"""One lemma in so many is never trained on: what of it is understood is read off its spelling alone."""
_ARTICLES = {"de": ("ein", "eine", "der", "die", "das"), "fr": ("un", "une", "le", "la"),
             "es": ("un", "una", "el", "la"), "zh": ("",)}  # fmt: skip
_AND = {"de": "und", "fr": "et", "es": "y", "zh": "和"}


def held_out_word(entry: Entry) -> bool:
    """Whether a lemma is kept for the examination. Words written by hand and names are all trained on."""
    return entry.how in "lcgx" and zlib.crc32(entry.word.encode()) % HELD_OUT == 0


@dataclass(frozen=True)
class Pair:
    """What the teacher reads and what the student reads, as parts (canonical, free) in their order."""

    parts: tuple[tuple[str, str], ...]
    loose: bool = False
    """Whether the words do not stand for one another, only the whole for the whole."""

    @property
    def canonical(self) -> str:
        """The caption in the words that the shipped encoder knows."""
        return " ".join(" ".join(c for c, _ in self.parts).split())

    @property
    def free(self) -> str:
        """The same in other words."""
        return " ".join(" ".join(f for _, f in self.parts).split())


def parse(marked: str) -> Pair:
    """Parts of a marked caption: "a \\x01dog\\x02hound\\x03 at night" → ("a", "a"), ("dog", "hound"), …"""
    parts: list[tuple[str, str]] = []
    at = 0
    for found in _PART.finditer(marked):
        if same := marked[at : found.start()].strip():
            parts.append((same, same))
        parts.append((found[1].strip(), found[2].strip()))
        at = found.end()
    if same := marked[at:].strip():
        parts.append((same, same))
    return Pair(tuple(parts))


def mark(canonical: str, free: str) -> str:
    """Both readings of one place."""
    return f" {FROM}{canonical}{TO}{free}{END} "


@dataclass
class Vocabulary:
    """The words of each target with how often each is drawn; by the root of its frequency, so that rare ones come."""

    entries: Sequence[Entry]
    _tables: dict[tuple[str, str, str], tuple[list[Entry], NDArray[np.float64]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        tables: defaultdict[tuple[str, str, str], list[Entry]] = defaultdict(list)
        for entry in self.entries:
            tables[entry.kind, entry.name, entry.language].append(entry)
        for key, entries in tables.items():
            weights = np.array([share(e) for e in entries])
            self._tables[key] = (entries, np.cumsum(weights / weights.sum()))

    def draw(self, rng: np.random.Generator, kind: str, name: str, language: str = "en") -> Entry | None:
        """A word for a target, or None where the lexicon has none."""
        if (kind, name, language) not in self._tables:
            return None
        entries, sums = self._tables[kind, name, language]
        return entries[min(int(np.searchsorted(sums, rng.random())), len(entries) - 1)]


def share(entry: Entry) -> float:
    """How often a word is drawn, against others of its target: by hand oftener, phrases and guesses seldom."""
    trust = {"n": 2.0, "w": 6.0, "l": 1.0, "c": 1.0, "g": 0.6, "x": 1.0, "e": 1.0}[entry.how]
    return float(trust * (0.35 if " " in entry.word else 1.0) * 10 ** (0.45 * min(entry.weight, 5.5)))


class FreeWriter(Writer):
    """Writes captions as the Writer does, with words of the lexicon in the places of the captions' own (marked)."""

    def __init__(self, rng: np.random.Generator, vocabulary: Vocabulary, replaced: float = 0.55) -> None:
        super().__init__(rng)
        self.vocabulary, self.replaced = vocabulary, replaced

    def _finish(self, text: str, ground: bool, colour: bool, sky: bool, extra: bool, groups: bool) -> Caption:
        return Caption(text + ("." if self.rng.random() < 0.15 else ""), ground, colour, sky, extra, groups)

    def _lucky(self, chance: float) -> bool:
        return bool(self.rng.random() < chance)

    def _filler(self) -> str:
        """A word that says nothing of the picture, marked; mostly none."""
        if not self._lucky(0.12):
            return ""
        entry = self.vocabulary.draw(self.rng, "nothing", "-")
        return mark("", entry.word) if entry else ""

    def _noun(self, group: Group, plain: bool) -> str:
        subject, several = group.subject, group.count > 1
        adjectives = [self._filler()]
        if group.size and not plain:
            adjectives.append(self._either(self._pick(captions.SIZES[group.size]), "size", group.size, 0.3))
        if group.hue:
            adjectives.append(self._either(group.hue, "colour", group.hue, 0.3))
        noun = subject.plural if several else subject.name
        if subject.also and not several and self._lucky(0.15):
            noun = self._pick(subject.also)
        free = noun
        if self._lucky(self.replaced) and (entry := self.vocabulary.draw(self.rng, "thing", subject.name)):
            free = plural(entry, subject) if several else entry.word
        said = mark(noun, free) if free != noun else noun
        if several:
            number = self._either(self._pick(captions.NUMBERS[group.count]), "count", str(group.count), 0.2)
            return " ".join([number, *adjectives, said])
        words = " ".join([*adjectives, said])
        chance = self.rng.random()
        if chance < 0.2:
            return words
        if chance < 0.3:
            return "the " + words
        pair = parse(words)
        old, new = with_article(pair.canonical).split()[0], with_article(pair.free).split()[0]
        return (old if old == new else mark(old, new)) + " " + words

    def _either(self, canonical: str, kind: str, name: str, chance: float) -> str:
        entry = self.vocabulary.draw(self.rng, kind, name) if self._lucky(chance) else None
        return mark(canonical, entry.word) if entry else canonical

    def _ground(self, setting: Setting, optional: bool) -> tuple[str, bool]:
        text, colour = super()._ground(setting, optional)
        if not text or not self._lucky(0.5 * self.replaced):
            return text, colour
        entry = self.vocabulary.draw(self.rng, "place", setting.ground)
        if entry is None or (colour and setting.ground == "plain"):
            return text, colour
        lead = self._pick(("in a", "in the", "in", "at the", "on the", "on a", "near the", "in front of the", "at"))
        return mark(text.format(colour=setting.colour), f"{lead} {entry.word}"), colour

    def _bare(self, setting: Setting) -> str:
        text = super()._bare(setting)
        entry = self.vocabulary.draw(self.rng, "place", setting.ground) if self._lucky(self.replaced) else None
        return mark(text, self._pick(("", "a ", "the ")) + entry.word) if entry else text

    def _sky(self, setting: Setting) -> str:
        text = super()._sky(setting)
        entry = self.vocabulary.draw(self.rng, "sky", setting.sky) if text and self._lucky(0.35) else None
        lead = self._pick(("at", "in the", "on a", "in a", "during the", "under a", ""))
        return mark(text, f"{lead} {entry.word}") if entry else text


def plural(entry: Entry, subject: Subject) -> str:
    """A word for several of a thing: its regular plural, or the word itself where it is one or a phrase."""
    word = entry.word
    if word.endswith("s") or word == subject.plural or entry.language != "en":
        return word
    return plural_of(word)


def canonical_caption(readings: Sequence[Reading]) -> str:
    """What is understood of a sentence in the captions' own words: "a dog and a truck in the city at night"."""
    things: list[str] = []
    said: dict[str, str] = {}
    count = ""
    adjectives: list[str] = []
    for reading in readings:
        kind, name = reading.kind, reading.name or ""
        if kind == "count":
            count = captions.NUMBERS[int(name)][0]
        elif kind == "size":
            adjectives = [name, *adjectives]
        elif kind == "colour":
            adjectives.append(name)
        elif kind == "thing":
            words = " ".join([*adjectives, _PLURALS[name] if count else name])
            things.append(f"{count} {words}" if count else with_article(words))
            count, adjectives = "", []
        elif kind in ("place", "sky", "weather"):
            said.setdefault(kind, name)
    what = " and ".join(dict.fromkeys(things[:2]))
    where = captions.GROUNDS if what else captions.BARE_GROUNDS
    parts = [what]
    if "place" in said:
        parts.append(where[said["place"]][0].format(colour="white"))
    if "sky" in said and said.get("place") not in ("room", "space"):
        parts.append(captions.SKIES[said["sky"]][0])
    if "weather" in said and said.get("place") not in ("room", "space"):
        parts.append(captions.EXTRAS[said["weather"]][0])
    return " ".join(w for w in parts if w)


_PLURALS = {s.name: s.plural for s in read_subjects()}


class PairSource:
    """Pairs from one seed: captions of scenes, single words, other languages, and captions left as they are."""

    def __init__(self, pack: SpritePack, entries: Sequence[Entry], seed: int) -> None:
        self.director = Director(pack, seed)
        self.rng = self.director.rng
        trained = [e for e in entries if not held_out_word(e)]
        self.vocabulary = Vocabulary(trained)
        self.writer = FreeWriter(self.rng, self.vocabulary)
        self.plain = Writer(self.rng)
        self.foreign = [e for e in trained if e.language != "en"]
        english = [e for e in trained if e.language == "en" and e.kind in ("thing", "place")]
        self.words = english
        weights = np.cumsum([share(e) for e in english])
        self._sums = weights / weights[-1]
        self.plurals = {s.name: s.plural for s in self.director.subjects}
        self.sentences = self._understood(entries)
        self._page = Backdrop(np.zeros((1, 1, 3), np.float32), HEIGHT * 0.55, np.ones(3, np.float32))

    def reseed(self, seed: int) -> None:
        """What is drawn from here on follows from this seed."""
        self.rng = self.director.rng = self.writer.rng = self.plain.rng = np.random.default_rng(seed)

    def draw(self) -> Pair:
        """One pair: a third unchanged, the others with words replaced."""
        chance = self.rng.random()
        if chance < 0.28:
            return self._single()
        if chance < 0.34:
            return self._foreign()
        if chance < 0.42:
            return self.sentences[int(self.rng.integers(len(self.sentences)))]
        scene = self._scene()
        if chance < 0.68:
            return parse(self.plain.write(scene).text)
        return parse(self.writer.write(scene).text)

    @staticmethod
    def _understood(entries: Sequence[Entry]) -> list[Pair]:
        """WordNet's sentences in which something can be drawn and no word is held out."""
        words, hidden = Words(SHIPPED), {e.word for e in entries if held_out_word(e)}
        found = []
        for sentence in read_sentences():
            readings = words.read(sentence)
            canonical = canonical_caption(readings)
            if canonical and not any(r.words in hidden for r in readings):
                found.append(Pair(((canonical, sentence),), loose=True))
        return found

    def _scene(self) -> Scene:
        return self.director.scene(self._page, draw_setting(self.rng))

    def _single(self) -> Pair:
        """A word alone, with an article, or in a setting: what most people type."""
        entry = self.words[min(int(np.searchsorted(self._sums, self.rng.random())), len(self.words) - 1)]
        if entry.kind == "place":
            canonical = self._choose(captions.BARE_GROUNDS[entry.name]).format(colour="blue")
            return parse(mark(canonical, self._choose(("", "a ", "the ")) + entry.word))
        several = bool(self.rng.random() < 0.12)
        noun = self.plurals[entry.name] if several else entry.name
        word = (
            entry.word + ("" if entry.word.endswith("s") else "s") if several and " " not in entry.word else entry.word
        )
        chance = self.rng.random()
        if several:
            text = self._choose(("two ", "three ", "")) + mark(noun, word)
        elif chance < 0.3:
            text = mark(noun if self.rng.random() < 0.5 else with_article(noun), word)
        else:
            text = mark(with_article(noun), self._choose((with_article(word), "the " + word)))
        if self.rng.random() < 0.5:
            ground = str(self._choose(tuple(captions.GROUNDS)))
            text += " " + self._choose(captions.GROUNDS[ground]).format(colour="blue")
        return parse(text)

    def _foreign(self) -> Pair:
        """One or two things of another language, perhaps with a setting and a sky of it."""
        entry = self.foreign[int(self.rng.integers(len(self.foreign)))]
        language = entry.language
        if entry.kind != "thing":
            subject = self.director.subjects[int(self.rng.integers(len(self.director.subjects)))]
            noun = self.vocabulary.draw(self.rng, "thing", subject.name, language)
            where = entry
        else:
            noun, where = entry, None
            if self.rng.random() < 0.5:
                name = str(
                    self._choose(
                        ("meadow", "desert", "snow", "sea", "beach", "forest", "mountains", "city", "road", "space")
                    )
                )
                where = self.vocabulary.draw(self.rng, "place", name, language)
        parts = []
        if noun is not None:
            parts.append(mark(with_article(noun.name), f"{self._choose((*_ARTICLES[language], ''))} {noun.word}"))
        if where is not None and where.kind == "place":
            parts.append(mark(captions.GROUNDS[where.name][0], where.word))
        elif where is not None:
            parts.append(mark(captions.SKIES[where.name][0], where.word))
        return parse(" ".join(parts))

    def _choose(self, choices: Sequence[str]) -> str:
        return choices[int(self.rng.integers(len(choices)))]
