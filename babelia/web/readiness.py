"""Whether this process of the site can do all of its work: Redis, the database and the data folder answer, in time.

`ALIVE` says that a process lives, for supervisors; this says that visitors can be sent to it, for load balancers. Many
ask, so an answer serves all for a second, and no more than one look is under way. Imports Django and babelia.services.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from django.apps import apps
from django.conf import settings
from django.db import DatabaseError, connection

from babelia.services import job_client
from worker.errors import BabeliaError, reason

WITHIN = 3.0
"""Seconds after which what has not answered counts as missing."""
_FRESH = 1.0

_found: dict[str, str] = {}
_found_at = float("-inf")
_look: asyncio.Task[dict[str, str]] | None = None
_stuck: dict[str, asyncio.Task[None]] = {}


async def missing() -> dict[str, str]:
    """What does not answer, and why: some of `redis`, `database`, `data`. Empty: all of it does."""
    global _look
    if time.monotonic() - _found_at < _FRESH:
        return _found
    if _look is None or _look.done() or _look.get_loop() is not asyncio.get_running_loop():
        _look = asyncio.create_task(_all())
    return await asyncio.shield(_look)


async def _all() -> dict[str, str]:
    global _found, _found_at
    found = await asyncio.gather(
        _answers("redis", job_client().ping()),
        _answers("database", asyncio.to_thread(_ask_database)),
        _answers("data", asyncio.to_thread(_write, settings.DATA_DIR)),
    )
    names = ("redis", "database", "data")
    _found = {name: why for name, why in zip(names, found, strict=True) if why is not None}
    _found_at = time.monotonic()
    return _found


async def _answers(name: str, work: Coroutine[Any, Any, None]) -> str | None:
    """Why something does not answer, or None. What is stuck (a dead network disk) is not asked again beside itself."""
    stuck = _stuck.get(name)
    if stuck is not None and not stuck.done() and stuck.get_loop() is asyncio.get_running_loop():
        work.close()
        return f"did not answer within {WITHIN:.0f} s"
    task = _stuck[name] = asyncio.create_task(work)
    task.add_done_callback(lambda done: done.cancelled() or done.exception())  # whether or not anybody waits still
    try:
        async with asyncio.timeout(WITHIN):
            await asyncio.shield(task)
    except TimeoutError:
        return f"did not answer within {WITHIN:.0f} s"
    except BabeliaError as error:
        return str(error)
    except DatabaseError as error:
        return f"does not answer ({type(error).__name__})"  # its words may name hosts and users
    except OSError as error:
        return f"cannot be written ({reason(error)})"
    return None


def _ask_database() -> None:
    """Read the table that says what is hidden. Raises DatabaseError."""
    try:
        apps.get_model("gallery", "Page").objects.exists()
    finally:
        connection.close()


def _write(folder: Path) -> None:
    """Write and remove a file. Raises OSError."""
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(b"ready")
