"""A page printed with other weights than its edition has now says so, before it is printed again and after."""

import numpy as np
import pytest

from tests.conftest import RunningPress
from tests.visitor import ask, fresh, printed
from worker.catalogue.address import Address
from worker.catalogue.expansion import stacks_key
from worker.catalogue.png import encode_page
from worker.store.records import PageRecord
from worker.store.store import Store

BOT = "examplebot/1.0"
"""Starts no print."""


def printed_with(press: RunningPress, address: Address, weights: str | None, rendition: str = "by hand") -> PageRecord:
    """Keep the record of a print with some weights, whose picture is gone."""
    assert address.page is not None
    key, pixels = stacks_key(address.name, address.page), np.zeros((416, 640, 3), np.uint8)
    png = encode_page(pixels, address=address.format(), mark=key.mark, edition="tiny", rendition=rendition)
    store = Store(press.data, reserve=0)
    record = store.keep(address, key, png, pixels, rendition=rendition, steps=4, seconds=1.0, weights=weights)
    (press.data / "pages" / "tiny" / key.mark[:2] / f"{key.mark}.png").unlink()
    return record


@pytest.mark.parametrize(
    ("weights", "rendition"), [("a" * 64, "by hand"), (None, f"tiny {'a' * 16} float32 batch 1, as 0.1.0 wrote it")]
)
def test_a_page_printed_with_other_weights_says_so_before_it_is_printed_again_and_after(
    site: str, press: RunningPress, weights: str | None, rendition: str
) -> None:
    address = fresh("stacks")
    former = printed_with(press, address, weights, rendition)
    before = ask(site, address.path()[:-1] + ".json").json
    assert (before["state"], before["weights"], before["former_weights"]) == ("absent", None, "a" * 16)
    assert before["former_pixel_digest"] == former.pixel_digest
    assert "was drawn here on" in str(before["notice"]) and "will show another picture" in str(before["notice"])
    assert str(before["notice"]) in ask(site, address.path(), User_Agent=BOT).text
    printed(site, address)
    after = ask(site, address.path()[:-1] + ".json").json
    assert len(str(after["weights"])) == 64 and after["weights"] != weights
    assert (after["former_weights"], after["former_pixel_digest"]) == ("a" * 16, former.pixel_digest)
    assert after["pixel_digest"] != former.pixel_digest
    assert "drew this address here before, and it was another picture" in ask(site, address.path()).text


def test_a_page_printed_with_the_weights_of_now_has_nothing_to_say(site: str, press: RunningPress) -> None:
    address = fresh("stacks")
    printed(site, address)
    kept = ask(site, address.path()[:-1] + ".json").json
    assert (kept["notice"], kept["former_weights"]) == (None, None)
    again = fresh("stacks")
    printed_with(press, again, str(kept["weights"]))
    assert ask(site, again.path()[:-1] + ".json").json["notice"] is None


def test_a_record_that_knows_no_weights_claims_none(site: str, press: RunningPress) -> None:
    address = fresh("stacks")
    printed_with(press, address, None)
    assert ask(site, address.path()[:-1] + ".json").json["notice"] is None
