"""A site's side and a press's side of print jobs over a real Valkey."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from worker.jobs.client import JobClient
from worker.jobs.consumer import JobConsumer
from worker.store.store import Store

Work = Callable[[JobClient], Awaitable[Any]]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path, reserve=0)


@pytest.fixture
def reminders() -> list[str]:
    return []


@pytest.fixture
def client(redis_url: str, store: Store, reminders: list[str]) -> Callable[[Work], Any]:
    """Runs a coroutine function with a job client on a loop of its own."""

    def run(work: Work, **options: Any) -> Any:
        async def all_of_it() -> Any:
            async with opened(redis_url, store, reminders, **options) as front:
                return await asyncio.wait_for(work(front), 30)

        return asyncio.run(all_of_it())

    return run


@asynccontextmanager
async def opened(url: str, store: Store, reminders: list[str], **options: Any) -> AsyncIterator[JobClient]:
    front = JobClient(url, store, reminders.append, **options)
    try:
        yield front
    finally:
        await front.aclose()


@pytest.fixture
def consumer(redis_url: str) -> Iterator[JobConsumer]:
    with contextlib.closing(JobConsumer(redis_url, lease=30)) as client:
        yield client


@pytest.fixture
def hasty(redis_url: str) -> Iterator[JobConsumer]:
    """A press whose claims lapse after a fifth of a second."""
    with contextlib.closing(JobConsumer(redis_url, lease=0.2)) as client:
        yield client
