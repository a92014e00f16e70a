"""gallery.description: one description of a page, under the same names everywhere."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from django.urls import clear_script_prefix, set_script_prefix

from gallery.description import (
    AddressFields,
    LinksOut,
    PageOut,
    ProgressFields,
    RecentOut,
    RecordFields,
    describe,
    describe_recent,
    links_of,
)
from gallery.models import Page
from gallery.pages.events import event_text
from gallery.pages.status import PageStatus
from worker.catalogue.address import Address
from worker.jobs.progress import Progress
from worker.store.records import PageRecord

MARK = "numxaqqioe4lpfc6qxh46pi5yy"
RECORD = PageRecord(
    mark=MARK,
    edition="pocket-1",
    address="pocket-1/prompt/a dog/1",
    rendition="by hand",
    pixel_digest="1" * 64,
    file_digest="2" * 64,
    thumbnail_digest="3" * 64,
    size=1,
    steps=20,
    seconds=1.25,
    printed_at="2026-11-05T09:07:33.120+00:00",
    flagged=False,
)


def test_a_page_links_to_its_neighbours() -> None:
    links = links_of(Address.parse("key/borges/1"))
    assert links.previous_page is None
    assert links.next_page == "/pocket-1/key/borges/2/"
    assert links.next_volume == "/pocket-1/key/borget/1/"
    assert links.previous_volume == "/pocket-1/key/borger/1/"
    assert links.next_key is None


def test_a_prompt_looks_its_neighbours_up_and_a_mark_steps_by_key() -> None:
    prompt = links_of(Address.parse("prompt/a/b/410"))
    assert prompt.next_page is None
    assert prompt.next_volume == "/pocket-1/prompt/a%2Fb/410/next-volume"
    mark = links_of(Address.parse(f"mark/{MARK}"))
    assert (mark.next_page, mark.next_volume) == (None, None)
    assert mark.next_key == f"/pocket-1/mark/{MARK}/next-key"


@pytest.fixture
def below_a_prefix() -> Iterator[None]:
    set_script_prefix("/library/")
    yield
    clear_script_prefix()


def test_every_link_of_a_page_stands_below_the_sites_prefix(below_a_prefix: None) -> None:
    for text in ("prompt/a dog/2", "key/borges/2", "stacks/borges/2", f"mark/{MARK}"):
        links = links_of(Address.parse(text)).model_dump(exclude_none=True)
        assert len(links) >= 13
        assert {name for name, path in links.items() if not path.startswith("/library/pocket-1/")} == set()


def test_what_is_known_of_a_page_holds_no_facts_before_it_is_printed() -> None:
    address = Address.parse("prompt/a dog/1")
    known = PageStatus(address, Progress("queued", place=2), "1 picture before yours.").describe()
    assert known.state == "queued"
    assert known.sentence == "1 picture before yours."
    fields = ("mark", "rendition", "pixel_digest", "file_digest", "steps", "seconds", "printed_at", "flagged", "unread")
    assert {getattr(known, name) for name in fields} == {None}
    assert known.links.picture == "/pocket-1/prompt/a%20dog/1.png"


def test_the_mark_of_a_page_is_known_before_its_picture() -> None:
    known = describe(Address.parse("prompt/a dog/1"), Progress("printing", step=1, of=20, mark=MARK), "", None)
    assert (known.mark, known.rendition) == (MARK, None)


def test_the_json_of_a_page_is_public_to_the_byte() -> None:
    known = describe(Address.parse("key/borges/7"), Progress("kept", mark=MARK), "The picture is drawn.", RECORD)
    assert json.dumps(known.model_dump(by_alias=True), ensure_ascii=False) == (
        '{"address": "pocket-1/key/borges/7", "edition": "pocket-1", "kind": "key", "name": "borges", "page": 7, '
        '"state": "kept", "sentence": "The picture is drawn.", "place": null, "step": 0, "of": 0, '
        '"seconds_left": null, "mark": "numxaqqioe4lpfc6qxh46pi5yy", "rendition": "by hand", '
        f'"pixel_digest": "{64 * "1"}", "file_digest": "{64 * "2"}", "steps": 20, "seconds": 1.25, '
        '"printed_at": "2026-11-05T09:07:33.120+00:00", "flagged": false, "weights": null, '
        '"former_weights": null, "former_pixel_digest": null, "notice": null, "unread": null, "words": null, "links": '
        '{"page": "/pocket-1/key/borges/7/", "picture": "/pocket-1/key/borges/7.png", '
        '"key": "/pocket-1/key/borges/7.txt", "json": "/pocket-1/key/borges/7.json", '
        '"events": "/pocket-1/key/borges/7/events", "next_page": "/pocket-1/key/borges/8/", '
        '"previous_page": "/pocket-1/key/borges/6/", "next_volume": "/pocket-1/key/borget/7/", '
        '"previous_volume": "/pocket-1/key/borger/7/"}}'
    )


def test_a_field_has_one_name_wherever_it_is_said() -> None:
    page, links = set(PageOut.model_fields), set(LinksOut.model_fields) | {"thumbnail"}
    parts = [set(part.__annotations__) for part in (AddressFields, ProgressFields, RecordFields)]
    assert set.union(*parts) | {"links", "notice", "words"} == page
    assert sum(map(len, parts)) == len(set.union(*parts)), "each field comes from one place"
    assert set(RecentOut.model_fields) <= page | links
    own = {"id", "digest", "opened", "hidden", "everywhere", "listed", "colour"}
    columns = {field.name for field in Page._meta.fields} - own
    assert columns <= page
    event = event_text(Progress("printing", step=1, of=20, seconds=2.0), "Step 1 of 20.", None)
    told = json.loads(event.split("data: ", 1)[1])
    assert set(told) - {"preview"} == set(ProgressFields.__annotations__)


def test_a_recent_page_is_described_by_its_row() -> None:
    row = Page(
        address="pocket-1/prompt/a/b/1",
        mark=MARK,
        edition="pocket-1",
        steps=20,
        pixel_digest="1" * 64,
        printed_at=datetime(2026, 11, 5, 9, 7, tzinfo=UTC),
    )
    assert describe_recent(row).model_dump() == {
        "address": "pocket-1/prompt/a/b/1",
        "mark": MARK,
        "edition": "pocket-1",
        "steps": 20,
        "pixel_digest": "1" * 64,
        "printed_at": "2026-11-05T09:07:00+00:00",
        "page": "/pocket-1/prompt/a%2Fb/1/",
        "picture": "/pocket-1/prompt/a%2Fb/1.png",
        "thumbnail": "/pocket-1/prompt/a%2Fb/1/thumbnail.webp",
    }
