"""What pocket-1 draws by name, as the site shows it: the list, what its text encoder understands, and the pictures.

`python -m training repertoire` writes editions/pocket-1/repertoire/, which worker.editions.repertoire reads. Only words
that this very text encoder understands are listed: each candidate of the captions' grammar is embedded and compared
with the names' own embeddings. Every picture is page 1 of its entry's prompt. Imports the engine.
"""

from __future__ import annotations

import io
import json
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from training.scenes.backdrops.setting import COLOURS, WALLS
from training.scenes.captions import (
    BARE_GROUNDS,
    DEPTHS,
    EXTRAS,
    GROUNDS,
    NUMBERS,
    OPENINGS,
    RELATIONS,
    SIDES,
    SIZES,
    SKIES,
    VERBS,
    with_article,
)
from training.scenes.sprites import HUES, Subject, plural_of, read_subjects
from training.words.lexicon import LANGUAGES, WORDS
from worker.catalogue.address import Address
from worker.editions.edition import load_edition
from worker.editions.repertoire import FILE, FOLDER, PICTURE, printed_with
from worker.editions.weights import weights_digest
from worker.engine.engine import Engine
from worker.files import write_atomically

QUALITY = 62  # of WebP
ROW = 40  # a row of padding, by which meanings are compared
LIKE = 0.45
"""The least cosine with the name's embedding: words that were trained have 0.5 and more, others 0.35 and less."""
BEFORE_PLACES = {"on", "in", "at", "by", "a", "the", "an", "with", "among", "under", "before", "of"}
NO_PLACES = BEFORE_PLACES | {"behind", "front", "beside", "against", "edge", "empty", "outer", *COLOURS}
"""Words in the phrases of places that lead to none by themselves."""
SILENT = (
    *(
        "a",
        "an",
        "the",
        "and",
        "or",
        "with",
        "of",
        "in",
        "on",
        "at",
        "to",
        "by",
        "next",
        "beside",
        "while",
        "it",
        "its",
    ),
    *(
        "is",
        "are",
        "there",
        "this",
        "that",
        "these",
        "those",
        "some",
        "one",
        "my",
        "your",
        "his",
        "her",
        "our",
        "their",
    ),
    *("i", "you", "he", "she", "we", "they", "please", "s", "d", "ll", "m", "re", "ve"),
)
"""Words that name nothing of a picture, so that nobody needs to hear of them."""
SHOWN = {"plain": "a penguin on a blue background"}
"""What is shown of a place whose bare name does not decide its colour."""
WEATHER = ("rainbow", "moon", "sun")
COUNTS = (2, 3)
"""Captions name rain, falling snow, four and five too, but the pages do not show them: looked at by eye."""
GROUPS = {
    "animals": "Animals",
    "plants": "Plants",
    "food": "Food and drink",
    "vehicles": "Vehicles",
    "buildings": "Buildings",
    "things": "Other things",
}


@dataclass(frozen=True)
class Asked:
    """An entry to be; its words are candidates."""

    kind: str
    name: str
    prompt: str
    words: tuple[str, ...]
    coloured: bool = False


def asked_groups() -> dict[str, list[Asked]]:
    """Everything that the captions of the training name, by the heading that it gets; words not yet examined."""
    groups: dict[str, list[Asked]] = {title: [] for title in GROUPS.values()}
    for subject in read_subjects():
        groups[GROUPS[subject.group]].append(_thing(subject))
    groups["Places"] = [
        Asked("place", name, SHOWN.get(name, phrases[0]), _place_words(name)) for name, phrases in BARE_GROUNDS.items()
    ]
    groups["Times of day and skies"] = [
        Asked("sky", name, f"mountains {phrases[0]}", _bare(phrases)) for name, phrases in SKIES.items()
    ]
    groups["Weather"] = [Asked("weather", name, f"a meadow {EXTRAS[name][0]}", _bare(EXTRAS[name])) for name in WEATHER]
    groups["Colours of things"] = [Asked("colour", hue, with_article(f"{hue} book"), (hue,)) for hue in HUES]
    groups["Colours of a background"] = [
        Asked("colour", colour, f"a robot on {with_article(colour)} background", (colour,)) for colour in COLOURS
    ]
    groups["Colours of a room"] = [
        Asked("colour", wall, f"a robot in {with_article(wall)} room", (wall,)) for wall in WALLS
    ]
    groups["How many"] = [
        Asked("count", str(number), f"{NUMBERS[number][0]} apples", NUMBERS[number]) for number in COUNTS
    ]
    groups["How large, how near, where"] = [
        *(Asked("size", name, f"{with_article(words[0])} mushroom", words) for name, words in SIZES.items()),
        *(Asked("depth", name, f"a robot {words[0]}", words) for name, words in DEPTHS.items()),
        *(Asked("side", name, f"a robot {words[0]}", (*words, name)) for name, words in SIDES.items()),
    ]
    groups["Two things"] = [
        Asked("relation", name, f"a penguin {words[0]} a snowman", words) for name, words in RELATIONS.items()
    ]
    return groups


def _thing(subject: Subject) -> Asked:
    always_many = subject.plural == subject.name and subject.name.endswith("s")
    prompt = subject.name if always_many else with_article(subject.name)
    also = [words for words in subject.also if words.split()[0] not in HUES]  # "red apple" is two words that are known
    words = [subject.name, subject.plural, *also, *map(plural_of, also)]
    return Asked("thing", subject.name, prompt, tuple(dict.fromkeys(words)), subject.hues)


def _place_words(name: str) -> tuple[str, ...]:
    """The phrases of a place, with and without what stands before its noun, and its single words."""
    phrases = [p.replace("{colour} ", "") for p in (*GROUNDS[name], *BARE_GROUNDS[name]) if not p.endswith("{colour}")]
    bare = _bare(phrases)
    singles = [word for phrase in bare for word in phrase.split() if word not in NO_PLACES]
    return tuple(dict.fromkeys([*bare, *singles]))


def _bare(phrases: Iterable[str]) -> tuple[str, ...]:
    """Phrases as they are, and without the small words at their beginning."""
    found = []
    for phrase in phrases:
        words = phrase.split()
        while len(words) > 1 and words[0] in BEFORE_PLACES:
            words = words[1:]
        found += [phrase, " ".join(words)]
    return tuple(dict.fromkeys(found))


class Understanding:
    """What an engine's text encoder makes of words, by the likest of the names' own embeddings."""

    def __init__(self, engine: Engine) -> None:
        """`names`: the prompts that say each name, such as `a dog in a forest`."""
        self.engine = engine
        self.names = {
            "thing": {s.name: [_thing(s).prompt] for s in read_subjects()},
            "place": {n: [f"a dog {p.format(colour='blue')}" for p in phrases] for n, phrases in GROUNDS.items()},
            "sky": {n: [f"a dog on a meadow {p}" for p in phrases] for n, phrases in SKIES.items()},
        }
        self._canonical: dict[str, npt.NDArray[np.float64]] = {}

    def understands(self, kind: str, name: str, word: str) -> bool:
        """Say whether a word leads to a name. Of kinds with a handful of words, which training repeats, all are."""
        if kind not in self.names:
            return True
        found = (self._likest(kind, prompt) for prompt in _prompts(kind, word))
        return any(likest == name and cosine >= LIKE for likest, cosine in found)

    def _likest(self, kind: str, prompt: str) -> tuple[str, float]:
        if kind not in self._canonical:
            rows = [np.mean([self._row(p) for p in prompts], 0) for prompts in self.names[kind].values()]
            self._canonical[kind] = np.stack(rows)
        mean = self._canonical[kind].mean(0)
        row, canonical = self._row(prompt) - mean, self._canonical[kind] - mean
        cosines = canonical @ row / (np.linalg.norm(canonical, axis=1) * np.linalg.norm(row))
        place = int(cosines.argmax())
        return list(self.names[kind])[place], float(cosines[place])

    def _row(self, prompt: str) -> npt.NDArray[np.float64]:
        row: npt.NDArray[np.float64] = self.engine.embed(prompt)[ROW]
        return row


def _prompts(kind: str, word: str) -> list[str]:
    """The captions in which a word is looked at: as it is, and with what may stand before it."""
    if kind == "thing":
        return [with_article(word), word]
    frame = "a dog" if kind == "place" else "a dog on a meadow"
    return [f"{frame} {before}{word}" for before in ("", "in the ", "on a ", "at ", "under a ")]


def make_repertoire(
    edition_folder: Path,
    data_dir: Path,
    asked_for: Mapping[str, Sequence[Asked]] | None = None,
    say: Callable[[str], None] = print,
) -> int:
    """Write the repertoire of an edition and its pictures; returns their bytes. Everything takes ten minutes.

    `asked_for`: groups of entries by their headings, else all that the captions name.
    """
    edition = load_edition(edition_folder.name, data_dir)
    engine = Engine(edition, threads=1)  # slower, and the same rendition on every machine of a kind
    knows = Understanding(engine)
    files: dict[Path, bytes] = {}
    groups = []
    home = edition_folder / FOLDER
    taken: dict[str, tuple[str, str]] = {}
    for title, asked in (asked_for or asked_groups()).items():
        entries = []
        for each in asked:
            words = [word for word in each.words if knows.understands(each.kind, each.name, word)]
            words = [word for word in words if taken.setdefault(word, (each.kind, each.name)) == (each.kind, each.name)]
            say(f"{title}: {each.prompt} ({', '.join(words)}; not {', '.join(set(each.words) - set(words)) or 'none'})")
            key = engine.resolve(Address(edition.slug, "prompt", each.prompt, 1))
            files[home / f"{each.prompt.replace(' ', '-')}.webp"] = _small(engine.print_page(key).pixels)
            entry = {"kind": each.kind, "name": each.name, "prompt": each.prompt, "words": words, "mark": key.mark}
            entries.append(entry | ({"coloured": True} if each.coloured else {}))
        groups.append({"title": title, "entries": entries})
    document: dict[str, Any] = {
        "weights": weights_digest(edition.weights),
        "settings": printed_with(edition),
        "rendition": engine.rendition.format(),
        "silent": sorted(silent_words()),
    }
    files[home / FILE] = "".join(line + "\n" for line in _lines(document, groups)).encode()
    for old in home.glob("*.webp"):
        if old not in files:
            old.unlink()
    home.mkdir(exist_ok=True)
    write_atomically(files)
    return sum(len(data) for path, data in files.items() if path.suffix == ".webp")


def silent_words() -> set[str]:
    """Words that name nothing by themselves: small words of each language, and what captions say of any picture."""
    said = {word for phrase in (*OPENINGS, *(v for verbs in VERBS.values() for v in verbs)) for word in phrase.split()}
    written = tomllib.loads(WORDS.read_text(encoding="utf-8"))
    small = {word for lang in LANGUAGES for word in (*written[lang]["articles"].split(), *written[lang]["and"])}
    return said | set(SILENT) | small


def _small(pixels: npt.NDArray[np.uint8]) -> bytes:
    """A page's pixels as a small WebP, whole."""
    out = io.BytesIO()
    Image.fromarray(pixels).resize(PICTURE, Image.Resampling.LANCZOS).save(out, "WEBP", quality=QUALITY, method=6)
    return out.getvalue()


def _lines(document: dict[str, Any], groups: list[dict[str, Any]]) -> Iterator[str]:
    """JSON with an entry a line, so that a change can be read."""

    def said(value: object) -> str:
        return json.dumps(value, ensure_ascii=False)

    yield "{"
    yield from (f" {said(name)}: {said(value)}," for name, value in document.items())
    yield ' "groups": ['
    for last, group in enumerate(groups, start=1 - len(groups)):
        yield f'  {{"title": {said(group["title"])}, "entries": ['
        *others, end = map(said, group["entries"])
        yield from (f"   {entry}," for entry in others)
        yield f"   {end}"
        yield "  ]}" + ("," if last else "")
    yield " ]"
    yield "}"
