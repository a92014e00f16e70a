"""`manage.py library`: the whole library on one machine, or one part of it."""

from __future__ import annotations

import tempfile
from typing import Any

from django.conf import settings
from django.core.management import BaseCommand, CommandError, CommandParser, call_command
from django.db import connection
from django.db.utils import DatabaseError

from babelia.processes.library import PARTS, open_library
from worker.errors import BabeliaError

MIGRATING = 640_416
"""The number of the lock that a site holds in PostgreSQL while it migrates; it goes with the connection."""


class Command(BaseCommand):
    """Opens the library and keeps it open until Ctrl-C."""

    help = "Opens the library: starts Redis, the press and the site, and keeps them running until Ctrl-C."

    def add_arguments(self, parser: CommandParser) -> None:
        """`--only`, once for each part that is wanted."""
        parser.add_argument(
            "--only",
            action="append",
            choices=PARTS,
            help="start this part alone (may be given several times); REDIS_URL and BABELIA_DATA join it to the others",
        )

    def handle(self, *_: Any, **options: Any) -> None:
        """Prepare the database where the site is wanted, then start and watch."""
        parts = options["only"] or PARTS
        self._require_data_folder()
        try:
            if "site" in parts:
                self._prepare_database()
            open_library(parts, self._say)
        except BabeliaError as error:
            raise CommandError(f"{error} {error.hint}".strip()) from error

    def _require_data_folder(self) -> None:
        """Every part keeps something there: make it, and see that it can be written to."""
        try:
            settings.DATA_DIR.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=settings.DATA_DIR):
                pass
        except OSError as error:
            raise CommandError(
                f"The data folder {settings.DATA_DIR} cannot be written ({error.strerror}). Set BABELIA_DATA to one "
                "that can."
            ) from error

    def _prepare_database(self) -> None:
        try:
            if connection.vendor == "sqlite":
                with connection.cursor() as cursor:
                    verdict = cursor.execute("PRAGMA quick_check(1)").fetchone()[0]
                if verdict != "ok":
                    raise CommandError(
                        f"The database {connection.settings_dict['NAME']} is damaged ({verdict}). Move it away: a new "
                        "one is made, and the pages on disk are not touched."
                    )
            else:
                with connection.cursor() as cursor:  # of sites that start together, one migrates and the others wait
                    cursor.execute("SELECT pg_advisory_lock(%s)", [MIGRATING])
            call_command("migrate", interactive=False, verbosity=0)
        except DatabaseError as error:
            raise CommandError(f"The database cannot be used: {error} Check DATABASE_URL.") from error
        finally:
            connection.close()

    def _say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()
