"""What an edition holds, measured: reads its holds/holds.json (the standard library only; no torch).

`python -m bench.holds` writes the file and the pictures beside it, docs/editions.md says what is in it. It is true of
one set of weights, which it names; for others `fits` says no, and none of its figures may be claimed.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from worker.editions.edition import Edition
from worker.editions.repertoire import printed_with
from worker.editions.rereading import when_changed
from worker.errors import EditionRefused

FOLDER: Final = "holds"
FILE: Final = "holds.json"
PARTS: Final = ("pictures", "dimension", "bits", "mush")
"""What is measured, each part alone: pictures searched for, directions, flipped bits, pages of the stacks."""
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Part:
    """One part of the measurement: how it was done, when last, and what was found, a row for each thing looked at."""

    how: Mapping[str, Any]
    measured: str
    """The day on which the last row was written, such as 2026-11-28 (UTC)."""
    rows: Sequence[Row]


@dataclass(frozen=True)
class Holdings:
    """The measurements of one edition."""

    folder: Path
    weights: str
    """The digest of the weights that they are true of."""
    settings: Mapping[str, Any]
    """How pages are printed, as `printed_with` names it."""
    rendition: str
    parts: Mapping[str, Part]

    def fits(self, edition: Edition, weights: str | None) -> bool:
        """Say whether they are true of an edition whose weights have this digest (None: as the edition states)."""
        return self.weights == (weights or edition.digest) and self.settings == printed_with(edition)

    def picture(self, file: str) -> Path | None:
        """Return the path of a picture by its name without the suffix; None where no row names it."""
        part = self.parts.get("pictures")
        named = {name for row in (part.rows if part else ()) for name in row.get("files", {}).values()}
        path = self.folder / f"{file}.webp"
        return path if file in named and path.is_file() else None


def read_holdings(folder: Path) -> Holdings | None:
    """Return what an edition's folder says was measured, None if nothing. Raises EditionRefused where it is broken."""
    try:
        return _read(folder / FOLDER / FILE)
    except OSError:
        return None


@when_changed(16)
def _read(path: Path) -> Holdings:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        parts = {name: _part(name, part) for name, part in document["parts"].items()}
        return Holdings(path.parent, document["weights"], document["settings"], document["rendition"], parts)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise EditionRefused(f"{path} holds no measurements: {error!r}.") from error


def _part(name: str, document: Mapping[str, Any]) -> Part:
    if name not in PARTS or re.fullmatch(r"\d{4}-\d\d-\d\d", document["measured"]) is None:
        raise ValueError(f"the part {name!r} of the day {document['measured']!r}")
    return Part(dict(document["how"]), document["measured"], tuple(document["rows"]))
