"""gallery.pages.sentences: what is said of a page in words."""

import pytest

from gallery.pages.sentences import alt_text, day_of, sentence_of
from worker.catalogue.address import Address
from worker.jobs.progress import Progress

MARK = "numxaqqioe4lpfc6qxh46pi5yy"


@pytest.mark.parametrize(
    ("progress", "sentence"),
    [
        (Progress("kept"), "The picture is drawn."),
        (Progress("absent"), "This picture has not been drawn yet."),
        (Progress("queued", place=1), "You are next."),
        (Progress("queued", place=3, seconds=14.6), "2 pictures before yours. About 15 seconds to go."),
        (Progress("queued", place=200, seconds=600.0), "199 pictures before yours. About 10 minutes to go."),
        (Progress("printing"), "Starting to draw."),
        (Progress("printing", step=7, of=20, seconds=1.2), "Step 7 of 20. About a second to go."),
        (Progress("printing", step=7, of=20, seconds=0.0), "Step 7 of 20. About a second to go."),
        (Progress("failed", sentence="The disk is full."), "The disk is full."),
        (Progress("failed"), "Drawing this picture failed three times."),
        (Progress("busy"), "Too many pictures wait to be drawn. Please try again in a minute."),
    ],
)
def test_where_a_page_stands_is_said_in_a_sentence(progress: Progress, sentence: str) -> None:
    assert sentence_of(progress) == sentence


def test_a_volumes_picture_has_its_colours_in_words_and_a_prompts_its_prompt() -> None:
    said = [alt_text(Address.parse(text), None, "dark blue and orange") for text in ("prompt/a dog/1", "key/borges/7")]
    assert said == [
        "“a dog”, picture 1 of 410",
        "Picture 7 of 410 in “borges”, mostly dark blue and orange",
    ]
    assert alt_text(Address.parse("stacks/borges/1"), None, "grey").endswith("almost always noise, mostly grey")


def test_a_picture_has_words_that_name_its_page() -> None:
    words = [
        alt_text(Address.parse(text))
        for text in ("prompt/a dog/1", "key/borges/7", "stacks/borges/410", f"mark/{MARK}")
    ]
    assert words == [
        "“a dog”, picture 1 of 410",
        "Picture 7 of 410 in “borges”",
        "Random picture 410 of 410 in “borges”: almost always noise",
        f"The picture with the short name {MARK}",
    ]


LONG = "a red boat on a calm sea under a yellow moon, " * 4 + "and a dog"


@pytest.mark.parametrize(
    ("unread", "words"),
    [
        ("", f"“{LONG}”"),
        ("and a dog", f"“{LONG.removesuffix(' and a dog')}”, without the rest of its words"),
        (None, "“a red boat on a calm sea under a yellow moon, a red boat on…”"),
    ],
)
def test_a_picture_claims_no_words_that_were_not_read(unread: str | None, words: str) -> None:
    address = Address("tiny", "prompt", LONG, 7)
    assert alt_text(address, unread) == f"{words}, picture 7 of 410"


def test_a_day_is_written_as_people_write_it() -> None:
    assert day_of("2026-11-05T09:07:33.120+00:00") == "5 November 2026, 09:07 UTC"
