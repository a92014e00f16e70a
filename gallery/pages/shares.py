"""What other programs are told of pages: the Atom feed, oEmbed, and the manifest of who installs the site. No HTTP.

Imports Django's feed generator, the modules beside it, what they stand on, and the ledger. `absolute` makes an absolute
URL of a path throughout.
"""

from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from typing import Any, Final
from urllib.parse import urlsplit

from django.templatetags.static import static
from django.urls import reverse
from django.utils.feedgenerator import Atom1Feed
from django.utils.html import format_html

from gallery import ledger
from gallery.addresses import address_in_link, path_of
from gallery.description import links_of
from gallery.editions import default_edition, edition_of
from gallery.pages.context import CAPTION, entrance_context, frame_code
from gallery.pages.sentences import alt_text
from gallery.pages.status import kept_record
from gallery.pages.walls import page_of_day, today
from worker.catalogue import png
from worker.catalogue.address import Address
from worker.errors import AddressRefused, InputRefused
from worker.store.records import PageRecord
from worker.store.store import THUMBNAIL_HEIGHT, THUMBNAIL_WIDTH

Absolute = Callable[[str], str]

DAYS: Final = 7
"""Pages of the day in the feed: who reads it once a week misses none."""
SMALLEST: Final = 160
"""CSS pixels that a frame is wide at least."""
A_DAY_SECONDS: Final = 86_400


# -- the feed


async def feed(absolute: Absolute) -> str:
    """Return the Atom feed (RFC 4287) of the pages of the day and of what was opened lately, newest first.

    An entry's id is the link of its page, which never changes, so that a page which is both stands there once.
    """
    entries: dict[str, dict[str, Any]] = {}
    for shown in entrance_context(rows := await ledger.recent())["wall"]:
        row = rows[len(entries)]
        name = f"{shown['title']}, {shown['place']}" if shown["place"] else shown["title"]
        page = shown["page"]
        entries[page.page] = _entry(absolute, page.page, name, shown["alt_text"], page.thumbnail, row.printed_at)
    for age in range(DAYS):
        of_day = await page_of_day(default_edition(), today() - timedelta(days=age))
        if of_day is not None:
            path, name = path_of(of_day["address"]), f"Page of the day: {of_day['day']}"
            since = datetime.combine(today() - timedelta(days=age), time(), UTC)
            entries[path] = _entry(absolute, path, name, of_day["alt_text"], of_day["thumbnail"], since)
    home, own = absolute(reverse("entrance")), absolute(reverse("feed"))
    subtitle = "The page of the day, and what was opened lately."
    who = "Babelia"
    atom = Atom1Feed(who, home, "", "en", author_name=who, subtitle=subtitle, feed_url=own, feed_guid=own)
    for entry in sorted(entries.values(), key=lambda entry: entry["updateddate"], reverse=True):
        atom.add_item(**entry)
    return str(atom.writeString("utf-8"))


def _entry(
    absolute: Absolute, path: str, title: str, words: str, thumbnail: str | None, when: datetime
) -> dict[str, Any]:
    """Return what `add_item` takes of one page."""
    link = absolute(path)
    picture = ""
    if thumbnail is not None:
        size = (THUMBNAIL_WIDTH, THUMBNAIL_HEIGHT)
        image = '<p><a href="{}"><img src="{}" width="{}" height="{}" alt="{}"></a></p>'
        picture = format_html(image, link, absolute(thumbnail), *size, words)
    summary = format_html("{}<p>{}</p>", picture, words)
    return {"title": title, "link": link, "description": summary, "unique_id": link, "updateddate": when}


# -- oEmbed


async def kept_and_shown(address: Address) -> PageRecord | None:
    """Return the record of a page that may be shown, None where none is kept. Raises as `ledger.require_shown`."""
    edition_of(address.edition)
    await ledger.require_shown(address)
    record = await kept_record(address)
    await ledger.require_shown(address, record.mark if record is not None else None)
    return record


def page_at(link: str, host: str) -> Address:
    """Return the page that a link of this site names, `host` being how the site is asked. Raises AddressRefused."""
    try:
        ours = urlsplit(link).scheme in ("http", "https") and urlsplit(link).hostname == urlsplit(f"//{host}").hostname
    except ValueError:  # brackets that do not match
        ours = False
    address = address_in_link(link) if ours else None
    if address is None:
        raise AddressRefused("This is no link of a picture here.", hint="Give the link of a page as `url`.")
    return address


def read_bound(text: str | None) -> int | None:
    """Return `maxwidth` or `maxheight`, None where there is none. Raises InputRefused."""
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text)):
        raise InputRefused("`maxwidth` and `maxheight` are whole numbers of pixels.")
    return int(text)


def oembed_of(
    address: Address, record: PageRecord, most_width: int | None, most_height: int | None, absolute: Absolute
) -> dict[str, Any]:
    """Return what oEmbed 1.0 says of a kept page: type "rich", a frame of the page's own within the bounds.

    Not "photo", which has no room for where a picture comes from. Raises InputRefused where no frame fits the bounds.
    """
    width = min(png.WIDTH, most_width or png.WIDTH)
    if most_height is not None:
        width = min(width, (most_height - CAPTION) * png.WIDTH // png.HEIGHT)
    if width < SMALLEST:
        raise InputRefused(f"The frame of a page is {SMALLEST} pixels wide at least.")
    height = width * png.HEIGHT // png.WIDTH + CAPTION
    title = alt_text(address, record.unread)
    said: dict[str, Any] = {
        "version": "1.0",
        "type": "rich",
        "provider_name": "Babelia",
        "provider_url": absolute(reverse("entrance")),
        "title": title,
        "html": frame_code(address, title, width, height, absolute),
        "width": width,
        "height": height,
        "cache_age": A_DAY_SECONDS,
    }
    fits = (most_width or THUMBNAIL_WIDTH) >= THUMBNAIL_WIDTH and (most_height or THUMBNAIL_HEIGHT) >= THUMBNAIL_HEIGHT
    if fits and not record.flagged:
        small = absolute(links_of(address).thumbnail)
        said |= {"thumbnail_url": small, "thumbnail_width": THUMBNAIL_WIDTH, "thumbnail_height": THUMBNAIL_HEIGHT}
    return said


def embed_context(address: Address, record: PageRecord | None) -> dict[str, Any]:
    """Return what the frame of a page shows, be it kept or not."""
    shown = record is not None and not record.flagged
    return {
        "links": links_of(address),
        "name": address.name,
        "place": address.page,
        "alt_text": alt_text(address, None if record is None else record.unread),
        "shown": shown,
        "flagged": record is not None and not shown,
    }


# -- the manifest


def manifest() -> dict[str, Any]:
    """Return the web app manifest: what a telephone needs to put the site among its programs."""
    room = reverse("room", args=[default_edition()])

    def icon(name: str, side: int, purpose: str = "any") -> dict[str, str]:
        return {
            "src": static(f"img/{name}.png"),
            "sizes": f"{side}x{side}",
            "type": "image/png",
            "purpose": purpose,
        }

    return {
        "id": reverse("entrance"),
        "name": "Babelia, the library of all pictures",
        "short_name": "Babelia",
        "description": "A library of all the pictures an AI model can draw. Each has an address.",
        "lang": "en",
        "start_url": room,
        "scope": reverse("entrance"),
        "display": "standalone",
        "background_color": "#f7f1e5",
        "theme_color": "#f7f1e5",
        "icons": [icon("icon-192", 192), icon("icon-512", 512), icon("icon-maskable-512", 512, "maskable")],
        "shortcuts": [
            {"name": "Surprise me", "url": reverse("random-of-edition", args=[default_edition()])},
            {"name": "Page of the day", "url": reverse("today", args=[default_edition()])},
        ],
    }
