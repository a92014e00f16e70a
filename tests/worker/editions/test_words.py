"""The table of what an edition's words are understood as."""

import gzip
from pathlib import Path

import pytest

from tests import ROOT
from worker.editions.words import FILE, Reading, Words
from worker.errors import WeightsRefused

POCKET = ROOT / "editions" / "pocket-1" / FILE


@pytest.fixture(scope="module")
def pocket() -> Words:
    return Words(POCKET)


def table(folder: Path, text: str) -> Path:
    path = folder / FILE
    path.write_bytes(gzip.compress(text.encode()))
    return path


@pytest.mark.parametrize(
    ("word", "kind", "name"),
    [
        ("hound", "thing", "dog"),
        ("pony", "thing", "horse"),
        ("jungle", "place", "forest"),
        ("lorry", "thing", "truck"),
        ("queen", "thing", "crown"),
        ("happiness", "thing", "balloon"),
        ("midnight", "sky", "night"),
        ("crimson", "colour", "red"),
        ("forest", "place", "forest"),
        ("perro", "thing", "dog"),
        ("beautiful", "nothing", "-"),
    ],
)
def test_it_knows_the_words_of_visitors(pocket: Words, word: str, kind: str, name: str) -> None:
    assert pocket.read(word) == [Reading(word, kind, name)]


def test_it_reads_a_prompt_word_by_word_in_its_order(pocket: Words) -> None:
    readings = pocket.read("The Queen’s hound in a jungle!")
    assert [(r.words, r.name) for r in readings if r.drawn] == [
        ("queen's", "crown"),
        ("hound", "dog"),
        ("jungle", "forest"),
    ]
    assert [r.words for r in readings if r.kind is None] == ["the", "in", "a"]


def test_the_longest_phrase_wins(tmp_path: Path) -> None:
    words = Words(table(tmp_path, "air\tthing\tkite\nhot air balloon\tthing\tballoon\nhot\tnothing\t-\n"))
    assert words.read("hot air balloon air") == [
        Reading("hot air balloon", "thing", "balloon"),
        Reading("air", "thing", "kite"),
    ]


def test_chinese_is_read_without_spaces(pocket: Words) -> None:
    assert [r.name for r in pocket.read("一只狗在海滩上") if r.drawn] == ["dog", "beach"]


def test_a_word_that_draws_nothing_is_told_from_one_that_is_not_known(tmp_path: Path) -> None:
    old, unknown = Words(table(tmp_path, "old\tnothing\t-\n")).read("old qwertz")
    assert (old.kind, old.drawn) == ("nothing", False)
    assert (unknown.kind, unknown.drawn) == (None, False)


def test_an_empty_prompt_has_no_readings(pocket: Words) -> None:
    assert pocket.read("") == pocket.read(" … 🙂") == []


@pytest.mark.parametrize(
    "content", [b"dog\tthing\tdog\n", gzip.compress(b"dog thing\n", mtime=0), gzip.compress(b"a\tb\tc\n", mtime=0)]
)
def test_it_refuses_a_broken_table(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(WeightsRefused, match="is no table of words"):
        Words(tmp_path / FILE)


def test_the_table_of_pocket_1_is_large_and_small(pocket: Words) -> None:
    assert len(pocket) > 60_000
    assert POCKET.stat().st_size < 600_000
