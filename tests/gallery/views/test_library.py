"""gallery.views.library: the entrance, search, chance and what crawlers are told, over HTTP."""

import io
import re
import secrets
from urllib.parse import quote, urlencode

import pytest
from PIL import Image
from protego import Protego

from gallery.visits import CARD_PROGRAMS
from tests.conftest import RunningPress, wait_until
from tests.gallery.views.conftest import manage
from tests.visitor import ask, fresh, post, printed
from worker.catalogue.address import Address
from worker.catalogue.expansion import stacks_key
from worker.catalogue.key import BITS


def test_the_wall_shows_the_page_soon_after_it_was_opened(site: str) -> None:
    address = fresh("prompt")
    printed(site, address)
    ask(site, address.path())
    wait_until(lambda: address.path()[:-1] + "/thumbnail.webp" in ask(site, "/").text, 10, "the wall shows it")
    small = ask(site, address.path()[:-1] + "/thumbnail.webp")
    with Image.open(io.BytesIO(small.body)) as image:
        assert (image.format, image.size) == ("WEBP", (320, 208))


PLACES = {
    "/": True,
    "/about/": True,
    "/about/holds/": True,
    "/card.png": True,
    "/tiny/": True,
    "/tiny/opened/": False,
    "/favicon.ico": True,
    "/feed.atom": True,
    "/tiny/prompt/a%20dog/1/card.png": True,
    "/static/css/rules.css": True,
    "/tiny/prompt/a%20dog/1/": False,
    "/tiny/prompt/a%20dog/": False,
    "/pocket-1/prompt/a%20dog/": True,
    "/pocket-1/prompt/a%20dog/1/": False,
    "/pocket-1/prompt/a%20dog%20nobody%20drew/": False,
    "/tiny/prompt/a%20dog/1.png": False,
    "/tiny/prompt/card.png/1/": False,
    "/tiny/prompt/a%20dog/1/embed/": False,
    "/tiny/random/": False,
    "/search/?prompt=a+dog": False,
    "/key/": False,
}
"""Whether a crawler may have it."""


def test_crawlers_are_kept_off_addresses_and_programs_that_make_cards_are_not(site: str) -> None:
    told = ask(site, "/robots.txt")
    assert told.headers["content-type"].startswith("text/plain")
    rules = Protego.parse(told.text)
    for path, is_open in PLACES.items():
        for crawler in ("Googlebot", "bingbot", "GPTBot", "ClaudeBot", "meta-externalagent", "AhrefsBot"):
            assert rules.can_fetch(site + path, crawler) is is_open, (path, crawler)
        for name in CARD_PROGRAMS:
            assert rules.can_fetch(site + path, name), (path, name)


def test_search_engines_are_told_what_is_for_them_and_may_have_all_of_it(site: str) -> None:
    robots = ask(site, "/robots.txt").text
    (listed,) = re.findall(r"^Sitemap: (.*)$", robots, re.MULTILINE)
    assert listed == f"{site}/sitemap.txt"
    urls = ask(site, "/sitemap.txt").text.splitlines()
    assert len(set(urls)) == len(urls) > 180
    assert {f"{site}{path}" for path in ("/", "/about/", "/tiny/", "/pocket-1/subjects/")} <= set(urls)
    rules = Protego.parse(robots)
    assert [url for url in urls if not rules.can_fetch(url, "Googlebot")] == []
    for url in (urls[0], f"{site}/pocket-1/subjects/", f"{site}/pocket-1/prompt/a%20dog/"):
        assert url in urls and "noindex" not in ask(site, url.removeprefix(site)).text
    assert 'content="noindex, nofollow"' in ask(site, "/tiny/prompt/a%20dog/").text


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
    for listing in ("/", "/tiny/", "/tiny/opened/", "/feed.atom", "/api/recent?limit=100"):
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


def test_the_box_takes_a_whole_key_that_is_posted_from_a_page_of_ours(site: str) -> None:
    key = stacks_key(secrets.token_hex(8), 1)
    fields = {"prompt": key.format(), "edition": "tiny"}
    answer = post(site, "/search/", fields, Origin=site)
    assert (answer.status, answer.headers["location"]) == (303, f"/tiny/mark/{key.mark}/")
    assert post(site, "/search/", fields, Origin="https://elsewhere.example").status == 403
    damaged = post(site, "/search/", fields | {"prompt": key.format()[:-1]})
    assert damaged.status == 400 and "1 too few" in damaged.text and key.format()[:-1] in damaged.text, "to be mended"


def test_the_box_takes_links_addresses_and_marks_and_whatever_else_it_may_be_told_are_words(site: str) -> None:
    key = stacks_key(secrets.token_hex(8), 1)
    post(site, "/key/open", {"key": key.format(), "edition": "tiny"})
    for typed, path in {
        "https://other.example/babelia/tiny/prompt/a%20dog/7.png": "/tiny/prompt/a%20dog/7/",
        site + "/tiny/key/borges/": "/tiny/key/borges/1/",
        "key/borges/7": "/tiny/key/borges/7/",
        key.mark: f"/tiny/mark/{key.mark}/",
        "A dog": "/tiny/prompt/a%20dog/1/",
    }.items():
        for answer in (
            post(site, "/search/", {"prompt": typed, "edition": "tiny"}),
            ask(site, "/search/?" + urlencode({"prompt": typed, "edition": "tiny"})),
        ):
            assert (answer.status, answer.headers["location"]) == (302, path), typed
    unknown = {"prompt": key.next().mark, "edition": "tiny"}
    refused = post(site, "/search/", unknown)
    assert refused.status == 400 and "has not seen that key yet" in refused.text
    assert 'name="as" value="words"' in refused.text
    taken = post(site, "/search/", unknown | {"as": "words"})
    assert taken.headers["location"] == f"/tiny/prompt/{key.next().mark}/1/"


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_the_box_takes_nothing_in_other_ways(site: str, method: str) -> None:
    assert ask(site, "/search/", method).status == 405
    unreadable = ask(site, "/search/", "POST", b"--x\r\n\r\n", Content_Type="multipart/form-data")
    assert unreadable.status == 400


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
        markup = re.sub(r"<textarea.*?</textarea>", "", answer.text, flags=re.DOTALL)  # what stands in one is only read
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=", markup), path
        assert not re.search(r"(?:src|href)=\"(?:https?:)?//(?!127\.0\.0\.1)", answer.text.split("<footer")[0]), path


def test_about_says_how_many_pages_there_are_and_shows_the_key_of_words(site: str) -> None:
    text = ask(site, "/about/").text
    assert "10<sup>342,155</sup>" in text and 10**342_155 < 2**BITS < 10**342_156
    assert "The key of a page in the stacks" in text or "The key of “" in text
    refused = ask(site, "/about/?" + urlencode({"words": "a\0b"}))
    assert refused.status == 404 and "no prompt may hold" in refused.text
    assert "Draw it" in ask(site, "/about/?words=words+that+nobody+tries").text


def test_about_does_not_show_the_key_of_a_hidden_page(site: str, press: RunningPress) -> None:
    name = secrets.token_hex(8)
    assert "The key of a page in the stacks" in ask(site, f"/about/?stacks={name}").text
    beginning = stacks_key(name, 1).format()[:60]
    manage(press, "hide", f"pocket-1/stacks/{name}/1")
    told = ask(site, f"/about/?stacks={name}")
    assert (told.status, beginning in told.text) == (410, False)
