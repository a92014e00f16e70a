"""Presses as they run, on a full disk and beside one that was killed; nobody asks twice."""

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from tests.conftest import RunningPress, run_site, wait_until, write_edition
from tests.visitor import ask, fresh, long_page
from worker.catalogue.address import Address
from worker.jobs.consumer import JobConsumer
from worker.store.store import Store


@pytest.fixture
def library(valkey: str, tiny_weights: Path, tmp_path: Path) -> Iterator[RunningPress]:
    """A library of its own, whose press is not started yet."""
    write_edition(tmp_path, "tiny", str(tiny_weights))
    own = RunningPress(tmp_path, valkey.removesuffix("/0") + "/5")
    with redis.Redis.from_url(own.redis_url) as client:
        client.flushdb()
    yield own
    if own.process is not None:
        own.stop()


def states(library: RunningPress) -> list[str]:
    with contextlib.closing(JobConsumer(library.redis_url)) as jobs:
        return [press.state for press in jobs.presses()]


def test_a_full_disk_is_told_to_each_visitor_at_once_and_no_time_is_promised(library: RunningPress) -> None:
    with redis.Redis.from_url(library.redis_url) as client:
        client.set("babelia:pace:tiny", "3")
    library.settings["BABELIA_DISK_RESERVE"] = "900000 TB"
    library.launch()
    wait_until(lambda: "blocked" in states(library), 240, "the press says that it is blocked")
    with run_site(library) as site:
        for _ in range(3):
            page = ask(site, fresh().path())
            assert "to stay free, so nothing new is drawn." in page.text
            assert "You are next" not in page.text
            assert "to go." not in page.text
            assert ask(site, f"/api/page?address={fresh().format()}").json["seconds"] is None


def test_an_idle_press_takes_up_what_a_killed_one_leaves_and_nobody_asks_again(library: RunningPress) -> None:
    library.start()
    other = RunningPress(library.data, library.redis_url)
    with run_site(library) as site:
        address = long_page(site)
        body = f'{{"address": "{address.format()}"}}'.encode()
        try:
            assert ask(site, "/api/page", "POST", body, Content_Type="application/json").status == 202
            wait_until(lambda: "printing" in states(library), 20, "it is being printed")
            assert library.process is not None
            child = library.child
            assert child is not None
            os.kill(child, signal.SIGSTOP)  # it stays where it is until the other one is there
            other.start()
            library.kill()
            store = Store(library.data, reserve=0)
            wait_until(lambda: store.find(address) is not None, 30, "the other press has printed it")
            assert isinstance(address, Address)
        finally:
            other.stop()
