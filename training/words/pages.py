"""Prints pages of other words for the 127 and has them judged: `python -m training.words.pages` (torch, the judges).

"a <synonym> <place>" for synonyms by WordNet, and beside each the page of the thing's own name from the same latents'
prompt, so that what the words lose can be told from what the U-Net draws badly anyway.
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
from training.trainers.words import FOLDER
from training.words.lexicon import SYNONYMS


def main() -> None:
    """Prints `--number` synonyms drawn by lot with an edition, and a sheet of them."""
    parser = argparse.ArgumentParser(description="Judges printed pages of other words for the 127.")
    parser.add_argument("--edition", default="pocket-1", help="an edition's slug")
    parser.add_argument("--data", type=Path, required=True, help="the folder with editions/<slug>, as BABELIA_DATA")
    parser.add_argument("--number", type=int, default=60)
    parser.add_argument("--threads", type=int)
    arguments = parser.parse_args()
    subjects = {s.name: s for s in read_subjects()}
    rows = [line.split("\t") for line in SYNONYMS.read_text(encoding="utf-8").splitlines()]
    chosen = [rows[int(i)] for i in np.random.default_rng(9).permutation(len(rows))[: arguments.number]]
    artist = Artist(arguments.edition, arguments.data, FOLDER / "evaluation", arguments.threads)
    judge, strict, _ = load_judges()
    where = [PLACE_WORDS[GROUNDED[i % len(GROUNDED)]] for i in range(len(chosen))]
    for what, names in (("synonyms", [w for w, _ in chosen]), ("their own names", [n for _, n in chosen])):
        pages = []
        for number, (name, place) in enumerate(zip(names, where, strict=True), 1):
            pages.append(artist.print(f"{with_article(name)} {place}"))
            print(f"{what}: {number} of {len(names)} printed", flush=True)
        truth = [subjects[name].number for _, name in chosen]
        verdicts = judge_pages(judge, strict, pages, truth)
        print(f"{what}: named {percent(v.ranked[0] == t for v, t in zip(verdicts, truth, strict=True))}")
        print(f"{what}: in grey {percent(v.strict == t for v, t in zip(verdicts, truth, strict=True))}")
        print(f"{what}: the setting {percent(v.place == GROUNDED[i % len(GROUNDED)] for i, v in enumerate(verdicts))}")
        runs.save_sheet(FOLDER / f"{what.replace(' ', '-')}.webp", [Image.fromarray(p) for p in pages], 6, 0.4)
    print(", ".join(f"{w} ({n})" for w, n in chosen))


if __name__ == "__main__":
    main()
