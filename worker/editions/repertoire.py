"""What an edition draws by name: reads its repertoire/repertoire.json (the standard library only; no torch).

A repertoire is a list of entries in groups: a prompt, the words that mean it, and a picture printed for it. It is true
of one set of weights, which it names; for others `fits` says no, and neither words nor pictures may be claimed.
`python -m training repertoire` writes it, docs/editions.md describes it.
"""

import json
import re
import unicodedata
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, NamedTuple

from worker.editions.edition import Edition
from worker.editions.rereading import when_changed
from worker.editions.words import APOSTROPHES, HAN, LONGEST, NOTHING, Words
from worker.errors import EditionRefused

FOLDER: Final = "repertoire"
FILE: Final = "repertoire.json"
PICTURE: Final = (240, 156)
"""Width and height of an entry's picture: a page's, by 0.375, so that nothing of it is cut off."""
KINDS: Final = ("thing", "place", "sky", "weather", "colour", "count", "size", "side", "depth", "relation")


@dataclass(frozen=True)
class Entry:
    """One thing that the edition draws: `prompt` asks for it alone; `words` mean it in any prompt."""

    kind: str
    name: str
    prompt: str
    words: tuple[str, ...]
    mark: str
    """Of the key of page 1 of `prompt`, which the picture shows."""
    coloured: bool = False
    """Whether the thing takes a named colour."""

    @property
    def file(self) -> str:
        """The name of its picture, without the suffix: a-red-balloon."""
        return self.prompt.replace(" ", "-")


@dataclass(frozen=True)
class Group:
    """Entries of one sort, under a heading."""

    title: str
    entries: tuple[Entry, ...]


class Reading(NamedTuple):
    """Some words of a prompt as they stand there, and what they name."""

    text: str
    entry: Entry | None
    """None where the edition does not know them, or shows nothing by that name alone."""
    kind: str | None = None
    name: str | None = None
    """What they are read as: the entry's, or of a table's word that has none; None where nothing is drawn."""


@dataclass(frozen=True)
class Repertoire:
    """The repertoire of one edition."""

    folder: Path
    weights: str
    """The digest of the weights that it is true of."""
    settings: Mapping[str, Any]
    """How the pictures were printed, as `printed_with` names it."""
    rendition: str
    groups: tuple[Group, ...]
    silent: frozenset[str]
    """Words that name nothing and need no mention: the, of, picture."""
    _known: dict[str, Entry] = field(repr=False)

    @property
    def entries(self) -> Iterator[Entry]:
        """All entries, group by group."""
        return (entry for group in self.groups for entry in group.entries)

    def fits(self, edition: Edition, weights: str | None) -> bool:
        """Say whether it is true of an edition whose weights have this digest (None: as the edition states)."""
        return self.weights == (weights or edition.digest) and self.settings == printed_with(edition)

    def picture(self, file: str) -> Path | None:
        """Return the path of a picture by its entry's `file`; None where no entry has it."""
        path = self.folder / f"{file}.webp"
        return path if any(entry.file == file for entry in self.entries) and path.is_file() else None

    def entry_of(self, kind: str, name: str) -> Entry | None:
        """Return the first entry of a kind and name."""
        return next((entry for entry in self.entries if (entry.kind, entry.name) == (kind, name)), None)

    def read(self, prompt: str, table: Words | None = None) -> list[Reading]:
        """Return what a prompt's words are, in their order, without the silent ones; the longest phrases first.

        `table`: of the other words that these weights understand; its phrases are looked for before names are. Words
        that are not known, or draw nothing, are one reading where a hyphen or nothing stands between them: "x-ray".
        """
        pieces = _pieces(prompt, table, self._known)
        readings: list[Reading] = []
        unknown: tuple[int, int] | None = None  # where the last reading stands, if it is not known
        at = 0
        while at < len(pieces):
            length, entry = self._longest(prompt, pieces[at : at + LONGEST])
            start, end, target = pieces[at].start, pieces[at + length - 1].end, pieces[at].target
            entry = entry or (self.entry_of(*target) if target else None)
            if entry is not None:
                readings.append(Reading(prompt[start:end], entry, entry.kind, entry.name))
                unknown = None
            elif target is not None and target[0] != NOTHING:
                readings.append(Reading(prompt[start:end], None, *target))
                unknown = None
            elif pieces[at].words not in self.silent:
                if unknown is not None and prompt[unknown[1] : start] in ("", "-", "'", *APOSTROPHES):
                    start = unknown[0]
                    readings.pop()
                readings.append(Reading(prompt[start:end], None))
                unknown = start, end
            at += length
        return readings

    def _longest(self, prompt: str, pieces: "list[_Piece]") -> tuple[int, Entry | None]:
        """How many pieces from the first one on are a name, and its entry."""
        for length in range(len(pieces), 0, -1):
            gaps = (prompt[one.end : other.start] for one, other in pairwise(pieces[:length]))
            entry = self._known.get(" ".join(piece.words for piece in pieces[:length]))
            if entry is not None and all(set(gap) <= set(" -\t\n") for gap in gaps):
                return length, entry
        return 1, None


class _Piece(NamedTuple):
    """A word, or a phrase of a table, with where it stands, and what the table says of it."""

    words: str
    start: int
    end: int
    target: tuple[str, str] | None


def _pieces(prompt: str, table: Words | None, names: Collection[str]) -> list[_Piece]:
    """What a table's tokenizer parts a prompt into: its phrases, the longest first, but for names, and words."""
    tokens = _contracted(prompt, list(_tokens(prompt)))
    found: list[_Piece] = []
    at = 0
    while at < len(tokens):
        for length in range(min(LONGEST, len(tokens) - at) if table else 1, 0, -1):
            words = " ".join(token.word for token in tokens[at : at + length])
            start, end = tokens[at].start, tokens[at + length - 1].end
            target = table.get(prompt[start:end]) if table else None
            if length == 1 or (target is not None and words not in names):
                found.append(_Piece(words, start, end, target))
                break
        at += length
    return found


class _Token(NamedTuple):
    word: str
    start: int
    end: int


def _contracted(prompt: str, tokens: "list[_Token]") -> "list[_Token]":
    """The tokens with "don't" and its like as one: it says nothing of a don."""
    found: list[_Token] = []
    for token in tokens:
        if found and token.word == "t" and found[-1].word.endswith("n"):
            before = found[-1]
            if prompt[before.end : token.start] in ("'", *APOSTROPHES):
                found[-1] = _Token(f"{before.word}'t", before.start, token.end)
                continue
        found.append(token)
    return found


def _tokens(prompt: str) -> Iterator[_Token]:
    """Words in lower case, numbers, Chinese characters and signs such as emoji, with where they stand."""
    for found in re.finditer(r"\S+", prompt):
        start = None
        sort = ""
        for place, character in enumerate(found[0] + " ", start=found.start()):
            other = _sort(character)
            if (other != sort or other == "han") and not (other == "joined" and sort):
                if start is not None:
                    yield _Token(prompt[start:place].lower(), start, place)
                start, sort = (place, other) if other in ("word", "number", "han", "sign") else (None, "")


_HAN = re.compile(f"[{HAN}]")


def _sort(character: str) -> str:
    """What a character is part of: a word, a number, a sign, whatever stands before it, or nothing."""
    category = unicodedata.category(character)
    if _HAN.match(character):
        return "han"
    if category[0] in "LN":
        return "word" if category[0] == "L" else "number"
    if category[0] == "M" or character == "\u200d" or "\U0001f3fb" <= character <= "\U0001f3ff":
        return "joined"
    return "sign" if category == "So" else ""


def printed_with(edition: Edition) -> dict[str, Any]:
    """Return what of an edition decides the pictures of its prompts, beside its weights."""
    names = ("solver", "guidance", "early_guidance", "early_above", "default_steps")
    return {name: getattr(edition, name) for name in names}


def read_repertoire(folder: Path) -> Repertoire | None:
    """Return the repertoire of an edition's folder, None where it has none. Raises EditionRefused where it is broken.

    The site asks for it with every prompt.
    """
    try:
        return _read(folder / FOLDER / FILE)
    except OSError:
        return None


@when_changed(16)
def _read(path: Path) -> Repertoire:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        groups = tuple(
            Group(group["title"], tuple(_entry(entry) for entry in group["entries"])) for group in document["groups"]
        )
        known: dict[str, Entry] = {}
        for entry in (entry for group in groups for entry in group.entries):
            for word in entry.words:
                known.setdefault(word.replace("-", " "), entry)
        return Repertoire(
            path.parent,
            document["weights"],
            document["settings"],
            document["rendition"],
            groups,
            frozenset(document["silent"]),
            known,
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise EditionRefused(f"{path} is no repertoire: {error!r}.") from error


def _entry(document: Mapping[str, Any]) -> Entry:
    kind, name, prompt, mark = (str(document[key]) for key in ("kind", "name", "prompt", "mark"))
    if kind not in KINDS or re.fullmatch("[a-z0-9 -]+", prompt) is None:
        raise ValueError(f"the entry {prompt!r} of the kind {kind!r}")
    return Entry(kind, name, prompt, tuple(document["words"]), mark, bool(document.get("coloured", False)))
