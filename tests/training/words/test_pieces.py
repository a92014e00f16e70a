"""The student's tokenizer: the captions fall into the same pieces as before, other words into fewer."""

from pathlib import Path

import pytest

from tests import ROOT
from training.errors import TrainingError
from training.scenes.caption_source import CaptionSource
from training.scenes.sprites import open_pack, read_subjects
from training.trainers.text_encoder import open_tokenizer
from training.words.lexicon import caption_words
from training.words.pieces import extend, learn, letters_of, read_merges, split

SHIPPED = ROOT / "editions" / "pocket-1" / "tokenizer"
WORDS = {"jungle": 30.0, "hounddog": 9.0, "happiness": 50.0, "happy": 40.0, "海滩": 5.0}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tokenizer")
    known = {part for word in caption_words(read_subjects()) for part in word.split()}
    extend(SHIPPED, path, sorted(known), WORDS, 1656)
    return path


def test_a_word_is_its_bytes_and_the_last_one_is_closed() -> None:
    assert letters_of("dog") == ("d", "o", "g</w>")
    assert len(letters_of("狗")) == 3


def test_splitting_is_the_tokenizers_own() -> None:
    ranks = {m: i for i, m in enumerate(read_merges(SHIPPED))}
    tokenizer = open_tokenizer(SHIPPED)
    for word in ("dog", "jungle", "grandmother", "wüste", "狗"):
        assert list(split(word, ranks)) == tokenizer.tokenize(word)


def test_merges_are_learned_from_the_heaviest_pair_down() -> None:
    assert learn({"abc": 2.0, "abd": 1.0}, [], 3) == [("a", "b"), ("ab", "c</w>"), ("ab", "d</w>")]
    assert learn({"aaaa": 1.0}, [], 9)[0] == ("a", "a")


def test_it_has_the_size_asked_for_and_its_special_tokens_last(folder: Path) -> None:
    tokenizer = open_tokenizer(folder)
    assert len(tokenizer) == 1656
    assert (tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id) == (1654, 1655, 1655)


def test_captions_fall_into_the_same_pieces_as_before(folder: Path) -> None:
    old, new = open_tokenizer(SHIPPED), open_tokenizer(folder)
    source = CaptionSource(open_pack(), 3)
    texts = [source.writer.write(source.draw()[0]).text for _ in range(300)]
    assert [new.tokenize(t) for t in texts] == [old.tokenize(t) for t in texts]


def test_learned_words_fall_into_fewer_pieces(folder: Path) -> None:
    old, new = open_tokenizer(SHIPPED), open_tokenizer(folder)
    assert [len(new.tokenize(w)) for w in WORDS] == [1] * len(WORDS)
    assert all(len(old.tokenize(w)) > 1 for w in ("jungle", "hounddog", "happiness"))
    assert new.unk_token_id not in new("Ω ∞ 🙂 qwertz", add_special_tokens=False).input_ids


def test_it_refuses_fewer_pieces_than_the_captions_need(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="more than 600"):
        extend(SHIPPED, tmp_path, [w for s in read_subjects() for w in s.name.split()], WORDS, 600)
