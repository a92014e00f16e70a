"""The Celery application: its settings are the `CELERY_…` ones of babelia.settings, its tasks those of worker.tasks."""

import os
import warnings
from typing import Any

from celery import Celery
from celery.platforms import SecurityWarning
from celery.signals import celeryd_init
from kombu import Exchange, Queue

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "babelia.settings")

app = Celery("babelia", include=["worker.tasks"])
app.config_from_object("django.conf:settings", namespace="CELERY")
app.set_default()

# Celery warns of root because its old message format could run code. Ours is JSON, and containers are root.
warnings.filterwarnings("ignore", category=SecurityWarning)


@celeryd_init.connect
def listen_for_editions(conf: Any, **_: Any) -> None:
    """A worker listens to one queue for each edition that it prints."""
    from django.conf import settings

    from worker.press import editions_here

    names = [f"press.{slug}" for slug in editions_here(settings.DATA_DIR, settings.EDITIONS)]
    conf.task_queues = [Queue(name, Exchange(name), routing_key=name) for name in names]
