"""`manage.py key_to_image`: print pages from the command line, without the site.

Reads the options and speaks; the work is worker.series. torch is imported only when everything is worked out.
"""

import sys
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser
from tqdm import tqdm

from gallery.management.sentences import PressCommand, integer
from worker.catalogue.address import PAGES
from worker.catalogue.key import STEPS_LIMIT
from worker.editions.edition import DEFAULT_EDITION
from worker.engine.start_latents import SOURCES, read_picture
from worker.errors import InputRefused
from worker.series import (
    DEFAULT_NAME,
    Order,
    describe_print,
    file_names,
    make_pages,
    output_base,
    plan,
    print_again,
    print_all,
    unread_note,
    write_page,
)

DIFFERENT = 1


class Command(PressCommand):
    """Print pages."""

    help = (
        "Print pages as 640×416 PNG files, each with the text file of its key. Without an address, a prompt or a key, "
        "a random page is printed. Files are named NAME-000.png and NAME-000.key.txt; numbers go on after those that "
        "are there, so that nothing is overwritten."
    )
    interrupted = "Stopped; the pages printed so far are whole."

    def add_arguments(self, parser: CommandParser) -> None:
        add = parser.add_argument
        add(
            "address_given",
            nargs="?",
            metavar="ADDRESS",
            help="key/borges/1, 'prompt/a dog/1', stacks/borges/1, mark/…",
        )
        add("--address", metavar="ADDRESS", help="the same as an option")
        add("--prompt", metavar="TEXT", help="the volume of a prompt, from --page on")
        add("--key-file", type=Path, metavar="FILE", help="a key's text, or a PNG that carries its key")
        add("--seed", metavar="NAME", help="random pages that are the same for the same name")
        add("--page", type=integer(1, PAGES, "a volume has the pages"), help="first page of --prompt (1)")
        add(
            "--nb-keys",
            type=integer(1, PAGES, "the number of keys is"),
            default=1,
            metavar="N",
            help="how many pages: those that follow in a volume, the next keys of a key, other random ones (1)",
        )
        add(
            "--num-inference-steps",
            type=integer(1, STEPS_LIMIT, "the number of steps is"),
            metavar="N",
            help="1 to 128 instead of the key's own; a number that no key holds is printed off the catalogue",
        )
        add("--latents-type", choices=SOURCES, default="key", help="where the initial latents come from (key)")
        add("--image", type=Path, metavar="FILE", help="the picture for --latents-type image")
        add("--edition", metavar="SLUG", help=f"the edition ({DEFAULT_EDITION}, or the address's own)")
        add("--output", metavar="NAME", help=f"files NAME-000.png …, or a folder for them (./{DEFAULT_NAME})")
        add("--overwrite", action="store_true", help="begin at 000 and replace files that are there")
        add("--with-key", action="store_true", help="put the whole key inside the PNG too (about 140 kB)")
        add(
            "--check-determinism",
            action="store_true",
            help="print each page three times (again after another page, and in a fresh process) and compare pixels",
        )
        add("--digest-only", action="store_true", help="print the pixel digests and write nothing")
        add("--json", action="store_true", help="one JSON object on standard output instead of lines for people")

    def run(self, **options: Any) -> None:
        order = read_order(options)
        edition, wanted = plan(order, settings.DATA_DIR)
        picture = None if options["image"] is None else read_picture(options["image"])
        names = None if options["digest_only"] else file_names(output_base(options["output"]), options["overwrite"])
        edition.check()

        from worker.engine.engine import Engine

        engine = Engine(edition, settings.DEVICE, settings.THREADS or None, settings.BATCH or None)
        self.say(f"The press took {engine.device}: {engine.rendition.format()}")
        pages = make_pages(engine, wanted, order, settings.DATA_DIR, picture)
        for note in filter(None, [unread_note(engine, wanted), *(page.note for page in pages)]):
            self.say(note)
        fresh_process = [sys.executable, str(settings.BASE_DIR / "manage.py"), "key_to_image"]
        entries: list[dict[str, Any]] = []
        calm = 0.1 if sys.stderr.isatty() else 2.0  # seconds between two states of the bar: a log wants few
        steps, total = sum(page.steps for page in pages), len(pages)
        with tqdm(total=steps, unit="step", disable=options["json"], leave=False, mininterval=calm) as bar:

            def on_run(first: int) -> None:
                bar.set_description(f"page {first} of {total}")

            def on_steps(further: int) -> None:
                bar.update(further)

            for page, printed in print_all(engine, pages, on_run, on_steps):
                bar.clear()
                entry = describe_print(page, printed)
                if names is not None:
                    entry |= write_page(next(names), page, printed, options["with_key"])
                if printed.flagged:
                    self.say(f"The safety checker flags {page.address}: look at it with care.")
                if options["check_determinism"]:
                    entry["digests"] = [printed.digest, *print_again(engine, page, fresh_process)]
                    entry["same"] = same(entry)
                entries.append(entry)
                if not options["json"]:
                    self.stdout.write(line_of(entry))
        if options["json"]:
            report = {"edition": edition.slug, "device": str(engine.device), "rendition": engine.rendition.format()}
            self.write_json(report | {"pages": entries})
        if not all(same(entry) for entry in entries):
            self.say("The prints of one key differ.")
            sys.exit(DIFFERENT)


def read_order(options: dict[str, Any]) -> Order:
    """What the options ask for. Raises InputRefused where they do not go together."""
    given = {name: options[name] for name in ("address_given", "address", "prompt", "key_file", "seed")}
    if sum(value is not None for value in given.values()) > 1:
        raise InputRefused("Give one of an address, --prompt, --key-file and --seed, not several.")
    if (options["image"] is None) == (options["latents_type"] == "image"):
        raise InputRefused("--image FILE and --latents-type image go together, and one of them is missing.")
    if options["page"] is not None and options["prompt"] is None:
        raise InputRefused("--page goes with --prompt; an address has its page in itself.")
    return Order(
        edition=options["edition"],
        address=options["address_given"] if options["address"] is None else options["address"],
        prompt=options["prompt"],
        first_page=options["page"] or 1,
        key_file=options["key_file"],
        seed=options["seed"],
        count=options["nb_keys"],
        steps=options["num_inference_steps"],
        latents=options["latents_type"],
    )


def same(entry: dict[str, Any]) -> bool:
    """Whether the prints of a page that were compared, if any, have the same pixels."""
    return len(set(entry.get("digests", ["one"]))) == 1


def line_of(entry: dict[str, Any]) -> str:
    """One printed page for people: one line, and one for each digest where they were compared."""
    name = entry.get("png", "not written")
    lines = [f"{name}  {entry['address']}  {entry['steps']} steps, {entry['seconds']:.1f} s, mark {entry['mark']}"]
    if "digests" in entry:
        wheres = ("first print", "after another page", "in a fresh process")
        lines += [f"  {where:<20} {digest}" for where, digest in zip(wheres, entry["digests"], strict=True)]
        lines.append("  the same pixels" if same(entry) else "  DIFFERENT PIXELS")
    elif "png" not in entry:
        lines.append(f"  pixels {entry['pixel_digest']}")
    return "\n".join(lines)
