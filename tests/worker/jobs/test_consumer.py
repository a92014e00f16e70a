"""worker.jobs.consumer against a real Valkey: batches, watchers, leases, attempts, dead presses."""

import asyncio
import multiprocessing
import os
import signal
import time
from typing import Any

import redis

from tests.worker.store import key_of, stacks
from worker.jobs.client import JobClient
from worker.jobs.consumer import ATTEMPTS, JobConsumer
from worker.jobs.progress import FAILED_PAUSE, Press, Progress, Reprint


def wait_for_expiry(seconds: float) -> None:
    time.sleep(seconds)


def test_a_batch_takes_as_many_as_it_holds(client: Any, consumer: JobConsumer) -> None:
    async def work(front: JobClient) -> None:
        for page in (1, 2, 3):
            await front.ask(stacks(page), "v")

    client(work)
    assert [claim.address for claim in consumer.take("tiny", 2)] == [stacks(1), stacks(2)]
    assert [claim.address for claim in consumer.take("tiny", 2)] == [stacks(3)]
    assert consumer.take("tiny", 2) == []
    assert consumer.take("another", 2) == []


def test_a_page_that_nobody_watches_any_more_is_dropped_before_it_starts(client: Any, consumer: JobConsumer) -> None:
    async def work(front: JobClient) -> Progress:
        await front.ask(stacks(1), "impatient", patience=1)
        await front.ask(stacks(2), "patient", patience=60)
        await asyncio.sleep(1.1)
        (claim,) = consumer.take("tiny")
        assert claim.address == stacks(2)
        return await front.look(stacks(1))

    assert client(work).state == "absent"


def test_a_lapsed_lease_puts_the_page_back_at_its_turn(client: Any, hasty: JobConsumer) -> None:
    async def work(front: JobClient) -> list[Any]:
        await front.ask(stacks(1), "v")
        await front.ask(stacks(2), "v")
        (lost,) = hasty.take("tiny")
        await asyncio.sleep(0.3)
        first = await front.ask(stacks(1), "v")
        (again,) = hasty.take("tiny")
        return [first.place, again.address, hasty.step(lost, 1, 4), hasty.step(again, 1, 4)]

    assert client(work) == [1, stacks(1), False, True]


def test_a_lapsed_lease_is_noticed_by_the_next_press_too(client: Any, hasty: JobConsumer) -> None:
    client(lambda front: front.ask(stacks(1), "v"))
    assert len(hasty.take("tiny")) == 1
    assert hasty.take("tiny") == []
    wait_for_expiry(0.3)
    assert [claim.address for claim in hasty.take("tiny")] == [stacks(1)]


def test_each_step_renews_the_lease(client: Any, hasty: JobConsumer) -> None:
    client(lambda front: front.ask(stacks(1), "v"))
    (claim,) = hasty.take("tiny")
    for step in range(4):
        wait_for_expiry(0.1)
        assert hasty.step(claim, step, 4)
    assert hasty.take("tiny") == []


def _take_and_die(url: str) -> None:
    assert JobConsumer(url, lease=3600).take("tiny")
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_press_that_died_on_this_machine_is_noticed_at_once(
    client: Any, consumer: JobConsumer, redis_url: str
) -> None:
    client(lambda front: front.ask(stacks(1), "v"))
    victim = multiprocessing.get_context("spawn").Process(target=_take_and_die, args=(redis_url,))
    victim.start()
    victim.join()
    assert victim.exitcode == -signal.SIGKILL
    assert [claim.address for claim in consumer.take("tiny")] == [stacks(1)]


def test_the_fourth_attempt_is_never_made(client: Any, hasty: JobConsumer) -> None:
    async def work(front: JobClient) -> Progress:
        await front.ask(stacks(1), "v")
        for _ in range(ATTEMPTS):
            assert len(hasty.take("tiny")) == 1
            await asyncio.sleep(0.25)
        assert hasty.take("tiny") == []
        return await front.ask(stacks(1), "v")

    failed = client(work)
    assert failed.state == "failed"
    assert "failed 3 times without a word" in failed.sentence
    assert FAILED_PAUSE - 5 < failed.retry_after <= FAILED_PAUSE


def test_a_failure_is_told_and_can_be_forgotten_on_request(client: Any, consumer: JobConsumer) -> None:
    async def work(front: JobClient) -> list[Any]:
        await front.ask(stacks(1), "v")
        answers: list[Any] = []
        for _ in range(ATTEMPTS):
            (claim,) = consumer.take("tiny")
            answers.append(consumer.give_up(claim, "It went wrong. Try again."))
        answers.append((await front.look(stacks(1))).sentence)
        answers.append((await front.ask(stacks(1), "v")).state)
        answers.append((await front.ask(stacks(1), "v", again=True)).state)
        (claim,) = consumer.take("tiny")
        answers.append(consumer.give_up(claim, "No.", final=True, pause=1))
        await asyncio.sleep(1.1)
        answers.append((await front.ask(stacks(1), "v")).state)
        return answers

    assert client(work) == [
        "queued",
        "queued",
        "failed",
        "It went wrong. Try again.",
        "failed",
        "queued",
        "failed",
        "queued",
    ]


def test_a_press_is_known_while_it_says_so(client: Any, consumer: JobConsumer) -> None:
    there = Press("host:1", "ready", ("tiny", "other"), "a rendition", "", "host", 1)
    consumer.announce(there)
    assert client(lambda front: front.presses()) == [there]
    assert there.able


def test_messages_count_as_unheard_only_while_pages_wait(client: Any, consumer: JobConsumer, redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as server:
        server.lpush("press.tiny", "a message that nobody takes")
        assert not consumer.has_unheard_messages("tiny")
        client(lambda front: front.ask(stacks(1), "v"))
        assert consumer.has_unheard_messages("tiny")
        assert not consumer.has_unheard_messages("another")
        server.delete("press.tiny")
        assert not consumer.has_unheard_messages("tiny")


def test_a_lost_page_is_put_back_and_printed_though_who_asked_once_has_gone(client: Any, hasty: JobConsumer) -> None:
    async def work(front: JobClient) -> list[Any]:
        await front.ask(stacks(1), "api", patience=1)
        assert len(hasty.take("tiny")) == 1
        await asyncio.sleep(1.2)
        hasty.recover()
        hasty.recover()
        return [hasty.waiting("tiny"), [claim.address for claim in hasty.take("tiny")]]

    assert client(work) == [1, [stacks(1)]]


def test_a_second_print_waits_beside_its_page_and_tells_what_came_of_it(client: Any, consumer: JobConsumer) -> None:
    async def work(front: JobClient) -> list[Any]:
        again = Reprint(stacks(1))
        await front.ask(again, "v")
        alone = await front.look(stacks(1))
        await front.ask(stacks(1), "v")
        second, first = consumer.take("tiny", 2)
        assert (second.address, second.again, first.address, first.again) == (stacks(1), True, stacks(1), False)
        consumer.step(second, 1, 4)
        consumer.tell_of_reprint(second, b"identical")
        consumer.finish(second, key_of(stacks(1)).mark)
        found = [alone.state, (await front.look(again)).state, await front.reprint(again)]
        found.append((await front.look(stacks(1))).step)
        await front.forget_reprint(again)
        return [*found, await front.reprint(again)]

    assert client(work) == ["absent", "kept", b"identical", 0, None]
