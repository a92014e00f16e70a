"""gallery.finding.stream: what a follower of a search is told, over a real Valkey."""

import asyncio
import json
import re
import subprocess
from contextlib import aclosing
from typing import Any

import pytest
import redis

from babelia.services import job_client
from gallery.finding import stream
from gallery.finding.intake import bring
from gallery.finding.searches import INTERRUPTED
from gallery.finding.stream import search_events
from tests.gallery.finding.conftest import Library, keep, picture
from worker.jobs.consumer import Claim
from worker.jobs.progress import Search, Visitor

pytestmark = pytest.mark.django_db(transaction=True)
ME = Visitor("me", "me", "search")


def follow(library: Library, then: Any) -> list[dict[str, Any]]:
    """The data of all events of a search that a press takes, with what it does then."""

    async def all_of_it() -> list[str]:
        search = await bring(picture(1), "fill", "tiny")
        await job_client().search(search, ME)
        told = []
        async for event in search_events(search, ME):
            told.append(event)
            if '"queued"' in event:
                await asyncio.to_thread(then, search)
        return told

    told = asyncio.run(all_of_it())
    assert told[0].startswith("retry: ")
    return [json.loads(found[1]) for event in told if (found := re.search(r"^data: (.*)$", event, re.MULTILINE))]


def test_a_search_is_followed_with_its_preview_to_its_end(library: Library) -> None:
    mark = keep("tiny/stacks/found/1", 2, by_mark=True)

    def press(search: Search) -> None:
        (claim,) = library.jobs.take("tiny")
        library.jobs.tell_sofar(claim, {"decibels": 20.0})
        library.jobs.step(claim, 2, 8, preview=b"small")
        library.tell(claim, mark)

    told = follow(library, press)
    assert told[0]["state"] == "queued" and told[-1]["state"] == "kept"
    assert told[-1]["sentence"] == "The search is over."


def test_whoever_follows_hears_that_the_press_died_though_nothing_of_the_search_has_changed(
    library: Library, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "LOOK_EVERY", 0.05)
    dead = subprocess.Popen(["true"])
    dead.wait()

    def die(claim: Claim) -> None:
        here, _, born, own = claim.token.split("|")
        with redis.Redis.from_url(redis_url) as server:
            server.set(f"babelia:claim:{claim.page}", f"{here}|{dead.pid}|{born}|{own}", keepttl=True)

    async def said() -> list[str]:
        search = await bring(picture(1), "fill", "tiny")
        await job_client().search(search, ME)
        (claim,) = await asyncio.to_thread(library.jobs.take, "tiny")
        await asyncio.to_thread(library.jobs.step, claim, 2, 8)
        told: list[str] = []
        async with aclosing(search_events(search, ME)) as events:
            async for event in events:
                found = re.search(r"^data: (.*)$", event, re.MULTILINE)
                if found is None:
                    continue
                told.append(json.loads(found[1])["sentence"])
                if told[-1] == INTERRUPTED:
                    break
                await asyncio.to_thread(die, claim)
        return told

    assert asyncio.run(asyncio.wait_for(said(), 20)) == ["Step 2 of 8.", INTERRUPTED]


def test_a_search_that_fails_says_why(library: Library) -> None:
    def press(search: Search) -> None:
        (claim,) = library.jobs.take("tiny")
        library.jobs.give_up(claim, "This edition has no encoder.", final=True)

    assert follow(library, press)[-1]["sentence"] == "This edition has no encoder."
