"""babelia.celery: the worker as process 1 of a container, what it listens to, and which press it builds."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import redis

from babelia.celery import app, prepare_worker
from babelia.services import job_client
from tests import ROOT
from tests.conftest import RunningPress, point_celery_at, wait_until, write_edition
from tests.forked import commands
from worker.catalogue.address import Address
from worker.jobs.consumer import JobConsumer
from worker.jobs.progress import Press


def test_a_worker_listens_to_one_queue_for_each_of_its_editions(settings: Any, tiny_data: Path) -> None:
    class Settings:
        task_queues: Any = None

    settings.DATA_DIR, settings.EDITIONS = tiny_data, []
    prepare_worker(conf=Settings)
    assert "press.tiny" in {queue.name for queue in Settings.task_queues}
    settings.EDITIONS = ["tiny"]
    prepare_worker(conf=Settings)
    assert [queue.name for queue in Settings.task_queues] == ["press.tiny"]


def test_the_application_has_the_settings_and_the_task() -> None:
    app.loader.import_default_modules()
    assert app.conf.task_ignore_result
    assert "press.print_waiting" in app.tasks


@pytest.fixture
def library(valkey: str, tiny_weights: Path, tmp_path: Path, settings: Any) -> Iterator[RunningPress]:
    """A library of its own, whose press is not started yet."""
    write_edition(tmp_path, "tiny", str(tiny_weights))
    own = RunningPress(tmp_path, valkey.removesuffix("/0") + "/3")
    with redis.Redis.from_url(own.redis_url) as client:
        client.flushdb()
    settings.DATA_DIR, settings.REDIS_URL = own.data, own.redis_url
    point_celery_at(own.redis_url)
    yield own


def presses(library: RunningPress) -> list[Press]:
    jobs = JobConsumer(library.redis_url)
    try:
        return [press for press in jobs.presses() if press.able]
    finally:
        jobs.close()


async def ask(text: str) -> str:
    try:
        async with asyncio.timeout(60):
            return [progress async for progress in job_client().follow(Address.parse(text), "test")][-1].state
    finally:
        await job_client().aclose()


WORKER = "celery -q -A babelia worker -c 1 --without-gossip --without-mingle -l WARNING -P"


def test_the_worker_prints_as_process_1_of_a_container(library: RunningPress) -> None:
    """The README's own command, with nothing but itself in its namespace; its child used to take that for a death."""
    if subprocess.run(["unshare", "--pid", "--fork", "true"], capture_output=True, check=False).returncode:
        pytest.skip("this user may not make a namespace of process ids")
    shell = f"exec {sys.executable} -m {WORKER} prefork"
    command = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", shell]
    with library.log.open("ab") as log:
        container = subprocess.Popen(command, cwd=ROOT, env=library.environment, stderr=log)
    try:
        wait_until(lambda: bool(presses(library)), 60, "the press is ready")
        assert [press.parent for press in presses(library)] == [1]
        assert asyncio.run(ask("tiny/key/contained/1")) == "kept"
        psutil.Process(container.pid).children()[0].terminate()
        assert container.wait(15) == 0
    finally:
        container.kill()  # and all that is in it
        container.wait()


def test_a_worker_that_does_not_fork_prints_and_is_stopped_itself(library: RunningPress) -> None:
    solo = commands().start(["-m", *WORKER.split(), "solo"], library.environment, library.log)
    try:
        wait_until(lambda: bool(presses(library)), 60, "the press is ready")
        assert asyncio.run(ask("tiny/key/alone/1")) == "kept"
        os.kill(solo.pid, signal.SIGTERM)
        solo.wait(15)
    finally:
        solo.kill()
        solo.wait()


def test_a_press_that_could_not_be_opened_ends_its_worker_with_a_word(library: RunningPress) -> None:
    """Celery logs what a signal's receiver raises, and used to go on with a child that could never print."""
    library.settings["BABELIA_DEVICE"] = "cpu"
    script = "import babelia.celery, worker.press\n"
    script += "def fail(*_, **__): raise OSError(24, 'Too many open files')\n"
    script += "worker.press.PrintingPress.__init__ = fail\n"
    script += "from celery.__main__ import main; import sys; sys.argv[1:] = sys.argv[1:]; main()"
    command = [sys.executable, "-c", script, *WORKER.split()[1:], "prefork"]
    done = subprocess.run(command, cwd=ROOT, env=library.environment, capture_output=True, text=True, timeout=300)
    assert "The press could not be opened, so its worker ends." in done.stderr
    assert "Too many open files" in done.stderr
