"""gallery.views, asked over HTTP: a real site process, a real press, a real Valkey."""

import contextlib
import hashlib
import http.client
import io
import json
import os
import re
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote, urlencode, urlsplit

import numpy as np
import pytest
from django.test import RequestFactory
from PIL import Image

from gallery.views import broken
from tests import ROOT
from tests.conftest import RunningPress, free_port, is_listening, wait_until
from tests.visitor import FORM, ask, fresh, post, post_file, printed
from worker.catalogue.address import Address
from worker.catalogue.expansion import stacks_key
from worker.catalogue.key import CHARACTERS, Key
from worker.catalogue.png import KEY, MARK, encode_page, read_chunks
from worker.store.store import Store

PREVIEW_BOT = "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)"


@pytest.fixture(scope="module")
def kept(site: str) -> Address:
    """A page that is kept."""
    address = fresh("prompt")
    printed(site, address)
    return address


# -- a page in its forms


def test_a_page_not_printed_yet_is_answered_at_once_and_then_printed(site: str) -> None:
    address = fresh("prompt")
    answer = ask(site, address.path())
    assert answer.status == 200
    assert re.search(r'data-state="(queued|printing)"', answer.text)
    assert f'data-events="{address.path()[:-1]}/events?visitor=' in answer.text
    assert '<noscript><meta http-equiv="refresh"' in answer.text
    assert answer.headers["cache-control"] == "no-store"

    def is_kept() -> bool:
        return ask(site, address.path()[:-1] + ".json").json["state"] == "kept"

    wait_until(is_kept, 20, "the page is printed")
    again = ask(site, address.path())
    assert 'data-state="kept"' in again.text
    assert "http-equiv" not in again.text
    assert f'<img id="picture" src="{address.path()[:-1]}.png"' in again.text


def test_the_picture_of_an_unprinted_page_is_waited_for(site: str) -> None:
    answer = printed(site, fresh())
    assert answer.headers["content-type"] == "image/png"
    with Image.open(io.BytesIO(answer.body)) as image:
        assert image.size == (640, 416)


def test_a_kept_picture_is_fresh_for_a_day_and_named_by_its_digest(site: str, kept: Address) -> None:
    answer = printed(site, kept)
    etag = f'"{hashlib.sha256(answer.body).hexdigest()}"'
    assert answer.headers["etag"] == etag
    assert answer.headers["cache-control"] == "public, max-age=86400"
    for given in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        unchanged = ask(site, kept.path()[:-1] + ".png", If_None_Match=given)
        assert (unchanged.status, unchanged.body) == (304, b"")
        assert unchanged.headers["etag"] == etag
    assert ask(site, kept.path()[:-1] + ".png", If_None_Match='"other"').status == 200


def test_the_facts_of_a_kept_page_agree_with_its_picture_and_key(site: str, kept: Address) -> None:
    facts = ask(site, kept.path()[:-1] + ".json").json
    picture = printed(site, kept)
    key = Key.parse(ask(site, kept.path()[:-1] + ".txt").text)
    assert facts["address"] == kept.format()
    assert facts["mark"] == key.mark
    assert facts["steps"] == key.steps
    assert facts["file_digest"] == hashlib.sha256(picture.body).hexdigest()
    with Image.open(io.BytesIO(picture.body)) as image:
        assert facts["pixel_digest"] == hashlib.sha256(image.tobytes()).hexdigest()
    assert read_chunks(picture.body)[MARK] == key.mark


def test_the_key_of_a_stacks_page_needs_no_press(site: str) -> None:
    address = fresh("stacks", 17)
    answer = ask(site, address.path()[:-1] + ".txt")
    assert answer.text == stacks_key(address.name, 17).format()
    assert ask(site, address.path()[:-1] + ".json").json["state"] == "absent"


def test_the_key_of_a_prompt_comes_with_its_print(site: str) -> None:
    answer = ask(site, fresh("prompt").path()[:-1] + ".txt")
    assert answer.status == 200
    assert len(answer.text) == CHARACTERS


def test_the_picture_can_be_taken_away_with_its_key_inside(site: str, kept: Address) -> None:
    answer = ask(site, kept.path()[:-1] + "/with-key.png")
    assert read_chunks(answer.body)[KEY] == ask(site, kept.path()[:-1] + ".txt").text
    with Image.open(io.BytesIO(answer.body)) as image, Image.open(io.BytesIO(printed(site, kept).body)) as plain:
        assert image.tobytes() == plain.tobytes()
        assert image.info[KEY] == read_chunks(answer.body)[KEY]


def test_a_mark_opens_the_page_it_names(site: str, kept: Address) -> None:
    mark = ask(site, kept.path()[:-1] + ".json").json["mark"]
    assert ask(site, f"/tiny/mark/{mark}.png").body == printed(site, kept).body


def test_the_wall_shows_the_page_soon_after_it_was_opened(site: str) -> None:
    address = fresh("prompt")
    printed(site, address)
    ask(site, address.path())
    wait_until(lambda: address.path()[:-1] + "/thumbnail.webp" in ask(site, "/").text, 10, "the wall shows it")
    small = ask(site, address.path()[:-1] + "/thumbnail.webp")
    with Image.open(io.BytesIO(small.body)) as image:
        assert (image.format, image.size) == ("WEBP", (320, 208))


# -- what starts a print, and what does not


def test_head_and_chat_previews_start_nothing_and_get_the_card(site: str) -> None:
    address = fresh("prompt")
    base = address.path()[:-1]
    assert ask(site, base + "/", "HEAD").status == 200
    head = ask(site, base + ".png", "HEAD")
    assert (head.status, head.headers["content-type"], head.body) == (200, "image/png", b"")
    seen = ask(site, base + "/", User_Agent=PREVIEW_BOT)
    assert seen.status == 200
    assert f'<meta property="og:image" content="{site}{base}/card.png">' in seen.text
    assert '<meta property="og:image:width" content="1200">' in seen.text
    assert '<meta name="twitter:card" content="summary_large_image">' in seen.text
    for path in (base + "/card.png", base + ".png", "/card.png"):
        with Image.open(io.BytesIO(ask(site, path, User_Agent=PREVIEW_BOT).body)) as image:
            assert image.size == (1200, 630)
    assert ask(site, base + ".txt", User_Agent=PREVIEW_BOT).status == 503
    assert ask(site, base + ".json").json["state"] == "absent"


def test_a_kept_page_shows_chats_its_picture(site: str, kept: Address) -> None:
    seen = ask(site, kept.path(), User_Agent=PREVIEW_BOT)
    assert f'<meta property="og:image" content="{site}{kept.path()[:-1]}.png">' in seen.text
    assert '<meta property="og:image:height" content="416">' in seen.text
    assert re.search(r'<meta property="og:image:alt" content="A picture printed for the words', seen.text)


def test_crawlers_are_told_to_stay_at_the_entrance(site: str) -> None:
    assert "Disallow: /\n" in ask(site, "/robots.txt").text


def test_200_visitors_at_once_get_one_print(site: str) -> None:
    address = fresh("prompt")

    def visit(_: int) -> tuple[bytes, object]:
        return printed(site, address).body, ask(site, address.path()[:-1] + ".json").json["printed_at"]

    with ThreadPoolExecutor(200) as crowd:
        assert len(set(crowd.map(visit, range(200)))) == 1, "a second print would have another time"


# -- spellings


@pytest.mark.parametrize(
    ("spelled", "canonical"),
    [
        ("/tiny/key/borges/1", "/tiny/key/borges/1/"),
        ("/tiny/prompt/a%20%20dog%09/1/", "/tiny/prompt/a%20dog/1/"),
        ("/tiny/prompt/a/b/1.png", "/tiny/prompt/a%2Fb/1.png"),
        ("/tiny/prompt/a%2fb/1.json", "/tiny/prompt/a%2Fb/1.json"),
        ("/tiny/prompt/%61/1/", "/tiny/prompt/a/1/"),
        ("/tiny/prompt/e%CC%81/1/", "/tiny/prompt/%C3%A9/1/"),
        ("/tiny/prompt/it's/1/", "/tiny/prompt/it%27s/1/"),
        ("/tiny/mark/NUMXAQQIOE4LPFC6QXH46PI5YY/", "/tiny/mark/numxaqqioe4lpfc6qxh46pi5yy/"),
        ("/tiny/prompt/a%20%20b/1/?visitor=x", "/tiny/prompt/a%20b/1/?visitor=x"),
    ],
)
def test_a_second_spelling_is_sent_to_the_canonical_one(site: str, spelled: str, canonical: str) -> None:
    answer = ask(site, spelled, "HEAD")
    assert (answer.status, answer.headers["location"]) == (301, canonical)


@pytest.mark.parametrize("prompt", ["a/b?c#d", "100% dog & cat", "雪の中の狐 🦊", "كلب", "/", "a.png", "1/2"])
def test_a_prompt_in_any_script_is_the_page_of_its_canonical_path(site: str, prompt: str) -> None:
    address = Address("tiny", "prompt", prompt, 1)
    assert ask(site, address.path()[:-1] + ".json").json["name"] == prompt
    assert ask(site, address.path(), "HEAD").status == 200


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("/tiny/prompt/a%00b/1/", "Character 2 of this prompt is a control character (U+0000)"),
        ("/tiny/prompt/a%E2%80%AEb/1/", "bidirectional control"),
        ("/tiny/prompt/a%C0%AFb/1/", "not UTF-8"),
        ("/tiny/prompt/a%ED%A0%80b/1/", "not UTF-8"),
        ("/tiny/prompt/a%FFb/1/", "not UTF-8"),
        ("/tiny/prompt/%2E%2E/1/", ". or .. alone between slashes"),
        ("/tiny/prompt/%2E%2E%2F%2E%2E%2Fetc%2Fpasswd/1/", ". or .. alone between slashes"),
        ("/tiny/key/borges/411/", "411 is not among them"),
        ("/tiny/key/borges/0/", "“0” is no page"),
        ("/tiny/key/bor%20ges/1/", "cannot name a volume"),
        ("/tiny/prompt/" + 501 * "a" + "/1/", "this one has 501"),
        ("/tiny/mark/numxaqqioe4lpfc6qxh46pi5y/", "is no mark"),
        ("/nothing/here/", "is no address"),
    ],
)
def test_a_malformed_address_is_refused_with_a_sentence(site: str, path: str, sentence: str) -> None:
    answer = ask(site, path)
    assert answer.status == 404
    assert answer.headers["content-type"].startswith("text/html")
    assert sentence in answer.text.replace("&#x27;", "'")


def test_what_is_refused_is_said_in_the_form_that_was_asked_for(site: str) -> None:
    text = ask(site, "/tiny/key/borges/411.txt")
    assert (text.status, text.headers["content-type"]) == (404, "text/plain; charset=utf-8")
    assert "411 is not among them" in text.text
    data = ask(site, "/tiny/key/borges/411.json")
    assert data.status == 404
    assert set(data.json) == {"code", "message", "hint"}
    assert data.json["code"] == "address_refused"


def test_an_unknown_edition_and_an_unknown_mark_are_no_pages(site: str) -> None:
    edition = ask(site, "/atlantis/key/borges/1/")
    assert edition.status == 404
    assert "There is no edition named “atlantis”" in edition.text
    mark = ask(site, "/tiny/mark/numxaqqioe4lpfc6qxh46pi5yy/")
    assert mark.status == 404
    assert "does not hold the key" in mark.text


# -- following


def followed(site: str, address: Address, **headers: str) -> list[dict[str, str]]:
    """Every server-sent event of a page, read to its end."""
    answer = ask(site, address.path()[:-1] + "/events?visitor=reader", **headers)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["x-accel-buffering"] == "no"
    assert answer.headers["cache-control"] == "no-store"
    blocks = [block for block in answer.text.split("\n\n") if block.startswith("id:")]
    return [dict(line.split(": ", 1) for line in block.split("\n")) for block in blocks]


def long_page(site: str) -> Address:
    """The mark of a key of many steps, held by the library, not printed."""
    data = bytearray(stacks_key(secrets.token_hex(8), 1).data)
    data[0] = (data[0] & 3) | (29 << 2)  # 60 steps
    answer = post(site, "/key/open", {"key": Key(bytes(data)).format(), "edition": "tiny"})
    assert answer.status == 303, answer.text
    return Address.parse_path(answer.headers["location"])


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


@pytest.mark.parametrize("form", ["/", ".png", ".txt", "/events"])
def test_a_page_that_no_press_could_ever_print_is_refused_at_once(site: str, form: str) -> None:
    path = Address("sd-1.5", "key", secrets.token_hex(8), 1).path()[:-1]  # not installed, and no press prints it
    began = time.monotonic()
    answer = ask(site, path + form)
    assert answer.status == 404
    assert "its weights are not installed" in answer.text and "fetch_edition sd-1.5" in answer.text
    assert time.monotonic() - began < 5
    assert ask(site, path + ".json").json["state"] == "absent"


@pytest.mark.parametrize("form", [".png", ".txt"])
def test_head_of_a_page_not_printed_yet_promises_no_length(site: str, form: str) -> None:
    address = fresh()
    answer = ask(site, address.path()[:-1] + form, "HEAD")
    assert answer.status == 200 and "content-length" not in answer.headers
    assert ask(site, address.path()[:-1] + ".json").json["state"] == "absent"


@pytest.mark.parametrize("path", ["/", "/tiny/key/borges/1/", "/tiny/key/borges/1.png", "/tiny/key/borges/1.json"])
def test_what_is_sent_to_an_address_that_takes_no_forms_is_refused_with_a_sentence(site: str, path: str) -> None:
    answer = post(site, path, {"a": "b"})
    assert answer.status == 405 and answer.headers["allow"] == "GET, HEAD"
    assert "can only be opened" in answer.text


def test_an_address_of_a_form_is_not_a_blank_page_to_who_opens_it(site: str) -> None:
    answer = ask(site, "/key/open")
    assert answer.status == 405 and answer.headers["allow"] == "POST"
    assert "A form is sent to this address" in answer.text


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


# -- full keys


def test_a_pasted_key_leads_to_its_mark(site: str) -> None:
    key = stacks_key(secrets.token_hex(8), 1)
    wrapped = "\n".join(key.format()[i : i + 76] for i in range(0, CHARACTERS, 76))
    answer = post(site, "/key/open", {"key": wrapped, "edition": "tiny"})
    assert (answer.status, answer.headers["location"]) == (303, f"/tiny/mark/{key.mark}/")
    assert ask(site, f"/tiny/mark/{key.mark}.txt").text == key.format()


def test_a_key_with_one_wrong_character_is_refused_with_its_place(site: str) -> None:
    text = stacks_key("wrong", 1).format()
    answer = post(site, "/key/open", {"key": text[:1233] + "!" + text[1234:]})
    assert answer.status == 400
    assert "Character 1,234 of this key is “!”" in answer.text
    short = post(site, "/key/open", {"key": text[:-1]})
    assert "this one has 189,435, 1 too few" in short.text


def test_a_key_in_a_file_and_inside_a_png_lead_to_the_mark(site: str, kept: Address) -> None:
    key = stacks_key(secrets.token_hex(8), 1)
    answer = post_file(site, "key.txt", key.format().encode() + b"\r\n")
    assert (answer.status, answer.headers["location"]) == (303, f"/tiny/mark/{key.mark}/")
    picture = ask(site, kept.path()[:-1] + "/with-key.png").body
    mark = ask(site, kept.path()[:-1] + ".json").json["mark"]
    answer = post_file(site, "page.png", picture)
    assert (answer.status, answer.headers["location"]) == (303, f"/tiny/mark/{mark}/")


def test_a_png_without_its_key_is_found_again_by_its_mark(site: str, kept: Address) -> None:
    mark = ask(site, kept.path()[:-1] + ".json").json["mark"]
    answer = post_file(site, "page.png", printed(site, kept).body, Accept="application/json")
    assert answer.json == {"address": f"tiny/mark/{mark}", "page": f"/tiny/mark/{mark}/"}


def test_a_png_from_elsewhere_is_refused_with_a_sentence(site: str) -> None:
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "PNG")
    answer = post_file(site, "cat.png", file.getvalue(), Accept="application/json")
    assert answer.status == 400
    assert answer.json["message"] == "This PNG carries neither a key nor an address."
    assert "byte 1 is no text" in post_file(site, "cat.jpg", b"\xff\xd8\xff").text


def test_too_much_is_refused_while_it_arrives(site: str) -> None:
    for kind, claimed in ((FORM, 300_000), ("multipart/form-data; boundary=x", 17 << 20)):
        refused = ask(site, "/key/open", "POST", b"begins", Content_Type=kind, Content_Length=str(claimed))
        assert refused.status == 413
        assert "189,436 characters" in refused.text
    text = post_file(site, "big.txt", b"A" * 300_000)
    assert text.status == 400
    assert "may have 262,144 bytes" in text.text


def test_the_next_key_and_back_again_is_the_same_key(site: str) -> None:
    key = stacks_key(secrets.token_hex(8), 1)
    post(site, "/key/open", {"key": key.format(), "edition": "tiny"})
    on = post(site, f"/tiny/mark/{key.mark}/next-key", {})
    assert (on.status, on.headers["location"]) == (303, f"/tiny/mark/{key.next().mark}/")
    back = post(site, on.headers["location"][:-1] + "/previous-key", {})
    assert back.headers["location"] == f"/tiny/mark/{key.mark}/"


def test_a_form_of_another_site_is_refused(site: str) -> None:
    for headers in ({"Sec_Fetch_Site": "cross-site"}, {"Origin": "https://elsewhere.example"}):
        assert post(site, "/key/open", {"key": "A"}, **headers).status == 403
    for headers in ({"Sec_Fetch_Site": "same-origin"}, {"Origin": site}, {}):
        assert post(site, "/key/open", {"key": "A"}, **headers).status == 400


# -- ways in


def test_a_search_leads_to_the_first_page_of_the_prompts_volume(site: str) -> None:
    for typed, canonical in (("a dog", "a dog"), ("  a   dog ", "a dog"), ("a/b? #", "a/b? #"), ("狐", "狐")):
        answer = ask(site, "/search/?" + urlencode({"prompt": typed, "edition": "tiny"}))
        assert (answer.status, answer.headers["location"]) == (302, f"/tiny/prompt/{quote(canonical, safe='')}/1/")


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


def test_the_volumes_beside_a_prompt_are_those_opened_here(site: str) -> None:
    tail = secrets.token_hex(4)
    first, second = (Address("tiny", "prompt", f"zz {tail} {letter}", 5) for letter in "ab")
    for address in (first, second):
        printed(site, address)
        ask(site, address.path())

    def leads(address: Address, form: str) -> str:
        return ask(site, address.path()[:-1] + form).headers["location"]

    wait_until(lambda: leads(first, "/next-volume") == second.path(), 10, "the ledger is written")
    assert leads(second, "/previous-volume") == first.path()


# -- the head of every answer


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


# -- when things are away


@contextlib.contextmanager
def another_site(press: RunningPress, **settings: str) -> Iterator[str]:
    """A second site process over the same data folder, with settings of its own."""
    port = free_port()
    environment = press.environment | {"BABELIA_PORT": str(port), "BABELIA_LOG_LEVEL": "ERROR"} | settings
    with subprocess.Popen(
        [sys.executable, "-m", "babelia.serve"], cwd=ROOT, env=environment, stderr=subprocess.DEVNULL
    ) as process:
        try:
            wait_until(lambda: is_listening(port), 30, "the site listens")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(10)


@pytest.fixture
def lonely_site(press: RunningPress) -> Iterator[str]:
    """A site whose database and Redis do not exist."""
    redis_url = f"redis://127.0.0.1:{free_port()}/0"
    with another_site(press, REDIS_URL=redis_url, DATABASE_URL="sqlite:////nowhere/library.sqlite3") as url:
        yield url


def test_a_kept_picture_needs_neither_database_nor_redis_nor_press(site: str, kept: Address, lonely_site: str) -> None:
    assert printed(lonely_site, kept).body == printed(site, kept).body
    assert 'data-state="kept"' in ask(lonely_site, kept.path()).text
    assert ask(lonely_site, "/").status == 200
    assert ask(lonely_site, kept.path()[:-1] + "/next-volume").status == 503


def test_without_redis_a_new_page_is_a_503_that_says_when_to_come_back(lonely_site: str) -> None:
    began = time.monotonic()
    answer = ask(lonely_site, fresh().path())
    assert answer.status == 503
    assert int(answer.headers["retry-after"]) > 0
    assert time.monotonic() - began < 4
    assert ask(lonely_site, fresh().path()[:-1] + ".png").status == 503


def manage(press: RunningPress, *arguments: str) -> str:
    """What a management command of the running library says."""
    command = [sys.executable, "manage.py", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=press.environment, check=True, capture_output=True, text=True)
    return done.stdout


def test_a_picture_that_takes_too_long_is_a_503_that_says_when_to_come_back(site: str, press: RunningPress) -> None:
    with another_site(press, BABELIA_PICTURE_WAIT="1") as impatient:
        queue = [long_page(site) for _ in range(6)]
        for address in queue:
            ask(site, address.path() + "?visitor=impatient")
        answer = ask(impatient, queue[-1].path()[:-1] + ".png")
        assert answer.status == 503, "six pages of 60 steps are not printed within a second"
        assert answer.headers["content-type"].startswith("text/plain")
        assert "is not printed yet" in answer.text
        assert 1 <= int(answer.headers["retry-after"]) <= 600
        assert answer.headers["cache-control"] == "no-store"
        for address in queue[1:]:
            post(site, address.path()[:-1] + "/leave", {"visitor": "impatient"})


def test_a_flagged_page_is_behind_a_veil_and_on_no_wall(site: str, press: RunningPress) -> None:
    address = fresh("prompt")
    key = stacks_key(secrets.token_hex(8), 1)
    pixels = np.zeros((416, 640, 3), np.uint8)
    png = encode_page(pixels, address=address.format(), mark=key.mark, edition="tiny", rendition="by hand")
    store = Store(press.data, reserve=0)
    store.keep(address, key, png, pixels, rendition="by hand", steps=4, seconds=1.0, flagged=True)
    seen = ask(site, address.path())
    assert "safety checker has flagged this page" in seen.text
    assert 'class="veiled"' in seen.text
    assert f'<meta property="og:image" content="{site}{address.path()[:-1]}/card.png">' in seen.text
    assert 'class="veiled"' not in ask(site, address.path() + "?show=1").text
    assert ask(site, address.path()[:-1] + ".json").json["flagged"] is True
    other = fresh("prompt")
    printed(site, other)
    ask(site, other.path())
    wait_until(lambda: other.path()[:-1] in ask(site, "/").text, 10, "the wall shows a page opened later")
    assert address.path()[:-1] not in ask(site, "/").text


def test_a_mistake_of_ours_has_a_page_of_its_own() -> None:
    answer = broken(RequestFactory().get("/"))
    assert answer.status_code == 500
    assert b"Something broke in the library" in answer.content


def test_a_hidden_page_is_gone_in_every_form_and_from_the_wall(site: str, press: RunningPress) -> None:
    address = fresh("prompt")
    base = address.path()[:-1]
    printed(site, address)
    ask(site, address.path())
    mark = ask(site, base + ".json").json["mark"]
    wait_until(lambda: base in ask(site, "/").text, 10, "the wall shows it")
    manage(press, "hide", address.format())
    wait_until(lambda: ask(site, base + ".png").status == 410, 10, "it is hidden")
    for form in ("/", ".txt", ".json", "/thumbnail.webp", "/with-key.png", "/events"):
        assert ask(site, base + form).status == 410, form
    assert ask(site, f"/tiny/mark/{mark}.png").status == 410
    wait_until(lambda: base not in ask(site, "/").text, 10, "the wall forgets it")
    assert "is shown again" in manage(press, "hide", "--show", f"tiny/mark/{mark}")
    wait_until(lambda: ask(site, base + ".png").status == 200, 10, "it is shown again")


def test_a_page_that_nobody_has_opened_can_be_hidden_and_is_never_printed(site: str, press: RunningPress) -> None:
    address = fresh("prompt")
    manage(press, "hide", site + address.path())
    wait_until(lambda: ask(site, address.path(), "HEAD").status == 410, 10, "it is hidden")
    assert ask(site, address.path()[:-1] + ".png").status == 410
    manage(press, "hide", "--show", address.format())
    wait_until(lambda: ask(site, address.path()[:-1] + ".json").status == 200, 10, "it is shown again")
    assert ask(site, address.path()[:-1] + ".json").json["state"] == "absent"


def test_a_dropped_picture_of_another_edition_opens_in_it(site: str) -> None:
    key = stacks_key(secrets.token_hex(8), 1)
    image = Image.frombytes("RGB", (640, 416), os.urandom(640 * 416 * 3))
    png = encode_page(
        np.asarray(image), address="tiny/mark/x", mark=key.mark, edition="elsewhere", rendition="", key=key
    )
    answer = post_file(site, "page.png", png)
    assert answer.headers["location"] == f"/tiny/mark/{key.mark}/"
