"""gallery.api.library: editions, pages by chance, pages printed last."""

import json

import pytest

from tests.conftest import wait_until
from tests.visitor import ask, fresh, printed
from worker.catalogue.address import Address


def test_editions_and_recent_pages_are_listed(site: str) -> None:
    editions = {each["slug"]: each for each in json.loads(ask(site, "/api/editions").body)}
    assert editions["tiny"]["installed"] is True
    assert editions["tiny"]["default_steps"] == 4
    address = fresh("prompt")
    printed(site, address)  # by its .png alone: nobody opens its page

    def listed() -> bool:
        recent = json.loads(ask(site, "/api/recent?limit=5").body)
        return len(recent) <= 5 and any(each["address"] == address.format() for each in recent)

    wait_until(listed, 10, "the page is listed")


def test_addresses_are_drawn_and_nothing_is_printed(site: str) -> None:
    drawn = json.loads(ask(site, "/api/random?edition=tiny&n=3").body)
    addresses = [Address.parse(each["address"]) for each in drawn]
    assert len(set(addresses)) == 3
    assert {(each.edition, each.kind, len(each.name)) for each in addresses} == {("tiny", "key", 16)}
    assert [each["page"] for each in drawn] == [each.path() for each in addresses]
    assert [each["picture"] for each in drawn] == [each.path()[:-1] + ".png" for each in addresses]
    assert ask(site, addresses[0].path()[:-1] + ".json").json["state"] == "absent"
    again = ask(site, "/api/random?edition=tiny")
    assert (again.headers["cache-control"], "etag" in again.headers) == ("no-store", False)
    assert len(json.loads(again.body)) == 1


@pytest.mark.parametrize(
    ("query", "status"), [("n=0", 400), ("n=101", 400), ("n=many", 400), ("edition=atlantis", 404), ("n=100", 200)]
)
def test_only_so_many_are_drawn_at_a_time_and_of_an_edition_that_is_here(site: str, query: str, status: int) -> None:
    assert ask(site, f"/api/random?{query}").status == status
