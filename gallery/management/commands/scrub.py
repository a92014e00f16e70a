"""`manage.py scrub`: checks every file of the store against its digest."""

from __future__ import annotations

import time
from typing import Any

from django.core.management import BaseCommand, CommandParser

from babelia.services import store
from worker.store.upkeep import Damage, scrub


class Command(BaseCommand):
    """Checks the store; what is damaged is set aside and printed again when somebody asks for it."""

    help = "Checks every kept file against its digest; damaged ones are set aside and printed again on demand."

    def add_arguments(self, parser: CommandParser) -> None:
        """`--rate`, so that a scrub does not take the disk from visitors."""
        parser.add_argument("--rate", type=float, default=50.0, help="megabytes to read in a second (default 50)")

    def handle(self, *_: Any, **options: Any) -> None:
        """Walk, report, and end with exit code 1 where something was damaged."""
        began, files, size = time.monotonic(), 0, 0
        damaged: list[Damage] = []
        for found in scrub(store()):
            files += 1
            if isinstance(found, Damage):
                damaged.append(found)
                self.stdout.write(f"{found.path} {found.reason}: set aside.")
                continue
            try:
                size += found.stat().st_size
            except FileNotFoundError:
                continue
            ahead = size / (options["rate"] * 1e6) - (time.monotonic() - began)
            if ahead > 0.05:
                time.sleep(ahead)
        seconds = time.monotonic() - began
        intact = files - len(damaged)
        self.stdout.write(
            f"{intact:,} files whole, {len(damaged):,} set aside; {size / 1e6:,.1f} MB in {seconds:.1f} s."
        )
        if damaged:
            raise SystemExit(1)
