"""The Celery task of the press, and how the site reminds presses of it. The only module that knows Celery.

A message says no more than that pages of an edition wait: which ones, and who may print them, stands in Redis
(worker.jobs). A message that is lost, late or doubled does no harm.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from typing import Any

from celery import shared_task
from celery.signals import worker_process_init

from worker.press import PrintingPress

_press: PrintingPress | None = None


@shared_task(name="press.print_waiting")
def print_waiting(edition: str) -> None:
    """Print what waits of an edition, as much as one run holds; remind the presses if more does."""
    assert _press is not None, "the press is opened when its process starts"
    if _press.print_waiting(edition):
        remind(edition)


def remind(edition: str) -> None:
    """Tell the presses of an edition that pages wait. Blocks for some seconds at most; raises what kombu raises."""
    print_waiting.apply_async(args=[edition], queue=f"press.{edition}", retry=False)


@worker_process_init.connect
def open_press(**_: Any) -> None:
    """Load the model in the child that prints, after the fork: CUDA cannot be handed on to one."""
    from babelia.services import printing_press

    global _press
    _die_with_parent()
    worker = os.getppid()
    _press = printing_press(lambda: os.kill(worker, signal.SIGTERM))
    _press.open()
    _press.jobs.release_dead()
    for edition in _press.editions:
        if _press.jobs.waiting(edition):
            remind(edition)


def _die_with_parent() -> None:
    """Ask Linux to end this process when the worker that forked it is gone, even if that was killed."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(1, signal.SIGKILL)  # 1: PR_SET_PDEATHSIG
        if os.getppid() == 1:
            os._exit(1)
