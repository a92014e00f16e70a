"""The tracked lexicon: what it holds, and that it leads to nothing that the captions cannot say."""

from pathlib import Path

from training.scenes import captions
from training.scenes.sprites import HUES, read_subjects
from training.scenes.vocabulary import caption_words
from training.words.lexicon import SYNONYMS, Entry, Meaning, meanings, read_lexicon, write_lexicon, write_shipped
from worker.editions.words import Words

LEXICON = read_lexicon()


def test_thirty_thousand_english_words_lead_to_something_that_is_drawn() -> None:
    drawn = {e.word for e in LEXICON if e.language == "en" and e.kind != "nothing" and " " not in e.word}
    assert len(drawn) > 30_000


def test_every_target_can_be_said_in_a_caption() -> None:
    names = {
        "thing": {s.name for s in read_subjects()}, "place": set(captions.GROUNDS), "sky": set(captions.SKIES),
        "weather": set(captions.EXTRAS), "colour": set(HUES), "size": set(captions.SIZES),
        "count": {str(n) for n in captions.NUMBERS}, "nothing": {"-"},
    }  # fmt: skip
    assert {e.kind for e in LEXICON} == set(names)
    assert not [e for e in LEXICON if e.name not in names[e.kind]]


def test_each_thing_has_words_of_its_own_and_a_name_in_every_language() -> None:
    for language in ("en", "de", "fr", "es", "zh"):
        assert {s.name for s in read_subjects()} == {
            e.name for e in LEXICON if e.kind == "thing" and e.language == language
        }


def test_the_names_of_the_things_lead_to_themselves() -> None:
    table = {e.word: e for e in LEXICON if e.language == "en"}
    for word, target in caption_words(read_subjects()).items():
        if target is not None:
            assert (table[word].kind, table[word].name) == target


def test_a_word_stands_once_in_each_language() -> None:
    assert len({(e.word, e.language) for e in LEXICON}) == len(LEXICON)


def test_it_is_read_as_it_was_written(tmp_path: Path) -> None:
    entries = [Entry("hound", "thing", "dog", 3.4, "n"), Entry("chien", "thing", "dog", 4.0, "e", "fr")]
    write_lexicon(entries, tmp_path / "a.gz")
    write_lexicon(reversed(entries), tmp_path / "b.gz")
    assert read_lexicon(tmp_path / "a.gz") == entries
    assert (tmp_path / "a.gz").read_bytes() == (tmp_path / "b.gz").read_bytes()


def test_plurals_are_added_and_english_wins(tmp_path: Path) -> None:
    entries = [Entry("pain", "thing", "ghost", 4.0, "l"), Entry("pain", "thing", "hamburger", 4.0, "e", "fr"),
               Entry("pony", "thing", "horse", 3.8, "n")]  # fmt: skip
    entries += [Entry("wood", "thing", "tree", 4.0, "l"), Entry("woods", "place", "forest", 4.0, "n")]
    found = meanings(
        [*entries, Entry("sea lion", "thing", "dolphin", 3.0, "l"), Entry("mice", "thing", "mouse", 3.9, "n")]
    )
    assert found["pain"] == Meaning("thing", "ghost") and found["ponies"] == Meaning("thing", "horse", True)
    assert found["woods"] == Meaning("place", "forest"), "a word of its own"
    assert found["sea lions"] == Meaning("thing", "dolphin", True) and found["mice"] == Meaning("thing", "mouse", True)
    write_shipped(found, "5" * 64, tmp_path / "words.tsv.gz")
    words = Words(tmp_path / "words.tsv.gz")
    assert words.weights == "5" * 64 and len(words) == len(found)
    assert words.get("Sea  Lions") == ("thing", "dolphin")


def test_the_synonyms_are_of_things_and_none_is_its_own() -> None:
    rows = [line.split("\t") for line in SYNONYMS.read_text(encoding="utf-8").splitlines()]
    names = {s.name for s in read_subjects()}
    assert len(rows) > 300
    assert all(thing in names and word not in names for word, thing in rows)
