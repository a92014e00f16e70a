"""gallery.pages.context: what the templates are given, without HTTP."""

from datetime import UTC, datetime
from typing import Any

from gallery.description import WordOut
from gallery.models import Page
from gallery.pages.context import about_context, entrance_context, page_context
from gallery.pages.status import PageStatus
from tests.gallery.test_description import MARK, RECORD
from worker.catalogue.address import Address
from worker.jobs.progress import Progress

ADDRESS = Address.parse("prompt/a dog/1")
KEPT = PageStatus(ADDRESS, Progress("kept", mark=MARK), "The picture is drawn.", RECORD)


def absolute(path: str) -> str:
    return f"https://library.example{path}"


def test_a_kept_page_is_shown_with_its_record_and_shows_chats_its_card() -> None:
    shown = page_context(KEPT, "tab-1", unveiled=False, absolute=absolute)
    assert (shown["kept"], shown["waits"], shown["veiled"]) == (True, False, False)
    assert shown["printed_day"] == "5 November 2026, 09:07 UTC"
    assert shown["mark_page"] == f"/pocket-1/mark/{MARK}/"
    assert shown["url"] == "https://library.example/pocket-1/prompt/a%20dog/1/"
    assert shown["card"] == "https://library.example/pocket-1/prompt/a%20dog/1/card.png"
    assert (shown["prompt"], shown["visitor"], shown["edition"]) == ("a dog", "tab-1", "pocket-1")


def test_a_kept_page_says_what_its_files_weigh_as_far_as_that_is_known() -> None:
    def sizes(**changes: object) -> object:
        record = RECORD.__class__(**vars(RECORD) | changes)
        status = PageStatus(ADDRESS, KEPT.progress, KEPT.sentence, record)
        return page_context(status, "tab-1", unveiled=False, absolute=absolute)["sizes"]

    known = {"png": "131 kB", "with_key": "274 kB", "webp": "10 kB", "postcard": "263 kB"}
    assert sizes(size=131_400, webp_size=9_612) == known
    assert sizes(size=131_400)["webp"] == "", "of a page from before nobody knows yet"  # type: ignore[index]


def test_a_word_that_stands_twice_in_a_prompt_is_spoken_of_once() -> None:
    def word(text: str, known: bool) -> WordOut:
        return WordOut(text=text, known=known, kind=None, name=None, prompt=None, page=None)

    words = [word("fox", True), word("very", False), word("fox", True), word("old", False), word("very", False)]
    status = PageStatus(ADDRESS, KEPT.progress, KEPT.sentence, RECORD, words=words)
    shown = page_context(status, "tab-1", unveiled=False, absolute=absolute)
    assert [each.text for each in shown["known_words"]] == ["fox"]
    assert [each.text for each in shown["unknown_words"]] == ["very", "old"]


def test_a_flagged_page_is_veiled_until_its_visitor_asks() -> None:
    flagged = PageStatus(ADDRESS, KEPT.progress, KEPT.sentence, RECORD.__class__(**vars(RECORD) | {"flagged": True}))
    for unveiled in (False, True):
        shown = page_context(flagged, "tab-1", unveiled=unveiled, absolute=absolute)
        assert shown["veiled"] is not unveiled


def test_a_page_that_is_printed_shows_how_far_it_is() -> None:
    progress = Progress("printing", step=5, of=20, preview=4)
    shown = page_context(PageStatus(ADDRESS, progress, "Step 5 of 20."), "tab-1", unveiled=False, absolute=absolute)
    assert (shown["kept"], shown["waits"], shown["has_preview"], shown["percent"]) == (False, True, True, 25)
    assert (shown["printed_day"], shown["mark_page"]) == (None, None)
    busy = PageStatus(ADDRESS, Progress("busy", retry_after=7), "Busy.")
    shown = page_context(busy, "tab-1", unveiled=False, absolute=absolute)
    assert (shown["waits"], shown["percent"], shown["retry_after"]) == (False, 0, 7)


def on_the_wall(address: str, colour: str = "") -> dict[str, Any]:
    """What the entrance shows of a page that was printed."""
    printed_at = datetime(2026, 11, 5, tzinfo=UTC)
    named = {"address": address, "mark": MARK, "edition": "pocket-1", "colour": colour}
    row = Page(**named, steps=20, pixel_digest="", printed_at=printed_at)
    (shown,) = entrance_context([row])["wall"]
    return dict(shown)


def test_the_wall_holds_pages_with_their_titles_and_words() -> None:
    shown = on_the_wall("pocket-1/key/borges/7")
    assert (shown["title"], shown["alt_text"]) == ("borges", "Picture 7 of 410 in “borges”")
    assert shown["page"].thumbnail == "/pocket-1/key/borges/7/thumbnail.webp"


def test_what_a_picture_has_most_of_is_said_where_its_name_says_nothing_of_it() -> None:
    of_volume, of_prompt = (
        on_the_wall("pocket-1/key/borges/7", "#2040e0"),
        on_the_wall("pocket-1/prompt/a/7", "#2040e0"),
    )
    assert of_volume["alt_text"] == "Picture 7 of 410 in “borges”, mostly blue"
    assert (of_prompt["place"], of_prompt["colour"]) == (7, "#2040e0") and "blue" not in of_prompt["alt_text"]


def test_the_wall_opens_a_page_of_a_prompt_with_capitals_by_its_mark() -> None:
    shown = on_the_wall("pocket-1/prompt/A Dog/7")
    assert (shown["title"], shown["page"].page) == ("A Dog", f"/pocket-1/mark/{MARK}/")


def test_the_about_page_has_an_example_of_each_kind_of_volume() -> None:
    assert about_context("tiny")["examples"] == {
        "prompt": "/tiny/prompt/a%20dog/1/",
        "key": "/tiny/key/borges/1/",
        "stacks": "/tiny/stacks/borges/1/",
    }
