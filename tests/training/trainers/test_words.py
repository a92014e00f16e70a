"""The text encoder that understands the lexicon: what stays as it was, and what other words become."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from tests import ROOT
from training.scenes.caption_source import CaptionSource
from training.scenes.sprites import open_pack
from training.trainers import text_encoder as text
from training.trainers.words import (
    DRAWS_NOTHING,
    canonical_words,
    export,
    load_teacher,
    make_encoder,
    own_words,
    train_vectors,
    words_read,
)
from training.words.lexicon import Entry, Meaning, read_lexicon
from worker.editions.edition import load_edition
from worker.editions.words import FILE, Words

ENTRIES = [
    Entry("poodle", "thing", "dog", 3.4, "w"),
    Entry("jungle", "place", "forest", 4.1, "w"),
    Entry("ambulance", "thing", "fire truck", 3.9, "w"),
    Entry("midnight", "sky", "night", 4.0, "w"),
    Entry("sea lion", "thing", "dolphin", 3.0, "w"),
    Entry("big apple", "place", "city", 3.0, "l"),
    Entry("rainy day", "thing", "alarm clock", 3.0, "l"),
    Entry("old", "nothing", "-", 5.5, "w"),
]


@pytest.fixture(scope="module")
def teacher() -> tuple[Any, Any]:
    return load_teacher()


@pytest.fixture(scope="module")
def edition(teacher: tuple[Any, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "editions" / "trial"
    shutil.copytree(ROOT / "editions" / "pocket-1", folder, ignore=shutil.ignore_patterns("*.webp"))
    words = words_read(ENTRIES)
    encoder, numbers = make_encoder(*teacher, words, open_pack(), steps=2)
    size = export(encoder, numbers, words, folder)
    assert 4_000_000 < size < 10_000_000
    return folder


def states(encoder: Any, tokenizer: Any, prompts: list[str]) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = encoder(input_ids=text.tokens_of(tokenizer, prompts)).last_hidden_state
    return found


def test_captions_are_read_as_they_were(teacher: tuple[Any, Any], edition: Path) -> None:
    source = CaptionSource(open_pack(), 3)
    captions = [source.writer.write(source.draw()[0]).text for _ in range(100)]
    captions = [caption for caption in captions if "jack-o-lantern" not in caption] + ["", "a big apple, 2 dogs."]
    assert torch.equal(states(*load_teacher(edition), captions), states(*teacher, captions))


def test_other_words_are_read_as_what_they_lead_to(teacher: tuple[Any, Any], edition: Path) -> None:
    encoder, tokenizer = load_teacher(edition)
    for other, own in (("a poodle in the Jungle", "a dog in the forest"), ("two poodles", "two dogs")):
        assert torch.equal(states(encoder, tokenizer, [other]), states(*teacher, [own])), other
    one = {word: tokenizer(word, add_special_tokens=False).input_ids for word in ("ambulance", "midnight", "sea lion")}
    assert all(len(ids) == 1 for ids in one.values())
    assert one["sea lion"] == tokenizer("dolphin", add_special_tokens=False).input_ids
    assert len({ids[0] for ids in one.values()}) == 3
    nothing = tokenizer("old", add_special_tokens=False).input_ids
    assert nothing == tokenizer("qwertz", add_special_tokens=False).input_ids == [tokenizer.unk_token_id]


def test_the_edition_says_of_its_weights_what_they_are(edition: Path) -> None:
    found = load_edition("trial", edition.parents[1])
    assert found.check().digest == found.digest
    words = Words(edition / FILE)
    assert words.weights == found.digest
    assert words.get("poodle") == words.get("poodles") == ("thing", "dog")
    assert words.get("big apple") is None and words.get("rainy day") is None, "captions may have these words"
    assert words.get("sea lions") == ("thing", "dolphin"), "it was written by hand"


def test_it_is_the_same_made_of_what_it_gave(edition: Path) -> None:
    """So the shipped edition is enough to make it again."""
    words = words_read(ENTRIES)
    again, numbers = make_encoder(*load_teacher(edition), words, open_pack(), steps=2)
    encoder, tokenizer = load_teacher(edition)
    assert {word: tokenizer.convert_tokens_to_ids(word) for word in numbers} == numbers
    own = list(own_words(tokenizer).values())
    before, after = (each.get_input_embeddings().weight[own] for each in (encoder, again))
    assert torch.equal(before, after)


def test_every_target_has_words_except_nothing() -> None:
    targets = {*words_read(read_lexicon()).values()}
    assert {target for target in targets if not canonical_words(target)} == {DRAWS_NOTHING}
    assert canonical_words(Meaning("thing", "mouse", True)) == "mice"
    assert canonical_words(Meaning("count", "3")) == "three"


def test_a_vector_comes_nearer_to_its_words(teacher: tuple[Any, Any], capsys: pytest.CaptureFixture[str]) -> None:
    train_vectors(*teacher, [Meaning("thing", "fire truck")], open_pack(), steps=101)
    first, last = (float(line.rpartition(" ")[2]) for line in capsys.readouterr().out.splitlines())
    assert last < 0.5 * first


def test_noise_in_captions_stays_noise_to_a_table(edition: Path, teacher: tuple[Any, Any]) -> None:
    source = CaptionSource(open_pack(), 3)
    every = list(source.words)
    text.keep_noise(source, teacher[1])
    kept = list(source.words)
    assert kept and set(kept) <= set(every) and "ambulance" in every
    source.words = every
    text.keep_noise(source, load_teacher(edition)[1])
    assert "ambulance" not in source.words and "qwertz" not in source.words and len(source.words) > 100
