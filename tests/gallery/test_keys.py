"""gallery.keys: which page a file opens that somebody brings."""

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from babelia.services import store
from gallery import keys
from gallery.keys import AT_ONCE, address_of_file, address_of_text, place_to_read, with_key
from worker.catalogue.address import Address
from worker.catalogue.expansion import stacks_key
from worker.catalogue.limits import KEY_TEXT_BYTES
from worker.catalogue.png import KEY, PIXELS_SHAPE, encode_page, read_chunks
from worker.errors import InputRefused, KeyRefused, LibraryBusy

BORGES = stacks_key("borges", 1)
BY_MARK = Address("pocket-1", "mark", BORGES.mark, None)


@pytest.fixture(autouse=True)
def library(tmp_path: Path, settings: Any) -> None:
    settings.DATA_DIR = tmp_path


def png(**texts: str) -> bytes:
    facts = {"address": "pocket-1/stacks/borges/1", "mark": BORGES.mark, "edition": "pocket-1", "rendition": "r"}
    return encode_page(np.zeros(PIXELS_SHAPE, np.uint8), **(facts | texts))


@pytest.mark.parametrize("data", [BORGES.format().encode(), with_key(png(), BORGES)])
def test_a_key_is_kept_and_opens_by_its_mark(data: bytes) -> None:
    assert address_of_file(data, "pocket-1") == BY_MARK
    assert store().key(BORGES.mark) == BORGES


def test_a_png_without_its_key_opens_by_its_mark_where_that_is_known_and_else_by_its_address() -> None:
    assert address_of_file(png(), "pocket-1") == Address("pocket-1", "stacks", "borges", 1)
    store().keep_key(BORGES)
    assert address_of_file(png(), "pocket-1") == BY_MARK


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
