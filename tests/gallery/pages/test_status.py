"""gallery.pages.status: what is looked up once for many visitors, and what is said of a page that is not there."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from babelia.services import store
from gallery.pages import status
from gallery.pages.status import PageStatus, held_key, kept_record, not_printed, page_status, presses, sentence_for
from tests.gallery.test_description import RECORD
from worker.catalogue.address import Address
from worker.catalogue.expansion import stacks_key
from worker.catalogue.png import encode_page
from worker.errors import LibraryBusy, PrintFailed
from worker.jobs.progress import Press, Progress

ADDRESS = Address("pocket-1", "prompt", "a dog on the moon", 1)
KEY = stacks_key("status", 1)
pytestmark = pytest.mark.django_db(transaction=True)  # it is asked what is hidden


@pytest.fixture(autouse=True)
def nothing_looked_up(settings: Any, tmp_path: Path) -> Iterator[None]:
    settings.DATA_DIR, settings.DISK_RESERVE = tmp_path, 0
    status._records.clear()
    status._presses.clear()
    yield
    status._records.clear()
    status._presses.clear()


@pytest.fixture
def kept_here(settings: Any, tmp_path: Path) -> Address:
    settings.DATA_DIR = tmp_path
    settings.DISK_RESERVE = 0
    pixels = np.zeros((416, 640, 3), np.uint8)
    png = encode_page(pixels, address=ADDRESS.format(), mark=KEY.mark, edition="pocket-1", rendition="by hand")
    store().keep(ADDRESS, KEY, png, pixels, rendition="by hand", steps=4, seconds=1.0)
    return ADDRESS


class Presses:
    """Answers as the job client does, and counts how often it is asked."""

    def __init__(self, *running: Press) -> None:
        self.running = list(running)
        self.asked = 0

    async def presses(self) -> list[Press]:
        self.asked += 1
        return self.running


def press(state: Any, sentence: str = "", edition: str = "pocket-1") -> Press:
    return Press("a press", state, (edition,), "rendition", sentence, "host", 1)


def test_a_kept_page_is_looked_up_on_disk_once_a_second(kept_here: Address, monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    find = store().find
    monkeypatch.setattr(type(store()), "find", lambda self, address: found.append(address) or find(address))

    async def visit() -> None:
        first = await page_status(kept_here, "tab", starts=True)
        assert first.kept and first.mark == KEY.mark and first.sentence == "The picture is drawn."
        assert await kept_record(kept_here) is first.record
        status._records.clear()
        assert await kept_record(kept_here) == first.record

    asyncio.run(visit())
    assert len(found) == 2


def test_a_page_that_is_not_kept_is_looked_up_each_time(settings: Any, tmp_path: Path) -> None:
    settings.DATA_DIR = tmp_path
    assert asyncio.run(kept_record(ADDRESS)) is None
    assert ADDRESS not in status._records


def test_the_presses_are_asked_after_once_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    client = Presses(press("ready"))
    monkeypatch.setattr(status, "job_client", lambda: client)
    for _ in range(3):
        assert asyncio.run(presses()) == client.running
    assert client.asked == 1


NOBODY = "Nothing draws new pictures right now. Yours waits for its turn; those opened before still show."
BLOCKED = "New pictures cannot be drawn right now; those opened before still show. For the keeper:"


@pytest.mark.parametrize(
    ("running", "sentence"),
    [
        ([press("ready")], "1 picture before yours."),
        ([press("printing"), press("broken", "No memory.")], "1 picture before yours."),
        ([press("loading")], "The model is being loaded; your picture is drawn as soon as it is ready."),
        (
            [press("broken", "The disk is full.")],
            f"{NOBODY} For the keeper: The disk is full.",
        ),
        (
            [press("blocked", "The disk is full.")],
            f"{BLOCKED} The disk is full.",
        ),
        (
            [press("ready", edition="sd-1.5")],
            NOBODY,
        ),
        ([], NOBODY),
    ],
)
def test_a_page_in_the_queue_says_which_press_it_waits_for(
    monkeypatch: pytest.MonkeyPatch, running: list[Press], sentence: str
) -> None:
    monkeypatch.setattr(status, "job_client", lambda: Presses(*running))
    assert asyncio.run(sentence_for(ADDRESS, Progress("queued", place=2))) == sentence


@pytest.mark.parametrize("running", [[], [press("loading")], [press("broken", "No memory.")]])
def test_a_disk_without_room_is_named_before_a_press_that_would_print_nothing(
    monkeypatch: pytest.MonkeyPatch, settings: Any, running: list[Press]
) -> None:
    settings.DISK_RESERVE = 10**18
    monkeypatch.setattr(status, "job_client", lambda: Presses(*running))
    sentence = asyncio.run(sentence_for(ADDRESS, Progress("queued", place=2)))
    assert sentence.startswith(f"{BLOCKED} The disk has ")
    monkeypatch.setattr(status, "job_client", lambda: Presses(press("ready")))
    status._presses.clear()
    assert asyncio.run(sentence_for(ADDRESS, Progress("queued", place=2))) == "1 picture before yours."


@pytest.mark.parametrize(
    ("progress", "kind", "message", "retry_after"),
    [
        (
            Progress(
                "busy", retry_after=12, sentence="Too many pictures wait to be drawn. Please try again in a minute."
            ),
            LibraryBusy,
            "Too many pictures wait to be drawn. Please try again in a minute.",
            12,
        ),
        (Progress("failed", retry_after=600, sentence="The disk is full."), PrintFailed, "The disk is full.", 600),
        (
            Progress("printing", step=1, of=20, seconds=7.2),
            PrintFailed,
            "This picture is not drawn yet. Step 1 of 20. About 7 seconds to go.",
            8,
        ),
        (Progress("absent"), PrintFailed, "This picture has not been drawn yet.", 5),
    ],
)
def test_a_picture_that_is_not_there_is_refused_with_the_reason_and_the_time_to_come_back(
    progress: Progress, kind: type, message: str, retry_after: int
) -> None:
    error = asyncio.run(not_printed(ADDRESS, progress))
    assert (type(error), str(error), error.retry_after) == (kind, message, retry_after)


def test_the_key_of_a_page_is_found_without_the_press(kept_here: Address) -> None:
    assert held_key(kept_here) == KEY
    assert held_key(Address("pocket-1", "mark", KEY.mark, None)) == KEY
    assert held_key(Address("pocket-1", "stacks", "borges", 9)) == stacks_key("borges", 9)
    assert held_key(ADDRESS.with_page(2)) is None


def test_only_a_kept_page_can_be_flagged() -> None:
    assert not PageStatus(ADDRESS, Progress("queued"), "").flagged
    assert not PageStatus(ADDRESS, Progress("kept"), "", RECORD).flagged
