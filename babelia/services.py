"""The store, the job client and the press that the settings describe. Imports Django's settings and `worker`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from django.conf import settings

from worker.jobs.client import JobClient
from worker.jobs.consumer import JobConsumer
from worker.store.store import Store

if TYPE_CHECKING:
    from worker.press import PrintingPress

USUAL_REDIS = "redis://127.0.0.1:6379/0"
"""Where a Redis is looked for when no setting names one; a site without any still serves what is kept."""

_clients: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[tuple[str, Path], JobClient]] = WeakKeyDictionary()


def store() -> Store:
    """The store under BABELIA_DATA. Its methods block on the disk (use asyncio.to_thread in async views)."""
    return _store(settings.DATA_DIR, settings.DISK_BUDGET or None, settings.DISK_RESERVE)


@lru_cache(maxsize=8)  # more than one only in tests
def _store(data: Path, budget: int | None, reserve: int) -> Store:
    return Store(data, budget=budget, reserve=reserve)


def job_client() -> JobClient:
    """The job client of the running event loop, connected to REDIS_URL."""
    from babelia.celery import app  # noqa: F401  (the application that `remind` sends with)
    from worker.tasks import remind

    clients = _clients.setdefault(asyncio.get_running_loop(), {})
    url = settings.REDIS_URL or USUAL_REDIS
    where = (url, settings.DATA_DIR)
    if where not in clients:
        clients[where] = JobClient(
            url,
            store(),
            remind,
            queue_limit=settings.QUEUE_LIMIT,
            hot_pictures=settings.HOT_PICTURES,
        )
    return clients[where]


def close_job_clients() -> None:
    """Let every stream of this process end: the site shuts down."""
    for clients in list(_clients.values()):
        for client in clients.values():
            client.close()


def printing_press(start_anew: Callable[[], None]) -> PrintingPress:
    """A press for this process, with nothing loaded yet; `start_anew` ends the worker that it belongs to."""
    from worker.press import PrintingPress, editions_here

    return PrintingPress(
        store(),
        JobConsumer(settings.REDIS_URL, lease=settings.LEASE),
        editions_here(settings.DATA_DIR, settings.EDITIONS),
        device=settings.DEVICE,
        threads=settings.THREADS or None,
        batch=settings.BATCH or None,
        restart=start_anew,
    )
