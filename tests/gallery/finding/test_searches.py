"""gallery.finding.searches: what is said of a search, and which search is meant."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace

import pytest

from gallery.finding.searches import INTERRUPTED, nearness, sentence_of_search, time_of, wish
from gallery.pages import status
from tests.gallery.finding.conftest import Library
from worker.errors import InputRefused
from worker.jobs.progress import DEPTHS, Depth, Press, Progress, Search

MINE = Search("tiny", "1" * 64)
LOADING = Press("host:1", "loading", ("tiny",), "", "", "host", 1)


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
def test_where_a_search_stands_is_said_in_a_sentence(
    library: Library, progress: Progress, decibels: float | None, sentence: str
) -> None:
    sofar = {} if decibels is None else {"decibels": decibels}
    assert asyncio.run(sentence_of_search(MINE, progress, sofar)) == sentence
    assert asyncio.run(sentence_of_search(MINE, progress, {"decibels": True, "said": 1})) != ""


def test_a_search_whose_press_is_gone_says_so_until_one_is_there_again(library: Library) -> None:
    def said(progress: Progress, sofar: Mapping[str, object]) -> str:
        status._presses.clear()
        return asyncio.run(sentence_of_search(MINE, progress, dict(sofar)))

    waits, begun = Progress("queued", place=1), {"phase": "invert", "decibels": 20.0}
    assert said(waits, {}).startswith("Nothing draws new pictures right now.")
    assert said(waits, begun) == INTERRUPTED
    library.jobs.announce(LOADING)
    assert said(waits, {}).startswith("The model is being loaded")
    assert said(waits, begun) == said(Progress("printing", step=9, of=20), begun) == INTERRUPTED
    library.jobs.announce(replace(LOADING, state="ready"))
    assert said(waits, begun) == "You are next."


@pytest.mark.parametrize(
    ("depth", "paces", "of_page", "said"),
    [
        ("good", {"good": 100.0, "best": 5.0}, 2.0, "about 2 minutes"),
        ("quick", {}, None, "not timed here yet"),
        ("quick", {}, 5.0, "about 2 minutes, guessed from how long pictures take here"),
        ("good", {}, 1.0, "about 40 seconds, guessed from how long pictures take here"),
        ("best", {"quick": 80.0}, 100.0, "about 7 minutes, guessed from another depth’s searches here"),
        ("quick", {"good": 900.0, "best": 75.0}, None, "about 10 seconds, guessed from another depth’s searches here"),
    ],
)
def test_how_long_a_search_takes_is_measured_or_guessed_and_says_which(
    depth: Depth, paces: dict[Depth, float], of_page: float | None, said: str
) -> None:
    assert time_of(depth, {each: paces.get(each) for each in DEPTHS}, of_page) == said


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
