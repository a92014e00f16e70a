"""What the tests of several views share: a kept page, a second site, a site on its own, a library in this process."""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from asgiref.sync import async_to_sync
from django.test import AsyncClient

from babelia.services import store
from gallery import ledger
from gallery.pages import status
from gallery.snapshot import Snapshot
from tests.conftest import RunningPress, free_port, serving
from tests.forked import commands
from tests.visitor import fresh, printed
from worker.catalogue.address import Address
from worker.catalogue.expansion import stacks_key
from worker.catalogue.png import HEIGHT, WIDTH, encode_page
from worker.errors import StoreUnavailable
from worker.jobs.client import JobClient
from worker.store.records import PageRecord


@pytest.fixture(scope="module")
def kept(site: str) -> Address:
    """A page that is kept."""
    address = fresh("prompt")
    printed(site, address)
    return address


@contextlib.contextmanager
def another_site(press: RunningPress, **settings: str) -> Iterator[str]:
    """A second site process over the same data folder, with settings of its own."""
    environment = press.environment | {"BABELIA_LOG_LEVEL": "ERROR"} | settings
    with serving(environment, Path(os.devnull)) as site:
        yield site


@pytest.fixture
def lonely_site(press: RunningPress) -> Iterator[str]:
    """A site whose database and Redis do not exist."""
    redis_url = f"redis://127.0.0.1:{free_port()}/0"
    with another_site(press, REDIS_URL=redis_url, DATABASE_URL="sqlite:////nowhere/library.sqlite3") as url:
        yield url


def manage(press: RunningPress, *arguments: str) -> str:
    """What a management command of the running library says."""
    return commands().manage(press.environment, *arguments)


@dataclass
class InProcess:
    """A library in this process, without press and without Redis: what a page of it may need, and what may not."""

    data: Path
    redis: list[str] = field(default_factory=list)

    @property
    def asked_redis(self) -> int:
        """How often a print or its progress was asked for."""
        return len(self.redis)

    def get(self, path: str) -> Any:
        """The answer to a GET, out of Django's own client."""
        return async_to_sync(AsyncClient().get)(path)

    def keep(self, address: str, *, flagged: bool | None = None) -> PageRecord:
        """Keep a page as if a press had printed it: one colour, by its address."""
        key = stacks_key(address, 1)
        pixels = np.full((HEIGHT, WIDTH, 3), tuple(key.data[:3]), np.uint8)
        kept = Address.parse(address)
        png = encode_page(pixels, address=address, mark=key.mark, edition=kept.edition, rendition="by hand")
        given = {"rendition": "by hand", "steps": 4, "seconds": 1.0, "flagged": flagged}
        return store().keep(kept, key, png, pixels, **given)  # type: ignore[arg-type]

    def opened(self, *addresses: str) -> None:
        """Keep pages and note that they were opened, one after the other."""
        for address in addresses:
            async_to_sync(ledger.write)(Address.parse(address), self.keep(address), 1)


@pytest.fixture
def library(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> InProcess:
    """A library in this process whose ledger and lists have read nothing yet."""
    settings.DATA_DIR = tmp_path
    settings.DISK_RESERVE = 0
    monkeypatch.setattr(ledger, "_hidden", Snapshot(ledger._read_hidden, None, fresh=0, stale=0))
    monkeypatch.setattr(ledger, "_recent", Snapshot(ledger._read_recent, [], fresh=0, stale=0))
    status._records.clear()
    found = InProcess(tmp_path)
    for name in ("ask", "look"):

        async def noted(*_: object, name: str = name, **__: object) -> None:
            found.redis.append(name)
            raise StoreUnavailable("There is no Redis in this library.")

        monkeypatch.setattr(JobClient, name, noted)
    return found
