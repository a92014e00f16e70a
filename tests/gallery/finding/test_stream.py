"""gallery.finding.stream: what a follower of a search is told, over a real Valkey."""

import asyncio
import json
import re
from typing import Any

import pytest

from babelia.services import job_client
from gallery.finding.intake import bring
from gallery.finding.stream import search_events
from tests.gallery.finding.conftest import Library, keep, picture
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


def test_a_search_that_fails_says_why(library: Library) -> None:
    def press(search: Search) -> None:
        (claim,) = library.jobs.take("tiny")
        library.jobs.give_up(claim, "This edition has no encoder.", final=True)

    assert follow(library, press)[-1]["sentence"] == "This edition has no encoder."
