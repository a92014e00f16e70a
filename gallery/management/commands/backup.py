"""`manage.py backup FILE`: everything that cannot be made again, in one file, while the library runs."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.core.management import BaseCommand, CommandError, CommandParser
from django.db import Error as AnyDatabaseError

from babelia.services import store
from gallery.models import Page
from worker.errors import BabeliaError
from worker.store.backup import write_backup


class Command(BaseCommand):
    """Writes the database's rows, the keys, the links and what is hidden into one file."""

    help = (
        "Writes into one file what cannot be made again: the database's rows, what is hidden, keys and links. The "
        "library may run meanwhile. Pictures are not in it (they are printed again), nor are data/editions and weights."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Where to."""
        parser.add_argument("file", type=Path, help="the file to write; one that is there is replaced")

    def handle(self, *_: Any, **options: Any) -> None:
        """Write it, and say what is in it."""
        try:
            counts = write_backup(store().data, rows(), options["file"])
        except AnyDatabaseError as error:
            raise CommandError(f"The database cannot be read: {error}") from error
        except BabeliaError as error:
            raise CommandError(f"{error} {error.hint}".strip(), returncode=2) from error
        size = options["file"].stat().st_size
        self.stdout.write(
            f"{options['file']}: {counts['rows']:,} rows and {counts['files']:,} files, {size / 1e6:,.1f} MB."
        )


def rows() -> Iterator[dict[str, Any]]:
    """Every row, fit for JSON: one query, which any of the databases answers as of one moment. Raises Error."""
    columns = [field.name for field in Page._meta.fields if field.name != "id"]
    for row in Page.objects.order_by("pk").values(*columns):
        yield row | {"printed_at": row["printed_at"].isoformat()}
