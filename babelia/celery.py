"""The Celery application: its settings are the `CELERY_…` ones of babelia.settings, its tasks those of worker.tasks."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "babelia.settings")

app = Celery("babelia", include=["worker.tasks"])
app.config_from_object("django.conf:settings", namespace="CELERY")
