"""The site's one store and one front desk, built from the settings. Imports Django's settings and `worker`."""

from __future__ import annotations

from worker.jobs import FrontDesk
from worker.store import Store


def store() -> Store:
    """The store under BABELIA_DATA. Cheap; its methods block on the disk (use asyncio.to_thread in async views)."""
    raise NotImplementedError


def front_desk() -> FrontDesk:
    """The front desk of the running event loop, connected to REDIS_URL."""
    raise NotImplementedError
