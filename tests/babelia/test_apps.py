"""babelia.apps: what is there in every process that Django is set up in."""

import os
import subprocess
import sys

from tests import ROOT


def test_messages_go_out_by_our_application_and_the_checks_run() -> None:
    script = """
import django; django.setup()
from celery import current_app
from django.core.checks.registry import registry
from worker.tasks import print_waiting
print(current_app.main, print_waiting.app.main, print_waiting.app.conf.task_serializer)
print(any(check.__module__ == "babelia.checks" for check in registry.registered_checks))
"""
    environment = os.environ | {"DJANGO_SETTINGS_MODULE": "babelia.settings"}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.stdout == "babelia babelia json\nTrue\n", done.stderr
