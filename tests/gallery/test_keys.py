"""gallery.keys: which page a file opens that somebody brings."""

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from babelia.services import store
from gallery import keys
from gallery.editions import editions, weights_here
from gallery.keys import (
    AT_ONCE,
    LeadsNowhere,
    address_of_file,
    address_of_text,
    address_of_typed,
    address_of_words,
    place_to_read,
    with_key,
)
from worker.catalogue.address import Address, canonical_prompt
from worker.catalogue.expansion import stacks_key
from worker.catalogue.key import CHARACTERS
from worker.catalogue.limits import KEY_TEXT_BYTES
from worker.catalogue.png import KEY, PIXELS_SHAPE, encode_page, read_chunks
from worker.errors import AddressRefused, BabeliaError, InputRefused, KeyRefused, LibraryBusy

BORGES = stacks_key("borges", 1)
BY_MARK = Address("pocket-1", "mark", BORGES.mark, None)


@pytest.fixture(autouse=True)
def library(tmp_path: Path, settings: Any) -> None:
    settings.DATA_DIR = tmp_path


def png(**texts: str) -> bytes:
    facts = {"address": "pocket-1/stacks/borges/1", "mark": BORGES.mark, "edition": "pocket-1", "rendition": "r"}
    return encode_page(np.zeros(PIXELS_SHAPE, np.uint8), **(facts | texts))


OWN = Address("pocket-1", "stacks", "borges", 1)
DOG = Address("pocket-1", "prompt", "a dog", 5)


@pytest.mark.parametrize(("data", "address"), [(BORGES.format().encode(), BY_MARK), (with_key(png(), BORGES), OWN)])
def test_a_key_is_kept_and_opens_by_its_mark_or_by_the_address_that_leads_to_it(data: bytes, address: Address) -> None:
    assert address_of_file(data, "pocket-1") == address
    assert store().key(BORGES.mark) == BORGES


def test_a_picture_opens_under_its_own_name_where_that_leads_to_its_key_and_else_by_its_mark() -> None:
    for held in (False, True):
        assert address_of_file(png(), "pocket-1") == OWN
        other = png(address="pocket-1/stacks/borges/2")
        assert address_of_file(other, "pocket-1") == (BY_MARK if held else OWN.with_page(2))
        store().keep_key(BORGES)
    assert address_of_file(png(address="pocket-1/stacks/borges/01"), "pocket-1") == BY_MARK
    assert address_of_file(png(address=BY_MARK.format()), "pocket-1") == BY_MARK
    assert address_of_file(png(address="off the catalogue: 1 steps from tiny/key/a/1"), "pocket-1") == BY_MARK


def test_words_that_no_text_encoder_can_be_asked_about_are_believed_of_the_weights_that_are_here() -> None:
    weights = weights_here(editions()["pocket-1"])
    assert weights is not None
    here, elsewhere = (f"pocket-1 {digits} float32 batch 1, torch" for digits in (weights[:16], "0123456789abcdef"))
    picture = png(address=DOG.format(), rendition=here)
    assert address_of_file(with_key(picture, BORGES), "pocket-1") == DOG, "nobody has opened it here"
    assert address_of_file(with_key(png(address=DOG.format(), rendition=elsewhere), BORGES), "pocket-1") == BY_MARK
    assert address_of_file(with_key(picture, BORGES.next()), "pocket-1").kind == "mark", "the key is not the mark's"
    store().link(DOG, BORGES)
    assert address_of_file(png(address=DOG.format(), rendition=elsewhere), "pocket-1") == DOG, "it is known here"
    store().link(DOG, BORGES.next())
    assert address_of_file(picture, "pocket-1") == BY_MARK, "it is known to lead elsewhere"
    capitals = png(address="pocket-1/prompt/A dog/5", rendition=here)
    assert address_of_file(capitals, "pocket-1") == BY_MARK, "the prompt of now has another key"


WRAPPED = "\n".join(BORGES.format()[i : i + 76] for i in range(0, CHARACTERS, 76))
TYPED = {
    "a dog": "pocket-1/prompt/a dog/1",
    " A  DOG\n": "pocket-1/prompt/a dog/1",
    "pocket-1/key/borges/7": "pocket-1/key/borges/7",
    "/pocket-1/key/borges/": "pocket-1/key/borges/1",
    "key/borges/7": "sd-1.5/key/borges/7",
    "prompt/a dog/7/": "sd-1.5/prompt/a dog/7",
    "/pocket-1/prompt/a%20dog/7/": "pocket-1/prompt/a dog/7",
    "library.example:8000/pocket-1/prompt/a%20dog/7/": "pocket-1/prompt/a dog/7",
    "http://127.0.0.1:8000/pocket-1/prompt/a%20dog/3/": "pocket-1/prompt/a dog/3",
    "https://other.example/library/pocket-1/prompt/a%2Fdog/3.png?show=1#top": "pocket-1/prompt/a/dog/3",
    "HTTPS://other.example/pocket-1/prompt/a dog/3/thumbnail.webp": "pocket-1/prompt/a dog/3",
    "https://other.example/pocket-1/key/Borges": "pocket-1/key/Borges/1",
    "A dog. Look: (https://other.example/pocket-1/prompt/a%20dog/1/).": "pocket-1/prompt/a dog/1",
    f"pocket-1/mark/{BORGES.mark}": f"pocket-1/mark/{BORGES.mark}",
    f"https://other.example/pocket-1/mark/{BORGES.mark}/": f"pocket-1/mark/{BORGES.mark}",
    BORGES.mark: f"sd-1.5/mark/{BORGES.mark}",
    f" {BORGES.mark.upper()}\n": f"sd-1.5/mark/{BORGES.mark}",
    f"mark/{BORGES.mark}/": f"sd-1.5/mark/{BORGES.mark}",
    BORGES.format(): f"sd-1.5/mark/{BORGES.mark}",
    WRAPPED: f"sd-1.5/mark/{BORGES.mark}",
}
WORDS = [
    *("and/or", "24/7", "pocket-1", "a dog / a cat", "key lime pie", "mark twain", "key/lock", "a/b/key/c/1"),
    *("https", "https:// is a scheme", "what https://example.org is about", "100% cotton", "a%20dog", "prompt/a dog"),
    *("atlantis/key/borges/1", "abcdefghijklmnopqrstuvwxyz", "word " * 99, "ß" * 500),
]
NOWHERE = [
    BORGES.next().mark,
    *("https://example.org/", "http://[/", "https://other.example/about/", "http://other.example/pocket-1/key/a+b/1/"),
    *("https://other.example/atlantis/key/borges/1/", "https://example.org/key/borges/1/", "https://x.example/%ff/"),
]


@pytest.mark.parametrize("text", TYPED, ids=lambda text: text[:60].strip())
def test_one_box_takes_anything(text: str) -> None:
    store().keep_key(BORGES)
    assert address_of_typed(text, "sd-1.5" if "sd-1.5" in TYPED[text] else "pocket-1").format() == TYPED[text]


@pytest.mark.parametrize("text", WORDS, ids=lambda text: text[:40])
def test_what_is_nothing_else_is_words(text: str) -> None:
    assert address_of_typed(text, "pocket-1") == Address("pocket-1", "prompt", canonical_prompt(text), 1)


@pytest.mark.parametrize("text", NOWHERE)
def test_a_link_or_a_mark_that_opens_nothing_is_said_to_and_may_be_meant_as_words(text: str) -> None:
    with pytest.raises(LeadsNowhere) as refused:
        address_of_typed(text, "pocket-1")
    assert refused.value.hint
    assert address_of_words(text, "pocket-1").name == text.lower()


@pytest.mark.parametrize(
    ("text", "kind", "sentence"),
    [
        (
            BORGES.format()[:99_999] + "é" + BORGES.format()[100_000:],
            KeyRefused,
            "Character 100,000 of this key is “é”",
        ),
        (BORGES.format()[:-1], KeyRefused, "1 too few"),
        (BORGES.format()[:2000], KeyRefused, "this one has 2,000"),
        ("A" * (KEY_TEXT_BYTES + 1), KeyRefused, "this text has 262,145"),
        ("a dog and a cat " * 60, AddressRefused, "A prompt has 1 to 500 characters; this one has 959."),
        ("雪の中の狐" * 120, AddressRefused, "this one has 600"),
        ("a\0b", AddressRefused, "control character"),
        ("", AddressRefused, "this one has 0"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_what_cannot_be_opened_is_refused_as_what_it_was_meant_to_be(
    text: str, kind: type[BabeliaError], sentence: str
) -> None:
    with pytest.raises(kind, match=sentence):
        address_of_typed(text, "pocket-1")


def test_the_edition_is_the_files_own_where_that_is_known() -> None:
    store().keep_key(BORGES)
    assert address_of_file(png(edition="sd-1.5"), "pocket-1").edition == "sd-1.5"
    assert address_of_file(png(edition="nowhere"), "pocket-1").edition == "pocket-1"


@pytest.mark.parametrize("mark", ["", "../../../etc/passwd", "NUMXAQQIOE4LPFC6QXH46PI5YY"])
def test_a_text_that_is_no_mark_is_passed_over(mark: str) -> None:
    """The PNG of a page that is off the catalogue has an empty one, and anybody can write anything there."""
    with pytest.raises(InputRefused, match="leads to no page"):
        address_of_file(png(mark=mark, address="off the catalogue: 1 steps from tiny/key/a/1"), "pocket-1")


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (bytes(range(128, 256)), "This file is neither a key's text nor a PNG: its byte 1 is no text."),
        (
            b"A" * (KEY_TEXT_BYTES + 1),
            "This file has 262,145 bytes; a key has 189,436 characters, and its file may have",
        ),
        (b"A" * 7, "this one has 7, 189,429 too few"),
    ],
)
def test_what_is_no_key_is_refused_with_a_sentence(data: bytes, sentence: str) -> None:
    with pytest.raises(KeyRefused, match=sentence):
        address_of_file(data, "pocket-1")


def test_a_shelf_that_is_brought_as_a_key_is_told_where_it_belongs() -> None:
    with pytest.raises(InputRefused, match="This is a shelf") as refused:
        address_of_file(b'{\n "form": "babelia-shelf",\n "version": 1, "kept": []}', "pocket-1")
    assert "on your shelf" in refused.value.hint


def test_a_pasted_text_is_bounded() -> None:
    with pytest.raises(KeyRefused, match="this text has 262,145"):
        address_of_text("A" * (KEY_TEXT_BYTES + 1), "pocket-1")


def test_a_key_put_into_a_png_comes_out_of_it() -> None:
    assert read_chunks(with_key(png(), BORGES))[KEY] == BORGES.format()


def test_a_few_files_are_read_at_a_time_and_one_more_is_told_when_to_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "WITHIN", 0.01)

    async def read_all() -> None:
        begun, go_on = asyncio.Semaphore(0), asyncio.Event()

        async def read() -> None:
            async with place_to_read():
                begun.release()
                await go_on.wait()

        readers = [asyncio.create_task(read()) for _ in range(AT_ONCE)]
        for _ in readers:
            await begun.acquire()
        with pytest.raises(LibraryBusy, match="has to wait") as refused:
            async with place_to_read():
                pass
        assert refused.value.retry_after is not None
        readers[0].cancel()  # a visitor who goes makes room
        await asyncio.wait(readers[:1])
        async with place_to_read():
            go_on.set()
        await asyncio.gather(*readers[1:])

    asyncio.run(read_all())
