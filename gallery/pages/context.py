"""What the templates of the entrance, the About page and a page are given. Plain functions, no HTTP.

Imports the modules beside it and `worker`.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from django.utils.html import format_html

from gallery.addresses import neighbour_page, path_of, path_of_volume
from gallery.description import PageLinks, address_of_row, links_of
from gallery.editions import edition_of
from gallery.models import Page
from gallery.pages.sentences import alt_text, day_of
from gallery.pages.status import PageStatus
from worker.catalogue import png
from worker.catalogue.address import Address, Kind
from worker.store.colours import name_of_colour
from worker.store.records import PageRecord


class WallLinks(NamedTuple):
    """The paths that a page on a wall needs; all that there are (`links_of`) would take half of a wall's time."""

    page: str
    thumbnail: str


def entrance_context(recent: Sequence[Page]) -> dict[str, Any]:
    """Return the wall of the pages printed last."""
    wall = []
    for row in recent:
        address = Address.parse_kept(row.address)
        words = alt_text(address)
        if row.colour and address.kind != "prompt":  # their names say nothing of what is to be seen
            words += f", mostly {name_of_colour(row.colour)}"
        opens = address_of_row(row)
        links = WallLinks(path_of(opens), path_of(opens, "/thumbnail.webp"))
        shown = {"page": links, "title": address.name, "alt_text": words}
        wall.append(shown | {"place": address.page, "colour": row.colour})
    return {"wall": wall}


CAPTION: Final = 48
"""CSS pixels below the picture in its frame, for name and link (static/css/embed.css)."""
KEY_KB: Final = 143
"""What a key adds to a PNG: 6 of 8 bits of a character carry it, so zlib makes of it what it is in bytes."""


def _sizes(record: PageRecord | None) -> dict[str, str]:
    """Return what the files of a kept page weigh, in words, as far as that is known before they are made."""
    if record is None:
        return {}
    webp = "" if record.webp_size is None else f"{max(1, round(record.webp_size / 1000))} kB"
    return {
        "png": f"{round(record.size / 1000)} kB",
        "with_key": f"{round(record.size / 1000) + KEY_KB} kB",
        "webp": webp,
        "postcard": f"{round(2 * record.size / 1000)} kB",  # of a picture twice as wide, with little around it
    }


SOURCES: Final = (
    ("J. L. Borges, The Library of Babel, 1941", "in The Garden of Forking Paths"),
    ("J. Basile, Library of Babel, 2015, every page of text", "libraryofbabel.info"),
    ("J. Basile, Babel Image Archives, every picture of 640 by 416", "babelia.libraryofbabel.info"),
    ("J. Ho, A. Jain, P. Abbeel, Denoising Diffusion Probabilistic Models, 2020", "arXiv 2006.11239"),
    (
        "R. Rombach and others, High-Resolution Image Synthesis with Latent Diffusion, 2021",
        "arXiv 2112.10752",
    ),
    ("A. Radford and others, Learning Transferable Visual Models (CLIP), 2021", "arXiv 2103.00020"),
    ("J. Ho, T. Salimans, Classifier-Free Diffusion Guidance, 2022", "arXiv 2207.12598"),
    ("C. Lu and others, DPM-Solver++, 2022", "arXiv 2211.01095"),
)
"""What this library comes from: the story, the earlier libraries, the papers of what draws."""


def about_context(edition: str) -> dict[str, Any]:
    """Return one example of each kind of address, in an edition that is here, and the sources."""
    kinds: dict[Kind, str] = {"prompt": "a dog", "key": "borges", "stacks": "borges"}
    return {
        "examples": {kind: path_of(Address(edition, kind, name, 1)) for kind, name in kinds.items()},
        "sources": SOURCES,
    }


def frame_code(address: Address, title: str, width: int, height: int, absolute: Callable[[str], str]) -> str:
    """Return the HTML by which another site shows a page: a frame of so many CSS pixels with its form `/embed/`."""
    frame = '<iframe src="{}" width="{}" height="{}" title="{}" loading="lazy" style="border:0"></iframe>'
    return format_html(frame, absolute(path_of(address, "/embed/")), width, height, title)


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
    words = alt_text(status.named or address, page.unread, status.colours)
    said = {word.text.lower(): word for word in page.words or ()}.values()  # each once, however often it stands there
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
        "known_words": [word for word in said if word.known],
        "unknown_words": [word for word in said if not word.known],
        "mark_page": path_of(Address(address.edition, "mark", status.mark, None)) if status.mark else None,
        "named": status.named,
        "named_page": path_of(status.named) if status.named else None,
        "prompt": address.name if address.kind == "prompt" else "",
        "beside": "prompt" if address.kind == "prompt" else "name",
        "volume": path_of_volume(address),
        "alt_text": words,
        "frame": frame_code(address, words, png.WIDTH, png.HEIGHT + CAPTION, absolute),
        "visitor": tab,
        "sizes": _sizes(status.record),
        "ahead": links_of(following) if following is not None else None,
        "veiled": status.flagged and not unveiled,
        "url": absolute(links.page),
        "card": absolute(links.card),
    }
