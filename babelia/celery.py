"""The Celery application: its settings are the `CELERY_…` ones of babelia.settings, its tasks those of worker.tasks.

Here the press is built from the settings and handed to the tasks. May import Django's settings, babelia.services and
`worker`; babelia.apps imports it, so that every process that Django is set up in sends its messages with this one.
"""

from __future__ import annotations

import functools
import logging
import os
import signal
import warnings
from typing import Any

from celery import Celery, bootsteps
from celery.exceptions import SecurityWarning
from celery.signals import celeryd_init, worker_process_init
from django.conf import settings
from kombu import Exchange, Queue

from babelia import strays
from babelia.environment import read_settings
from babelia.processes import pulse
from babelia.processes.parent import end_with_parent
from babelia.services import store
from worker.jobs.consumer import JobConsumer

read_settings()  # `celery -A babelia worker` reads nothing before

app = Celery("babelia", include=["worker.tasks"])
app.config_from_object("django.conf:settings", namespace="CELERY")
app.set_default()

# Celery warns of root because its old message format could run code. Ours is JSON, and containers are root.
warnings.filterwarnings("ignore", category=SecurityWarning)

_worker = 0
"""The process id of the Celery worker, noted before it forks the child that prints."""


log = logging.getLogger(__name__)


class NoticeDeaths(bootsteps.Step):
    """Looks twice a second whether the child that prints lives, where Celery looks every five seconds.

    A child that was killed at work keeps its place in the pool until then, and no message is taken meanwhile.
    """

    requires = ("celery.worker.components:Pool",)

    def register_with_event_loop(self, worker: Any, hub: Any) -> None:
        """Called by the worker; a pool that does not fork has nothing to look after."""
        look = getattr(worker.pool, "maintain_pool", None)
        if look is not None:
            hub.call_repeatedly(0.5, look)


app.steps["worker"].add(NoticeDeaths)


@celeryd_init.connect
def prepare_worker(conf: Any, **_: Any) -> None:
    """A worker listens to one queue for each edition that it prints, and notes its process id for its children."""
    from worker.press import editions_here

    global _worker
    _worker = os.getpid()
    for sentence in strays.sentences():
        logging.getLogger(__name__).warning("%s", sentence)
    names = [f"press.{slug}" for slug in editions_here(settings.DATA_DIR, settings.EDITIONS)]
    conf.task_queues = [Queue(name, Exchange(name), routing_key=name) for name in names]
    pulse.beat("worker")


@worker_process_init.connect
def open_press(**_: Any) -> None:
    """Load the model in the child that prints, after the fork: CUDA does not survive one.

    Celery logs what a signal's receiver raises and goes on, with a child that could never print: its worker ends.
    """
    if os.getpid() != _worker:  # it is where Celery was told not to fork (`--pool solo`)
        end_with_parent(_worker)
    pulse.forget("child")  # loading may take long, and holds Python's lock while it reads
    try:
        _open_press()
    except Exception:
        log.exception("The press could not be opened, so its worker ends.")
        os.kill(_worker, signal.SIGTERM)
        raise
    pulse.beat("child")


def _open_press() -> None:
    from worker import tasks
    from worker.press import PrintingPress, editions_here

    press = PrintingPress(
        store(),
        JobConsumer(settings.REDIS_URL or settings.USUAL_REDIS, lease=settings.LEASE),
        editions_here(settings.DATA_DIR, settings.EDITIONS),
        device=settings.DEVICE,
        threads=settings.THREADS or None,
        batch=settings.BATCH or None,
        restart=functools.partial(os.kill, _worker, signal.SIGTERM),
        remind=tasks.remind,
    )
    tasks.open_press(press)
