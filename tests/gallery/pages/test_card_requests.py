"""gallery.pages.card_requests: which card a fetcher gets, and when the press prints for it. A real press and Valkey."""

import asyncio
import os
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from babelia.services import job_client, store
from gallery.models import Page
from gallery.pages import card_requests, status
from gallery.pages.card_requests import CARD_WAIT, PRINTS_A_MINUTE, Card, card_of
from gallery.pages.drawings.cards import card, picture_card
from gallery.pages.status import require_picture
from tests.conftest import RunningPress, wait_until
from tests.visitor import fresh, long_page
from worker.catalogue.address import Address
from worker.jobs.consumer import JobConsumer

pytestmark = pytest.mark.django_db(transaction=True)  # it is asked what is hidden


@pytest.fixture(autouse=True)
def library(press_settings: RunningPress, settings: Any) -> Iterator[RunningPress]:
    """The running press, once it has nothing to do, and a site that has printed for no card yet."""
    settings.DISK_RESERVE = 0
    status._records.clear()
    card_requests._begun.clear()
    let_it_finish(press_settings)
    yield press_settings
    card_requests._cards.clear()
    status._records.clear()
    status._presses.clear()


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cards wait as long as it takes: what is tested has no figure, and the cores may have much else to do."""
    monkeypatch.setattr(card_requests, "CARD_WAIT", 60.0)


def let_it_finish(press: RunningPress) -> None:
    """Wait until the press has nothing to do, and forget what was known of it."""
    wait_until(lambda: states(press) == {"ready"}, 30, "the press has nothing to do")
    status._presses.clear()


def states(press: RunningPress) -> set[str]:
    jobs = JobConsumer(press.redis_url)
    try:
        return {found.state for found in jobs.presses()}
    finally:
        jobs.close()


def fetch(*addresses: Address, may_print: Callable[[], bool] = lambda: True) -> list[Card]:
    """The cards of some pages, all asked for at once."""

    async def ask() -> list[Card]:
        try:
            return await asyncio.gather(*(card_of(address, may_print) for address in addresses))
        finally:
            await job_client().aclose()

    return asyncio.run(ask())


def drawn_page() -> Address:
    """A page that is kept."""
    address = fresh("prompt")

    async def wait() -> None:
        try:
            await require_picture(address, "somebody", 30)
        finally:
            await job_client().aclose()

    asyncio.run(wait())
    return address


def waiting() -> int:
    async def ask() -> int:
        try:
            return await job_client().waiting("tiny")
        finally:
            await job_client().aclose()

    return asyncio.run(ask())


def test_a_page_that_nobody_has_opened_has_its_picture_on_its_card_and_is_listed_nowhere(patient: None) -> None:
    address = fresh("prompt")
    (found,) = fetch(address)
    kept = store().picture(address)
    assert kept is not None and found == Card(picture_card(address, kept.png), kept.digest)
    assert not Page.objects.exists()


def test_many_fetchers_of_one_page_have_it_printed_once_and_count_as_one(patient: None) -> None:
    address = fresh("prompt")
    found = fetch(*[address] * 40)
    assert len({each.png for each in found}) == 1 and found[0].picture is not None
    assert len(card_requests._begun) == 1


def test_a_card_is_drawn_once_for_each_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    address, drawn = drawn_page(), []
    monkeypatch.setattr(card_requests, "picture_card", lambda *given: drawn.append(given) or picture_card(*given))
    for _ in range(3):
        assert fetch(address, address)[0].picture
    assert len(drawn) == 1


@pytest.mark.parametrize("why", ["its visitor has asked for too much", "too many were printed for cards"])
def test_beyond_the_bounds_a_card_has_words_and_nothing_is_asked_for(why: str) -> None:
    address = fresh("prompt")
    if why.startswith("too many"):
        card_requests._begun.extend([time.monotonic()] * PRINTS_A_MINUTE)
    (found,) = fetch(address, may_print=lambda: not why.startswith("its visitor"))
    assert found == Card(card(address), None)
    assert (waiting(), store().find(address)) == (0, None)


def test_where_the_press_prints_for_somebody_a_card_has_words_at_once(library: RunningPress, site: str) -> None:
    busy, address = long_page(site), fresh("prompt")
    child = library.child
    assert child is not None

    async def begin() -> None:
        await job_client().ask(busy, "somebody")
        await job_client().aclose()

    asyncio.run(begin())
    wait_until(lambda: states(library) == {"printing"}, 20, "the press prints")
    os.kill(child, signal.SIGSTOP)
    try:
        began = time.monotonic()
        assert fetch(address) == [Card(card(address), None)]
        assert time.monotonic() - began < CARD_WAIT
        assert waiting() == 0
    finally:
        os.kill(child, signal.SIGCONT)


def test_where_the_time_is_over_a_late_preview_stands_for_the_picture(library: RunningPress, site: str) -> None:
    address, child = long_page(site), library.child
    assert child is not None

    async def begin() -> bytes:
        client = job_client()
        try:
            progress = await client.ask(address, "somebody")
            while 3 * progress.preview < (progress.of or 60):
                assert not progress.final, "it is seen before it is over"
                progress = await client.look(address)
            os.kill(child, signal.SIGSTOP)
            found = await client.preview(address)
            assert found is not None
            return found[1]
        finally:
            await client.aclose()

    try:
        preview = asyncio.run(begin())
        assert fetch(address) == [Card(picture_card(address, preview), None)]
    finally:
        os.kill(child, signal.SIGCONT)


def test_a_print_that_the_press_does_not_take_up_in_time_leaves_the_queue(
    library: RunningPress, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, child = fresh("prompt"), library.child
    drawn: list[float] = []

    def noted(of: Address) -> bytes:
        drawn.append(time.monotonic())
        return card(of)

    assert child is not None
    monkeypatch.setattr(card_requests, "card", noted)
    os.kill(child, signal.SIGSTOP)
    try:
        began = time.monotonic()
        assert fetch(address) == [Card(card(address), None)]
        assert drawn[0] - began < CARD_WAIT, "the card in words is drawn while the picture is waited for"
        assert CARD_WAIT <= time.monotonic() - began < CARD_WAIT + 3
        assert waiting() == 0
    finally:
        os.kill(child, signal.SIGCONT)


def test_without_redis_a_kept_page_has_its_picture_and_another_its_words(settings: Any) -> None:
    address, other = drawn_page(), fresh("prompt")
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    kept, absent = fetch(address, other)
    assert kept.picture and absent == Card(card(other), None)
