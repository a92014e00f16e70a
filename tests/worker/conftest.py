"""What tests of the press share: a data folder, a queue in a real Valkey, a press in this process, a site's side."""

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import write_edition
from worker.engine.engine import Engine
from worker.jobs.client import JobClient
from worker.jobs.consumer import JobConsumer
from worker.press import PrintingPress
from worker.store.store import Store


@pytest.fixture
def data(tiny_weights: Path, tmp_path: Path) -> Path:
    write_edition(tmp_path, "tiny", str(tiny_weights))
    return tmp_path


@pytest.fixture
def store(data: Path) -> Store:
    return Store(data, reserve=0)


@pytest.fixture
def jobs(redis_url: str) -> Iterator[JobConsumer]:
    with contextlib.closing(JobConsumer(redis_url)) as jobs:
        yield jobs


@pytest.fixture
def printing_press(store: Store, jobs: JobConsumer, tiny_engine: Engine) -> PrintingPress:
    """A press whose engine is loaded already."""
    press = PrintingPress(store, jobs, ["tiny"])
    press._engines["tiny"] = tiny_engine
    return press


@pytest.fixture
def visitor(redis_url: str, store: Store) -> Any:
    """Calls a method of a job client: `visitor("ask", address, "v")`."""

    def call(method: str, *arguments: Any, **options: Any) -> Any:
        async def all_of_it() -> Any:
            front = JobClient(redis_url, store, lambda _: None)
            try:
                return await getattr(front, method)(*arguments, **options)
            finally:
                await front.aclose()

        return asyncio.run(all_of_it())

    return call
