"""worker/jobs/jobs.lua over a real Valkey: whose page is printed next, who may ask for how many, what steps aside."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
import redis

from tests.worker.store import key_of, stacks
from worker.catalogue.address import Address
from worker.errors import TooMany
from worker.jobs.client import JobClient
from worker.jobs.consumer import ATTEMPTS, JobConsumer
from worker.jobs.progress import Progress, Visitor

Ask = Callable[..., Progress]


@pytest.fixture
def server(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url) as found:
        yield found


def run(client: Any, work: Callable[[JobClient], Awaitable[Any]], **limits: int) -> Any:
    return client(work, **limits)


def asks(client: Any, *wanted: tuple[str, int], kind: str = "person", **limits: int) -> list[Progress]:
    """Let visitors ask for pages in this order, each page in a tab of its own."""

    async def work(front: JobClient) -> list[Progress]:
        return [await front.ask(stacks(page), by(name, page, kind), patience=60) for name, page in wanted]

    found: list[Progress] = client(work, **limits)
    return found


def by(name: str, page: int, kind: str = "person") -> Visitor:
    return Visitor(f"{name}-{kind}-{page}", name, kind)  # type: ignore[arg-type]


def leaves(client: Any, visitor: Visitor, page: int) -> None:
    client(lambda front: front.leave(stacks(page), visitor.tab))


def place(client: Any, page: int) -> int | None:
    found: Progress = client(lambda front: front.look(stacks(page)))
    return found.place


def taken(consumer: JobConsumer, count: int = 100) -> list[int | None]:
    """The pages that a press prints one after the other, at most so many."""
    found: list[int | None] = []
    while len(found) < count and (claims := consumer.take("tiny")):
        found.append(claims[0].address.page)
        consumer.finish(claims[0], key_of(claims[0].address).mark, seconds=1)
    return found


def forget(server: redis.Redis, page: Address, tab: str) -> None:
    """As if the tab's patience had run out."""
    server.zadd(f"babelia:watch:{page.digest}", {tab: 1})
    last: Any = server.zrange(f"babelia:watch:{page.digest}", -1, -1, withscores=True)
    server.zadd("babelia:until:tiny", {page.digest: last[0][1]})


# -- whose turn it is


def test_a_second_page_waits_behind_every_other_visitors_first(client: Any, consumer: JobConsumer) -> None:
    many = [("many", page) for page in range(1, 6)]
    answers = asks(client, *many, ("two", 11), ("two", 12), ("one", 21))
    assert [answer.place for answer in answers] == [1, 2, 3, 4, 5, 2, 4, 3]
    assert [place(client, page) for page in (1, 11, 21, 2, 12, 3, 4, 5)] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert taken(consumer) == [1, 11, 21, 2, 12, 3, 4, 5]


def test_who_comes_later_goes_round_with_the_others_and_not_before_them(client: Any, consumer: JobConsumer) -> None:
    asks(client, *[("many", page) for page in range(1, 7)])
    assert taken(consumer, 3) == [1, 2, 3]
    asks(client, ("late", 11), ("late", 12), ("late", 13))
    assert taken(consumer) == [11, 4, 12, 5, 13, 6]


def test_one_who_always_has_one_page_waiting_starves_nobody(client: Any, consumer: JobConsumer) -> None:
    asks(client, *[("many", page) for page in range(1, 5)])
    found = []
    for page in range(11, 17):
        asks(client, ("quick", page))
        found += taken(consumer, 1)
    assert found == [1, 11, 2, 12, 3, 13]


def test_what_was_left_costs_no_turn(client: Any, consumer: JobConsumer) -> None:
    asks(client, ("other", 1), ("other", 2), ("other", 3))
    for page in range(11, 16):
        asks(client, ("fast hands", page))
        leaves(client, by("fast hands", page), page)
    assert [answer.place for answer in asks(client, ("fast hands", 16))] == [2]
    assert taken(consumer) == [1, 16, 2, 3]


def test_programs_come_after_people_and_pages_printed_ahead_last(client: Any, consumer: JobConsumer) -> None:
    asks(client, ("looker", 31), kind="ahead")
    asks(client, ("script", 21), ("script", 22), kind="program")
    asks(client, ("a", 1), ("a", 2), ("script", 3))
    assert taken(consumer) == [1, 3, 2, 21, 22, 31]


def test_a_page_that_several_ask_for_has_the_best_of_their_turns_while_they_wait(
    client: Any, consumer: JobConsumer
) -> None:
    asks(client, *[("many", page) for page in range(1, 6)])
    assert place(client, 5) == 5
    assert asks(client, ("new", 5))[0].place == 2
    leaves(client, by("new", 5), 5)
    assert place(client, 5) == 5, "it waits still for who asked first, at that turn"
    asks(client, ("new", 5))
    leaves(client, by("many", 5), 5)
    assert place(client, 5) == 2
    assert taken(consumer) == [1, 5, 2, 3, 4]


def test_a_page_that_is_opened_while_it_is_printed_ahead_is_a_persons_from_then_on(
    client: Any, consumer: JobConsumer
) -> None:
    asks(client, ("a", 1), kind="ahead")
    asks(client, ("b", 2), ("b", 3))
    assert asks(client, ("a", 1))[0].place == 2
    leaves(client, by("a", 1, "ahead"), 1)
    assert taken(consumer) == [2, 1, 3]


def test_the_turn_of_one_who_is_not_heard_of_is_the_next_ones(
    client: Any, consumer: JobConsumer, server: redis.Redis
) -> None:
    asks(client, *[("many", page) for page in range(1, 4)], ("new", 3))
    forget(server, stacks(3), by("new", 3).tab)
    assert taken(consumer) == [1, 2, 3]


def test_another_tab_of_the_same_visitor_keeps_the_turn(client: Any, consumer: JobConsumer) -> None:
    asks(client, ("a", 1), ("b", 2), ("a", 3))

    async def reload(front: JobClient) -> list[int | None]:
        again = Visitor("another tab", "a")
        first = await front.ask(stacks(1), again)
        await front.leave(stacks(1), by("a", 1).tab)
        return [first.place, (await front.look(stacks(1))).place]

    assert run(client, reload) == [1, 1]
    assert taken(consumer) == [1, 2, 3]


def test_places_count_only_pages_that_somebody_waits_for(
    client: Any, consumer: JobConsumer, server: redis.Redis
) -> None:
    asks(client, ("a", 1), ("b", 2), ("c", 3), ("d", 4))
    for name, page in (("a", 1), ("c", 3)):
        forget(server, stacks(page), by(name, page).tab)
    assert [place(client, page) for page in (2, 4)] == [1, 2]
    assert client(lambda front: front.look(stacks(1))).state == "absent"
    assert taken(consumer) == [2, 4]


def test_a_turn_is_taken_up_where_it_was_when_a_press_dies(client: Any, hasty: JobConsumer) -> None:
    asks(client, *[("many", page) for page in range(1, 4)], ("new", 11))
    assert len(hasty.take("tiny")) == 1

    async def later(front: JobClient) -> list[int | None]:
        await asyncio.sleep(0.3)
        return [(await front.look(stacks(page))).place for page in (1, 11, 2)]

    assert run(client, later) == [1, 2, 3]


def test_the_queue_of_the_first_release_is_printed_before_what_is_asked_for_now(
    client: Any, consumer: JobConsumer, server: redis.Redis
) -> None:
    """Turns were numbers from 1, tabs had no visitor, and nobody noted until when a page was watched."""
    server.set("babelia:turn", 7)
    for turn, page in ((6, 1), (7, 2)):
        digest = stacks(page).digest
        server.hset(f"babelia:page:{digest}", mapping={"state": "queued", "address": stacks(page).format()})
        server.hset(f"babelia:page:{digest}", mapping={"edition": "tiny", "version": turn})
        server.zadd("babelia:waiting:tiny", {digest: turn})
        server.zadd(f"babelia:watch:{digest}", {"a tab": 2e10})
    answers = asks(client, ("a", 3), ("a", 2), ("b", 4))
    assert [answer.place for answer in answers] == [3, 2, 4]
    client(lambda front: front.leave(stacks(1), "a tab"))
    assert taken(consumer) == [2, 3, 4]


def test_what_it_costs_to_ask_does_not_grow_with_the_queue(client: Any, server: redis.Redis) -> None:
    def calls() -> int:
        return sum(int(found["calls"]) for found in server.info("commandstats").values())

    def cost(name: str, page: int) -> int:
        before = calls()
        asks(client, (name, page))
        place(client, page)
        return calls() - before

    async def fill(front: JobClient) -> None:
        for start in range(100, 3100, 100):
            pages = (Address("tiny", "stacks", f"full-{start + n}", 1) for n in range(100))
            await asyncio.gather(*(front.ask(page, Visitor(page.name, f"v{start % 700}")) for page in pages))

    asks(client, ("a", 1))
    small = cost("a", 2)
    run(client, fill, queue_limit=10_000)
    assert cost("v100", 3) <= small + 2  # the one more page, and one more look at what it had


# -- how many one may ask for


def test_of_one_visitor_so_many_wait_and_no_more(client: Any, consumer: JobConsumer) -> None:
    asks(client, ("a", 1), ("a", 2), waiting_limit=2)
    with pytest.raises(TooMany, match="2 pictures that you asked for are waiting") as refused:
        asks(client, ("a", 3), waiting_limit=2)
    assert refused.value.retry_after is not None
    assert 5 <= refused.value.retry_after <= 60
    asks(client, ("a", 2), ("b", 3), ("a", 3), waiting_limit=2)  # its own, another's, and one that waits already
    leaves(client, by("a", 1), 1)
    with pytest.raises(TooMany):
        asks(client, ("a", 4), waiting_limit=2)
    leaves(client, by("a", 3), 3)
    asks(client, ("a", 4), waiting_limit=2)
    assert taken(consumer, 2) == [3, 2]
    asks(client, ("a", 5), waiting_limit=2)


def test_of_one_visitor_so_many_are_asked_for_in_a_minute(
    client: Any, consumer: JobConsumer, server: redis.Redis
) -> None:
    asks(client, ("a", 1), ("a", 1), ("a", 2), minute_limit=2)
    assert taken(consumer) == [1, 2]
    with pytest.raises(TooMany, match="2 new pictures a minute") as refused:
        asks(client, ("a", 3), minute_limit=2)
    assert refused.value.retry_after is not None
    assert 50 <= refused.value.retry_after <= 60
    asks(client, ("b", 3), ("a", 3), minute_limit=2)
    assert 0 < int(server.ttl("babelia:asked:a")) <= 60


def test_what_is_known_of_visitors_is_forgotten_within_an_hour(
    client: Any, consumer: JobConsumer, server: redis.Redis
) -> None:
    asks(client, ("somebody", 1), ("somebody", 2), minute_limit=9)
    asks(client, ("somebody", 3), kind="program", minute_limit=9)
    taken(consumer, 1)
    named = [key for key in server.scan_iter() if b"somebody" in key]
    assert len(named) == 3
    assert all(0 < server.ttl(key) <= 3600 for key in named)
    holding = list(server.scan_iter("babelia:by:*"))
    assert holding and all(0 < server.ttl(key) <= 660 for key in holding)


def test_pages_are_printed_ahead_only_where_nothing_else_waits_and_fill_no_queue(
    client: Any, consumer: JobConsumer
) -> None:
    first = asks(client, *[("looker", page) for page in range(1, 25)], kind="ahead", queue_limit=2)
    assert [answer.state for answer in first].count("queued") == 20
    assert [answer.state for answer in asks(client, ("a", 31), ("a", 32), ("a", 33), queue_limit=2)] == [
        "queued",
        "queued",
        "busy",
    ]
    assert asks(client, ("looker", 41), kind="ahead")[0].state == "busy"
    assert taken(consumer, 3) == [31, 32, 1]


# -- leaving a page that is being printed


def test_a_print_that_everybody_has_left_steps_aside_for_who_waits(
    client: Any, consumer: JobConsumer, server: redis.Redis
) -> None:
    asks(client, ("a", 1))
    claims = consumer.take("tiny")
    leaves(client, by("a", 1), 1)
    assert not consumer.step_aside(claims), "nobody waits: it may as well be finished"
    asks(client, ("b", 2), kind="ahead")
    assert not consumer.step_aside(claims)
    asks(client, ("a", 3))
    assert consumer.step_aside(claims)
    assert not consumer.step(claims[0], 2, 4)
    assert client(lambda front: front.look(stacks(1))).state == "absent"
    assert not server.exists(f"babelia:attempts:{stacks(1).digest}")
    assert taken(consumer) == [3, 2]


def test_a_print_that_somebody_waits_for_or_came_back_to_goes_on(client: Any, consumer: JobConsumer) -> None:
    asks(client, ("a", 1), ("b", 1))
    claims = consumer.take("tiny")
    asks(client, ("c", 2))
    leaves(client, by("a", 1), 1)
    assert not consumer.step_aside(claims)
    leaves(client, by("b", 1), 1)
    asks(client, ("b", 1))
    assert not consumer.step_aside(claims)
    assert consumer.step(claims[0], 2, 4)


def test_a_print_whose_visitor_is_not_heard_of_goes_on(client: Any, consumer: JobConsumer, server: redis.Redis) -> None:
    asks(client, ("program", 1), kind="program")
    claims = consumer.take("tiny")
    forget(server, stacks(1), by("program", 1, "program").tab)
    asks(client, ("a", 2))
    assert not consumer.step_aside(claims)


def test_a_page_printed_ahead_goes_back_to_its_turn_as_often_as_somebody_comes(
    client: Any, consumer: JobConsumer
) -> None:
    asks(client, ("looker", 1), ("another", 2), kind="ahead")
    for page in range(11, 12 + ATTEMPTS):
        claims = consumer.take("tiny")
        assert claims[0].address == stacks(1)
        asks(client, ("a", page))
        assert consumer.step_aside(claims)
        assert place(client, 1) == 2
        assert taken(consumer, 1) == [page]
    assert taken(consumer) == [1, 2]


def test_a_run_steps_aside_only_as_a_whole(client: Any, consumer: JobConsumer) -> None:
    asks(client, ("a", 1), ("b", 2))
    claims = consumer.take("tiny", 2)
    leaves(client, by("a", 1), 1)
    asks(client, ("c", 3))
    assert not consumer.step_aside(claims)
    leaves(client, by("b", 2), 2)
    assert consumer.step_aside(claims)
    assert taken(consumer) == [3]


def test_a_page_that_was_left_is_not_taken_up_when_its_press_dies(client: Any, hasty: JobConsumer) -> None:
    asks(client, ("a", 1))
    assert len(hasty.take("tiny")) == 1
    leaves(client, by("a", 1), 1)

    async def later(front: JobClient) -> Progress:
        await asyncio.sleep(0.3)
        return await front.look(stacks(1))

    assert run(client, later).state == "absent"
    assert hasty.take("tiny") == []


def test_a_stream_that_is_still_open_as_its_tab_leaves_does_not_ask_again(client: Any, consumer: JobConsumer) -> None:
    async def work(front: JobClient) -> list[str]:
        stream = front.follow(stacks(1), Visitor("tab", "a"))
        async with contextlib.aclosing(stream):  # type: ignore[type-var]
            states = [(await anext(stream)).state]
            await front.leave(stacks(1), "tab")
            states += [progress.state async for progress in stream]
        states += [progress.state async for progress in front.follow(stacks(1), Visitor("tab", "a"))]
        await asyncio.gather(*front._chores)
        return [*states, (await front.look(stacks(1))).state]

    assert run(client, work) == ["queued", "absent", "absent", "absent"]
    assert taken(consumer) == []
    assert asks(client, ("a", 1))[0].state == "queued"
