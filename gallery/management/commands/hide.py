"""`manage.py hide`: take a page out of sight, everywhere and within seconds, or put it back."""

from typing import Any

from django.core.management import BaseCommand, CommandError, CommandParser
from django.db.models import Q
from django.utils import timezone

from babelia.services import store
from gallery.models import Page
from worker.catalogue.address import Address
from worker.errors import BabeliaError


class Command(BaseCommand):
    """Hide a page by its address and by its mark: neither shown, printed nor listed. Its files stay."""

    help = "Hides a page, by its address and its mark, from every visitor within seconds; --show puts it back."

    def add_arguments(self, parser: CommandParser) -> None:
        """The page, and whether it is to be shown again."""
        parser.add_argument("address", help="as in a URL: prompt/a dog/1, mark/…, or the whole URL")
        parser.add_argument("--show", action="store_true", help="show the page again")

    def handle(self, *_: Any, **options: Any) -> None:
        """Write the rows that the site goes by; say what was done."""
        text = options["address"]
        try:
            address = Address.parse_path(text) if "%" in text or "://" in text else Address.parse(text)
        except BabeliaError as error:
            raise CommandError(f"{error} {error.hint}".strip(), returncode=2) from error
        mark = address.name if address.kind == "mark" else store().find(address) or ""
        same = Q(digest=address.digest)
        if mark:
            same |= Q(edition=address.edition, mark=mark)
        if options["show"]:
            shown = Page.objects.filter(same, hidden=True).update(hidden=False)
            Page.objects.filter(same, steps=0).delete()  # made only to hide a page that was never opened
            self.stdout.write(f"{address.format()} is shown again." if shown else f"{address.format()} was not hidden.")
            return
        Page.objects.get_or_create(
            digest=address.digest,
            defaults={
                "address": address.format(),
                "edition": address.edition,
                "kind": address.kind,
                "name": address.name,
                "mark": mark,
                "steps": 0,
                "printed_at": timezone.now(),
            },
        )
        Page.objects.filter(same).update(hidden=True)
        self.stdout.write(f"{address.format()} is hidden. Browsers that have seen it may keep it for a day.")
