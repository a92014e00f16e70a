"""gallery.background: what a request begins may ask the database when the request is gone."""

import asyncio
import threading
from typing import Any

from asgiref.sync import sync_to_async

from babelia.web.threads import lend_threads
from gallery.background import outlive_request


async def nothing(*_: Any) -> Any:
    """Neither receives nor sends."""


def test_what_outlives_its_request_may_go_on_asking_the_database() -> None:
    tasks: list[asyncio.Task[int]] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        async def later() -> int:
            await gone.wait()
            return await sync_to_async(threading.get_ident)()

        await sync_to_async(threading.get_ident)()
        tasks.append(outlive_request(later()))

    async def main() -> int:
        await lend_threads(application)({"type": "http"}, nothing, nothing)
        gone.set()
        return await tasks[0]

    gone = asyncio.Event()
    assert asyncio.run(main()) not in (0, threading.get_ident())
