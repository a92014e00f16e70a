"""worker.press and hidden pages: nothing of a hidden key is printed or told, whatever address leads to it."""

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.conftest import write_edition
from worker.catalogue.address import Address
from worker.engine.engine import Engine
from worker.jobs.client import JobClient
from worker.jobs.consumer import JobConsumer
from worker.press import PrintingPress
from worker.store import hidden
from worker.store.store import Store

ADDRESS = Address("tiny", "prompt", "a page that is hidden", 1)


@pytest.fixture
def press(tiny_weights: Path, tmp_path: Path, redis_url: str, tiny_engine: Engine) -> Iterator[PrintingPress]:
    write_edition(tmp_path, "tiny", str(tiny_weights))
    with contextlib.closing(JobConsumer(redis_url)) as jobs:
        press = PrintingPress(Store(tmp_path, reserve=0), jobs, ["tiny"])
        press._engines["tiny"] = tiny_engine
        yield press


def asked(press: PrintingPress, redis_url: str) -> Any:
    """What is said of the page after it was asked for and the press had its turn."""

    async def all_of_it() -> Any:
        client = JobClient(redis_url, press.store, lambda _: None)
        try:
            await client.ask(ADDRESS, "v")
            await asyncio.to_thread(press.print_waiting, "tiny")
            return await client.look(ADDRESS)
        finally:
            await client.aclose()

    return asyncio.run(all_of_it())


def test_a_hidden_key_is_neither_printed_nor_told(press: PrintingPress, redis_url: str, tiny_engine: Engine) -> None:
    mark = tiny_engine.resolve(ADDRESS).mark
    hidden.hide(press.store.data, [hidden.name_of_key(mark)])
    said = asked(press, redis_url)
    assert (said.state, said.mark) == ("failed", None)
    assert said.sentence.startswith("The keeper of this library has taken this picture down.")
    assert said.retry_after <= 5, "it may be shown again any time"
    assert not press.store.has("tiny", mark)
    with redis.Redis.from_url(redis_url) as client:
        told = b" ".join(
            value for key in client.scan_iter() if client.type(key) == b"hash" for value in client.hvals(key)
        )
        assert mark.encode() not in told and not client.exists(f"babelia:preview:{ADDRESS.digest}")
    assert press.store.linked(ADDRESS) == mark, "the site knows it from now on"


def test_a_page_that_was_kept_and_is_hidden_since_is_not_told_either(
    press: PrintingPress, redis_url: str, tiny_engine: Engine
) -> None:
    assert asked(press, redis_url).state == "kept"
    mark = press.store.linked(ADDRESS)
    assert mark is not None
    hidden.hide(press.store.data, [hidden.name_of_key(mark)])
    for path in press.store.data.glob("links/*/*/*"):
        path.unlink()
    with redis.Redis.from_url(redis_url) as client:
        client.flushdb()
    asked(press, redis_url)
    with redis.Redis.from_url(redis_url) as client:
        assert client.hget(f"babelia:page:{ADDRESS.digest}", "state") == b"failed"
        assert client.hget(f"babelia:page:{ADDRESS.digest}", "mark") is None
    assert press.store.linked(ADDRESS) == mark, "so that the site knows that it is hidden"


def test_where_it_cannot_be_told_what_is_hidden_nothing_is_printed(press: PrintingPress, redis_url: str) -> None:
    (press.store.data / "hidden").write_bytes(b"a file where a folder belongs")
    said = asked(press, redis_url)
    assert said.state == "failed"
    assert "Which pages are hidden cannot be read or written at the moment" in said.sentence
    assert str(press.store.data) not in said.sentence
    assert not list(press.store.data.glob("pages/*/*/*"))


def test_a_page_says_which_weights_printed_it(press: PrintingPress, redis_url: str, tiny_engine: Engine) -> None:
    mark = asked(press, redis_url).mark
    record = press.store.record("tiny", mark)
    assert record is not None
    assert record.weights == tiny_engine.rendition.weights
    assert len(record.weights) == 64
