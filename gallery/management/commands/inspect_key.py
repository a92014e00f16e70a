"""`manage.py inspect_key FILE|ADDRESS`: what a key holds, as numbers, as a drawing, as arrays.

A file is looked at without a model; the address of a prompt or a short key needs its edition's text encoder.
"""

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser

from gallery.management.sentences import PressCommand
from worker.catalogue.address import Address
from worker.catalogue.inspection import from_npz, measure, plot, report, to_npz
from worker.catalogue.key import Key
from worker.catalogue.key_files import read_key_file
from worker.editions.edition import DEFAULT_EDITION, load_edition
from worker.errors import AddressRefused, InputRefused
from worker.files import require_folder, write_outputs
from worker.keys import derive_key, require_key
from worker.store.store import Store


class Command(PressCommand):
    """Inspect a key."""

    help = "Print what a key holds: steps, mark, ranges, moments. Draw it, or turn it into arrays and back."

    def add_arguments(self, parser: CommandParser) -> None:
        add = parser.add_argument
        add("key", nargs="?", metavar="FILE|ADDRESS", help="a key's text, a PNG that carries its key, or an address")
        add("--from-npz", type=Path, metavar="FILE", help="make the key from the arrays steps, embedding, latents")
        add("--edition", metavar="SLUG", help=f"the edition of an address that names none ({DEFAULT_EDITION})")
        add("--plot", type=Path, metavar="PNG", help="draw histograms, the embedding as a heat map, the latents")
        add("--npz", type=Path, metavar="FILE", help="write the arrays steps, embedding, latents")
        add("--output", type=Path, metavar="FILE", help="write the key's text")
        add("--json", action="store_true", help="one JSON object instead of lines for people")

    def run(self, **options: Any) -> None:
        if (options["key"] is None) == (options["from_npz"] is None):
            raise InputRefused("Give either a file or an address, or --from-npz FILE.")
        outputs = [path for path in (options["plot"], options["npz"], options["output"]) if path is not None]
        for path in outputs:
            if path.is_dir():
                raise InputRefused(f"{path} is a folder; give the name of a file.")
            require_folder(path.parent)
        if options["plot"] is not None and options["plot"].suffix.lower() != ".png":
            raise InputRefused(f"A drawing is a PNG file; {options['plot']} does not end in .png.")
        if options["from_npz"] is not None:
            key = from_npz(options["from_npz"])
        else:
            key = find_key(options["key"], options["edition"] or DEFAULT_EDITION, settings.DATA_DIR)
        files: dict[Path, bytes] = {}
        if options["plot"] is not None:
            files[options["plot"]] = plot(key)
        if options["npz"] is not None:
            files[options["npz"]] = to_npz(key)
        if options["output"] is not None:
            files[options["output"]] = (key.format() + "\n").encode("ascii")
        write_outputs(files)
        if options["json"]:
            self.write_json(measure(key))
        else:
            self.stdout.write(report(key))
        for path in files:
            self.say(f"Written: {path}")


def find_key(text: str, default_edition: str, data_dir: Path) -> Key:
    """The key in a file of that name, or of an address. Raises the BabeliaError that says why there is none."""
    path = Path(text)
    try:
        address = Address.parse_typed(text, default_edition)
    except AddressRefused as error:
        if path.exists():
            return read_key_file(path)
        if "/" in text and text.strip("/").split("/")[0] in ("key", "prompt", "stacks", "mark", default_edition):
            raise
        raise InputRefused(f"There is no file {text}, and it is no address either.") from error
    return read_key_file(path) if path.is_file() else key_of(address, data_dir)


def key_of(address: Address, data_dir: Path) -> Key:
    """The key of an address; an edition's text encoder is loaded only where a prompt has to be embedded."""
    load_edition(address.edition, data_dir)  # refuses one that is unknown
    return require_key(Store(data_dir), address, lambda derived: derive_key(derived, data_dir))
