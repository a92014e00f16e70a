"""gallery.views.neighbours: the volumes beside a prompt and the keys beside a mark, over HTTP."""

import secrets

import pytest

from tests.conftest import wait_until
from tests.gallery.views.conftest import InProcess
from tests.visitor import ask, post, printed
from worker.catalogue.address import Address
from worker.catalogue.expansion import stacks_key


def test_the_next_key_and_back_again_is_the_same_key(site: str) -> None:
    key = stacks_key(secrets.token_hex(8), 1)
    post(site, "/key/open", {"key": key.format(), "edition": "tiny"})
    on = post(site, f"/tiny/mark/{key.mark}/next-key", {})
    assert (on.status, on.headers["location"]) == (303, f"/tiny/mark/{key.next().mark}/")
    back = post(site, on.headers["location"][:-1] + "/previous-key", {})
    assert back.headers["location"] == f"/tiny/mark/{key.mark}/"


def test_the_volumes_beside_a_prompt_are_those_opened_here(site: str) -> None:
    tail = secrets.token_hex(4)
    first, second = (Address("tiny", "prompt", f"zz {tail} {letter}", 5) for letter in "ab")
    for address in (first, second):
        printed(site, address)
        ask(site, address.path())

    def leads(address: Address, form: str) -> str:
        return ask(site, address.path()[:-1] + form).headers.get("location", "")  # none, until two are known

    wait_until(lambda: leads(first, "/next-volume") == second.path(), 10, "the ledger is written")
    assert leads(second, "/previous-volume") == first.path()


@pytest.mark.django_db(transaction=True)
def test_a_prompt_alone_in_its_library_says_so_and_leads_on(library: InProcess) -> None:
    library.opened("pocket-1/prompt/a dog/5")
    for form in ("next-volume", "previous-volume"):
        alone = library.get(f"/pocket-1/prompt/a dog/5/{form}")
        assert alone.status_code == 404 and "Location" not in alone
        text = alone.content.decode()
        assert "<h1>No other words yet</h1>" in text and 'href="/pocket-1/random/"' in text
    library.opened("pocket-1/prompt/a fox/1")
    assert library.get("/pocket-1/prompt/a dog/5/next-volume")["Location"] == "/pocket-1/prompt/a%20fox/5/"
