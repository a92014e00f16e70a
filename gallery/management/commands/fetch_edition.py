"""`manage.py fetch_edition SLUG`: bring an edition's weights from the model hub, or from a folder."""

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser
from tqdm import tqdm

from gallery.management.sentences import PressCommand
from worker.editions.edition import load_edition
from worker.editions.hub import bytes_wanted, fetch
from worker.errors import InputRefused


class Command(PressCommand):
    """Fetch an edition."""

    help = (
        "Bring the weights of an edition from the model hub, at the revision that it pins, and check every file. "
        "Interrupt it at any time: the same command goes on where it stopped. Nothing else here asks the network."
    )
    interrupted = "Stopped; what has come is kept, and the same command goes on from there."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("slug", help="the edition, as `manage.py editions` lists it")
        parser.add_argument(
            "--from",
            dest="source",
            type=Path,
            metavar="FOLDER",
            help="copy the same files out of this folder instead of asking the hub; they are checked alike",
        )

    def run(self, **options: Any) -> None:
        edition = load_edition(options["slug"], settings.DATA_DIR)
        source = options["source"]
        if source is not None and not source.is_dir():
            raise InputRefused(f"There is no folder {source}.")
        total, here = bytes_wanted(edition)
        with tqdm(total=total, initial=here, unit="B", unit_scale=True, desc=edition.slug) as bar:
            fetch(edition, bar.update, source)
        checked = edition.check()
        self.stdout.write(f"{edition.title} is installed in {edition.weights}, digest {checked.digest}.")
