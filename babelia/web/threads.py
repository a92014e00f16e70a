"""Threads for what Django does not do on the event loop: kept from one request to the next.

Django closes every response, and asks its database, in a thread that belongs to the request. By itself it starts one
for each request, and another to wait for the end of the first: measured, an eighth of what a kept picture costs.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

from asgiref.sync import ThreadSensitiveContext

if TYPE_CHECKING:
    from asgiref.typing import ASGI3Application, ASGIReceiveCallable, ASGISendCallable, Scope

KEPT: Final = 32
"""Threads that wait for the next request, at most; with more requests at once, the others' are started and end."""


def lend_threads(application: ASGI3Application) -> ASGI3Application:
    """Return an ASGI application in which each request has a thread to itself while it lasts: one that was kept.

    A request that was broken off may have left its thread at work; that one is not lent again. What outlives a request
    cannot have its thread: gallery.background.
    """
    idle: list[ThreadPoolExecutor] = []

    async def lent(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        thread = idle.pop() if idle else ThreadPoolExecutor(1, "request")
        try:
            async with ThreadSensitiveContext(executor=thread):
                await application(scope, receive, send)
        except BaseException:
            thread.shutdown(wait=False)
            raise
        if len(idle) < KEPT:
            idle.append(thread)
        else:
            thread.shutdown(wait=False)

    return lent
