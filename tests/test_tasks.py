"""The press as it runs: a real Celery worker, a real Valkey, a small edition; worker.tasks and worker.jobs together."""

import asyncio
from collections import Counter
from collections.abc import Coroutine
from typing import Any

import pytest

from babelia.desk import front_desk, store
from tests.conftest import RunningPress
from worker.address import Address
from worker.jobs import FrontDesk, Progress


def run(work: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine on a loop of its own and close the desk that it opened."""

    async def whole() -> Any:
        try:
            return await asyncio.wait_for(work, 60)
        finally:
            await front_desk().aclose()

    return asyncio.run(whole())


async def follow(desk: FrontDesk, address: Address, visitor: str = "test") -> list[Progress]:
    return [progress async for progress in desk.follow(address, visitor)]


def test_a_page_is_printed_while_somebody_follows_it(press_settings: RunningPress) -> None:
    address = Address.parse("tiny/key/follow/1")
    seen = run(follow_one(address))
    assert seen[-1].state == "kept"
    assert {progress.of for progress in seen if progress.step} == {4}
    steps = [progress.step for progress in seen if progress.state == "printing"]
    assert steps == sorted(steps)
    assert max(progress.preview for progress in seen) > 0
    picture = store().picture(address)
    assert picture is not None
    assert picture.mark == seen[-1].mark


async def follow_one(address: Address) -> list[Progress]:
    return await follow(front_desk(), address)


@pytest.mark.parametrize("asks", [200])
def test_two_hundred_asks_print_a_page_once(press_settings: RunningPress, asks: int) -> None:
    address = Address.parse("tiny/key/crowd/1")

    async def crowd() -> list[list[Progress]]:
        desk = front_desk()
        return await asyncio.gather(*(follow(desk, address, f"visitor {n}") for n in range(asks)))

    seen = run(crowd())
    assert Counter(each[-1].state for each in seen) == {"kept": asks}
