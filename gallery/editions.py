"""The editions of this library, remembered for a few seconds: no request reads their folders. Imports settings."""

import time
from dataclasses import dataclass
from typing import Final

from django.conf import settings

from worker.editions.edition import DEFAULT_EDITION, Edition, all_editions
from worker.errors import EditionRefused

_FRESH_SECONDS: Final = 10.0


@dataclass(frozen=True)
class _Shelf:
    read_at: float
    known: dict[str, Edition]
    installed: tuple[Edition, ...]


_shelf = _Shelf(float("-inf"), {}, ())


def _fresh() -> _Shelf:
    global _shelf
    if time.monotonic() - _shelf.read_at > _FRESH_SECONDS:
        known = {edition.slug: edition for edition in all_editions(settings.DATA_DIR)}
        installed = tuple(edition for edition in known.values() if edition.installed)
        _shelf = _Shelf(time.monotonic(), known, installed)
    return _shelf


def editions() -> dict[str, Edition]:
    """Return the editions by slug, the default first. What is broken is left out (and said in the log)."""
    return _fresh().known


def offered_editions() -> tuple[Edition, ...]:
    """Return the editions that a visitor is offered: those installed here, or the default where none is."""
    shelf = _fresh()
    return shelf.installed or tuple(shelf.known.values())[:1]


def default_edition() -> str:
    """Return the edition that is opened where none is named: `pocket-1`, else one that is installed, else any."""
    shelf = _fresh()
    if DEFAULT_EDITION in shelf.known:
        return DEFAULT_EDITION
    return next((edition.slug for edition in (*shelf.installed, *shelf.known.values())), DEFAULT_EDITION)


def edition_of(slug: str) -> Edition:
    """Return one edition. Raises EditionRefused, with the ones there are, where there is none of this name."""
    known = editions()
    if slug not in known:
        raise EditionRefused(
            f"There is no edition named “{slug[:40]}” here.",
            hint=f"The editions here are {', '.join(known) or 'none'}.",
        )
    return known[slug]
