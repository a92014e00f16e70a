"""Pairs of captions: the same scene in the captions' own words and in others."""

import numpy as np

from training.scenes.sprites import open_pack
from training.words.lexicon import Entry, read_lexicon
from training.words.pairs import Pair, PairSource, Vocabulary, canonical_caption, held_out_word, mark, parse
from worker.editions.words import Reading

LEXICON = read_lexicon()
SOURCE = PairSource(open_pack(), LEXICON, 1)


def test_a_marked_caption_is_read_both_ways() -> None:
    pair = parse(f"a {mark('dog', 'hound')} at {mark('', 'old')} night")
    assert pair.parts == (("a", "a"), ("dog", "hound"), ("at", "at"), ("", "old"), ("night", "night"))
    assert pair.canonical == "a dog at night"
    assert pair.free == "a hound at old night"


def test_the_same_seed_gives_the_same_pairs() -> None:
    SOURCE.reseed(11)
    first = [SOURCE.draw() for _ in range(40)]
    SOURCE.reseed(11)
    assert first == [SOURCE.draw() for _ in range(40)]
    SOURCE.reseed(12)
    assert first != [SOURCE.draw() for _ in range(40)]


def test_pairs_hold_no_marks_and_are_never_empty() -> None:
    SOURCE.reseed(5)
    for _ in range(500):
        pair = SOURCE.draw()
        assert pair.canonical and pair.free
        assert not any(ord(letter) < 32 for letter in pair.canonical + pair.free)


def test_a_quarter_of_the_captions_stay_as_they_are_and_most_others_change() -> None:
    SOURCE.reseed(6)
    same = sum(p.canonical == p.free for p in (SOURCE.draw() for _ in range(1000)))
    assert 250 < same < 500


def test_words_that_are_held_out_are_never_shown() -> None:
    hidden = {e.word for e in LEXICON if held_out_word(e) and len(e.word) > 6}
    assert len(hidden) > 1000
    SOURCE.reseed(7)
    shown = {w for _ in range(1500) for w in SOURCE.draw().free.replace(",", " ").replace(".", " ").split()}
    assert len(shown) > 1000
    assert not {
        w for w in shown if w in hidden and w not in {part for e in LEXICON if " " in e.word for part in e.word.split()}
    }


def test_words_by_hand_are_never_held_out() -> None:
    assert not any(held_out_word(e) for e in LEXICON if e.how in "nwe")


def test_commoner_words_are_drawn_oftener() -> None:
    words = Vocabulary([Entry("hound", "thing", "dog", 5.0, "l"), Entry("mutt", "thing", "dog", 2.0, "l")])
    rng = np.random.default_rng(0)
    drawn = [words.draw(rng, "thing", "dog") for _ in range(300)]
    assert sum(e is not None and e.word == "hound" for e in drawn) > 220
    assert words.draw(rng, "thing", "cat") is None


def test_a_sentence_is_said_in_the_captions_words() -> None:
    readings = [
        Reading("three", "count", "3"), Reading("crimson", "colour", "red"), Reading("lorries", "thing", "truck"),
        Reading("and", None, None), Reading("hound", "thing", "dog"), Reading("jungle", "place", "forest"),
        Reading("midnight", "sky", "night"),
    ]  # fmt: skip
    assert canonical_caption(readings) == "three red trucks and a dog in a forest at night"
    assert canonical_caption([Reading("the", None, None)]) == ""
    assert canonical_caption([Reading("jungle", "place", "forest")]) == "a forest"


def test_sentences_are_loose() -> None:
    assert SOURCE.sentences and all(p.loose and len(p.parts) == 1 for p in SOURCE.sentences)
    assert not Pair((("a", "a"),)).loose
