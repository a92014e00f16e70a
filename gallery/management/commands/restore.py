"""`manage.py restore FILE`: put back what `manage.py backup` wrote, while the library runs."""

from datetime import datetime
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management import BaseCommand, CommandError, CommandParser, call_command
from django.db import Error as AnyDatabaseError
from django.db import transaction

from babelia.services import store
from gallery.models import Page
from worker.errors import BabeliaError, InputRefused, reason
from worker.store import hidden
from worker.store.backup import read_backup, restore_files


class Command(BaseCommand):
    """Puts back rows, keys and links that are not there; what is hidden, or kept off the lists, in either stays so."""

    help = (
        "Puts back what `manage.py backup` wrote: rows, keys and links that are not there. What is there stays as it "
        "is, and a page that is hidden in the library or in the backup is hidden. The library may run meanwhile."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Where from."""
        parser.add_argument("file", type=Path, help="what `manage.py backup` wrote")

    def handle(self, *_: Any, **options: Any) -> None:
        """Check all of the file, and then write: first what is hidden, so that nothing is shown in between."""
        try:
            rows = [_row(options["file"], fields) for fields in read_backup(options["file"])]
            store().data.mkdir(parents=True, exist_ok=True)
            call_command("migrate", interactive=False, verbosity=0)
            _hide(rows)
            files = restore_files(store().data, options["file"])
            new = _put_back(rows)
        except OSError as error:
            raise CommandError(f"The data folder cannot be written: {reason(error)}.") from error
        except AnyDatabaseError as error:
            raise CommandError(f"The database does not take it: {error} Restore again when that is mended.") from error
        except BabeliaError as error:
            raise CommandError(f"{error} {error.hint}".strip(), returncode=2) from error
        self.stdout.write(
            f"{new:,} of {len(rows):,} rows and {files:,} files were not there and are put back; the rest stays as it "
            "is."
        )


def _row(file: Path, fields: dict[str, Any]) -> Page:
    """A row of a backup. Raises InputRefused where it is none of this release's or an earlier one's."""
    known = {field.name for field in Page._meta.fields} - {"id"}
    try:
        row = Page(**fields | {"printed_at": datetime.fromisoformat(fields["printed_at"])})
        if not set(fields) <= known or not row.digest:
            raise ValueError(sorted(set(fields) - known))
        row.clean_fields(exclude=["mark", "rendition", "pixel_digest"])  # empty where a page was hidden unseen
    except (KeyError, TypeError, ValueError, ValidationError) as error:
        raise InputRefused(
            f"A row of {file} is none that this release knows ({error}).", hint="Nothing was changed."
        ) from error
    return row


def _hide(rows: list[Page]) -> None:
    """Write the files of what rows say is hidden. Raises StoreUnavailable."""
    names = set()
    for row in rows:
        if row.hidden:
            names.add(f"addresses/{row.digest}")
            if row.mark:
                names.add(hidden.name_of_key(row.mark, None if row.everywhere else row.edition))
    hidden.hide(store().data, names)


def _put_back(rows: list[Page]) -> int:
    """Write the rows that are not there, and hide what is hidden in them; how many were not there. Raises Error."""
    with transaction.atomic():
        before = Page.objects.count()
        Page.objects.bulk_create(rows, batch_size=500, ignore_conflicts=True)
        new = Page.objects.count() - before
        for row in rows:
            if not row.listed:
                Page.objects.filter(digest=row.digest).update(listed=False)
            if row.hidden:
                there = Page.objects.filter(digest=row.digest)
                there.update(hidden=True, mark=row.mark)
                if row.everywhere:
                    there.update(everywhere=True)
    return new
