"""`manage.py editions`: what editions there are, where their weights lie, and whether they can be printed."""

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser

from gallery.management.sentences import PressCommand
from worker.editions.edition import Edition, edition_slugs, load_edition
from worker.editions.weights import deciding_files
from worker.errors import BabeliaError


class Command(PressCommand):
    """List the editions."""

    help = "List every edition: slug, title, licence, where its weights are, their size and digest, installed or not."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="one JSON list instead of lines for people")

    def run(self, **options: Any) -> None:
        found = [describe(slug, settings.DATA_DIR) for slug in edition_slugs(settings.DATA_DIR)]
        if options["json"]:
            self.write_json(found)
            return
        for entry in found:
            self.stdout.write(entry["slug"] + (f": {entry['title']}" if "title" in entry else ""))
            for name in ("licence", "weights", "size", "digest", "installed", "fault"):
                if entry.get(name) is not None:
                    self.stdout.write(f"  {name:<10} {_shown(name, entry)}")


def describe(slug: str, data_dir: Path) -> dict[str, Any]:
    """What is known of one edition; `fault` is a sentence where it cannot be printed, else None."""
    try:
        edition = load_edition(slug, data_dir)
    except BabeliaError as error:
        return {"slug": slug, "installed": False, "fault": str(error)}
    entry = {
        "slug": slug,
        "title": edition.title,
        "summary": edition.summary,
        "licence": edition.licence,
        "licence_url": edition.licence_url,
        "hub": edition.hub and f"{edition.hub.name}@{edition.hub.revision}",
        "weights": str(edition.weights),
        "size": _size(edition),
        "digest": edition.digest,
        "installed": False,
        "fault": None,
    }
    try:
        checked = edition.check()
    except BabeliaError as error:
        return {**entry, "fault": str(error)}
    return {**entry, "size": checked.bytes, "digest": checked.digest, "installed": True}


def _size(edition: Edition) -> int:
    """Bytes on disk; for weights of the hub that are not here, those that fetching brings."""
    if edition.hub is not None and not edition.installed:
        return sum(pin.bytes for pin in edition.hub.files.values())
    return sum((edition.weights / name).stat().st_size for name in deciding_files(edition.weights))


def _shown(name: str, entry: dict[str, Any]) -> str:
    if name == "installed":
        return "yes" if entry["installed"] else "no"
    if name == "size":
        return f"{entry['size'] / 1e6:,.1f} MB" + ("" if entry["installed"] or not entry["hub"] else " to fetch")
    if name == "weights" and entry["hub"]:
        return f"{entry['weights']} (from {entry['hub']})"
    return str(entry[name])
