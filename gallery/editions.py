"""The editions of this library, remembered for a few seconds: no request reads their folders. Imports settings."""

import time

from django.conf import settings

from worker.edition import DEFAULT_EDITION, Edition, all_editions
from worker.errors import EditionRefused

_FRESH_SECONDS = 10.0
_seen: tuple[float, dict[str, Edition]] = (float("-inf"), {})


def editions() -> dict[str, Edition]:
    """Return the editions by slug, the default first. Raises EditionRefused where one of them is broken."""
    global _seen
    read_at, known = _seen
    if time.monotonic() - read_at > _FRESH_SECONDS:
        known = {edition.slug: edition for edition in all_editions(settings.DATA_DIR)}
        _seen = (time.monotonic(), known)
    return known


def default_edition() -> str:
    """Return the edition that is opened where none is named: `pocket-1`, else one that is installed, else any."""
    known = editions()
    installed = (slug for slug, edition in known.items() if edition.installed)
    return DEFAULT_EDITION if DEFAULT_EDITION in known else next(installed, next(iter(known), DEFAULT_EDITION))


def edition_of(slug: str) -> Edition:
    """Return one edition. Raises EditionRefused, with the ones there are, where there is none of this name."""
    known = editions()
    if slug not in known:
        raise EditionRefused(
            f"There is no edition named “{slug[:40]}” here.",
            hint=f"The editions here are {', '.join(known) or 'none'}.",
        )
    return known[slug]
