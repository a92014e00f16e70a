"""The table of what an edition's words are understood as."""

import gzip
from pathlib import Path

import pytest

from tests import ROOT
from worker.editions.words import FILE, Words
from worker.errors import WeightsRefused

POCKET = ROOT / "editions" / "pocket-1" / FILE
HEAD = b"# " + 64 * b"5" + b"\n"


@pytest.fixture(scope="module")
def pocket() -> Words:
    return Words(POCKET)


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
        ("狗", "thing", "dog"),
        ("beautiful", "nothing", "-"),
    ],
)
def test_it_knows_the_words_of_visitors(pocket: Words, word: str, kind: str, name: str) -> None:
    assert pocket.get(word) == (kind, name)


def test_a_phrase_is_looked_up_as_it_stands_in_a_prompt(tmp_path: Path) -> None:
    text = "saint john's\tplace\tcity\nhot air balloon\tthing\tballoon\ncafé\tthing\tcoffee\n"
    (tmp_path / FILE).write_bytes(gzip.compress(HEAD + text.encode()))
    words = Words(tmp_path / FILE)
    assert words.weights == "5" * 64 and len(words) == 3
    assert words.get("Saint John’s") == ("place", "city")
    assert words.get("hot  air\nballoon") == ("thing", "balloon")
    assert words.get("cafe\u0301") == ("thing", "coffee")
    assert words.get("hot") is None and words.get("") is None


@pytest.mark.parametrize(
    "content",
    [
        b"dog\tthing\tdog\n",
        gzip.compress(b"dog\tthing\tdog\n", mtime=0),
        gzip.compress(HEAD + b"dog thing\n", mtime=0),
        gzip.compress(HEAD + b"a\tb\tc\n", mtime=0),
        gzip.compress(HEAD + b"dog\tthing\tdog\n", mtime=0)[:-9],
    ],
)
def test_it_refuses_a_broken_table(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(WeightsRefused, match="is no table of words"):
        Words(tmp_path / FILE)


def test_a_missing_one_is_the_callers_to_look_for(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Words(tmp_path / FILE)


def test_the_table_of_pocket_1_is_large_and_small(pocket: Words) -> None:
    assert len(pocket) > 60_000
    assert POCKET.stat().st_size < 600_000
