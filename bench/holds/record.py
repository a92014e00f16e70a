"""The file that the measurements are written to, row by row, so that a measurement that was stopped goes on. No torch.

May import worker.editions and worker.files. The form is read by worker.editions.holdings.
"""

import json
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from worker.editions.edition import Edition
from worker.editions.holdings import FILE, FOLDER
from worker.editions.repertoire import printed_with
from worker.errors import InputRefused
from worker.files import write_outputs

ANEW = "Measure this part anew with --anew, or write to another folder with --output."


class Record:
    """The rows of every part, and the file that they are kept in."""

    def __init__(self, edition: Edition, weights: str, rendition: str, folder: Path | None = None) -> None:
        """Read what is there. Raises InputRefused where that belongs to other weights, or is no such file."""
        self.folder = folder or edition.folder / FOLDER
        self.path = self.folder / FILE
        self._head = {"edition": edition.slug, "weights": weights, "settings": printed_with(edition)}
        self._rendition = rendition
        self._parts: dict[str, dict[str, Any]] = {}
        try:
            there = json.loads(self.path.read_text(encoding="utf-8"))
            found = {name: there[name] for name in self._head}
            self._parts = there["parts"]
        except FileNotFoundError:
            return
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputRefused(f"{self.path} should hold measurements and cannot be read: {error!r}.") from error
        if found != self._head:
            raise InputRefused(
                f"{self.path} was measured of {found['edition']} with the weights {found['weights'][:16]}, and this is"
                f" {edition.slug} with {weights[:16]}, or it prints in another way.",
                hint="Delete the file to measure all of it anew, or write to another folder with --output.",
            )

    def begin(self, part: str, how: Mapping[str, Any], *, anew: bool) -> list[dict[str, Any]]:
        """Return the rows of a part so far. Raises InputRefused where they were measured in another way.

        What decides a part's figures stands in `how`; the rendition, which may be another with each part, goes with it.
        """
        own = {**how, "rendition": self._rendition}
        there = self._parts.get(part)
        if there is None or anew:
            self._parts[part] = {"how": own, "measured": "", "rows": []}
        elif there["how"] != own:
            differ = ", ".join(
                sorted(name for name in {*own, *there["how"]} if own.get(name) != there["how"].get(name))
            )
            raise InputRefused(f"The part {part} of {self.path} was measured with another {differ}.", hint=ANEW)
        rows: list[dict[str, Any]] = self._parts[part]["rows"]
        return rows

    def write(self, part: str, index: int, row: Mapping[str, Any], pictures: Mapping[str, bytes] | None = None) -> None:
        """Put a row at its place, the one after the last where it is new, and write the file; pictures beside it."""
        own = self._parts[part]
        own["rows"][index : index + 1] = [dict(row)]
        own["measured"] = datetime.now(UTC).date().isoformat()
        with suppress(OSError, ValueError, KeyError):  # another part may be measured at the same time
            self._parts = json.loads(self.path.read_text(encoding="utf-8"))["parts"] | {part: own}
        document = {**self._head, "rendition": self._rendition, "parts": dict(sorted(self._parts.items()))}
        beside = {self.folder / name: data for name, data in (pictures or {}).items()}
        write_outputs({**beside, self.path: (_format(document) + "\n").encode()})


def _format(document: Mapping[str, Any]) -> str:
    """JSON with a line for each row, so that a difference of two versions can be read."""
    rows = {name: part["rows"] for name, part in document["parts"].items()}
    hollow = {name: {**part, "rows": f"@{name}@"} for name, part in document["parts"].items()}
    text = json.dumps({**document, "parts": hollow}, indent=1, ensure_ascii=False)
    for name, found in rows.items():
        lines = ",\n".join(f"    {json.dumps(row, ensure_ascii=False)}" for row in found)
        text = text.replace(f'"@{name}@"', f"[\n{lines}\n   ]")
    return text
