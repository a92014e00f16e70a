"""The site behind a real nginx, as owners set it up: plainly, with a decoding proxy_pass, below a path of its host."""

import http.client
import json
import re
import secrets
from collections.abc import Callable, Iterator
from urllib.parse import quote, urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.conftest import RunningPress, run_site
from tests.gallery.test_pages_browser import drop
from tests.outside.conftest import HOST, visiting_from_outside
from tests.outside.test_hostile_headers import paths
from tests.visitor import Answer, ask, fresh, long_page, post, post_file, printed
from worker.catalogue.address import Address

Nginx = Callable[[str], str]
LINK = re.compile(r"""(?:href|src|action|data-[a-z]+)="([^"]*)\"""")


@pytest.fixture(scope="module")
def prefixed_site(press: RunningPress) -> Iterator[str]:
    """A site that is told by its own settings that it lies below a path."""
    with run_site(press, BABELIA_HOSTS=f"{HOST},127.0.0.1", BABELIA_PREFIX="/library/") as url:
        yield url


def through(url: str) -> str:
    """The URL by which this process reaches what the browser reaches by its name."""
    return url.replace(HOST, "127.0.0.1")


def of_browser(url: str, path: str, **headers: str) -> Answer:
    """A form's answer, sent as a browser in a network without HTTPS sends it: no Sec-Fetch-Site, but an Origin."""
    host = urlsplit(url).netloc
    return post(through(url), path, {"visitor": "me"}, Host=host, Origin=f"http://{host}", **headers)


PLAIN = {"proxy_pass alone": "", "Host $host": "proxy_set_header Host $host;"}


@pytest.mark.parametrize("line", PLAIN.values(), ids=PLAIN)
def test_behind_a_plain_nginx_nothing_stops_its_owner(
    nginx: Nginx, own_site: str, outside_browser: Browser, line: str
) -> None:
    url = nginx(f"location / {{ proxy_pass {own_site}; {line} }}")
    address = fresh("prompt")
    picture = printed(own_site, address).body
    mark = ask(own_site, address.path()[:-1] + ".json").json["mark"]
    waiting = Address("pocket-1", "key", secrets.token_hex(8), 1)  # no press here prints it, so that it can be left
    with visiting_from_outside(outside_browser) as context:
        page = context.new_page()
        page.goto(url + "/about/")
        drop(page, "page.png", "image/png", picture)
        page.wait_for_url(url + address.path())
        page.goto(f"{url}/tiny/mark/{mark}/anatomy/")
        page.get_by_role("button", name="Draw it again").click()
        page.locator("#sentence, #result").first.wait_for()  # not the URL: the page takes the visitor out of its own
        page.goto(url + waiting.path())
        page.get_by_role("button", name="Cancel").click()
        page.wait_for_url(url + "/")
    assert of_browser(url, address.path()[:-1] + "/again").status == 303


@pytest.mark.parametrize("line", PLAIN.values(), ids=PLAIN)
def test_a_copied_link_is_the_one_in_the_address_bar_whatever_host_the_proxy_hands_on(
    nginx: Nginx, own_site: str, outside_browser: Browser, line: str
) -> None:
    url, address = nginx(f"location / {{ proxy_pass {own_site}; {line} }}"), fresh()
    with visiting_from_outside(outside_browser) as context:
        context.add_init_script("navigator.share = async (what) => { window.shared = what.url; }")
        context.add_init_script("navigator.clipboard = { writeText: async (text) => { window.copied = text; } }")
        page = context.new_page()
        page.goto(url + address.path())
        page.get_by_text("Share", exact=True).click()
        expect(page.get_by_label("Link", exact=True)).to_have_value(url + address.path())
        expect(page.locator("#frame")).to_have_value(re.compile(f'src="{re.escape(url + address.path())}embed/"'))
        page.click("button[data-share]")
        page.wait_for_function("window.shared")
        assert page.evaluate("window.shared") == url + address.path()
        page.get_by_role("button", name="Copy HTML").click()
        page.wait_for_function("window.copied")
        assert page.evaluate("window.copied") == page.locator("#frame").input_value()


def test_a_site_that_does_not_know_its_name_says_which_header_the_proxy_must_hand_on(nginx: Nginx, site: str) -> None:
    url = nginx(f"location / {{ proxy_pass {site}; }}")
    origin = {"Host": urlsplit(url).netloc, "Origin": url}
    dropped = post_file(through(url), "page.png", b"", Accept="application/json", **origin)
    assert (dropped.status, dropped.json["code"]) == (403, "foreign_site")
    assert f"sent by a page of {HOST}, and this site is asked as 127.0.0.1" in str(dropped.json["message"])
    assert "proxy_set_header Host $http_host" in str(dropped.json["hint"])
    left = post(through(url), fresh().path()[:-1] + "/leave", {}, **origin)
    assert left.status == 403 and left.headers["content-type"].startswith("text/html")
    assert "X-Forwarded-Host" in left.text


@pytest.mark.parametrize("origin", ["https://elsewhere.example", "null", "http://[", "http://library.example.org.evil"])
def test_a_form_of_another_site_stays_refused_behind_a_proxy(nginx: Nginx, own_site: str, origin: str) -> None:
    url = nginx(f"location / {{ proxy_pass {own_site}; proxy_set_header Host $http_host; }}")
    for path in ("/key/open", fresh().path()[:-1] + "/leave", "/about/", "/api/page"):
        answer = post(through(url), path, {}, Host=urlsplit(url).netloc, Origin=origin, Accept="application/json")
        assert (answer.status, answer.json["code"]) == (403, "foreign_site"), path


def test_a_page_of_another_site_cannot_have_pages_printed_through_the_api(site: str) -> None:
    address = fresh()
    body = json.dumps({"address": address.format()}).encode()
    for headers in ({"Origin": "https://elsewhere.example"}, {"Sec_Fetch_Site": "cross-site"}):
        answer = ask(site, "/api/page", "POST", body, Content_Type="text/plain", **headers)
        assert (answer.status, answer.json["code"]) == (403, "foreign_site")
    assert ask(site, address.path()[:-1] + ".json").json["state"] == "absent"


@pytest.mark.parametrize(
    "prompt", ["a, b", "it's", "a/b", "1+1", "50% & more?", "(a) ; b = c @ d ! $ * ~", "雪の中の狐"]
)
def test_no_prompt_is_sent_in_circles_by_a_proxy_that_encodes_paths_anew(
    nginx: Nginx, own_site: str, prompt: str
) -> None:
    url = through(nginx(f"location / {{ proxy_pass {own_site}/; }}"))
    address = Address("tiny", "prompt", f"{prompt} {secrets.token_hex(4)}", 1)
    for form in ("/", ".json"):
        assert ask(url, address.path()[:-1] + form, "HEAD", Host=HOST).status == 200
    assert ask(url, address.path()[:-1] + ".json", Host=HOST).json["name"] == address.name
    other = ask(url, quote(f"/tiny/prompt/{address.name}  /1/"), "HEAD", Host=HOST)
    assert (other.status, other.headers["location"]) == (301, address.path()), "another name is still sent on"


# -- below a path of the host

HEADERS = "proxy_set_header Host $http_host;"
BELOW = {
    "the header, path left on": ("own_site", "", f"{HEADERS} proxy_set_header X-Forwarded-Prefix /library;"),
    "the header, path taken off": ("own_site", "/", f"{HEADERS} proxy_set_header X-Forwarded-Prefix /library;"),
    "the setting, path left on": ("prefixed_site", "", HEADERS),
    "the setting, path taken off": ("prefixed_site", "/", HEADERS),
}


@pytest.fixture(params=BELOW.values(), ids=BELOW)
def below(request: pytest.FixtureRequest, nginx: Nginx) -> str:
    """The URL of a site that lies below /library of its host; all else there is somebody else's."""
    name, slash, lines = request.param
    site: str = request.getfixturevalue(name)
    other = 'location / { return 418 "somebody else"; }'
    return nginx(f"{other} location /library/ {{ proxy_pass {site}{slash}; {lines} }}") + "/library"


def styled(page: Page) -> bool:
    """Whether all style sheets and scripts of a page were loaded."""
    sheets = "[...document.querySelectorAll('link[rel=stylesheet]')].map((link) => link.sheet?.cssRules.length ?? 0)"
    rules: list[int] = page.evaluate(sheets)
    return len(rules) >= 2 and all(rules)


def test_below_a_path_every_page_is_styled_and_every_link_stays_inside(below: str, outside_browser: Browser) -> None:
    address = fresh("prompt")
    with visiting_from_outside(outside_browser) as context:
        page = context.new_page()
        gone: list[str] = []
        page.on("response", lambda answer: gone.append(answer.url) if answer.status == 418 else None)
        page.goto(below + address.path())
        expect(page.locator("#picture")).to_be_visible()
        assert page.locator("main").get_attribute("data-state") == "kept", "it was followed by its events"
        for path in ("/", "/about/", "/key/", "/search/", "/nothing/here/", address.path()):
            page.goto(below + path)
            assert styled(page), path
            links = LINK.findall(page.content())
            assert not [link for link in links if link.startswith("/") and not link.startswith("/library/")], path
        assert page.locator("meta[property='og:url']").get_attribute("content") == below + address.path()
        assert page.locator("link[rel=canonical]").get_attribute("href") == below + address.path()
        page.keyboard.press("ArrowRight")
        page.wait_for_url(below + address.with_page(2).path())
        page.fill("input[name=prompt]", "a dog")
        page.press("input[name=prompt]", "Enter")
        page.wait_for_url(f"{below}/*/prompt/a%20dog/1/")
        page.get_by_role("link", name="Random").first.click()
        page.wait_for_url(f"{below}/*/key/*/*/")
        page.goto(below + "/api/docs", timeout=120_000)  # a megabyte of scripts, on cores that others use too
        expect(page.get_by_text("Ask for a page").first).to_be_visible()
        assert not gone


def test_below_a_path_pictures_can_be_dropped_and_pages_left(
    below: str, own_site: str, outside_browser: Browser
) -> None:
    address = fresh("prompt")
    picture = printed(own_site, address).body
    with visiting_from_outside(outside_browser) as context:
        page = context.new_page()
        page.goto(below + "/about/")
        drop(page, "page.png", "image/png", picture)
        page.wait_for_url(below + address.path())
        shown = page.locator("#picture")
        expect(shown).to_be_visible()
        assert shown.evaluate("async (image) => { await image.decode(); return image.naturalWidth; }") == 640
        page.goto(below + Address("pocket-1", "key", secrets.token_hex(8), 1).path())
        page.get_by_role("button", name="Cancel").click()
        page.wait_for_url(below + "/")


def test_below_a_path_programs_are_told_paths_that_lead_back(below: str) -> None:
    root = through(below).removesuffix("/library")
    address = fresh("prompt")

    def get(path: str, **headers: str) -> Answer:
        return ask(root, "/library" + path, Host=urlsplit(below).netloc, **headers)

    facts = get(f"/api/page?address={quote(address.format(), safe='')}").json
    links = facts["links"]
    assert isinstance(links, dict)
    assert {str(link)[:14] for link in links.values() if link} == {"/library/tiny/"}
    assert get(str(links["picture"]).removeprefix("/library")).headers["content-type"] == "image/png"
    paths = get("/api/openapi.json").json["paths"]
    assert isinstance(paths, dict) and all(path.startswith("/library/api/") for path in paths)
    assert "Disallow: /library/\n" in get("/robots.txt").text
    assert "Allow: /library/static/\n" in get("/robots.txt").text
    assert get("/tiny/key/borges/1").headers["location"] == "/library/tiny/key/borges/1/"
    assert get("/-/alive").text == "alive\n"
    missing = get("/api/nothing", Accept="application/json")
    assert (missing.status, "/library/api/docs" in str(missing.json["hint"])) == (404, True)


OUTSIDE = re.compile(
    r"(?<![\w./*-])/(?:tiny|pocket-1|api|static|about|key|search|random|mark|prompt|stacks|-|card\.png|robots\.txt)(?![\w-])"
)
"""A path of the site's own as it would stand above /library: in a link, a header, JSON or a sentence."""


def test_below_a_path_no_answer_of_any_route_names_a_path_outside(below: str, site: str) -> None:
    root, kept, waiting = through(below), fresh("prompt"), Address("pocket-1", "key", secrets.token_hex(8), 1)
    printed(site, kept)
    walked = [
        *paths(kept),
        waiting.path(),
        waiting.path()[:-1] + ".json",
        "/nothing",
        "/api/nothing",
        "/static/nothing",
    ]
    named = []
    for path in walked:
        if path.startswith("/api/page/events"):
            continue  # those of the page itself are read to their end
        for method in ("GET", "POST"):
            for accept in ("text/html", "application/json"):
                said = ask(root, "/library" + path, method, Host=urlsplit(below).netloc, Accept=accept)
                kinds = ("text/", "application/json")
                texts = [f"{name}: {value}" for name, value in said.headers.items()]
                texts += [said.text] if said.headers.get("content-type", "").startswith(kinds) else []
                named += [
                    (method, path, accept, text[max(0, at.start() - 60) : at.end() + 60])
                    for text in texts
                    for at in OUTSIDE.finditer(text)
                ]
    assert not named


def test_whoever_is_no_proxy_is_not_believed(press: RunningPress, own_site: str) -> None:
    claims = {"X_Forwarded_Host": "evil.example", "X_Forwarded_Prefix": "/evil", "X_Forwarded_Port": "1"}
    with run_site(press, BABELIA_PROXIES="192.0.2.1") as site:
        page = ask(site, "/", **claims, X_Forwarded_Proto="https")
        assert f'content="{site}/"' in page.text and "evil" not in page.text
    assert ask(own_site, "/", **claims | {"X_Forwarded_Host": HOST}).text.count('"/evil/') > 3
    assert ask(own_site, "/", X_Forwarded_Host="evil.example").status == 400
    for wrong in ("//evil.example", "/\\evil", "/a/../b", 'x"', "/a b", "https://evil.example"):
        assert "evil" not in ask(own_site, "/", X_Forwarded_Prefix=wrong).text, wrong


def test_events_come_through_a_proxy_one_by_one(nginx: Nginx, own_site: str) -> None:
    where = urlsplit(through(nginx(f"location / {{ proxy_pass {own_site}; }}")))
    assert where.hostname
    connection = http.client.HTTPConnection(where.hostname, where.port, timeout=20)
    connection.request("GET", Address("pocket-1", "key", secrets.token_hex(8), 1).path()[:-1] + "/events")
    stream = connection.getresponse()
    lines = [stream.readline().decode() for _ in range(5)]
    connection.close()
    assert lines[0] == "retry: 2000\n" and lines[3] == "event: progress\n", "and the page still waits"


def test_a_long_print_is_left_again_behind_a_proxy(nginx: Nginx, own_site: str) -> None:
    url = nginx(f"location / {{ proxy_pass {own_site}; proxy_set_header Host $host; }}")
    address = long_page(own_site)
    assert of_browser(url, address.path()[:-1] + "/leave").headers["location"] == "/"
