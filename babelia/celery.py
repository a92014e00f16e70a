"""The Celery application: its settings are the `CELERY_…` ones of babelia.settings, its tasks those of worker.tasks.

Here the press is built from the settings and handed to the tasks. May import Django's settings, babelia.services and
`worker`; babelia.apps imports it, so that every process that Django is set up in sends its messages with this one.
"""

from __future__ import annotations

import functools
import os
import signal
import warnings
from typing import Any

from celery import Celery
from celery.exceptions import SecurityWarning
from celery.signals import celeryd_init, worker_process_init
from django.conf import settings
from kombu import Exchange, Queue

from babelia.processes.parent import end_with_parent
from babelia.services import store
from worker.jobs.consumer import JobConsumer

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "babelia.settings")

app = Celery("babelia", include=["worker.tasks"])
app.config_from_object("django.conf:settings", namespace="CELERY")
app.set_default()

# Celery warns of root because its old message format could run code. Ours is JSON, and containers are root.
warnings.filterwarnings("ignore", category=SecurityWarning)

_worker = 0
"""The process id of the Celery worker, noted before it forks the child that prints."""


@celeryd_init.connect
def prepare_worker(conf: Any, **_: Any) -> None:
    """A worker listens to one queue for each edition that it prints, and notes its process id for its children."""
    from worker.press import editions_here

    global _worker
    _worker = os.getpid()
    names = [f"press.{slug}" for slug in editions_here(settings.DATA_DIR, settings.EDITIONS)]
    conf.task_queues = [Queue(name, Exchange(name), routing_key=name) for name in names]


@worker_process_init.connect
def open_press(**_: Any) -> None:
    """Load the model in the child that prints, after the fork: CUDA does not survive one."""
    from worker import tasks
    from worker.press import PrintingPress, editions_here

    if os.getpid() != _worker:  # it is where Celery was told not to fork (`--pool solo`)
        end_with_parent(_worker)
    press = PrintingPress(
        store(),
        JobConsumer(settings.REDIS_URL, lease=settings.LEASE),
        editions_here(settings.DATA_DIR, settings.EDITIONS),
        device=settings.DEVICE,
        threads=settings.THREADS or None,
        batch=settings.BATCH or None,
        restart=functools.partial(os.kill, _worker, signal.SIGTERM),
    )
    tasks.open_press(press)
