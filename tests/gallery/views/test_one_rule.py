"""HEAD, tags, parts and gzip: the same rule for static files, pages, pictures and the API, asked over HTTP."""

import gzip
from urllib.parse import quote

import pytest
from django.templatetags.static import static

from tests.visitor import ask, fresh
from worker.catalogue.address import Address

SURFACES = {
    "a style sheet": lambda address: static("css/rules.css"),
    "the entrance's card": lambda address: "/card.png",
    "About": lambda address: "/about/",
    "a page": lambda address: address.path(),
    "its picture": lambda address: address.path()[:-1] + ".png",
    "its WebP": lambda address: address.path()[:-1] + ".webp",
    "its tensors": lambda address: address.path()[:-1] + ".npz",
    "its postcard": lambda address: address.path()[:-1] + "/postcard.png",
    "its latents": lambda address: address.path()[:-1] + "/anatomy/latents.png",
    "its picture with its key": lambda address: address.path()[:-1] + "/with-key.png",
    "its key": lambda address: address.path()[:-1] + ".txt",
    "its thumbnail": lambda address: address.path()[:-1] + "/thumbnail.webp",
    "its card": lambda address: address.path()[:-1] + "/card.png",
    "the API's facts": lambda address: f"/api/page?address={quote(address.format(), safe='')}",
    "the API's picture": lambda address: f"/api/page/picture?address={quote(address.format(), safe='')}",
    "the API's key": lambda address: f"/api/page/key?address={quote(address.format(), safe='')}",
    "the API's editions": lambda address: "/api/editions",
    "the API's description": lambda address: "/api/openapi.json",
    "what crawlers are told": lambda address: "/robots.txt",
    "the reading room": lambda address: "/tiny/",
    "the feed": lambda address: "/feed.atom",
    "an icon": lambda address: "/favicon.ico",
    "its frame": lambda address: address.path() + "embed/",
}


@pytest.mark.parametrize("surface", SURFACES)
def test_every_surface_follows_the_one_rule(site: str, kept: Address, surface: str) -> None:
    path = SURFACES[surface](kept)
    whole = ask(site, path)
    assert whole.status == 200
    tag = whole.headers["etag"]

    head = ask(site, path, "HEAD")
    differing = {"date"}
    assert head.body == b"" and head.status == 200
    assert {k: v for k, v in head.headers.items() if k not in differing | {"content-security-policy"}} == {
        k: v for k, v in whole.headers.items() if k not in differing | {"content-security-policy"}
    }
    for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        for method in ("GET", "HEAD"):
            same = ask(site, path, method, If_None_Match=known)
            assert (same.status, same.body, same.headers["etag"]) == (304, b"", tag)
    assert ask(site, path, If_None_Match='"other"').status == 200

    part = ask(site, path, Range="bytes=2-9", If_Range=tag)
    assert (part.status, part.body) == (206, whole.body[2:10])
    assert part.headers["content-range"] == f"bytes 2-9/{len(whole.body)}"
    assert ask(site, path, Range=f"bytes={len(whole.body)}-").status == 416

    small = ask(site, path, Accept_Encoding="gzip")
    if small.headers.get("content-encoding") == "gzip":
        assert gzip.decompress(small.body) == whole.body
        assert "Accept-Encoding" in small.headers["vary"] and "Accept-Encoding" in whole.headers["vary"]
    else:
        assert small.body == whole.body
    assert "content-encoding" not in ask(site, path, Accept_Encoding="gzip;q=0").headers
    for name in ("permissions-policy", "cross-origin-resource-policy", "x-content-type-options"):
        assert name in whole.headers


@pytest.mark.parametrize("path", ["/api/page/picture", "/api/page/key", "/api/page/events"])
def test_head_starts_no_print_in_the_api_either(site: str, path: str) -> None:
    address = fresh("prompt")
    answer = ask(site, f"{path}?address={quote(address.format(), safe='')}", "HEAD")
    assert answer.status == 200 and "content-length" not in answer.headers
    assert ask(site, address.path()[:-1] + "/events", "HEAD").headers["content-type"] == "text/event-stream"
    assert ask(site, address.path()[:-1] + ".json").json["state"] == "absent"
