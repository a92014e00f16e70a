"""A library in this process with a real Valkey and no press but what a test does as one; pictures to be found."""

import io
import json
import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from asgiref.sync import async_to_sync
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import AsyncClient
from PIL import Image

from babelia.services import store
from gallery import bounds, ledger
from gallery.pages import status
from gallery.snapshot import Snapshot
from tests.conftest import point_celery_at, write_edition
from worker.catalogue.address import Address
from worker.catalogue.expansion import stacks_key
from worker.catalogue.png import encode_page
from worker.jobs.consumer import Claim, JobConsumer

HOME = "Mozilla/5.0 Chrome"


def picture(seed: int = 1, kind: str = "PNG", size: tuple[int, int] = (640, 416), **options: Any) -> bytes:
    """A picture file of soft shapes that no other seed has."""
    coarse = np.random.default_rng(seed).integers(0, 256, (7, 10, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC).save(file, kind, **options)
    return file.getvalue()


@dataclass
class Library:
    """What a visitor and a press do with it."""

    jobs: JobConsumer

    def get(self, path: str, **headers: str) -> Any:
        return async_to_sync(AsyncClient().get)(path, headers={"user-agent": HOME} | headers)

    def stream(self, path: str) -> bytes:
        """All that is sent to a follower, until the last."""

        async def read() -> bytes:
            answer: Any = await AsyncClient().get(path, headers={"user-agent": HOME})
            return b"".join([part async for part in answer.streaming_content])

        return async_to_sync(read)()

    def post(self, path: str, fields: dict[str, Any] | None = None, **headers: str) -> Any:
        return async_to_sync(AsyncClient().post)(path, fields or {}, headers={"user-agent": HOME} | headers)

    def post_json(self, path: str, value: Any) -> Any:
        return async_to_sync(AsyncClient().post)(path, json.dumps(value), content_type="application/json")

    def bring(self, data: bytes, path: str = "/find/send", **fields: Any) -> Any:
        """Send a picture file in a form."""
        return self.post(path, {"edition": "tiny", "file": SimpleUploadedFile("mine.png", data), **fields})

    def park(self, data: bytes, **fields: Any) -> str:
        """Bring a picture; the path of its search."""
        answer = self.bring(data, **fields)
        assert answer.status_code == 303, answer.content.decode()
        path: str = answer["Location"]
        assert re.fullmatch(r"/find/[0-9a-f]{64}/", path)
        return path

    def start(self, path: str, visitor: str = "me", **fields: str) -> Any:
        return self.post(path + "start", {"visitor": visitor, "depth": "quick"} | fields)

    def find(self, seed: int, *, flagged: bool | None = None) -> str:
        """Do as a press that finds a page: keep one, and tell of it. Returns its mark."""
        (claim,) = self.jobs.take("tiny")
        record = keep(f"tiny/stacks/found-{seed}/1", seed, by_mark=True, flagged=flagged)
        return self.tell(claim, record)

    def tell(self, claim: Claim, mark: str) -> str:
        found = {"mark": mark, "decibels": 31.25, "bound": 30.5, "likeness": 0.98, "seconds": 12.0}
        self.jobs.tell_found(claim, json.dumps(found).encode())
        self.jobs.finish(claim, mark, seconds=12)
        return mark


def keep(text: str, seed: int, *, by_mark: bool = False, flagged: bool | None = None) -> str:
    """Keep a page with a picture as if a press had printed it; its mark."""
    address = Address.parse(text)
    key = stacks_key(address.name, 1)
    if by_mark:
        address = Address("tiny", "mark", store().keep_key(key), None)
    pixels = np.asarray(Image.open(io.BytesIO(picture(seed))))
    png = encode_page(pixels, address=address.format(), mark=key.mark, edition="tiny", rendition="by hand")
    given: dict[str, Any] = {"rendition": "by hand", "steps": 4, "seconds": 1.0, "flagged": flagged}
    return store().keep(address, key, png, pixels, **given).mark


@pytest.fixture
def library(
    settings: Any, tmp_path: Path, redis_url: str, tiny_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Library]:
    """A library that has read nothing yet."""
    write_edition(tmp_path, "tiny", str(tiny_weights))
    settings.DATA_DIR, settings.REDIS_URL, settings.DISK_RESERVE = tmp_path, redis_url, 0
    settings.VISITOR_LIMIT = settings.VISITOR_WAITING = 0
    point_celery_at(redis_url)
    monkeypatch.setattr(ledger, "_hidden", Snapshot(ledger._read_hidden, None, fresh=0, stale=0))
    monkeypatch.setattr(ledger, "_recent", Snapshot(ledger._read_recent, [], fresh=0, stale=0))
    for cache in (status._records, status._presses, bounds._counts):
        cache.clear()  # type: ignore[attr-defined]
    with closing(JobConsumer(redis_url)) as jobs:
        yield Library(jobs)
