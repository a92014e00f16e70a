"""gallery.views.shares: the feed, oEmbed and its frame, the manifest and the icons, over a library of this process."""

import io
import re
from datetime import UTC, datetime
from urllib.parse import quote
from xml.etree import ElementTree

import pytest
from PIL import Image

from gallery.pages.walls import address_of_day
from tests.gallery.views.conftest import InProcess
from worker.catalogue.address import Address
from worker.store import hidden

pytestmark = pytest.mark.django_db(transaction=True)
ATOM = "{http://www.w3.org/2005/Atom}"
KEPT = "pocket-1/prompt/a dog/1"
LINK = "http://testserver/pocket-1/prompt/a%20dog/1/"


def oembed(link: str, more: str = "") -> str:
    return f"/oembed?url={quote(link, safe='')}{more}"


def test_the_feed_holds_what_rfc_4287_asks_for(library: InProcess) -> None:
    day = datetime.now(UTC).date()
    library.opened(KEPT, address_of_day("pocket-1", day).format(), "pocket-1/prompt/<b> & \U0001f436/2")
    answer = library.get("/feed.atom")
    assert answer["Content-Type"] == "application/atom+xml; charset=utf-8"
    feed = ElementTree.fromstring(answer.content)
    assert feed.tag == f"{ATOM}feed"
    for part in ("id", "title", "updated"):
        assert len(feed.findall(ATOM + part)) == 1 and feed.findtext(ATOM + part)
    assert feed.findtext(f"{ATOM}author/{ATOM}name") == "Babelia"
    links = {link.get("rel"): link.get("href") for link in feed.findall(f"{ATOM}link")}
    assert links == {"alternate": "http://testserver/", "self": "http://testserver/feed.atom"}
    entries = feed.findall(f"{ATOM}entry")
    for entry in entries:
        for part in ("id", "title", "updated"):
            assert len(entry.findall(ATOM + part)) == 1 and entry.findtext(ATOM + part)
        datetime.fromisoformat(entry.findtext(f"{ATOM}updated") or "")
    ids = [entry.findtext(f"{ATOM}id") for entry in entries]
    assert len(set(ids)) == len(ids) == 2 + 7, "the page of the day was opened too, and stands there once"
    assert LINK in ids and f"http://testserver/pocket-1/key/{day.isoformat()}/1/" in ids
    assert "<b> & \U0001f436, 2" in [entry.findtext(f"{ATOM}title") for entry in entries]
    times = [entry.findtext(f"{ATOM}updated") for entry in entries]
    assert times == sorted(times, key=str, reverse=True)
    assert library.asked_redis == 0
    assert 'type="application/atom+xml"' in library.get("/about/").content.decode(), "it can be discovered"


def test_a_hidden_page_is_in_no_feed_and_has_no_frame(library: InProcess) -> None:
    library.opened(KEPT)
    hidden.hide(library.data, [hidden.name_of_address(Address.parse(KEPT))])
    assert LINK not in library.get("/feed.atom").content.decode()
    for path in (oembed(LINK), f"/{KEPT}/embed/"):
        assert library.get(path).status_code == 410


def test_oembed_gives_a_frame_for_a_kept_page(library: InProcess) -> None:
    library.keep(KEPT)
    answer = library.get(oembed(LINK, "&maxwidth=400&format=json"))
    said = answer.json()
    assert (said["version"], said["type"], said["width"]) == ("1.0", "rich", 400)
    assert answer["Access-Control-Allow-Origin"] == "*" and answer["Content-Type"] == "application/json"
    (frame,) = re.findall(r'src="http://testserver([^"]+)"', said["html"])
    assert library.get(frame).status_code == 200
    assert said["thumbnail_url"].startswith("http://testserver/pocket-1/")


REFUSED = {
    oembed("https://other.example/pocket-1/prompt/a%20dog/1/"): 404,
    oembed("http://testserver/about/"): 404,
    oembed("http://testserver/atlantis/key/a/1/"): 404,
    oembed("http://testserver/pocket-1/key/unprinted/1/"): 404,
    "/oembed": 404,
    oembed(LINK, "&format=xml"): 501,
    oembed(LINK, "&maxwidth=10"): 400,
    oembed(LINK, "&maxheight=many"): 400,
}


def test_oembed_refuses_as_its_standard_says(library: InProcess) -> None:
    library.keep(KEPT)
    for path, status in REFUSED.items():
        answer = library.get(path)
        assert answer.status_code == status, path
        assert set(answer.json()) == {"code", "message", "hint"}
    assert library.asked_redis == 0


def test_the_frame_alone_may_stand_on_other_sites(library: InProcess) -> None:
    library.keep(KEPT)
    frame = library.get(f"/{KEPT}/embed/")
    assert "frame-ancestors *" in frame["Content-Security-Policy"] and "X-Frame-Options" not in frame
    assert "script-src" not in frame["Content-Security-Policy"] and b"<script" not in frame.content
    assert f'src="{Address.parse(KEPT).path()[:-1]}.png"' in frame.content.decode()
    assert re.findall(r"<a (?![^>]*target=\"_blank\" rel=\"noopener\")", frame.content.decode()) == []
    for path in ("/", "/pocket-1/", "/pocket-1/opened/", f"/{KEPT}/", f"/{KEPT}/report", f"/{KEPT}x/embed/"):
        other = library.get(path)
        assert "frame-ancestors 'none'" in other["Content-Security-Policy"], path
        assert other["X-Frame-Options"] == "DENY", path


def test_what_a_frame_refuses_stands_in_the_frame_too(library: InProcess) -> None:
    gone = Address.parse("pocket-1/key/gone/1")
    library.keep(gone.format())
    hidden.hide(library.data, {hidden.name_of_address(gone)})
    for address, status in ((gone.format(), 410), ("atlantis/key/a/1", 404)):
        frame = library.get(f"/{address}/embed/")
        assert frame.status_code == status
        assert "frame-ancestors *" in frame["Content-Security-Policy"] and "X-Frame-Options" not in frame
        text = frame.content.decode()
        assert re.findall(r"<a (?![^>]*target=\"_blank\" rel=\"noopener\")", text) == [] and "<script" not in text
        assert "gone" not in text and "<h1>" in text


def test_the_frame_of_a_page_that_is_not_kept_or_flagged_shows_no_picture_and_starts_none(library: InProcess) -> None:
    library.keep("pocket-1/key/flagged/1", flagged=True)
    for address, sentence in (
        ("pocket-1/key/unprinted/1", "has not been drawn yet"),
        ("pocket-1/key/flagged/1", "An automatic check"),
    ):
        frame = library.get(f"/{address}/embed/")
        assert frame.status_code == 200 and sentence in frame.content.decode() and b"<img" not in frame.content
    assert library.asked_redis == 0


def test_a_kept_page_names_its_oembed(library: InProcess) -> None:
    library.keep(KEPT)
    page = library.get(f"/{KEPT}/").content.decode()
    (found,) = re.findall(
        r'<link rel="alternate" type="application/json\+oembed" href="http://testserver([^"]+)"', page
    )
    assert library.get(found.replace("&amp;", "&")).json()["type"] == "rich"


def test_the_manifest_and_its_icons_are_there(library: InProcess) -> None:
    answer = library.get("/manifest.webmanifest")
    assert answer["Content-Type"] == "application/manifest+json"
    said = answer.json()
    assert library.get(said["start_url"]).status_code == 200
    for shortcut in said["shortcuts"]:
        assert library.get(shortcut["url"]).status_code == 302
    for path, kind, size in (("/favicon.ico", "ICO", (48, 48)), ("/apple-touch-icon.png", "PNG", (180, 180))):
        with Image.open(io.BytesIO(library.get(path).content)) as image:
            assert (image.format, image.size) == (kind, size)
