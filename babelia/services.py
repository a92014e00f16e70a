"""The store and the job client that the settings describe. Imports Django's settings and `worker`."""

from __future__ import annotations

import asyncio
from functools import lru_cache
from pathlib import Path
from weakref import WeakKeyDictionary

from django.conf import settings

from worker.jobs.client import JobClient
from worker.store.store import Store

_clients: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[tuple[str, Path], JobClient]] = WeakKeyDictionary()


def store() -> Store:
    """The store under BABELIA_DATA. Its methods block on the disk (use asyncio.to_thread in async views)."""
    return _store(settings.DATA_DIR, settings.DISK_BUDGET or None, settings.DISK_RESERVE)


@lru_cache(maxsize=8)  # more than one only in tests
def _store(data: Path, budget: int | None, reserve: int) -> Store:
    return Store(data, budget=budget, reserve=reserve)


def job_client() -> JobClient:
    """The job client of the running event loop, connected to REDIS_URL."""
    from worker.tasks import remind  # not for commands, which need no Celery

    clients = _clients.setdefault(asyncio.get_running_loop(), {})
    url = settings.REDIS_URL or settings.USUAL_REDIS
    where = (url, settings.DATA_DIR)
    if where not in clients:
        clients[where] = JobClient(
            url,
            store(),
            remind,
            queue_limit=settings.QUEUE_LIMIT,
            waiting_limit=settings.VISITOR_WAITING,
            minute_limit=settings.VISITOR_LIMIT,
            search_limit=settings.SEARCH_LIMIT,
            hot_pictures=settings.HOT_PICTURES,
        )
    return clients[where]


def close_job_clients() -> None:
    """Let every stream of this process end: the site shuts down."""
    for clients in list(_clients.values()):
        for client in clients.values():
            client.close()
