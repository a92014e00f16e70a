"""worker.jobs.client against a real Valkey: one print per page, turns, followers, hot pictures, outages."""

import asyncio
import contextlib
import hashlib
import random
import signal
import time
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.conftest import mounted_disk, run_valkey
from tests.worker.jobs.conftest import opened
from tests.worker.store import keep, key_of, stacks
from worker.errors import StoreUnavailable
from worker.jobs.client import JobClient
from worker.jobs.consumer import JobConsumer, press_name
from worker.jobs.progress import Press, Progress
from worker.store.store import Store


def test_only_the_first_of_many_asks_queues_a_page_and_reminds_the_presses(client: Any, reminders: list[str]) -> None:
    async def work(front: JobClient) -> list[Progress]:
        return await asyncio.gather(*(front.ask(stacks(1), f"visitor {n}") for n in range(200)))

    answers = client(work)
    assert {(answer.state, answer.place) for answer in answers} == {("queued", 1)}
    # One that is new, and at most one more, for nobody has taken the message (this test has no press).
    assert reminders in (["tiny"], ["tiny", "tiny"])


def test_places_are_in_the_order_of_asking_and_move_up(client: Any, consumer: JobConsumer) -> None:
    async def work(front: JobClient) -> list[int | None]:
        for page in (1, 2, 3):
            await front.ask(stacks(page), "v")
        (claim,) = consumer.take("tiny")
        assert claim.address == stacks(1)
        return [(await front.look(stacks(page))).place for page in (1, 2, 3)]

    assert client(work) == [None, 1, 2]


def test_a_page_that_is_kept_is_never_queued(client: Any, store: Store, reminders: list[str]) -> None:
    keep(store, stacks(1))

    async def work(front: JobClient) -> list[Progress]:
        followed = [progress async for progress in front.follow(stacks(1), "v")]
        return [await front.ask(stacks(1), "v"), await front.look(stacks(1)), *followed]

    assert {(answer.state, answer.mark) for answer in client(work)} == {("kept", key_of(stacks(1)).mark)}
    assert reminders == []


def test_looking_starts_nothing(client: Any, consumer: JobConsumer) -> None:
    assert client(lambda front: front.look(stacks(1))) == Progress("absent")
    assert consumer.take("tiny") == []


def test_leaving_takes_the_page_from_nobody_else(client: Any, consumer: JobConsumer) -> None:
    async def work(front: JobClient) -> list[str]:
        await front.ask(stacks(1), "a")
        await front.ask(stacks(1), "b")
        states = [(await front.leave(stacks(1), "a")).state]
        states.append((await front.leave(stacks(1), "b")).state)
        return states

    assert client(work) == ["queued", "absent"]
    assert consumer.take("tiny") == []


def test_what_was_on_its_way_as_a_tab_left_asks_for_nothing(client: Any, consumer: JobConsumer) -> None:
    async def work(front: JobClient) -> list[str]:
        await front.ask(stacks(1), "a")
        await front.leave(stacks(1), "a")
        late = await front.ask(stacks(1), "a", follows=True)
        other = await front.ask(stacks(2), "a", follows=True)
        return [late.state, other.state]

    assert client(work) == ["absent", "queued"]
    assert len(consumer.take("tiny", 2)) == 1


def test_a_full_queue_says_when_to_come_back(client: Any) -> None:
    async def work(front: JobClient) -> list[Progress]:
        return [await front.ask(stacks(page), "v") for page in (1, 2, 3, 1)]

    answers = client(work, queue_limit=2)
    assert [answer.state for answer in answers] == ["queued", "queued", "busy", "queued"]
    assert answers[2].retry_after is not None
    assert answers[2].retry_after >= 5
    assert answers[2].sentence is None  # the site has the words


def test_steps_and_previews_reach_who_follows_and_the_last_word_is_kept(
    client: Any, consumer: JobConsumer, store: Store
) -> None:
    mark = key_of(stacks(1)).mark
    seen: list[Progress] = []

    async def followed(number: int) -> None:
        async with asyncio.timeout(20):
            while len(seen) < number:
                await asyncio.sleep(0.02)

    async def printing() -> None:
        (claim,) = await asyncio.to_thread(consumer.take, "tiny")
        for step in (1, 2):
            await followed(step + 1)
            assert await asyncio.to_thread(consumer.step, claim, step, 2, mark=mark, preview=b"picture %d" % step)
        await followed(4)
        keep(store, stacks(1))
        await asyncio.to_thread(consumer.finish, claim, mark, seconds=0.6)

    async def work(front: JobClient) -> None:
        async for progress in front.follow(stacks(1), "v"):
            if not seen:
                task = asyncio.create_task(printing())
            if progress.preview == 2:
                assert await front.preview(stacks(1)) == (2, b"picture 2")
            seen.append(progress)
        await task

    client(work)
    assert [(progress.state, progress.step, progress.preview) for progress in seen] == [
        ("queued", 0, 0),
        ("printing", 0, 0),
        ("printing", 1, 1),
        ("printing", 2, 2),
        ("kept", 0, 0),
    ]
    versions = [progress.version for progress in seen[:-1]]
    assert versions == sorted(set(versions))
    assert {progress.mark for progress in seen[2:]} == {mark}


def test_a_reload_keeps_the_place_and_joins_the_print(client: Any) -> None:
    async def work(front: JobClient) -> list[int | None]:
        places = []
        for page in (1, 2):
            stream = front.follow(stacks(page), "tab")
            places.append((await anext(stream)).place)
            await stream.aclose()
        again = front.follow(stacks(1), "tab after reload")
        places.append((await anext(again)).place)
        await again.aclose()
        return places

    assert client(work) == [1, 2, 1]


def test_several_followers_of_one_page_all_see_it_end(client: Any, consumer: JobConsumer, store: Store) -> None:
    async def work(front: JobClient) -> list[list[Progress]]:
        async def one(visitor: str) -> list[Progress]:
            return [progress async for progress in front.follow(stacks(1), visitor)]

        tasks = [asyncio.create_task(one(f"v{n}")) for n in range(5)]
        await asyncio.sleep(0.3)
        (claim,) = await asyncio.to_thread(consumer.take, "tiny")
        keep(store, stacks(1))
        await asyncio.to_thread(consumer.finish, claim, key_of(stacks(1)).mark)
        return await asyncio.gather(*tasks)

    assert [seen[-1].state for seen in client(work)] == ["kept"] * 5


def test_a_message_that_was_lost_is_sent_again_by_who_waits(
    client: Any, consumer: JobConsumer, reminders: list[str], redis_url: str
) -> None:
    async def work(front: JobClient) -> list[int]:
        await front.ask(stacks(1), "v")
        reminders.clear()
        await front.look(stacks(1))  # the queue of messages is empty: this test never wrote to it
        await front.look(stacks(1))
        counts = [len(reminders)]
        with redis.Redis.from_url(redis_url) as client:
            client.delete("babelia:nudged:tiny")
            client.lpush("press.tiny", "a message that is there")
        await front.look(stacks(1))
        return [*counts, len(reminders)]

    assert client(work) == [1, 1]


def test_pages_queued_before_a_kept_one_was_found_are_believed_for_a_moment(client: Any, consumer: JobConsumer) -> None:
    """Between looking for the file and asking, the press may have kept it: that must not print it twice."""

    async def work(front: JobClient) -> Progress:
        await front.ask(stacks(1), "v")
        (claim,) = consumer.take("tiny")
        consumer.finish(claim, key_of(stacks(1)).mark, seconds=1)
        return await front.ask(stacks(1), "another who looked for the file too early")

    assert client(work).state == "kept"
    assert consumer.take("tiny") == []


def test_hot_pictures_are_served_without_the_disk_and_bounded(client: Any, store: Store, redis_url: str) -> None:
    for page in (1, 2, 3):
        keep(store, stacks(page), shade=page)

    async def work(front: JobClient) -> None:
        cold = []
        for page in (1, 2, 3):
            cold.append(await front.picture(stacks(page)))
            await asyncio.gather(*front._chores)
        for path in store.data.rglob("*.png"):
            path.unlink()
        assert await front.picture(stacks(1)) is None  # the oldest of three made room
        assert [await front.picture(stacks(page)) for page in (2, 3)] == cold[1:]

    client(work, hot_pictures=2)
    with redis.Redis.from_url(redis_url) as client:
        assert 3500 < client.ttl(f"babelia:hot:{stacks(2).digest}") <= 3600


def test_a_bit_that_flipped_on_the_disk_of_redis_costs_a_look_at_ours_and_breaks_nothing(
    client: Any, store: Store, redis_url: str, consumer: JobConsumer
) -> None:
    """Its files say nothing of a value's damage, so any value may have a wrong bit after it has read them again."""
    keep(store, stacks(1))
    crowd = [stacks(page) for page in range(2, 9)]
    announced = Press(press_name(), "ready", ("tiny",), "tiny r", "", "host", 1)

    async def fill(front: JobClient) -> None:
        await front.picture(stacks(1))
        await asyncio.gather(*front._chores)
        for address in crowd:
            await front.ask(address, "v")
        printing, failing, *_ = await asyncio.to_thread(consumer.take, "tiny", 2)
        await asyncio.to_thread(consumer.step, printing, 3, 20, mark=key_of(stacks(2)).mark, preview=b"preview")
        await asyncio.to_thread(consumer.give_up, failing, "No.", final=True)
        await asyncio.to_thread(consumer.announce, announced)

    async def visit(front: JobClient) -> None:
        picture = await front.picture(stacks(1))
        assert picture is not None
        assert (picture.mark, picture.digest) == (key_of(stacks(1)).mark, hashlib.sha256(picture.png).hexdigest())
        assert picture.digest == digest
        for address in crowd:
            await front.look(address)
            await front.preview(address)
            assert (await front.ask(address, "w")).state in ("queued", "printing", "failed", "kept")
        await front.presses()
        await asyncio.to_thread(consumer.recover)
        for claim in await asyncio.to_thread(consumer.take, "tiny", 9):
            assert claim.address in crowd
            await asyncio.to_thread(consumer.give_up, claim, "No.")

    with redis.Redis.from_url(redis_url) as server:
        client(fill)
        record = store.record("tiny", key_of(stacks(1)).mark)
        assert record is not None
        digest = record.file_digest
        whole = {name: server.dump(name) for name in sorted(server.keys())}
        places = [(name, None) for name in whole if server.type(name) == b"string"]
        places += [(name, field) for name in whole if server.type(name) == b"hash" for field in server.hkeys(name)]
        assert len(places) > 20

        async def damage(front: JobClient) -> None:
            for number, (name, field) in enumerate(places * 3):
                chance = random.Random(number)
                value = bytearray(server.get(name) if field is None else server.hget(name, field) or b"0")
                value[chance.randrange(len(value))] ^= 1 << chance.randrange(8)
                if field is None:
                    server.set(name, bytes(value), keepttl=True)
                else:
                    server.hset(name, field, bytes(value))
                try:
                    await visit(front)
                except Exception as error:
                    raise AssertionError(f"damage {number}, of {name!r} {field!r}") from error
                server.flushdb()
                for key, content in whole.items():
                    server.restore(key, 0 if b"claim" not in key else 30_000, content)

        client(damage)


def test_without_redis_kept_pictures_are_served_and_asking_ends_within_bounds(store: Store, tmp_path: Path) -> None:
    """Stopped and frozen: a frozen server accepts connections and never answers."""
    keep(store, stacks(1))

    async def work(url: str) -> tuple[float, float]:
        async with opened(url, store, []) as front:
            began = time.monotonic()
            assert await front.picture(stacks(1)) is not None
            assert await front.picture(stacks(1)) is not None
            served = time.monotonic() - began
            began = time.monotonic()
            with pytest.raises(StoreUnavailable, match="Redis does not answer"):
                await front.ask(stacks(2), "v")
            return served, time.monotonic() - began

    with run_valkey(tmp_path / "valkey") as (url, process):
        process.send_signal(signal.SIGSTOP)
        served, refused = asyncio.run(work(url))
        process.send_signal(signal.SIGCONT)
        assert served < 1
        assert refused < 3
        process.kill()
        process.wait()
        served, refused = asyncio.run(work(url))
        assert served < 1
        assert refused < 3


def test_a_follower_outlives_a_restart_of_redis(store: Store, tmp_path: Path) -> None:
    async def work() -> list[str]:
        with run_valkey(tmp_path / "valkey") as (url, process):
            async with opened(url, store, []) as front:
                states: list[str] = []
                async for progress in front.follow(stacks(1), "v"):
                    states.append(progress.state)
                    if len(states) == 1:
                        await asyncio.sleep(1.2)  # appendfsync everysec
                        process.kill()
                        process.wait()
                        restarted = await asyncio.create_subprocess_exec(
                            *process.args, stdout=asyncio.subprocess.DEVNULL
                        )
                        await asyncio.sleep(0.5)
                        with contextlib.closing(JobConsumer(url)) as press:
                            (claim,) = await asyncio.to_thread(press.take, "tiny")
                            keep(store, stacks(1))
                            await asyncio.to_thread(press.finish, claim, key_of(stacks(1)).mark)
                restarted.kill()
                await restarted.wait()
                return states

    assert asyncio.run(asyncio.wait_for(work(), 30))[-1] == "kept"


def test_followers_end_when_the_site_shuts_down(client: Any) -> None:
    async def work(front: JobClient) -> float:
        stream = front.follow(stacks(1), "v")
        await anext(stream)
        asyncio.get_running_loop().call_later(0.2, front.close)
        began = time.monotonic()
        with pytest.raises(StopAsyncIteration):
            await anext(stream)
        return time.monotonic() - began

    assert client(work) < 1


def test_a_full_redis_is_not_one_that_does_not_answer(store: Store, tmp_path: Path) -> None:
    async def work(url: str) -> list[str]:
        async with opened(url, store, []) as front:
            said = []
            with redis.Redis.from_url(url) as server:
                server.config_set("maxmemory-policy", "noeviction")
                server.config_set("maxmemory", "100kb")
                for call in (lambda: front.ask(stacks(1), "v"), lambda: front.look(stacks(1)), front.ping):
                    with pytest.raises(StoreUnavailable) as refused:
                        await call()
                    said.append(str(refused.value))
                server.config_set("maxmemory", "0")
            assert (await front.ask(stacks(1), "v")).state == "queued"
            await front.ping()
            return said

    with run_valkey(tmp_path / "valkey") as (url, _):
        assert set(asyncio.run(work(url))) == {"New pictures cannot be drawn right now, for too many wait."}


def test_a_redis_whose_disk_is_full_is_not_one_that_does_not_answer(store: Store, tmp_path: Path) -> None:
    async def work(url: str) -> str:
        async with opened(url, store, []) as front:
            with redis.Redis.from_url(url) as server, pytest.raises(redis.ResponseError, match="MISCONF"):
                for number in range(100):
                    server.set(f"page {number}", "waits" * 4000)
            with pytest.raises(StoreUnavailable) as refused:
                await front.ask(stacks(1), "v")
            return str(refused.value)

    with mounted_disk(tmp_path / "disk", 300) as disk, run_valkey(disk / "valkey") as (url, _):
        said = asyncio.run(work(url))
    assert said == "New pictures cannot be drawn right now, for a disk is full."


def test_a_frozen_redis_costs_one_kept_picture_its_time_and_is_asked_again_when_it_answers(
    store: Store, tmp_path: Path
) -> None:
    keep(store, stacks(1))

    async def work(url: str, process: Any) -> None:
        async with opened(url, store, []) as front:
            assert await front.picture(stacks(1)) is not None
            process.send_signal(signal.SIGSTOP)
            slow = 0
            end = time.monotonic() + 8  # the pause before was five seconds, and then the next one waited
            while time.monotonic() < end:
                began = time.monotonic()
                assert await front.picture(stacks(1)) is not None
                slow += time.monotonic() - began > 0.3
                await asyncio.sleep(0.05)
            assert slow == 1
            process.send_signal(signal.SIGCONT)
            async with asyncio.timeout(10):
                while not front._answers:
                    await asyncio.sleep(0.05)
            assert await front.picture(stacks(1)) is not None
            await asyncio.gather(*front._chores)

    with run_valkey(tmp_path / "valkey") as (url, process):
        asyncio.run(asyncio.wait_for(work(url, process), 40))


def test_that_there_is_no_news_is_logged_once_and_once_that_there_is_again(
    store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def said(words: str) -> int:
        return sum(words in record.message for record in caplog.records)

    async def work(url: str, process: Any) -> None:
        async with opened(url, store, []) as front:

            async def follow() -> None:
                async for _ in front.follow(stacks(1), "v"):
                    pass

            follower = asyncio.create_task(follow())
            with redis.Redis.from_url(url) as server:
                while not server.pubsub_numsub("babelia:news")[0][1]:
                    await asyncio.sleep(0.05)
            process.kill()
            process.wait()
            await asyncio.sleep(4)  # it used to be logged each second
            assert said("No news from Redis") == 1
            again = await asyncio.create_subprocess_exec(*process.args, stdout=asyncio.subprocess.DEVNULL)
            try:
                async with asyncio.timeout(10):
                    while said("There is news from Redis again") != 1:
                        await asyncio.sleep(0.05)
            finally:
                follower.cancel()
                again.kill()
                await again.wait()

    with run_valkey(tmp_path / "valkey") as (url, process):
        asyncio.run(asyncio.wait_for(work(url, process), 30))


def test_a_page_whose_press_is_gone_is_queued_again_by_whoever_looks(client: Any, hasty: JobConsumer) -> None:
    """A follower looks once a second; nobody is told that nobody waits."""

    async def work(front: JobClient) -> list[str]:
        stream = front.follow(stacks(1), "v")
        states = [(await anext(stream)).state]
        assert len(hasty.take("tiny")) == 1
        await asyncio.sleep(0.3)
        states.append((await front.look(stacks(1))).state)
        await stream.aclose()
        return states

    assert client(work) == ["queued", "queued"]
