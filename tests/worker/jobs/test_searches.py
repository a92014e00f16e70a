"""Searches in the queue, over a real Valkey: behind the pages, one however many ask, and what is forgotten of them."""

import contextlib
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import redis

from tests.worker.store import key_of, stacks
from worker.errors import TooMany
from worker.jobs.client import JobClient
from worker.jobs.consumer import Claim, JobConsumer
from worker.jobs.progress import Press, Progress, Search, Visitor
from worker.press import name_in_log

MARK = key_of(stacks(1)).mark
MINE = Search("tiny", "1" * 64)
PICTURE = b"PNG of a cat"


@pytest.fixture
def server(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url) as found:
        yield found


def search(number: int) -> Search:
    return Search("tiny", f"{number:064x}")


def seeks(client: Any, wanted: Search, name: str, picture: bytes = PICTURE, **limits: int) -> Progress:
    found: Progress = client(
        lambda front: front.search(wanted, Visitor(name, name), picture=picture, patience=60), **limits
    )
    return found


def asks(client: Any, page: int, name: str = "reader", kind: Any = "person") -> Progress:
    found: Progress = client(lambda front: front.ask(stacks(page), Visitor(name, name, kind), patience=60))
    return found


def look(client: Any, wanted: Search) -> Progress:
    found: Progress = client(lambda front: front.look(wanted))
    return found


def of_search(server: redis.Redis, wanted: Search) -> set[str]:
    """What Redis holds of a picture and its search, but the page's hash."""
    return {key.decode().split(":")[1] for key in server.keys(f"babelia:*:{wanted.digest}")} - {"page", "watch", "by"}


def test_a_search_reads_back_as_it_is_written_and_is_named_by_all_of_it() -> None:
    wanted = Search("tiny", "a" * 64, "best", "a dog/cat / 7", MARK)
    others = [replace(wanted, **{name: value}) for name, value in (("depth", "good"), ("prompt", ""), ("begin", ""))]
    for each in (wanted, *others):
        assert Search.parse(each.format()) == each
    assert len({each.id for each in (wanted, *others)}) == 4
    assert all(len(each.id) == 64 for each in others)
    for text in (
        "tiny/key/a/1",
        "search/tiny/aa/good//",
        "search/UPPER/" + "a" * 64 + "/good//",
        f"search/tiny/{'a' * 64}/deep//",
        f"search/tiny/{'a' * 64}/good/x/",
        "search",
    ):
        assert Search.parse(text) is None
    assert "dog" not in name_in_log(wanted) and "a" * 64 not in name_in_log(wanted)


def test_searches_come_after_all_pages_that_somebody_waits_for_and_one_at_a_time(
    client: Any, consumer: JobConsumer
) -> None:
    assert seeks(client, search(1), "one").place == 1
    assert seeks(client, search(2), "two").place == 2
    assert asks(client, 1, kind="ahead").state == "busy"
    asks(client, 2, "program", "program")
    asks(client, 3)
    assert [look(client, search(number)).place for number in (1, 2)] == [3, 4]
    assert [claim.wanted for claim in consumer.take("tiny", 8)] == [stacks(3), stacks(2)]
    (claim,) = consumer.take("tiny", 8)
    assert claim.wanted == search(1)
    assert consumer.picture_of(claim) == PICTURE
    assert [claim.wanted for claim in consumer.take("tiny", 8)] == [search(2)]


def test_there_is_one_search_for_a_picture_however_many_ask(client: Any, consumer: JobConsumer) -> None:
    assert [seeks(client, MINE, name).place for name in ("a", "b")] == [1, 1]
    (claim,) = consumer.take("tiny", 8)
    assert consumer.take("tiny", 8) == []
    assert seeks(client, MINE, "c", b"").state == "printing"
    consumer.tell_found(claim, json.dumps({"mark": MARK}).encode())
    consumer.finish(claim, MARK, seconds=30)
    assert seeks(client, MINE, "d") == Progress("kept", mark=MARK)
    assert client(lambda front: front.pace("tiny", "good")) == 30
    assert client(lambda front: front.pace("tiny", "quick")) is None


def test_a_search_without_its_picture_does_not_begin(client: Any, consumer: JobConsumer, server: redis.Redis) -> None:
    assert seeks(client, MINE, "a", b"").state == "absent"
    seeks(client, MINE, "a")
    server.delete(f"babelia:search:{MINE.digest}")
    assert seeks(client, MINE, "a", b"").state == "absent"
    assert consumer.take("tiny") == []


def test_so_many_searches_wait_and_of_one_visitor_three(client: Any) -> None:
    for number in range(3):
        assert seeks(client, search(number), "greedy", search_limit=4).state == "queued"
    with pytest.raises(TooMany, match="3 pictures are searched for already because you asked"):
        seeks(client, search(3), "greedy", search_limit=4)
    assert seeks(client, search(3), "one", search_limit=4).state == "queued"
    assert seeks(client, search(4), "two", search_limit=4).state == "busy"
    assert asks(client, 1).state == "queued", "pages are counted by themselves"
    assert seeks(client, search(2), "two", search_limit=4).state == "queued", "this one waits already"


@pytest.fixture
def begun(client: Any, consumer: JobConsumer) -> Claim:
    """A search that a press is at."""
    seeks(client, MINE, "a")
    (claim,) = consumer.take("tiny")
    consumer.tell_sofar(claim, {"decibels": 31.5, "seconds": 4}, b"draft")
    consumer.step(claim, 3, 60, preview=b"small")
    return claim


def test_a_search_steps_aside_for_a_page_of_any_edition_and_goes_on_later(
    client: Any, consumer: JobConsumer, begun: Claim, server: redis.Redis
) -> None:
    assert not consumer.step_aside([begun], ["tiny", "other"])
    seeks(client, search(2), "other")
    assert not consumer.step_aside([begun], ["tiny"]), "another search waits for its turn"
    asks(client, 1, kind="program")
    assert not consumer.step_aside([begun], ["other"])
    assert consumer.step_aside([begun], ["other", "tiny"])
    assert (look(client, MINE).place, look(client, search(2)).place) == (2, 3), "its turn is kept"
    assert not server.exists(f"babelia:attempts:{MINE.digest}"), "no attempt is counted"
    assert [claim.wanted for claim in consumer.take("tiny")] == [stacks(1)]
    (claim,) = consumer.take("tiny")
    assert consumer.sofar(claim) == ({"decibels": 31.5, "seconds": 4}, b"draft")
    assert consumer.step_aside([claim], ["tiny"], over=True), "its time is over, though nobody waits"
    assert [claim.wanted for claim in consumer.take("tiny")] == [MINE]


def test_a_search_whose_press_died_is_gone_on_with_from_its_draft(client: Any, hasty: JobConsumer) -> None:
    seeks(client, MINE, "a")
    (claim,) = hasty.take("tiny")
    hasty.tell_sofar(claim, {"seconds": 4}, b"draft")
    assert _later(lambda: look(client, MINE)).state == "queued"
    (again,) = hasty.take("tiny")
    assert hasty.sofar(again) == ({"seconds": 4}, b"draft")
    hasty.tell_sofar(claim, {"seconds": 99}, b"late")
    assert hasty.sofar(again)[1] == b"draft", "the first press has no say any more"


def test_a_search_whose_press_died_is_forgotten_as_soon_as_the_last_who_asked_cancels(
    client: Any, hasty: JobConsumer, consumer: JobConsumer, server: redis.Redis
) -> None:
    for name in ("a", "b"):
        seeks(client, MINE, name)
    assert hasty.take("tiny")
    assert _later(lambda: look(client, MINE)).state == "queued"
    assert client(lambda front: front.leave(MINE, "a")).state == "queued", "another one waits"
    assert consumer.take("tiny")
    client(lambda front: front.leave(MINE, "b"))
    client(lambda front: front.forget(MINE))
    assert "search" not in of_search(server, MINE)


def _later(look: Callable[[], Progress]) -> Progress:
    while (found := look()).state == "printing":
        pass
    return found


def test_a_search_that_was_left_is_given_up_and_its_picture_is_gone_where_that_was_meant(
    client: Any, consumer: JobConsumer, begun: Claim, server: redis.Redis
) -> None:
    asks_for = {"search", "sofar", "draft", "preview", "claim", "attempts"}
    assert of_search(server, MINE) == asks_for
    client(lambda front: front.forget(MINE))
    assert of_search(server, MINE) == asks_for, "somebody waits for it"
    client(lambda front: front.leave(MINE, "a"))
    client(lambda front: front.forget(MINE))
    assert not of_search(server, MINE) & {"search", "sofar", "draft"}
    assert consumer.step_aside([begun], ["tiny"]), "at once, though nobody waits"
    assert look(client, MINE).state == "absent"
    assert consumer.take("tiny") == []


def test_a_picture_outlives_its_search_by_ten_minutes_and_not_among_many(
    client: Any, consumer: JobConsumer, begun: Claim, server: redis.Redis
) -> None:
    assert server.ttl(f"babelia:search:{MINE.digest}") > 3000
    client(lambda front: front.leave(MINE, "a"))
    consumer.step_aside([begun], ["tiny"])
    assert 590 <= server.ttl(f"babelia:search:{MINE.digest}") <= 600
    assert seeks(client, MINE, "a", b"").state == "queued", "it was only left, and goes on"
    assert server.ttl(f"babelia:search:{MINE.digest}") > 3000
    client(lambda front: front.leave(MINE, "a"))

    async def many(front: JobClient) -> None:
        for number in range(45):
            await front.park(search(number), PICTURE, "This is a PNG.")

    client(many)
    assert not server.exists(f"babelia:search:{MINE.digest}")
    assert len(server.keys("babelia:search:*")) == 40


def test_a_parked_picture_is_known_by_its_name_and_searched_for_when_somebody_asks(
    client: Any, consumer: JobConsumer
) -> None:
    client(lambda front: front.park(MINE, PICTURE, "This is a PNG."))

    async def known(front: JobClient) -> list[Any]:
        return [await front.search_named(MINE.id), await front.picture_of(MINE), await front.sofar(MINE)]

    assert client(known) == [MINE, PICTURE, {"said": "This is a PNG."}]
    assert client(lambda front: front.search_named("0" * 64)) is None
    assert look(client, MINE).state == "absent"
    assert consumer.take("tiny") == []
    assert seeks(client, MINE, "a", b"").state == "queued"


def test_a_picture_that_is_searched_for_in_another_way_is_known_by_both_names(client: Any, server: redis.Redis) -> None:
    other = replace(MINE, depth="best")

    async def known(front: JobClient) -> list[Any]:
        await front.park(MINE, PICTURE, "This is a PNG.")
        await front.search(other, Visitor("a", "a"), picture=PICTURE)
        await front.move(MINE, other)
        return [await front.search_named(each.id) for each in (MINE, other)]

    assert client(known) == [other, other]
    assert of_search(server, MINE) == {"became"}, "the picture is held once"
    server.set(f"babelia:became:{MINE.digest}", b"\xff")
    assert client(lambda front: front.search_named(MINE.id)) is None


def test_what_is_said_of_a_search_that_failed_and_when_it_is_tried_again(
    client: Any, consumer: JobConsumer, begun: Claim
) -> None:
    assert consumer.give_up(begun, "It has no encoder.", final=True) == "failed"
    assert seeks(client, MINE, "a", b"").sentence == "It has no encoder."

    async def again(front: JobClient) -> str:
        return (await front.search(MINE, Visitor("a", "a"), again=True)).state

    assert client(again) == "queued"


def test_the_estimate_of_a_search_counts_the_pages_and_the_searches_before_it(
    client: Any, consumer: JobConsumer, server: redis.Redis
) -> None:
    consumer.announce(Press("host:1", "ready", ("tiny",), "a rendition", "", "host", 1))
    server.set("babelia:pace:tiny", "2")
    server.set("babelia:pace:tiny:good", "60")
    seeks(client, search(1), "a")
    seeks(client, search(2), "b")
    asks(client, 1)
    assert [look(client, search(number)).seconds for number in (1, 2)] == [62.0, 122.0]
    consumer.take("tiny")
    (claim,) = consumer.take("tiny")
    consumer.step(claim, 15, 60)
    assert [look(client, search(number)).seconds for number in (1, 2)] == [45.0, 120.0]


@pytest.mark.parametrize("said", [b"", b"null", b"[1]", b"\xff", b"{"])
def test_what_is_damaged_in_redis_is_not_known(client: Any, server: redis.Redis, said: bytes) -> None:
    server.set(f"babelia:sofar:{MINE.digest}", said)
    server.set(f"babelia:found:{MINE.digest}", said)
    server.hset(f"babelia:page:{MINE.digest}", "address", said)

    async def known(front: JobClient) -> list[Any]:
        return [await front.sofar(MINE), await front.found(MINE), await front.search_named(MINE.id)]

    assert client(known) == [{}, {}, None]


def test_whoever_follows_a_search_is_told_of_its_end(client: Any, consumer: JobConsumer) -> None:
    async def follow(front: JobClient) -> list[str]:
        await front.search(MINE, Visitor("a", "a"), picture=PICTURE)
        states = []
        async with contextlib.aclosing(front.follow(MINE, Visitor("a", "a"))) as news:  # type: ignore[type-var]
            async for progress in news:
                states.append(progress.state)
                if progress.state == "queued":
                    (claim,) = consumer.take("tiny")
                    consumer.tell_found(claim, json.dumps({"mark": MARK}).encode())
                    consumer.finish(claim, MARK)
        return states

    assert client(follow)[-1] == "kept"
