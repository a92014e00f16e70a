"""gallery.visits: which requests may start a print, who asks, and for how long a tab waits."""

import re

import pytest
from django.test import RequestFactory

from gallery.visits import PATIENCE, may_start_print, patience_of, visitor_of

PEOPLE = [
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/149.0.0.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Safari/604.1",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:150.0) Gecko/20100101 Firefox/150.0",
    "Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 Chrome/140.0.0.0 Safari/537.36 CUBOT_X18",
    "curl/8.14.1",
    "Wget/1.25.0",
    "",
]
MACHINES = [
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
    "WhatsApp/2.23.20.0",
    "TelegramBot (like TwitterBot)",
    "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
    "Mozilla/5.0 (compatible; Discordbot/2.0; +https://discordapp.com)",
    "Twitterbot/1.0",
    "LinkedInBot/1.0",
    "Mozilla/5.0 (Macintosh) AppleWebKit/601.2.4 Safari/601.2.4 facebookexternalhit/1.1 Facebot Twitterbot/1.0",
    "http.rb/5.1.1 (Mastodon/4.3.0; +https://example.social/)",
    "SkypeUriPreview Preview/0.5",
    "Synapse (bot; +https://github.com/matrix-org/synapse)",
    "GPTBot/1.2",
]


@pytest.mark.parametrize("agent", PEOPLE)
def test_people_and_their_tools_may_start_a_print(agent: str) -> None:
    assert may_start_print(RequestFactory().get("/", headers={"User-Agent": agent}))


@pytest.mark.parametrize("agent", MACHINES)
def test_link_previews_and_crawlers_start_nothing(agent: str) -> None:
    assert not may_start_print(RequestFactory().get("/", headers={"User-Agent": agent}))


def test_head_and_prefetch_start_nothing() -> None:
    assert not may_start_print(RequestFactory().head("/"))
    assert not may_start_print(RequestFactory().get("/", headers={"Sec-Purpose": "prefetch;prerender"}))
    assert not may_start_print(RequestFactory().get("/", headers={"Purpose": "prefetch"}))


def test_a_tab_keeps_the_name_it_was_given_and_others_get_their_own() -> None:
    assert visitor_of(RequestFactory().get("/?visitor=tab-1")).tab == "tab-1"
    assert visitor_of(RequestFactory().post("/", {"visitor": "tab_2"})).tab == "tab_2"
    assert visitor_of(RequestFactory().post("/"), "named-3").tab == "named-3"
    for bad in ("", "a b", "x" * 65, "é"):
        assert visitor_of(RequestFactory().get("/", {"visitor": bad})).tab != bad
    assert visitor_of(RequestFactory().get("/")).tab != visitor_of(RequestFactory().get("/")).tab


def test_the_tabs_of_one_address_are_one_visitor_whose_name_tells_no_address() -> None:
    first, second, other = (
        visitor_of(RequestFactory().get("/", REMOTE_ADDR=address)).name
        for address in ("2001:db8::1", "2001:db8::2", "2001:db8:0:1::1")
    )
    assert first == second != other
    assert re.fullmatch("[0-9a-f]{24}", first)


@pytest.mark.parametrize(
    ("path", "agent", "kind"),
    [
        ("/tiny/key/a/1/", PEOPLE[0], "person"),
        ("/tiny/key/a/1.png", PEOPLE[1], "person"),
        ("/tiny/key/a/1.png", "curl/8.14.1", "program"),
        ("/api/page", PEOPLE[0], "program"),
        ("/tiny/key/a/1/", "", "program"),
    ],
)
def test_programs_are_told_from_people_for_their_pages_come_after_theirs(path: str, agent: str, kind: str) -> None:
    request = RequestFactory().get(path, headers={"User-Agent": agent})
    assert visitor_of(request).kind == kind
    assert visitor_of(request, ahead=True).kind == "ahead"


def test_a_tab_that_nobody_sees_counts_for_longer_than_its_browser_lets_it_be_silent() -> None:
    assert patience_of(RequestFactory().get("/")) == PATIENCE
    assert patience_of(RequestFactory().get("/?visitor=tab-1&away=1")) > 60
