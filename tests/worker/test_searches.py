"""worker.searches and the press around it: real weights of no meaning, a real Valkey, a picture to be found."""

import io
import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import redis
from PIL import Image

from worker.catalogue.address import Address
from worker.catalogue.comparison import pixels_of
from worker.catalogue.key import Key
from worker.catalogue.png import pixel_digest
from worker.engine.engine import Engine
from worker.finding.search import _EFFORTS, SearchStep
from worker.jobs.consumer import JobConsumer
from worker.jobs.progress import Search, Visitor
from worker.press import PrintingPress
from worker.searches import PREVIEW_SIZE
from worker.store.hidden import hide, name_of_key
from worker.store.store import Store


@pytest.fixture(scope="module")
def pixels() -> Any:
    """A picture: colours that go over into each other, and a square."""
    y, x = np.mgrid[0:416, 0:640]
    found = np.stack([x * 255 / 640, y * 255 / 416, 255 - x * 255 / 640], axis=-1).astype(np.uint8)
    found[100:200, 200:300] = (200, 40, 40)
    return found


def seek(visitor: Any, pixels: Any, **wish: Any) -> Search:
    """Ask for a search; which it is."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    search = Search("tiny", pixel_digest(pixels), **({"depth": "quick"} | wish))
    assert visitor("search", search, Visitor("seeker"), picture=file.getvalue(), patience=60).state == "queued"
    return search


def test_a_search_ends_in_a_page_that_its_key_prints_again(
    printing_press: PrintingPress,
    visitor: Any,
    store: Store,
    pixels: Any,
    tiny_engine: Engine,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setitem(_EFFORTS, "quick", replace(_EFFORTS["quick"], steps=8, fitted_steps=8, embedding_fit=4))
    search = seek(visitor, pixels)
    assert printing_press.print_waiting("tiny") is False
    found = visitor("found", search)
    assert visitor("look", search).state == "kept"
    address = Address("tiny", "mark", found["mark"], None)
    picture, key = store.picture(address), store.key(found["mark"])
    assert picture is not None and key is not None
    (printed,) = tiny_engine.print_pages([key])
    assert np.array_equal(pixels_of(picture.png), printed.pixels)
    assert store.origin(found["mark"]) is None, "its key was brought, and never makes room"
    off = np.square(printed.pixels.astype(float) - pixels).mean()
    assert found["decibels"] == pytest.approx(10 * np.log10(255**2 / off), abs=0.01)
    assert found["bound"] > 5 and 0 <= found["likeness"] <= 1 and found["seconds"] > 0
    assert visitor("pace", "tiny", "quick") == pytest.approx(found["seconds"])
    assert search.pixels not in caplog.text


def test_a_search_steps_aside_and_goes_on_where_it_was(
    printing_press: PrintingPress,
    visitor: Any,
    store: Store,
    pixels: Any,
    tiny_engine: Engine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun = []
    key = Key.pack(8, tiny_engine.embed(""), np.zeros((4, 52, 80), np.float32))

    def noted(*_: Any) -> Iterator[SearchStep]:
        begun.append(1)
        for index in range(1, 7):
            if index == 3:
                visitor("ask", Address("tiny", "key", "aside", 1), "reader", patience=60)
            yield SearchStep("improve", index, 6, key, pixels, 20.0, 30.0, 0.9)

    monkeypatch.setattr("worker.finding.search.search", noted)
    search = seek(visitor, pixels)
    assert printing_press.print_waiting("tiny"), "the search waits behind the page"
    assert (visitor("look", search).place, store.find(Address("tiny", "key", "aside", 1))) == (2, None)
    assert printing_press.print_waiting("tiny")
    assert store.find(Address("tiny", "key", "aside", 1)) is not None
    assert not printing_press.print_waiting("tiny")
    assert visitor("found", search)["mark"] == key.mark
    assert begun == [1], "it was gone on with, not begun anew"


def test_another_press_goes_on_from_the_draft(
    printing_press: PrintingPress, visitor: Any, jobs: JobConsumer, pixels: Any, store: Store, tiny_engine: Engine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    search = seek(visitor, pixels)
    (claim,) = jobs.take("tiny")
    draft = Key.pack(8, tiny_engine.embed(""), np.zeros((4, 52, 80), np.float32))
    jobs.tell_sofar(claim, {"seconds": 5.0}, draft.data)
    assert jobs.step_aside([claim], ["tiny"], over=True)
    begun: list[Key | None] = []

    def noted(engine: Engine, pixels: Any, wish: Any, begin: Key | None) -> Iterator[SearchStep]:
        begun.append(begin)
        yield SearchStep("improve", 1, 1, draft, pixels, 20.0, 30.0, 0.9)

    monkeypatch.setattr("worker.finding.search.search", noted)
    printing_press.print_waiting("tiny")
    assert [key.mark for key in begun if key] == [draft.mark]
    assert visitor("found", search)["seconds"] >= 5


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("picture", "The picture that is searched for is gone. Bring it again."),
        ("begin", "The library does not hold the key"),
        ("hidden", "The keeper of this library has taken this picture down."),
    ],
)
def test_what_cannot_be_searched_for_is_said_and_tried_no_more(
    change: str, said: str, printing_press: PrintingPress, visitor: Any, data: Path, pixels: Any, tiny_engine: Engine,
    redis_url: str, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    key = Key.pack(8, tiny_engine.embed(""), np.zeros((4, 52, 80), np.float32))
    search = seek(visitor, pixels, begin=key.mark if change == "begin" else "")
    if change == "picture":
        with redis.Redis.from_url(redis_url) as server:
            file = io.BytesIO()
            Image.new("RGB", (640, 416)).save(file, "PNG")
            server.set(f"babelia:search:{search.digest}", file.getvalue())
    elif change == "hidden":
        hide(data, {name_of_key(key.mark, "tiny")})
        step = SearchStep("improve", 1, 1, key, pixels, 20.0, 30.0, 0.9)
        monkeypatch.setattr("worker.finding.search.search", lambda *_: iter([step]))
    assert not printing_press.print_waiting("tiny")
    progress = visitor("look", search)
    assert progress.state == "failed" and said in (progress.sentence or "")
    assert visitor("found", search) == {}
    assert Store(data, reserve=0).key(key.mark) is None, "a hidden key is not kept"


def test_the_preview_is_small_and_what_is_told_is_json(
    printing_press: PrintingPress, visitor: Any, jobs: JobConsumer, pixels: Any, tiny_engine: Engine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    told: list[Any] = []
    monkeypatch.setattr(jobs, "tell_sofar", lambda claim, facts, key: told.append(json.loads(json.dumps(facts))))
    shown: list[bytes] = []
    monkeypatch.setattr(jobs, "step", lambda *_, preview: shown.append(preview) or True)
    steps = [
        SearchStep("encode", 0, 2, None, pixels, None, 31.0, None),
        SearchStep("draw", 2, 2, None, None, None, 31, None),
    ]
    monkeypatch.setattr("worker.finding.search.search", lambda *_: iter(steps))
    search = seek(visitor, pixels)
    printing_press.print_waiting("tiny")
    assert Image.open(io.BytesIO(shown[0])).size == PREVIEW_SIZE
    assert shown[1] == b""
    assert [facts["phase"] for facts in told] == ["encode", "draw"] and told[0]["bound"] == 31.0
    assert visitor("look", search).state == "queued", "it found no key, which may be another time"
