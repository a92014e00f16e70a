"""gallery.pages.anatomy: what is said of a key, of a second print and of two pages, without HTTP."""

from datetime import UTC, datetime, timedelta

import pytest

from gallery.pages.anatomy import REST_SECONDS, Proof, anatomy_context, code_of, compare_context, share
from tests.gallery.test_description import MARK, RECORD
from worker.catalogue.address import Address
from worker.catalogue.comparison import Difference
from worker.catalogue.expansion import stacks_key
from worker.jobs.progress import Progress

ADDRESS = Address.parse("stacks/borges/1")
BASE = "https://library.example/pocket-1/prompt/it%27s%20%22so%22/1"


def test_the_anatomy_says_how_the_page_is_printed() -> None:
    key = stacks_key("borges", 1)
    shown = anatomy_context(ADDRESS, key, RECORD, Proof(Progress("absent")), BASE, "tab")
    assert (shown["steps"], shown["mark"], shown["kept"]) == (key.steps, key.mark, True)
    assert (shown["proof_waits"], shown["percent"], shown["differing"]) == (False, 0, None)
    assert shown["guidance"] > 0 and shown["latents"].count == 4 * 52 * 80


def test_code_has_the_pages_own_urls_in_quotes_that_hold() -> None:
    for _, _, text in code_of(BASE, MARK):
        assert BASE in text
        assert "'" not in BASE and '"' not in BASE


@pytest.mark.parametrize(("pixels", "said"), [(266_240, "100.0 %"), (2_663, "1.0 %"), (3, "less than 0.1 %")])
def test_how_many_pixels_differ_is_said_in_per_cent(pixels: int, said: str) -> None:
    assert share(Difference(40.0, 3, pixels, b"")) == said


@pytest.mark.parametrize(("ago", "rests"), [(1, True), (REST_SECONDS + 1, False)])
def test_a_second_print_is_not_made_anew_at_once(ago: float, rests: bool) -> None:
    made = (datetime.now(UTC) - timedelta(seconds=ago)).isoformat()
    assert Proof(Progress("kept"), facts={"printed_at": made}).rests is rests


def test_without_pages_there_is_nothing_to_compare() -> None:
    shown = compare_context([], None, "")
    assert (shown["waits"], shown["may_draw"], shown["differing"]) == (False, False, None)
