"""What the templates of the entrance, the About page and a page are given. Plain functions, no HTTP.

Imports the modules beside it and `worker`.
"""

from collections.abc import Callable, Sequence
from typing import Any

from gallery.addresses import path_of
from gallery.description import PageLinks, describe_recent
from gallery.editions import edition_of
from gallery.models import Page
from gallery.pages import cards
from gallery.pages.sentences import alt_text, day_of
from gallery.pages.status import PageStatus
from worker.catalogue import png
from worker.catalogue.address import Address, Kind


def entrance_context(recent: Sequence[Page]) -> dict[str, Any]:
    """Return the wall of the pages printed last."""
    wall = []
    for row in recent:
        address = Address.parse(row.address)
        wall.append({"page": describe_recent(row), "title": address.name, "alt_text": alt_text(address)})
    return {"wall": wall}


def about_context(edition: str) -> dict[str, Any]:
    """Return one example of each kind of address, in an edition that is here."""
    kinds: dict[Kind, str] = {"prompt": "a dog", "key": "borges", "stacks": "borges"}
    return {"examples": {kind: path_of(Address(edition, kind, name, 1)) for kind, name in kinds.items()}}


def page_context(status: PageStatus, visitor: str, *, unveiled: bool, absolute: Callable[[str], str]) -> dict[str, Any]:
    """Return everything that a page shows.

    `visitor` is the name under which its tab waits; `unveiled`: the visitor asked to see a flagged picture; `absolute`
    makes an absolute URL of a path. Link previews get the card where there is no picture that everybody may see.
    """
    address, progress = status.address, status.progress
    page = status.describe()
    links = page.links
    assert isinstance(links, PageLinks), "a description holds the site's own links too"
    shows_card = status.flagged or not status.kept
    preview_size = (cards.WIDTH, cards.HEIGHT) if shows_card else (png.WIDTH, png.HEIGHT)
    return {
        "page": page,
        "links": links,
        "kept": status.kept,
        "waits": progress.state in ("queued", "printing"),
        "edition": address.edition,
        "edition_title": edition_of(address.edition).title,
        "printed_day": day_of(page.printed_at) if page.printed_at else None,
        "has_preview": progress.preview > 0,
        "percent": round(100 * progress.step / progress.of) if progress.of else 0,
        "retry_after": progress.retry_after,
        "known_words": [word for word in page.words or () if word.known],
        "unknown_words": [word for word in page.words or () if not word.known],
        "mark_page": path_of(Address(address.edition, "mark", status.mark, None)) if status.mark else None,
        "prompt": address.name if address.kind == "prompt" else "",
        "alt_text": alt_text(address, page.unread),
        "visitor": visitor,
        "veiled": status.flagged and not unveiled,
        "url": absolute(links.page),
        "preview_url": absolute(links.card if shows_card else links.picture),
        "preview_width": preview_size[0],
        "preview_height": preview_size[1],
    }
