"""gallery.pages.shares: what other programs are told, without HTTP."""

from dataclasses import replace
from typing import Any

import pytest

from gallery.pages.context import CAPTION
from gallery.pages.shares import manifest, oembed_of, page_at, read_bound
from tests.gallery.test_description import RECORD
from worker.catalogue.address import Address
from worker.errors import AddressRefused, InputRefused

ADDRESS = Address.parse("prompt/a dog/1")


def absolute(path: str) -> str:
    return f"https://library.example{path}"


@pytest.mark.parametrize(
    "link",
    [
        "https://library.example/pocket-1/prompt/a%20dog/1/",
        "http://library.example:8000/pocket-1/prompt/a%20dog/1.png",
        "https://LIBRARY.example/below/a/path/pocket-1/prompt/a%20dog/1/?visitor=x#top",
    ],
)
def test_a_link_of_this_site_names_its_page(link: str) -> None:
    assert page_at(link, "library.example") == ADDRESS


@pytest.mark.parametrize(
    "link",
    [
        "",
        "a dog",
        "https://other.example/pocket-1/prompt/a%20dog/1/",
        "https://library.example.other/pocket-1/prompt/a%20dog/1/",
        "https://library.example@other/pocket-1/prompt/a%20dog/1/",
        "https://library.example/about/",
        "javascript://library.example/pocket-1/prompt/a%20dog/1/",
        "https://[library.example/pocket-1/prompt/a%20dog/1/",
        "/pocket-1/prompt/a%20dog/1/",
    ],
)
def test_any_other_link_is_refused(link: str) -> None:
    with pytest.raises(AddressRefused):
        page_at(link, "library.example")


@pytest.mark.parametrize(
    ("bounds", "size"),
    [
        ((None, None), (640, 416 + CAPTION)),
        ((2000, 2000), (640, 416 + CAPTION)),
        ((320, None), (320, 208 + CAPTION)),
        ((None, 256), (320, 208 + CAPTION)),
        ((200, 2000), (200, 130 + CAPTION)),
    ],
)
def test_the_frame_keeps_within_the_bounds_and_shows_the_picture_whole(
    bounds: tuple[int | None, int | None], size: tuple[int, int]
) -> None:
    said = oembed_of(ADDRESS, RECORD, *bounds, absolute)
    assert (said["width"], said["height"]) == size
    assert f'width="{size[0]}" height="{size[1]}"' in said["html"]
    assert (said["version"], said["type"]) == ("1.0", "rich")
    assert 'src="https://library.example/pocket-1/prompt/a%20dog/1/embed/"' in said["html"]


@pytest.mark.parametrize("bounds", [(100, None), (None, 60), (None, 1)])
def test_bounds_that_no_frame_fits_are_refused(bounds: tuple[int | None, int | None]) -> None:
    with pytest.raises(InputRefused, match="160 pixels wide at least"):
        oembed_of(ADDRESS, RECORD, *bounds, absolute)


def test_a_thumbnail_is_named_where_it_fits_and_may_be_shown() -> None:
    assert oembed_of(ADDRESS, RECORD, None, None, absolute)["thumbnail_width"] == 320
    assert "thumbnail_url" not in oembed_of(ADDRESS, RECORD, 319, None, absolute)
    assert "thumbnail_url" not in oembed_of(ADDRESS, replace(RECORD, flagged=True), None, None, absolute)


def test_a_name_cannot_leave_its_frame() -> None:
    hostile = Address("pocket-1", "prompt", '"><script>x</script>', 1)
    assert "<script" not in oembed_of(hostile, RECORD, None, None, absolute)["html"]


@pytest.mark.parametrize("text", ["", "0", "-1", "x", "1.5", "٣", "9" * 4301])
def test_a_bound_is_a_whole_number(text: str) -> None:
    with pytest.raises(InputRefused):
        read_bound(text)


def test_the_manifest_names_what_a_telephone_needs() -> None:
    said: dict[str, Any] = manifest()
    assert said["start_url"].startswith(said["scope"])
    assert {icon["sizes"] for icon in said["icons"]} == {"192x192", "512x512"}
    assert "maskable" in {icon["purpose"] for icon in said["icons"]}
