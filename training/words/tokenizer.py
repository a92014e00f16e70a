"""A tokenizer for which each word or phrase of the lexicon is one token: "hound" has the number of "dog".

A word-level model whose table leads many words to one number, and a pattern that splits a prompt into phrases of the
table, the longest first, and words. It is an ordinary tokenizer.json of the library `tokenizers`; but that library
forgets all but one word of a number where it writes such a file again, so that it is written here.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from training.trainers.text_encoder import END, ROWS, START
from worker.editions.words import APOSTROPHES, HAN
from worker.engine.networks.text_encoder import GENERAL

NOTHING = "<|nothing|>"
"""The token of every word that is not in the table, and of those that draw nothing."""
LETTER = rf"[\p{{L}}&&[^{HAN}]]"
WORD = rf"{LETTER}[\p{{L}}\p{{M}}&&[^{HAN}]]*"
BEFORE, AFTER = rf"(?<![{LETTER}\p{{N}}])", rf"(?![{LETTER}\p{{M}}\p{{N}}])"
"""Where a phrase may begin and end: not inside a word or number."""
_ONE_TOKEN = re.compile(r"[^\W\d_]+|\d+")
_HAN = re.compile(f"[{HAN}]")


def write_tokenizer(folder: Path, numbers: Mapping[str, int]) -> None:
    """Write `tokenizer.json` and `tokenizer_config.json`. `numbers`: of every word and phrase, START, END, NOTHING."""
    special = {
        "bos_token": START,
        "eos_token": END,
        "pad_token": END,
        "unk_token": NOTHING,
    }
    document: dict[str, Any] = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [_added(token, numbers[token]) for token in (START, END)],
        "normalizer": {
            "type": "Sequence",
            "normalizers": [
                {"type": "NFC"},
                {"type": "Replace", "pattern": {"Regex": r"\s+"}, "content": " "},
                {"type": "Replace", "pattern": {"Regex": f"[{APOSTROPHES}]"}, "content": "'"},
                {"type": "Lowercase"},
            ],
        },
        "pre_tokenizer": {
            "type": "Split",
            "pattern": {"Regex": pattern_of(numbers)},
            "behavior": "Removed",
            "invert": True,
        },
        "post_processor": {
            "type": "RobertaProcessing",
            "sep": [END, numbers[END]],
            "cls": [START, numbers[START]],
            "trim_offsets": False,
            "add_prefix_space": False,
        },
        "decoder": None,
        "model": {"type": "WordLevel", "vocab": dict(sorted(numbers.items())), "unk_token": NOTHING},
    }
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    (folder / "tokenizer.json").write_text(text + "\n", encoding="utf-8")
    config = {"tokenizer_class": GENERAL, "model_max_length": ROWS, **special}
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def _added(token: str, number: int) -> dict[str, Any]:
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    return {"id": number, "content": token, **flags}


def pattern_of(words: Iterable[str]) -> str:
    """The regular expression (Oniguruma's) of a token: phrases, Chinese words, endings, words, numbers, signs.

    A phrase is what would otherwise be several tokens. Each choice of it is a tree of letters, so that it is looked for
    letter by letter and not phrase by phrase; a longer one comes before its own beginning.
    """
    several = [word for word in words if _ONE_TOKEN.fullmatch(word) is None and not word.startswith("<|")]
    signs = [word for word in several if not any(letter.isalnum() for letter in word)]
    chinese = [word for word in words if _HAN.search(word)]
    phrases = sorted({*several} - {*signs} - {*chinese})
    return "|".join(
        (
            *([f"{BEFORE}(?:{_tree(phrases)}){AFTER}"] if phrases else []),
            *([f"(?:{_tree(chinese)})"] if chinese else []),
            f"{WORD}n't{AFTER}",  # "don't" says nothing of a don
            rf"'(?:s|t|re|ve|m|ll|d){AFTER}",
            f"[{HAN}]",
            WORD,
            r"\p{N}+",
            r"[^\s\p{L}\p{N}]+",
        )
    )


def _tree(words: Iterable[str]) -> str:
    root: dict[str, Any] = {}
    for word in words:
        node = root
        for letter in word:
            node = node.setdefault(letter, {})
        node[""] = {}
    return _written(root)


def _written(node: dict[str, Any]) -> str:
    """A node's letters and what follows them; "" says that a word may end here."""
    parts = [re.escape(letter) + _written(below) for letter, below in sorted(node.items()) if letter]
    if not parts:
        return ""
    if len(parts) == 1 and "" not in node:
        return parts[0]
    return f"(?:{'|'.join(parts)})" + ("?" if "" in node else "")
