"""What the templates of the entrance, the About page and a page are given. Plain functions, no HTTP.

Imports the modules beside it and `worker`.
"""

from collections.abc import Callable, Sequence
from typing import Any

from gallery.addresses import neighbour_page, path_of, path_of_volume
from gallery.description import PageLinks, describe_recent, links_of
from gallery.editions import edition_of
from gallery.models import Page
from gallery.pages.sentences import alt_text, day_of
from gallery.pages.status import PageStatus
from worker.catalogue.address import Address, Kind


def entrance_context(recent: Sequence[Page]) -> dict[str, Any]:
    """Return the wall of the pages printed last."""
    wall = []
    for row in recent:
        address = Address.parse_kept(row.address)
        wall.append({"page": describe_recent(row), "title": address.name, "alt_text": alt_text(address)})
    return {"wall": wall}


def about_context(edition: str) -> dict[str, Any]:
    """Return one example of each kind of address, in an edition that is here."""
    kinds: dict[Kind, str] = {"prompt": "a dog", "key": "borges", "stacks": "borges"}
    return {"examples": {kind: path_of(Address(edition, kind, name, 1)) for kind, name in kinds.items()}}


def page_context(
    status: PageStatus, tab: str, *, unveiled: bool, absolute: Callable[[str], str], ahead: bool = False
) -> dict[str, Any]:
    """Return everything that a page shows.

    `tab` is the name under which it waits; `unveiled`: the visitor asked to see a flagged picture; `absolute` makes an
    absolute URL of a path; `ahead`: the page after a kept one is printed while that is looked at.
    """
    address, progress = status.address, status.progress
    page = status.describe()
    links = page.links
    assert isinstance(links, PageLinks), "a description holds the site's own links too"
    following = neighbour_page(address, 1) if ahead and status.kept else None
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
        "named": status.named,
        "named_page": path_of(status.named) if status.named else None,
        "prompt": address.name if address.kind == "prompt" else "",
        "volume": path_of_volume(address),
        "alt_text": alt_text(address, page.unread, status.colours),
        "visitor": tab,
        "ahead": links_of(following) if following is not None else None,
        "veiled": status.flagged and not unveiled,
        "url": absolute(links.page),
        "card": absolute(links.card),
    }
