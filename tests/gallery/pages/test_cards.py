"""gallery.pages.cards: the picture beside a link to a page that is not printed yet."""

import io
import time

import pytest
from PIL import Image

from gallery.pages.cards import HEIGHT, WIDTH, card
from worker.catalogue.address import Address

ADDRESSES = [
    Address("pocket-1", "prompt", "a dog", 1),
    Address("pocket-1", "prompt", "雪の中の狐 🦊", 1),
    Address("pocket-1", "prompt", 500 * "W", 410),
    Address("pocket-1", "prompt", " ".join(120 * ["dog"]), 410),
    Address("pocket-1", "key", "borges", 1),
    Address("pocket-1", "stacks", 64 * "m", 1),
    Address("pocket-1", "mark", "numxaqqioe4lpfc6qxh46pi5yy", None),
]


@pytest.mark.parametrize("address", ADDRESSES, ids=lambda address: address.format()[:40])
def test_each_address_has_a_card_of_the_size_that_is_announced(address: Address) -> None:
    with Image.open(io.BytesIO(card(address))) as image:
        assert (image.format, image.size) == ("PNG", (WIDTH, HEIGHT))


def test_each_address_has_a_card_of_its_own() -> None:
    assert len({card(address) for address in ADDRESSES}) == len(ADDRESSES)
    assert card(ADDRESSES[0]) != card(ADDRESSES[0].with_page(2))


def test_a_card_is_drawn_at_once() -> None:
    card(Address("pocket-1", "prompt", "a warm-up", 1))
    began = time.perf_counter()
    card(Address("pocket-1", "prompt", 500 * "w", 3))
    assert time.perf_counter() - began < 0.5  # 0.03 s on an idle machine
