"""babelia.services: one store for the settings, one job client for each event loop."""

import asyncio
from pathlib import Path
from typing import Any

from babelia.services import close_job_clients, job_client, store


def test_the_store_is_the_one_that_the_settings_describe(settings: Any, tmp_path: Path) -> None:
    settings.DATA_DIR = tmp_path
    assert store().data == tmp_path
    assert store() is store()
    settings.DATA_DIR = tmp_path / "another"
    assert store().data == tmp_path / "another"


def test_each_event_loop_has_one_client_for_its_redis(settings: Any, redis_url: str) -> None:
    settings.REDIS_URL = redis_url

    async def clients() -> list[Any]:
        first, second = job_client(), job_client()
        settings.REDIS_URL = redis_url + "?other"
        return [first, second, job_client()]

    first, second, other = asyncio.run(clients())
    assert first is second
    assert other is not first
    settings.REDIS_URL = redis_url
    assert asyncio.run(clients())[0] is not first


def test_closing_ends_the_streams_of_this_process(settings: Any, redis_url: str, tmp_path: Path) -> None:
    settings.REDIS_URL, settings.DATA_DIR = redis_url, tmp_path

    async def follow() -> list[str]:
        from worker.catalogue.address import Address

        states = []
        async for progress in job_client().follow(Address.parse("tiny/key/nobody-prints/1"), "test"):
            states.append(progress.state)
            asyncio.get_running_loop().call_later(0.1, close_job_clients)
        await job_client().aclose()
        return states

    assert asyncio.run(asyncio.wait_for(follow(), 20)) == ["queued"]
