"""The press as it runs: a real Celery worker, a real Valkey, a small edition; killed, poisoned and deserted."""

import asyncio
import contextlib
import os
import re
import signal
import time
from collections import Counter
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import redis

from babelia.services import job_client, store
from tests.conftest import RunningPress, wait_until
from worker.catalogue.address import Address
from worker.catalogue.key import Key
from worker.catalogue.png import read_chunks
from worker.jobs.client import JobClient
from worker.jobs.progress import Progress, Visitor
from worker.press import name_in_log

MARK_STEPS = 40
"""Steps of a key that takes the small model some seconds: time to kill its press."""


def run(work: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine on a loop of its own and close the client that it opened."""

    async def then_close() -> Any:
        try:
            return await asyncio.wait_for(work, 90)
        finally:
            await job_client().aclose()

    return asyncio.run(then_close())


async def follow(address: Address, visitor: str = "test", **_: Any) -> list[Progress]:
    return [progress async for progress in job_client().follow(address, visitor)]


def long_page(seed: int) -> Address:
    """The address, by its mark, of a page of many steps whose key is held."""
    noise = np.random.Generator(np.random.PCG64(seed))
    base = Key(noise.bytes(142_077))
    key = Key.pack(MARK_STEPS, base.embedding, base.latents)
    return Address("tiny", "mark", store().keep_key(key), None)


def prints_of(press: RunningPress, address: Address) -> int:
    """How often the press's log says that it printed a page."""
    return press.log.read_text(encoding="utf-8").count(f"Printed {name_in_log(address)} in ")


def test_a_page_is_printed_while_somebody_follows_it(press_settings: RunningPress) -> None:
    address = Address.parse("tiny/prompt/a dog 夜/1")
    seen = run(follow(address))
    assert seen[-1].state == "kept"
    printing = [progress for progress in seen if progress.state == "printing"]
    assert {progress.of for progress in printing if progress.step} == {4}
    assert [progress.step for progress in printing] == sorted(progress.step for progress in printing)
    assert max(progress.preview for progress in printing) > 0
    picture = store().picture(address)
    assert picture is not None
    assert picture.mark == seen[-1].mark
    assert read_chunks(picture.png)["Babelia-Address"] == address.format()
    facts = store().record("tiny", picture.mark)
    assert facts is not None
    assert facts.rendition.startswith("tiny ")
    # The same page by its mark is the same file, and printed no second time.
    by_mark = Address("tiny", "mark", picture.mark, None)
    assert run(follow(by_mark))[-1].state == "kept"
    assert prints_of(press_settings, address) == 1
    assert "a dog" not in press_settings.log.read_text(encoding="utf-8")  # what visitors write is not logged


def test_two_hundred_asks_print_a_page_once(press_settings: RunningPress) -> None:
    address = Address.parse("tiny/key/crowd/1")

    async def crowd() -> list[list[Progress]]:
        return await asyncio.gather(*(follow(address, f"visitor {n}") for n in range(200)))

    seen = run(crowd())
    assert Counter(each[-1].state for each in seen) == {"kept": 200}
    assert prints_of(press_settings, address) == 1
    facts = store().record("tiny", str(seen[0][-1].mark))
    assert facts is not None


def test_a_second_address_of_a_kept_page_is_linked_and_not_printed(press_settings: RunningPress) -> None:
    """A page whose picture made room leaves its mark behind: printed by mark, it is found by its address again."""
    address = Address.parse("tiny/key/twice/1")
    mark = run(follow(address))[-1].mark
    by_mark = Address("tiny", "mark", mark, None)
    for path in press_settings.data.rglob(f"{mark}.*"):
        if path.suffix in (".png", ".key"):
            path.unlink()
    assert run(follow(by_mark))[-1].state == "kept"
    assert store().find(address) == mark
    assert prints_of(press_settings, by_mark) == 1


def test_a_page_that_nobody_watches_any_more_is_dropped(press_settings: RunningPress) -> None:
    deserted = Address.parse("tiny/key/deserted/1")

    child = press_settings.child
    assert child is not None

    async def work() -> str:
        busy = asyncio.create_task(follow(long_page(1)))
        while (await job_client().look(long_page(1))).state != "printing":
            await asyncio.sleep(0.02)
        os.kill(child, signal.SIGSTOP)  # a long print, on however fast a machine
        assert (await job_client().ask(deserted, "gone", patience=1)).state == "queued"
        await asyncio.sleep(1.2)
        os.kill(child, signal.SIGCONT)
        assert (await busy)[-1].state == "kept"
        last = await follow(Address.parse("tiny/key/after/1"))
        assert last[-1].state == "kept"
        return (await job_client().look(deserted)).state

    assert run(work()) == "absent"
    assert prints_of(press_settings, deserted) == 0


def test_behind_five_hundred_pages_of_another_a_page_is_the_next_but_one(
    press_settings: RunningPress, settings: Any
) -> None:
    """The press may have begun a page of the other one, and a second before it heard: three times a page's time."""
    settings.VISITOR_LIMIT, settings.VISITOR_WAITING = 0, 0
    many = [Address("tiny", "key", "five-hundred", page) for page in range(1, 411)]
    many += [Address("tiny", "stacks", "five-hundred", page) for page in range(1, 91)]
    mine = Address("tiny", "key", "behind-five-hundred", 1)

    def prints() -> list[str]:
        return re.findall(r"Printed (\S+) in ", press_settings.log.read_text(encoding="utf-8"))

    async def work() -> list[Progress]:
        front = job_client()
        asked = (front.ask(page, Visitor(f"tab-{page.kind}-{page.page}", "many"), patience=600) for page in many)
        await asyncio.gather(*asked)
        before = len(prints())
        seen = [progress async for progress in front.follow(mine, Visitor("tab", "one"))]
        # It is told that the page is kept before its line is in the log.
        await asyncio.to_thread(wait_until, lambda: mine.format() in prints(), 20, "the press has logged the page")
        after = prints()[before:]
        await asyncio.gather(*(front.leave(page, f"tab-{page.kind}-{page.page}") for page in many))
        assert after.index(mine.format()) <= 2
        return seen

    seen = run(work())
    assert seen[-1].state == "kept"
    assert {progress.place for progress in seen if progress.state == "queued"} <= {1, 2}


def test_a_page_that_cannot_be_printed_says_why(press_settings: RunningPress) -> None:
    base = Key(bytes(142_077))
    too_long = store().keep_key(Key.pack(128, base.embedding, base.latents))
    failed = run(follow(Address("tiny", "mark", too_long, None)))[-1]
    assert failed.state == "failed"
    assert failed.sentence == "This key asks for 128 steps, and edition tiny prints at most 64."
    unknown = run(follow(Address("tiny", "mark", "a" * 26, None)))[-1]
    assert unknown.state == "failed"
    assert "does not hold the key of the mark" in str(unknown.sentence)


class TestKilled:
    """A press of its own, for it is killed again and again."""

    @pytest.fixture
    def own(self, press: RunningPress, settings: Any, tmp_path: Path) -> Iterator[RunningPress]:
        """A second press on a database of its own in the same Valkey server, with the same edition."""
        data = tmp_path / "library"
        data.mkdir()
        (data / "editions").symlink_to(press.data / "editions")
        own = RunningPress(data, press.redis_url.removesuffix("/0") + "/1")
        with redis.Redis.from_url(own.redis_url) as client:
            client.flushdb()
        settings.DATA_DIR, settings.REDIS_URL = own.data, own.redis_url
        from tests.conftest import point_celery_at

        point_celery_at(own.redis_url)
        own.start()
        yield own
        own.stop()

    def kill_who_prints(self, own: RunningPress, address: Address) -> set[str]:
        """Kill the process that has taken a page; the token of its claim, or none where nobody has the page."""
        with redis.Redis.from_url(own.redis_url) as client:
            token = client.get(f"babelia:claim:{address.digest}")
        if not isinstance(token, bytes):
            return set()
        _, process, _, _ = token.decode().split("|")
        with contextlib.suppress(ProcessLookupError):  # killed a moment ago, and its claim not yet released
            os.kill(int(process), signal.SIGKILL)
        return {token.decode()}

    async def killed_in_step_one(self, own: RunningPress, address: Address, kill: Any) -> list[float]:
        """Follow a page, kill its press at the first step, each time that `kill` has more to give; when it happened."""
        moments: list[float] = []
        async for progress in job_client().follow(address, "test"):
            if progress.state == "printing" and progress.step and kill:
                kill.pop()()
                moments.append(time.monotonic())
            if progress.final:
                moments.append(time.monotonic())
                assert progress.state == "kept"
        return moments

    def test_a_page_whose_press_was_killed_is_printed_after_all(self, own: RunningPress) -> None:
        def kill_child() -> None:
            child = own.child
            assert child is not None
            os.kill(child, signal.SIGKILL)

        def power_cut() -> None:
            own.kill()
            own.start()

        killed, printed = run(self.killed_in_step_one(own, long_page(2), [kill_child]))
        assert printed - killed < 30
        # Parent and child, restarted by hand: only the claim that lapses, or the new worker, can tell.
        killed, printed = run(self.killed_in_step_one(own, long_page(3), [power_cut]))
        assert printed - killed < 30

    def test_a_page_that_kills_every_press_fails_after_three_attempts(self, own: RunningPress) -> None:
        poison = long_page(4)
        killed: set[str] = set()  # by the tokens of their claims, of which each attempt has its own

        async def work() -> Progress:
            async for progress in job_client().follow(poison, "test"):
                if progress.state == "printing" and progress.step:
                    killed.update(await asyncio.to_thread(self.kill_who_prints, own, poison))
            return progress

        failed = run(work())
        assert failed.state == "failed"
        assert len(killed) == 3
        assert "failed 3 times without a word" in str(failed.sentence)
        # The press lives, and the next page is printed.
        assert run(follow(Address.parse("tiny/key/after-poison/1")))[-1].state == "kept"
        with redis.Redis.from_url(own.redis_url) as client:
            assert client.zcard("babelia:printing") == 0


def test_asking_ends_within_bounds_when_the_broker_takes_no_message(
    press_settings: RunningPress, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page is in the queue all the same: the message is only a hint, and is sent again by who waits."""
    from worker import tasks

    def hang(edition: str) -> None:
        time.sleep(5)

    async def work(front: JobClient) -> tuple[str, float]:
        began = time.monotonic()
        front._remind = hang
        progress = await front.ask(Address.parse("tiny/key/unheard/1"), "v")
        elapsed = time.monotonic() - began
        front._remind = tasks.remind
        assert (await follow(Address.parse("tiny/key/unheard/1")))[-1].state == "kept"
        return progress.state, elapsed

    async def ask() -> tuple[str, float]:
        return await work(job_client())

    state, elapsed = run(ask())
    assert state == "queued"
    assert elapsed < 4
