"""`manage.py hide`: take pages out of sight, everywhere and from the next request on, or put them back."""

from typing import Any

from django.core.management import BaseCommand, CommandError, CommandParser
from django.db import Error as AnyDatabaseError

from babelia.services import store
from gallery.keeper.hiding import hide, show
from worker.catalogue.address import Address
from worker.errors import BabeliaError
from worker.keys import derive_key, derive_without_model


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
                    self.stdout.write(show(address, self._mark_of))
                else:
                    self.stdout.write(hide(address, self._mark_of, everywhere=not options["one_edition"]))
        except AnyDatabaseError as error:
            raise CommandError(
                f"The database does not answer ({error}). "
                + ("Nothing is shown again." if options["show"] else "The page is hidden by files in the data folder.")
                + " Run this again once it does."
            ) from error
        except BabeliaError as error:
            raise CommandError(f"{error} {error.hint}".strip()) from error

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
