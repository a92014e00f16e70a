"""gallery.visits: which requests may start a print, who asks, and for how long a tab waits."""

import re

import pytest
from django.test import RequestFactory

from gallery.visits import CARD_PROGRAMS, PATIENCE, is_machine, is_named, may_start_print, patience_of, visitor_of

ANDROID = (
    "Mozilla/5.0 (Linux; Android 15; Pixel 9; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/149.0.0.0"
)
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)"
MAC = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko)"
PEOPLE = [
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/149.0.0.0 Safari/537.36",
    f"{IPHONE} Safari/604.1",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:150.0) Gecko/20100101 Firefox/150.0",
    "Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 Chrome/140.0.0.0 Safari/537.36 CUBOT_X18",
    "curl/8.14.1",
    "Wget/1.25.0",
    "",
    "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    # browsers inside apps
    f"{IPHONE} Mobile/15E148 Twitter for iPhone/10.40",
    f"{ANDROID} Mobile Safari/537.36 TwitterAndroid",
    f"{IPHONE} Mobile/15E148 [LinkedInApp]/9.29.4217",
    f"{ANDROID} Mobile Safari/537.36 Telegram-Android/11.2.2 (Google Pixel 9; Android 15; SDK 35; HIGH)",
    f"{IPHONE} Mobile/15E148 [Pinterest/iOS]",
    f"{ANDROID} Mobile Safari/537.36 [Pinterest/Android]",
    f"{MAC} Chrome/130.0.0.0 Electron/33.0.0 Safari/537.36 Slack_SSB/4.38.125",
    f"{IPHONE} Mobile/15E148 Slack/24.10.20",
    f"{MAC} discord/0.0.320 Chrome/128.0.0.0 Electron/32.0.0 Safari/537.36",
    f"{ANDROID} Mobile Safari/537.36 Discord-Android/260018;RNA",
    "Mozilla/5.0 (Linux; Android 11; CUBOT P50) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Linux; Android 13; Cubot) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36",
    f"{ANDROID} Mobile Safari/537.36 T7/13.60 SP-engine/3.15.0 baiduboxapp/13.60.0.10 (Baidu; P1 15)",
    f"{ANDROID} baidubrowser/7.19.13.0 Mobile Safari/537.36",
    f"{ANDROID} YaSearchBrowser/23.1 BroPP/1.0 YandexSearch/23.1 Mobile Safari/537.36",
    f"{ANDROID} YaBrowser/24.10 Mobile Safari/537.36",
    f"{IPHONE} Mobile/15E148 [FBAN/FBIOS;FBAV/480.0.0.42;FBDV/iPhone15,2;FBLC/de_DE]",
    f"{ANDROID} Mobile Safari/537.36 [FB_IAB/FB4A;FBAV/480.0.0.42;]",
    f"{IPHONE} Mobile/15E148 Instagram 350.0.0.20 (iPhone15,2; iOS 19_0; de_DE)",
    f"{ANDROID} Mobile Safari/537.36 musical_ly_2023 BytedanceWebview/d8a21c6",
    f"{IPHONE} Mobile/15E148 MicroMessenger/8.0.50 NetType/WIFI Language/zh_CN",
    f"{IPHONE} Mobile/15E148 Snapchat/13.10 (like Safari/8618, panda)",
    f"{IPHONE} Mobile/15E148 KAKAOTALK 10.9.5 (INAPP)",
    f"{ANDROID} Mobile Safari/537.36 Line/14.9.0/IAB",
    f"{IPHONE} Mobile/15E148 WhatsApp/2.24.20",
    f"{IPHONE} Mobile/15E148 Viber/23.1",
    f"{MAC} Skype/8.130.0.206 Chrome/128.0.0.0 Electron/32.0.0 Safari/537.36",
    f"{MAC} Teams/1.7.00 Chrome/128.0.0.0 Electron/32.0.0 Safari/537.36",
    f"{MAC} Mattermost/5.9.0 Chrome/128.0.0.0 Electron/32.0.0 Safari/537.36",
    f"{IPHONE} GSA/340.3 Mobile/15E148 Safari/604.1",
    f"{IPHONE} Mobile/15E148 Reddit/Version 2024.40/Build 1",
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/149.0.0.0 Safari/537.36",
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
    # what asks under other names
    "Slack-ImgProxy (+https://api.slack.com/robots)",
    "LinkedInBot/1.0 (compatible; Mozilla/5.0; Apache-HttpClient +http://www.linkedin.com)",
    "Pinterest/0.2 (+https://www.pinterest.com/bot.html)",
    "Mozilla/5.0 (compatible; Pinterestbot/1.0; +https://www.pinterest.com/bot.html)",
    "meta-externalagent/1.1 (+https://developers.facebook.com/docs/sharing/webmasters/crawler)",
    "meta-externalfetcher/1.1",
    "Mozilla/5.0 (compatible; Bluesky Cardyb/1.1; +mailto:support@bsky.app)",
    f"{MAC} Chrome/130.0.0.0 Safari/537.36 (compatible; Snap URL Preview Service; bot; snapchat)",
    "facebookexternalhit/1.1; kakaotalk-scrap/1.0; +https://devtalk.kakao.com/t/scrap/33984",
    "facebookexternalhit/1.1;line-poker/1.0",
    "Mozilla/4.0 (compatible; ms-office; MSOffice 16)",
    "Mozilla/5.0 (compatible; vkShare; +http://vk.com/dev/Share)",
    "Mozilla/5.0 (compatible; redditbot/1.0; +http://www.reddit.com/feedback)",
    "Mozilla/5.0 (Windows NT 6.1; WOW64) SkypeUriPreview Preview/0.5 skype-url-preview@microsoft.com",
    "Iframely/1.3.1 (+https://iframely.com/docs/about)",
    "Mozilla/5.0 (compatible; Embedly/0.2; +http://support.embed.ly/)",
    "Mozilla/5.0 (compatible; ZulipURLPreview/12.0; +https://zulip.example)",
    "Mattermost-Bot/1.1",
    "Viber/23.1.0 CFNetwork/1568.200.51 Darwin/24.1.0",
    "Mozilla/5.0 (compatible; YandexBot/3.0; +http://yandex.com/bots)",
    "Mozilla/5.0 (compatible; Baiduspider/2.0; +http://www.baidu.com/search/spider.html)",
    "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm) Chrome/130.0.0.0 Safari/537.36",
    f"{IPHONE} Version/17.4 Mobile/15E148 Safari/604.1 (Applebot/0.1; +http://www.apple.com/go/applebot)",
    "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; ClaudeBot/1.0; +claudebot@anthropic.com)",
    "Mozilla/5.0 (compatible; Google-InspectionTool/1.0;)",
    "W3C_Validator/1.3 http://validator.w3.org/services",
    "Valve/Steam HTTP Client 1.0 (4)",
]


def asked(agent: str, **headers: str) -> bool:
    return may_start_print(RequestFactory().get("/", headers={"User-Agent": agent} | headers))


def test_the_lists_are_long_enough_to_mean_something() -> None:
    assert min(len(set(PEOPLE)), len(set(MACHINES))) >= 40 and len({*PEOPLE, *MACHINES}) >= 80


@pytest.mark.parametrize("agent", PEOPLE)
def test_people_and_their_tools_may_start_a_print(agent: str) -> None:
    assert asked(agent)


@pytest.mark.parametrize("agent", MACHINES)
def test_link_previews_and_crawlers_start_nothing(agent: str) -> None:
    assert not asked(agent)


@pytest.mark.parametrize("program", CARD_PROGRAMS)
def test_a_program_that_robots_txt_lets_in_starts_nothing(program: str) -> None:
    assert any(program.lower() in agent.lower() for agent in MACHINES) or not asked(f"{program}/1.0")
    assert not asked(f"{program}/1.0 (+https://library.example)")


@pytest.mark.parametrize("agent", [*PEOPLE, *MACHINES])
def test_who_has_pressed_something_may_start_a_print_whatever_the_browser_calls_itself(agent: str) -> None:
    assert asked(agent, **{"Sec-Fetch-User": "?1"})
    assert not asked(agent, **{"Sec-Fetch-User": "?1", "Sec-Purpose": "prefetch"})


def test_head_and_prefetch_start_nothing() -> None:
    assert not may_start_print(RequestFactory().head("/"))
    assert not may_start_print(RequestFactory().get("/", headers={"Sec-Purpose": "prefetch;prerender"}))
    assert not may_start_print(RequestFactory().get("/", headers={"Purpose": "prefetch"}))


def test_a_tab_keeps_the_name_it_was_given_and_others_get_their_own() -> None:
    assert visitor_of(RequestFactory().get("/?visitor=tab-1")).tab == "tab-1"
    assert visitor_of(RequestFactory().post("/", {"visitor": "tab_2"})).tab == "tab_2"
    assert visitor_of(RequestFactory().post("/"), "named-3").tab == "named-3"
    assert is_named(RequestFactory().get("/?visitor=tab-1")) and not is_named(RequestFactory().get("/"))
    for bad in ("", "a b", "x" * 65, "é"):
        assert visitor_of(RequestFactory().get("/", {"visitor": bad})).tab != bad
        assert not is_named(RequestFactory().get("/", {"visitor": bad}))
    assert visitor_of(RequestFactory().get("/")).tab != visitor_of(RequestFactory().get("/")).tab


def test_a_name_says_nothing_of_who_has_pressed_what() -> None:
    request = RequestFactory().get("/", headers={"User-Agent": "Twitterbot/1.0", "Sec-Fetch-User": "?1"})
    assert is_machine(request) and may_start_print(request)


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
