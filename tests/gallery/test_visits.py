"""gallery.visits: which requests may start a print."""

import pytest
from django.test import RequestFactory

from gallery.visits import may_start_print, visitor_of

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
    assert visitor_of(RequestFactory().get("/?visitor=tab-1")) == "tab-1"
    assert visitor_of(RequestFactory().post("/", {"visitor": "tab_2"})) == "tab_2"
    for bad in ("", "a b", "x" * 65, "é"):
        assert visitor_of(RequestFactory().get("/", {"visitor": bad})) != bad
    assert visitor_of(RequestFactory().get("/")) != visitor_of(RequestFactory().get("/"))
