"""A tokenizer for which each word or phrase of a table is one token, as transformers opens it."""

from pathlib import Path
from typing import Any

import pytest

from training.trainers.text_encoder import END, START
from training.words.tokenizer import NOTHING, write_tokenizer
from worker.engine.networks.text_encoder import open_tokenizer

NUMBERS = {
    "a": 0,
    "dog": 1,
    "hound": 1,
    "sea": 2,
    "lion": 3,
    "sea lion": 4,
    "sea lions": 5,
    "t-rex": 6,
    "'s": 7,
    ",": 8,
    "hot air": 9,
    "hot air balloon": 10,
    "企鹅": 11,
    "鹅": 12,
    "4k": 13,
    "st. john's": 14,
    "4": 15,
    "café": 16,
    NOTHING: 17,
    START: 18,
    END: 19,
}


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("tokenizer")
    (folder / "vocab.json").write_text("what was here before")
    write_tokenizer(folder, NUMBERS)
    assert sorted(path.name for path in folder.iterdir()) == ["tokenizer.json", "tokenizer_config.json"]
    return open_tokenizer(folder)


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("a hound", [0, 1]),
        ("A Hound", [0, 1]),
        ("a sea lion", [0, 4]),
        ("a Sea\n  Lion", [0, 4]),
        ("sea lions", [5]),
        ("sea lioness", [2, 17]),
        ("a nausea lion", [0, 17, 3]),
        ("sea, lion", [2, 8, 3]),
        ("hot air balloon", [10]),
        ("hot air balloons", [9, 17]),
        ("a t-rex", [0, 6]),
        ("a t-rexes", [0, 17, 17, 17]),
        ("dog's", [1, 7]),
        ("❤️dog", [17, 1]),
        ("☀️sea lion❤️", [17, 4, 17]),
        ("a dog`s", [0, 1, 7]),
        ("don't", [17]),
        ("a don, a lion’t", [0, 17, 8, 0, 17]),
        ("dog’s", [1, 7]),
        ("'sea", [17, 2]),
        ("St. John's dog", [14, 1]),
        ("4k", [13]),
        ("4dog", [15, 1]),
        ("44", [17]),
        ("一只企鹅。", [17, 17, 11, 17]),
        ("鹅", [12]),
        ("cafe\u0301", [16]),
        ("qwertz 🐶", [17, 17]),
        ("", []),
    ],
)
def test_a_prompt_falls_into_the_longest_phrases_and_words(tokenizer: Any, prompt: str, expected: list[int]) -> None:
    assert tokenizer(prompt).input_ids == [18, *expected, 19]


def test_it_pads_cuts_and_says_where_each_token_stands(tokenizer: Any) -> None:
    padded = tokenizer("a dog", padding="max_length", max_length=77, truncation=True).input_ids
    assert padded == [18, 0, 1, *[19] * 74]
    assert len(tokenizer("a dog " * 80, padding="max_length", max_length=77, truncation=True).input_ids) == 77
    found = tokenizer("a sea  lion, dog", return_offsets_mapping=True, add_special_tokens=False)
    assert found.offset_mapping == [(0, 1), (2, 11), (11, 12), (13, 16)]


def test_what_looks_like_a_special_token_is_read_as_one_and_nothing_breaks(tokenizer: Any) -> None:
    assert tokenizer(f"a {END} dog").input_ids == [18, 0, 19, 1, 19]


def test_the_same_words_give_the_same_file(tmp_path: Path) -> None:
    for folder, numbers in (("one", NUMBERS), ("two", dict(reversed(NUMBERS.items())))):
        write_tokenizer(tmp_path / folder, numbers)
    one, two = ((tmp_path / folder / "tokenizer.json").read_bytes() for folder in ("one", "two"))
    assert one == two
