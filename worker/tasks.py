"""The Celery task of the press, and how the site reminds presses of it. The only module of `worker` that knows Celery.

A message says no more than that pages of an edition wait: which ones, and who may print them, stands in Redis
(worker.jobs). A message that is lost, late or doubled does no harm. May import Celery and worker.press; which press
prints is decided outside (`babelia.celery`) and handed in.
"""

from __future__ import annotations

from celery import shared_task

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
    print_waiting.apply_async(args=(edition,), queue=f"press.{edition}", retry=False)


def open_press(press: PrintingPress) -> None:
    """Load the press that this process's tasks print with, and start on the pages that are waiting already."""
    global _press
    _press = press
    press.open()
    press.take_up_what_waits()
