"""`manage.py hide`: take pages out of sight, everywhere and from the next request on, or put them back."""

from typing import Any

from django.core.management import BaseCommand, CommandError, CommandParser
from django.db import Error as AnyDatabaseError
from django.db.models import Q
from django.utils import timezone

from babelia.services import store
from gallery.models import Page
from worker.catalogue.address import Address
from worker.errors import BabeliaError
from worker.keys import derive_key, derive_without_model
from worker.store import hidden


class Command(BaseCommand):
    """Hide pages by their addresses and by their keys: neither shown, printed nor listed. Their files stay."""

    help = (
        "Hides pages from every visitor, by address and by key, in every edition; --show puts them back. "
        "The key of a prompt that was never printed is worked out here, which takes the edition's weights."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """The pages, where they are hidden, and whether they are to be shown again."""
        parser.add_argument("address", nargs="+", help="as in a URL: prompt/a dog/1, mark/…, or the whole URL")
        parser.add_argument("--show", action="store_true", help="show the page again, in every edition")
        parser.add_argument(
            "--one-edition", action="store_true", help="hide the key in the address's edition alone, not in all"
        )

    def handle(self, *_: Any, **options: Any) -> None:
        """Write the files and the rows that press and site go by; say what was done. All addresses are read first."""
        try:
            addresses = [
                Address.parse_path(text) if "%" in text or "://" in text else Address.parse(text)
                for text in options["address"]
            ]
        except BabeliaError as error:
            raise CommandError(f"{error} {error.hint}".strip(), returncode=2) from error
        try:
            for address in addresses:
                if options["show"]:
                    self._show(address)
                else:
                    self._hide(address, everywhere=not options["one_edition"])
        except AnyDatabaseError as error:
            raise CommandError(
                f"The database does not answer ({error}). "
                + ("Nothing is shown again." if options["show"] else "The page is hidden by files in the data folder.")
                + " Run this again once it does."
            ) from error
        except BabeliaError as error:
            raise CommandError(f"{error} {error.hint}".strip()) from error

    def _hide(self, address: Address, *, everywhere: bool) -> None:
        data = store().data
        hidden.hide(data, [hidden.name_of_address(address)], address.format())  # before the key, which may take a while
        mark = self._mark_of(address)
        if mark:
            names = [hidden.name_of_key(mark, None if everywhere else address.edition)]
            origin = store().origin(mark)
            if origin is not None and (everywhere or origin.edition == address.edition):
                names.append(hidden.name_of_address(origin))
            hidden.hide(data, names, address.format())
        row, _ = Page.objects.get_or_create(
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
        Page.objects.filter(pk=row.pk).update(hidden=True, everywhere=everywhere and bool(mark), mark=mark or row.mark)
        if mark:
            same = Page.objects.filter(mark=mark) if everywhere else Page.objects.filter(mark=mark, edition=row.edition)
            same.update(hidden=True)
        where = "in every edition" if everywhere else f"in {address.edition}"
        how = f"{where}, by every address of its key {mark}" if mark else "by this address alone"
        self.stdout.write(f"{address.format()} is hidden {how}. Browsers that have seen it may keep it for a day.")

    def _show(self, address: Address) -> None:
        mark = self._mark_of(address)
        same = Q(digest=address.digest)
        names = {hidden.name_of_address(address)}
        if mark:
            same |= Q(mark=mark)
            origin = store().origin(mark)
            names |= {hidden.name_of_address(origin)} if origin else set()
            names |= {hidden.name_of_key(mark), *hidden.names_of_key_in_editions(store().data, mark)}
        names |= {f"addresses/{digest}" for digest in Page.objects.filter(same).values_list("digest", flat=True)}
        shown = Page.objects.filter(same, hidden=True).update(hidden=False, everywhere=False)
        Page.objects.filter(same, steps=0).delete()  # made only to hide a page that was never opened
        shown += len(hidden.show(store().data, names))
        self.stdout.write(f"{address.format()} is shown again." if shown else f"{address.format()} was not hidden.")

    def _mark_of(self, address: Address) -> str:
        """The mark of an address; "" with a sentence where it can only be worked out on another machine."""
        known = store().linked(address)
        if known is not None:
            return known
        key = derive_without_model(address)
        if key is not None:
            return key.mark
        self.stdout.write(f"Working out the key of {address.format()}, which was never printed here …")
        try:
            key = derive_key(address, store().data)
            store().link(address, key)
        except BabeliaError as error:
            self.stderr.write(
                f"Its key could not be worked out here: {error} {error.hint}".strip()
                + " Whoever asks by the mark of that key still gets it. Run this where the edition's weights are."
            )
            return ""
        return key.mark
