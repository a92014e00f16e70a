"""gallery.views.printing: following a page and leaving it, over HTTP."""

import contextlib
import http.client
import json
import secrets
from urllib.parse import urlsplit

import pytest

from tests.conftest import wait_until
from tests.visitor import ask, fresh, long_page, post
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
        assert "No press of this edition is at work just now" in lines[4]
        assert ask(site, address.path()[:-1] + ".json").json["state"] == "queued"
        stream.readline()
        assert stream.readline() == b": still here\n"  # after 15 seconds without news


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
