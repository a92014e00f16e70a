"""gallery.views.printing: following a page and leaving it, over HTTP."""

import contextlib
import http.client
import json
import secrets
from collections.abc import Iterator
from urllib.parse import quote, urlsplit

import pytest
import redis

from tests.conftest import RunningPress, run_site, wait_until
from tests.gallery.views.conftest import another_site
from tests.visitor import Answer, ask, fresh, long_page, post, printed
from worker.catalogue.address import Address


def followed(site: str, address: Address, **headers: str) -> list[dict[str, str]]:
    """Every server-sent event of a page, read to its end."""
    answer = ask(site, address.path()[:-1] + "/events?visitor=reader", **headers)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["x-accel-buffering"] == "no"
    assert answer.headers["cache-control"] == "no-store"
    blocks = [block for block in answer.text.split("\n\n") if block.startswith("id:")]
    return [dict(line.split(": ", 1) for line in block.split("\n")) for block in blocks]


def test_events_count_the_steps_show_previews_and_end_with_the_page(site: str) -> None:
    found = followed(site, long_page(site))
    told = [json.loads(event["data"]) for event in found]
    steps = [news["step"] for news in told if news["state"] == "printing"]
    assert steps == sorted(steps)
    assert len(set(steps)) > 5
    assert {news["of"] for news in told if news["step"]} == {60}
    assert any(news["preview"] and news["preview"].startswith("data:image/webp;base64,") for news in told)
    assert [event["event"] for event in found][-1] == "done"
    assert {event["event"] for event in found[:-1]} == {"progress"}
    assert told[-1]["state"] == "kept"
    versions = [int(event["id"]) for event in found]
    assert versions[:-1] == sorted(set(versions[:-1]))


def test_a_follower_of_a_kept_page_is_told_so_and_let_go(site: str, kept: Address) -> None:
    found = followed(site, kept, Last_Event_ID="1")
    assert [event["event"] for event in found] == ["done"]


def test_a_stream_says_what_it_waits_for_and_is_kept_alive(site: str) -> None:
    address = Address("pocket-1", "key", secrets.token_hex(8), 1)  # installed, but no press here prints it
    where = urlsplit(site)
    assert where.hostname
    with contextlib.closing(http.client.HTTPConnection(where.hostname, where.port, timeout=20)) as connection:
        connection.request("GET", address.path()[:-1] + "/events", headers={"User-Agent": "a reader"})
        stream = connection.getresponse()
        lines = [stream.readline().decode() for _ in range(5)]
        assert lines[0] == "retry: 2000\n"
        assert "Nothing draws new pictures right now" in lines[4]
        assert ask(site, address.path()[:-1] + ".json").json["state"] == "queued"
        stream.readline()
        assert stream.readline() == b": still here\n"  # after 15 seconds without news


def test_a_visitor_has_three_pictures_of_sheets_drawn_at_a_time_in_however_many_tabs(site: str) -> None:
    pages = [Address("pocket-1", "key", secrets.token_hex(8), 1) for _ in range(4)]  # no press here prints them
    where = urlsplit(site)
    assert where.hostname
    with contextlib.ExitStack() as open_ones:

        def begin(address: Address, few: str, tab: str) -> int:
            connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=20)
            open_ones.callback(connection.close)
            headers = {"User-Agent": "a reader", "X-Forwarded-For": "203.0.113.77"}
            connection.request("GET", f"{address.path()[:-1]}/events?few={few}&visitor={tab}", headers=headers)
            return connection.getresponse().status

        for number, few in enumerate(("sheet", "walk", "sheet")):
            wait_until(lambda n=number, f=few: begin(pages[n], f, f"tab-{n}") == 200, 30, "the visitor has a place")
        assert [begin(pages[3], few, "another") for few in ("sheet", "walk")] == [429, 429]
    for number, page in enumerate(pages):
        post(site, page.path()[:-1] + "/leave", {"visitor": f"tab-{number}"})


def test_a_visitor_who_leaves_takes_the_page_from_nobody(site: str) -> None:
    busy, wanted, unwanted = long_page(site), fresh(), fresh()
    for address in (busy, wanted, unwanted):
        ask(site, address.path() + "?visitor=one")
    ask(site, wanted.path() + "?visitor=two")
    for address in (wanted, unwanted):
        left = post(site, address.path()[:-1] + "/leave", {"visitor": "one"})
        assert (left.status, left.headers["location"]) == (303, "/")
    assert ask(site, unwanted.path()[:-1] + ".json").json["state"] == "absent"
    assert ask(site, wanted.path()[:-1] + ".json").json["state"] in ("queued", "printing", "kept")


@pytest.mark.parametrize(
    "agent", ["Twitterbot/1.0", "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)", "bot"]
)
def test_the_button_of_a_page_draws_it_whatever_the_browser_calls_itself(site: str, agent: str) -> None:
    busy, address = long_page(site, 128), fresh("prompt")
    ask(site, busy.path())
    seen = ask(site, address.path(), User_Agent=agent)
    assert 'data-state="absent"' in seen.text and "This picture has not been drawn yet." in seen.text
    assert f'<form action="{address.path()[:-1]}/again" method="post">' in seen.text and "Draw it" in seen.text
    sent = post(site, address.path()[:-1] + "/again", {"visitor": "presser"}, User_Agent=agent, Origin=site)
    assert (sent.status, sent.headers["location"]) == (303, f"{address.path()}?visitor=presser")
    following = ask(site, sent.headers["location"], User_Agent=agent)
    assert "data-events=" in following.text or 'data-state="kept"' in following.text
    wait_until(lambda: ask(site, address.path()[:-1] + ".json").json["state"] == "kept", 60, "it is drawn")


def test_a_name_that_was_handed_on_in_a_link_starts_nothing(site: str) -> None:
    address = fresh("prompt")
    seen = ask(site, f"{address.path()}?visitor=presser", User_Agent="Twitterbot/1.0")
    assert 'data-state="absent"' in seen.text
    assert ask(site, address.path()[:-1] + ".json").json["state"] == "absent"


def test_a_person_who_presses_the_button_gets_the_page_under_its_own_link(site: str) -> None:
    address = fresh("prompt")
    sent = post(site, address.path()[:-1] + "/again", {"visitor": "presser"})
    assert (sent.status, sent.headers["location"]) == (303, address.path())


def test_a_page_that_is_left_unseen_says_so_without_being_sent_anywhere(site: str) -> None:
    busy, unwanted = long_page(site), fresh()
    for address in (busy, unwanted):
        ask(site, address.path() + "?visitor=one")
    left = post(site, unwanted.path()[:-1] + "/leave", {"visitor": "one", "unseen": "1"})
    assert (left.status, left.body, left.headers["cache-control"]) == (204, b"", "no-store")
    assert ask(site, unwanted.path()[:-1] + ".json").json["state"] == "absent"
    ask(site, unwanted.path() + "?visitor=one&away=1")  # what a browser sends as it hides the page that is left
    assert ask(site, unwanted.path()[:-1] + ".json").json["state"] == "absent"
    post(site, busy.path()[:-1] + "/leave", {"visitor": "one"})


def test_an_idle_press_prints_the_page_that_a_visitor_may_turn_to(site: str, kept: Address) -> None:
    following = kept.with_page(2)
    seen = ask(site, kept.path()).text
    assert f'data-ahead="{following.path()[:-1]}/ahead"' in seen
    assert f'data-leave-ahead="{following.path()[:-1]}/leave"' in seen

    def is_kept() -> bool:  # until the press is idle, nothing is asked of it
        asked = post(site, following.path()[:-1] + "/ahead", {"visitor": "one"})
        assert (asked.status, asked.body) == (204, b"")
        return ask(site, following.path()[:-1] + ".json").json["state"] == "kept"

    wait_until(is_kept, 60, "the page is printed")
    assert following.path() not in ask(site, "/").text, "nobody has opened it"


def test_nothing_is_printed_ahead_for_programs_for_the_last_page_or_where_it_is_not_wanted(
    site: str, kept: Address, press: RunningPress
) -> None:
    bot, address = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", fresh()
    assert post(site, address.path()[:-1] + "/ahead", {"visitor": "one"}, User_Agent=bot).status == 204
    last = fresh("key", 410)
    printed(site, last)
    assert "data-ahead=" not in ask(site, last.path()).text
    with another_site(press, BABELIA_PRINT_AHEAD="false") as careful:
        assert "data-ahead=" not in ask(careful, kept.path()).text
        assert post(careful, address.path()[:-1] + "/ahead", {"visitor": "one"}).status == 204
    assert ask(site, address.path()[:-1] + ".json").json["state"] == "absent"


@pytest.fixture(scope="module")
def narrow_site(press: RunningPress, valkey: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A site without a press, behind a proxy that names visitors; one of them may have two pages, or ask for three."""
    data = tmp_path_factory.mktemp("narrow")
    (data / "editions").symlink_to(press.data / "editions")
    url = valkey.removesuffix("/0") + "/7"
    with redis.Redis.from_url(url) as client:
        client.flushdb()
    with run_site(RunningPress(data, url), BABELIA_VISITOR_WAITING="2", BABELIA_VISITOR_LIMIT="3") as found:
        yield found


@pytest.mark.parametrize("form", ["/", ".png", ".txt", "/events", "the API", "the API's events", "the API's picture"])
def test_one_visitor_has_so_many_pages_waiting_and_is_told_when_to_come_back(narrow_site: str, form: str) -> None:
    here = {"X_Forwarded_For": f"2001:db8:{secrets.token_hex(2)}:1::1"}
    for _ in range(2):
        assert ask(narrow_site, fresh().path(), **here).status == 200

    def one_more(**visitor: str) -> Answer:
        address = fresh("prompt")
        if form == "the API":
            body = json.dumps({"address": address.format()}).encode()
            return ask(narrow_site, "/api/page", "POST", body, Content_Type="application/json", **visitor)
        if form.startswith("the API"):
            return ask(narrow_site, f"/api/page/{form.split()[-1]}?address={quote(address.format())}", **visitor)
        return ask(narrow_site, address.path()[:-1] + form, **visitor)

    refused = one_more(**here | {"X_Forwarded_For": here["X_Forwarded_For"] + "2"})  # of the same network
    assert refused.status == 429
    assert 5 <= int(refused.headers["retry-after"]) <= 60
    assert "API" in form or refused.headers["cache-control"] == "no-store"
    assert "2 pictures that you asked for are waiting already" in refused.text
    kind = {"/": "text/html", ".png": "text/plain", ".txt": "text/plain", "/events": "text/plain"}
    assert refused.headers["content-type"].startswith(kind.get(form, "application/json"))
    if form in ("/", "the API"):
        assert one_more(X_Forwarded_For="192.0.2.1").status in (200, 202)


def test_one_visitor_asks_for_so_many_pages_a_minute(narrow_site: str) -> None:
    here = {"X_Forwarded_For": f"2001:db8:{secrets.token_hex(2)}:2::1"}
    for number in range(4):
        address = fresh()
        answer = ask(narrow_site, address.path() + "?visitor=tab", Accept="application/json", **here)
        assert answer.status == (200 if number < 3 else 429)
        post(narrow_site, address.path()[:-1] + "/leave", {"visitor": "tab"}, **here)
    assert answer.json["code"] == "too_many"
    assert "3 new pictures a minute" in str(answer.json["message"])
    assert 1 <= int(answer.headers["retry-after"]) <= 60


def test_redis_is_told_no_address_of_a_visitor_and_forgets_its_hash(narrow_site: str, valkey: str) -> None:
    ask(narrow_site, fresh().path(), X_Forwarded_For="203.0.113.77")
    with redis.Redis.from_url(valkey.removesuffix("/0") + "/7") as client:
        keys = list(client.scan_iter("*"))
        everything = b"".join(keys) + b"".join(client.dump(key) or b"" for key in keys)
        owned = [key for key in keys if key.startswith((b"babelia:own:", b"babelia:asked:"))]
        assert owned and all(0 < client.ttl(key) <= 3600 for key in owned)
    assert b"203.0.113" not in everything
