"""Work that a request begins and that goes on when it has ended. Imports nothing of ours."""

import asyncio
from collections.abc import Coroutine
from contextvars import Context
from typing import Any, TypeVar

from asgiref.sync import ThreadSensitiveContext

T = TypeVar("T")


def outlive_request(work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    """Return a task with a thread of its own for the database: its request's is lent to the next when it ends."""

    async def with_thread() -> T:
        async with ThreadSensitiveContext():
            return await work

    return asyncio.get_running_loop().create_task(with_thread(), context=Context())
