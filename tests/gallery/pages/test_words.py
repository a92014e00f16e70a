"""gallery.pages.words: what is said of a prompt's words, and only where it is known to be true."""

import gzip
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import async_to_sync

from gallery import editions
from gallery.description import WordOut
from gallery.pages import words
from gallery.pages.words import words_of
from tests.conftest import write_edition
from worker.catalogue.address import Address


@pytest.fixture
def here(settings: Any, tmp_path: Path) -> Path:
    settings.DATA_DIR = tmp_path
    return tmp_path


def said(text: str, unread: str | None = "") -> list[WordOut] | None:
    return async_to_sync(words_of)(Address.parse(text), unread)


def test_a_known_word_leads_to_the_prompt_of_its_name(here: Path) -> None:
    assert said("prompt/a hound/3") == [
        WordOut(text="hound", known=True, kind="thing", name="dog", prompt="a dog", page="/pocket-1/prompt/a%20dog/1/")
    ]


def test_a_word_of_the_table_leads_to_what_it_is_read_as_and_one_that_draws_nothing_is_told(here: Path) -> None:
    found = said("prompt/a beautiful jungle/1")
    assert found is not None
    assert [(word.text, word.known, word.prompt) for word in found] == [
        ("beautiful", False, None),
        ("jungle", True, "a forest"),
    ]
    assert found[1].page == "/pocket-1/prompt/a%20forest/1/"


def test_by_a_table_of_other_weights_what_is_near_is_only_suggested(
    here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "words.tsv.gz"
    other.write_bytes(gzip.compress(b"# " + 64 * b"5" + b"\njungle\tplace\tforest\n"))
    monkeypatch.setattr(words, "_table", lambda path: words._table_at(other))
    found = said("prompt/a beautiful jungle/1")
    assert found is not None
    assert [(word.text, word.known, word.prompt) for word in found] == [
        ("beautiful", False, None),
        ("jungle", False, "a forest"),
    ]


def test_only_what_is_read_is_spoken_of(here: Path) -> None:
    prompt = "a dog " + "and a dog " * 30 + "and a wombat"
    read = said(f"prompt/{prompt}/1", unread="and a wombat")
    assert read is not None and {word.text for word in read} == {"dog"}
    unknown_yet = said(f"prompt/{prompt}/1", unread=None)
    assert unknown_yet is not None and len(unknown_yet) < 10, "before it is printed: what is read at any rate"


def test_of_other_addresses_and_of_editions_without_a_repertoire_nothing_is_said(here: Path) -> None:
    write_edition(here, "own", "nowhere")
    editions._read_shelf.cache.clear()
    assert said("own/prompt/a dog/1") is None
    assert said("key/borges/1") is None and said("stacks/borges/1") is None


def test_of_other_weights_under_the_same_name_nothing_is_said(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(editions, "weights_here", lambda edition: "0" * 64)
    editions.known_of.cache.clear()
    try:
        assert said("prompt/a dog/1") is None
    finally:
        editions.known_of.cache.clear()
