"""gallery.pages.drawings.cards: the picture beside a link: a page's own and its words, or its words alone."""

import io
import time
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gallery.pages.drawings import cards
from gallery.pages.drawings.cards import HEIGHT, WIDTH, card, picture_card
from gallery.pages.drawings.lettering import words_of
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


def pictured(pixels: "np.ndarray[Any, np.dtype[np.uint8]]") -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


RAMP = np.broadcast_to(np.linspace(0, 255, 640, dtype=np.uint8)[None, :, None], (416, 640, 3))
NOISE = np.random.default_rng(1).integers(0, 256, (416, 640, 3), dtype=np.uint8)


@pytest.mark.parametrize("address", ADDRESSES, ids=lambda address: address.format()[:40])
def test_the_whole_picture_is_on_the_left_and_the_words_on_the_right(address: Address) -> None:
    with Image.open(io.BytesIO(picture_card(address, pictured(np.ascontiguousarray(RAMP))))) as image:
        shown = np.asarray(image.convert("RGB")).astype(int)
    assert shown.shape == (HEIGHT, WIDTH, 3)
    line = shown[HEIGHT // 2, 48:800, 0]
    assert (line[0], line[-1]) == (0, 255), "nothing of it is cut off"
    assert (np.diff(line) >= 0).all()
    right, left = shown[:, 820:, 0], shown[:, :46, 0]
    assert (right > 120).sum() > 300, "there are letters"
    assert (right[:, -40:] < 40).all() and (left < 40).all(), "and a margin"


def test_a_card_is_small_enough_for_messengers_whatever_its_picture() -> None:
    assert len(picture_card(ADDRESSES[0], pictured(NOISE))) < 600_000


def test_a_large_card_in_few_colours_is_as_near_as_pillows_own_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    y, x = np.mgrid[0:416, 0:640]
    waves = np.stack([np.sin(x / 31 + y / 57), np.sin(x / 83 - y / 23), np.sin((x + y) / 41)], axis=-1)
    grained = 128 + 90 * waves + np.random.default_rng(2).normal(0, 6, (416, 640, 3))
    picture = pictured(grained.clip(0, 255).astype(np.uint8))
    small = picture_card(ADDRESSES[0], picture)
    monkeypatch.setattr(cards, "_LARGEST", 2**30)
    large = picture_card(ADDRESSES[0], picture)
    with Image.open(io.BytesIO(small)) as image, Image.open(io.BytesIO(large)) as whole:
        assert (image.mode, whole.mode) == ("P", "RGB")
        mean, pillows = (
            np.square(np.asarray(one.convert("RGB")).astype(float) - np.asarray(whole)).mean()
            for one in (image, whole.quantize(256))
        )
    assert mean < 1.1 * pillows


@pytest.mark.parametrize(
    ("prompt", "written"),
    [
        ("ein Hund am Strand", "ein Hund am Strand"),
        ("çay, façade, żółw", "çay, façade, żółw"),
        ("собака на пляже", "собака на пляже"),
        ("ένας σκύλος", "ένας σκύλος"),
        ("con chó trên bãi biển", "con chó trên bãi biển"),
        ("a fox 🦊 in the snow", "a fox in the snow"),
        ("雪の中の狐", ""),
        ("كلب", ""),
    ],
)
def test_the_words_are_written_as_far_as_the_typeface_has_them(prompt: str, written: str) -> None:
    assert words_of(Address("pocket-1", "prompt", prompt, 1)) == written


def test_a_card_is_drawn_at_once() -> None:
    card(Address("pocket-1", "prompt", "a warm-up", 1))
    picture, address = pictured(np.ascontiguousarray(RAMP)), Address("pocket-1", "prompt", 500 * "w", 3)
    for draw in (lambda: card(address), lambda: picture_card(address, picture)):
        began = time.perf_counter()
        draw()
        assert time.perf_counter() - began < 0.5  # 0.03 s and 0.1 s on an idle machine
