"""The editions of this library: read from their folders every few seconds, not at each request. Imports settings."""

import logging
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cachetools import TTLCache, cached
from django.conf import settings

from worker.editions.adapters import digest_with_adapters
from worker.editions.edition import DEFAULT_EDITION, Edition, all_editions
from worker.editions.repertoire import Repertoire, read_repertoire
from worker.editions.weights import weights_digest
from worker.errors import BabeliaError, EditionRefused

_FRESH_SECONDS: Final = 10.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Shelf:
    known: dict[str, Edition]
    installed: tuple[Edition, ...]


@cached(TTLCache(maxsize=8, ttl=_FRESH_SECONDS), lock=threading.Lock())
def _read_shelf(data: Path) -> _Shelf:
    known = {edition.slug: edition for edition in all_editions(data)}
    return _Shelf(known, tuple(edition for edition in known.values() if edition.installed))


def _shelf() -> _Shelf:
    return _read_shelf(settings.DATA_DIR)


def editions() -> dict[str, Edition]:
    """Return the editions by slug, the default first. A broken one is left out, and the log says why."""
    return _shelf().known


def offered_editions() -> tuple[Edition, ...]:
    """Return the editions that a visitor is offered: those installed here, or the default where none is."""
    shelf = _shelf()
    return shelf.installed or tuple(shelf.known.values())[:1]


def default_edition() -> str:
    """Return the edition that is opened where none is named: `pocket-1`, else one that is installed, else any."""
    shelf = _shelf()
    if DEFAULT_EDITION in shelf.known:
        return DEFAULT_EDITION
    return next((edition.slug for edition in (*shelf.installed, *shelf.known.values())), DEFAULT_EDITION)


def weights_here(edition: Edition) -> str | None:
    """Return the digest of an edition's weights as they lie here, None where they do not. May hash files: blocks."""
    found = _weights_digest(edition.weights, edition.digest_cache) if edition.installed else None
    return found and digest_with_adapters(found, edition.adapters)


@cached(TTLCache(maxsize=32, ttl=_FRESH_SECONDS), lock=threading.Lock())
def _weights_digest(weights: Path, cache: Path) -> str | None:
    try:
        return weights_digest(weights, cache)
    except (OSError, BabeliaError):  # they are being replaced, or damaged: the press says what is wrong with them
        return None


@dataclass(frozen=True)
class Known:
    """What is known of what an edition draws: its repertoire, and whether that is true of the weights that are here."""

    repertoire: Repertoire | None
    fits: bool


@cached(TTLCache(maxsize=32, ttl=_FRESH_SECONDS), key=lambda edition: edition.folder, lock=threading.Lock())
def known_of(edition: Edition) -> Known:
    """Return what is known of what an edition draws. May hash its weights: blocks."""
    try:
        repertoire = read_repertoire(edition.folder)
    except EditionRefused as error:
        _log.warning("The site does not say what edition %s draws: %s", edition.slug, error)
        repertoire = None
    return Known(repertoire, repertoire is not None and repertoire.fits(edition, weights_here(edition)))


def edition_of(slug: str) -> Edition:
    """Return one edition. Raises EditionRefused, which lists the known ones, where there is none of this name."""
    known = editions()
    if slug not in known:
        raise EditionRefused(
            f"There is no model named “{slug[:40]}” here.",
            hint=f"The models here are {', '.join(known) or 'none'}.",
        )
    return known[slug]
