"""gallery.views.library: the entrance, search, chance and what crawlers are told, over HTTP."""

import io
import re
from urllib.parse import quote, urlencode

from PIL import Image

from tests.conftest import wait_until
from tests.visitor import ask, fresh, printed
from worker.catalogue.address import Address


def test_the_wall_shows_the_page_soon_after_it_was_opened(site: str) -> None:
    address = fresh("prompt")
    printed(site, address)
    ask(site, address.path())
    wait_until(lambda: address.path()[:-1] + "/thumbnail.webp" in ask(site, "/").text, 10, "the wall shows it")
    small = ask(site, address.path()[:-1] + "/thumbnail.webp")
    with Image.open(io.BytesIO(small.body)) as image:
        assert (image.format, image.size) == ("WEBP", (320, 208))


def test_crawlers_are_told_to_stay_at_the_entrance(site: str) -> None:
    assert "Disallow: /\n" in ask(site, "/robots.txt").text


def test_a_search_leads_to_the_first_page_of_the_prompts_volume(site: str) -> None:
    for typed, canonical in (("a dog", "a dog"), ("  a   dog ", "a dog"), ("a/b? #", "a/b? #"), ("狐", "狐")):
        answer = ask(site, "/search/?" + urlencode({"prompt": typed, "edition": "tiny"}))
        assert (answer.status, answer.headers["location"]) == (302, f"/tiny/prompt/{quote(canonical, safe='')}/1/")


def test_words_that_are_kept_off_the_wall_stand_on_no_list_and_open_as_ever(site: str) -> None:
    quiet, loud = fresh("prompt"), fresh("prompt")
    asked = {"edition": "tiny", "unlisted": "1"}
    assert ask(site, "/search/?" + urlencode(asked | {"prompt": quiet.name})).headers["location"] == quiet.path()
    for address in (quiet, quiet.with_page(2), loud):
        printed(site, address)
        ask(site, address.path())
    wait_until(lambda: loud.path()[:-1] in ask(site, "/").text, 10, "the wall shows what was opened later")
    for listing in ("/", "/api/recent?limit=100"):
        assert quote(quiet.name) not in ask(site, listing).text, listing
    ask(site, "/search/?" + urlencode(asked | {"prompt": loud.name}))
    assert quote(loud.name) in ask(site, "/").text, "these words were there before"


def test_beside_the_box_it_is_said_that_what_is_typed_is_public(site: str) -> None:
    for path in ("/", "/about/", "/search/", "/key/"):
        text = ask(site, path).text
        assert text.count('type="checkbox" name="unlisted"') == 1, path
        assert "What you type names a public page" in text
    assert "The words you type name a public page." in ask(site, "/about/").text


def test_a_search_for_nothing_or_too_much_says_so(site: str) -> None:
    assert ask(site, "/search/?prompt=").status == 200
    answer = ask(site, "/search/?" + urlencode({"prompt": 501 * "a", "edition": "tiny"}))
    assert answer.status == 400
    assert "A prompt has 1 to 500 characters; this one has 501." in answer.text


def test_random_leads_somewhere_else_each_time(site: str) -> None:
    found = [ask(site, "/tiny/random/") for _ in range(5)]
    assert {answer.status for answer in found} == {302}
    assert {answer.headers["cache-control"] for answer in found} == {"no-store"}
    places = {Address.parse_path(answer.headers["location"]) for answer in found}
    assert len(places) == 5
    assert {(place.edition, place.kind, len(place.name)) for place in places} == {("tiny", "key", 16)}


def test_no_page_sets_a_cookie_or_holds_script_or_style_of_its_own(site: str, kept: Address) -> None:
    pages = ["/", "/about/", "/key/", "/search/", "/nothing/", "/api/docs", kept.path(), fresh().path()]
    for path in pages:
        answer = ask(site, path)
        assert "set-cookie" not in answer.headers, path
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert not re.search(r"<script(?![^>]*(?: src=|application/json))", answer.text), path
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=", answer.text), path
        assert not re.search(r"(?:src|href)=\"(?:https?:)?//(?!127\.0\.0\.1)", answer.text.split("<footer")[0]), path
