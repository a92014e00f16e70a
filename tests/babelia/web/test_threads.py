"""babelia.web.threads: a thread of its own for each request, and the same ones again."""

import asyncio
import threading
from typing import Any

import pytest
from asgiref.sync import SyncToAsync, sync_to_async

from babelia.web.threads import lend_threads

SCOPE: Any = {"type": "http"}


async def nothing(*_: Any) -> Any:
    """Neither receives nor sends."""


def test_requests_one_after_the_other_have_the_same_thread_and_two_at_once_have_two() -> None:
    seen: list[int] = []
    both = threading.Barrier(2)

    async def application(scope: Any, receive: Any, send: Any) -> None:
        seen.append(await sync_to_async(threading.get_ident)())
        if scope is not SCOPE:
            await sync_to_async(both.wait)(10)  # each waits for the other: in one thread neither would end

    async def main() -> None:
        lent = lend_threads(application)
        await lent(SCOPE, nothing, nothing)
        await lent(SCOPE, nothing, nothing)
        other: Any = {"type": "http"}
        await asyncio.gather(lent(other, nothing, nothing), lent(other, nothing, nothing))

    asyncio.run(main())
    assert seen[0] == seen[1]
    assert len(set(seen[2:])) == 2


def test_the_thread_of_a_request_that_was_broken_off_is_not_lent_again() -> None:
    at_work, done = threading.Event(), threading.Event()

    def work() -> None:
        at_work.set()
        done.wait(30)

    async def application(scope: Any, receive: Any, send: Any) -> None:
        if not at_work.is_set():
            asyncio.get_running_loop().run_in_executor(_own_thread(), work)
            await asyncio.to_thread(at_work.wait, 30)
            raise ConnectionResetError
        await sync_to_async(done.set)()  # in the thread that is still at work it would wait for its own end

    async def main() -> None:
        lent = lend_threads(application)
        with pytest.raises(ConnectionResetError):
            await lent(SCOPE, nothing, nothing)
        async with asyncio.timeout(20):
            await lent(SCOPE, nothing, nothing)

    asyncio.run(main())


def _own_thread() -> Any:
    """The thread of the request that asks."""
    return SyncToAsync.context_to_thread_executor[SyncToAsync.thread_sensitive_context.get()]
