"""Prints pages of words that no caption has: `python -m training.words.pages` (torch, the judges).

Names of the 127 by WordNet are judged: "a <synonym> <place>". Nouns drawn by lot are to be looked at: their sheet is
written, with a list of what each is read as, row by row. `--own` prints the things' own names beside the synonyms, so
that what the words lose can be told from what the U-Net draws badly anyway.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from training import runs
from training.judging.evaluate import GROUNDED, PLACE_WORDS, Artist, percent
from training.judging.judges import judge_pages, load_judges
from training.scenes.captions import with_article
from training.scenes.sprites import read_subjects
from training.words.examine import FOLDER
from training.words.lexicon import SYNONYMS, read_lexicon

COLUMNS, SCALE = 10, 0.3


def main() -> None:
    """Print and judge `--synonyms` names and print `--nouns` nouns."""
    parser = argparse.ArgumentParser(description="Prints pages of words that no caption has.")
    parser.add_argument("--edition", default="pocket-1", help="an edition's slug (pocket-1)")
    parser.add_argument("--data", type=Path, required=True, help="the folder with editions/<slug>, as BABELIA_DATA")
    parser.add_argument("--synonyms", type=int, default=0, help="names of the 127 to be judged, at most 340 (0)")
    parser.add_argument("--own", action="store_true", help="the things' own names beside them")
    parser.add_argument("--nouns", type=int, default=0, help="English nouns drawn by lot, to be looked at (0)")
    parser.add_argument("--folder", type=Path, default=FOLDER, help=f"for pages and sheets ({FOLDER})")
    parser.add_argument("--threads", type=int)
    asked = parser.parse_args()
    artist = Artist(asked.edition, asked.data, asked.folder / "evaluation", threads=asked.threads)
    rows = [line.split("\t") for line in SYNONYMS.read_text(encoding="utf-8").splitlines()]
    chosen = [rows[int(i)] for i in np.random.default_rng(9).permutation(len(rows))[: asked.synonyms]]
    if chosen:
        _judge("synonyms", artist, [word for word, _ in chosen], [name for _, name in chosen], asked.folder)
        print(", ".join(f"{word} ({name})" for word, name in chosen))
    if chosen and asked.own:
        _judge("their own names", artist, [name for _, name in chosen], [name for _, name in chosen], asked.folder)
    if asked.nouns:
        _look_at(artist, asked.nouns, asked.folder)


def _judge(what: str, artist: Artist, words: list[str], names: list[str], folder: Path) -> None:
    subjects = {s.name: s for s in read_subjects()}
    judge, strict, _ = load_judges()
    grounds = [GROUNDED[i % len(GROUNDED)] for i in range(len(words))]
    pages = []
    for number, (word, ground) in enumerate(zip(words, grounds, strict=True), 1):
        pages.append(artist.print(f"{with_article(word)} {PLACE_WORDS[ground]}"))
        if number % 20 == 0:
            print(f"{what}: {number} of {len(words)} printed", flush=True)
    truth = [subjects[name].number for name in names]
    verdicts = judge_pages(judge, strict, pages, truth)
    print(f"{what}: named {percent(v.ranked[0] == t for v, t in zip(verdicts, truth, strict=True))}")
    print(f"{what}: in grey {percent(v.strict == t for v, t in zip(verdicts, truth, strict=True))}")
    print(f"{what}: the setting {percent(v.place == ground for v, ground in zip(verdicts, grounds, strict=True))}")
    _sheet(folder / f"{what.replace(' ', '-')}.webp", pages)


def _look_at(artist: Artist, number: int, folder: Path) -> None:
    """Nouns are drawn from what WordNet's nouns alone lead to, by hand or by links, each as often as any other."""
    nouns = [e for e in read_lexicon() if e.language == "en" and e.how in "wlcg" and e.kind != "nothing"]
    chosen = [nouns[int(i)] for i in np.random.default_rng(11).permutation(len(nouns))[:number]]
    pages = []
    for place, entry in enumerate(chosen):
        pages.append(artist.print(with_article(entry.word)))
        print(f"row {place // COLUMNS + 1}, {place % COLUMNS + 1}: {entry.word} ({entry.name})", flush=True)
    _sheet(folder / "nouns.webp", pages)


def _sheet(path: Path, pages: list[np.ndarray]) -> None:
    runs.save_sheet(path, [Image.fromarray(page) for page in pages], COLUMNS, SCALE)
    print(f"{path}: {COLUMNS} in a row")


if __name__ == "__main__":
    main()
