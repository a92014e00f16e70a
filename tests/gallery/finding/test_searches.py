"""gallery.finding.searches: what is said of a search, and which search is meant."""

import asyncio

import pytest

from gallery.finding.searches import nearness, sentence_of_search, wish
from worker.errors import InputRefused
from worker.jobs.progress import Progress, Search

MINE = Search("tiny", "1" * 64)


@pytest.mark.parametrize(
    ("progress", "decibels", "sentence"),
    [
        (Progress("printing"), None, "Starting to search."),
        (Progress("printing", step=2, of=9), None, "Step 2 of 9."),
        (Progress("printing", step=2, of=9, seconds=80), 21.46, "Step 2 of 9. 21.5 dB near. About 80 seconds to go."),
        (Progress("kept"), 40.0, "The search is over."),
        (Progress("failed", sentence="It has no encoder."), None, "It has no encoder."),
        (Progress("failed"), None, "Searching for this picture failed three times."),
        (Progress("busy"), None, "So many pictures are searched for already that no more are taken right now."),
        (Progress("absent"), None, "Nobody searches for this picture at the moment."),
    ],
)
def test_where_a_search_stands_is_said_in_a_sentence(progress: Progress, decibels: float | None, sentence: str) -> None:
    sofar = {} if decibels is None else {"decibels": decibels}
    assert asyncio.run(sentence_of_search(MINE, progress, sofar)) == sentence
    assert asyncio.run(sentence_of_search(MINE, progress, {"decibels": True, "said": 1})) != ""


def test_which_search_is_meant_and_what_is_no_depth() -> None:
    found = wish(MINE, depth="best", prompt="  A   Dog ", begin="m" * 26)
    assert found == Search("tiny", "1" * 64, "best", "a dog", "m" * 26)
    assert wish(found, depth="quick", prompt=" ") == Search("tiny", "1" * 64, "quick")
    for depth, prompt in (("deep", ""), ("good", "\u202edog"), ("good", "x" * 501)):
        with pytest.raises(InputRefused):
            wish(MINE, depth=depth, prompt=prompt)


def test_how_near_it_is_has_words() -> None:
    said = [nearness(decibels) for decibels in (None, 45, 35, 25, 15)]
    assert said[0] == "Every pixel is the same"
    assert len(set(said)) == 5
