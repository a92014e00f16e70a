"""gallery.views.page, asked over HTTP: a real site process, a real press, a real Valkey."""

import gzip
import hashlib
import io
import re
import secrets
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from django.test import RequestFactory
from PIL import Image

from gallery import bounds
from gallery.pages.drawings.cards import card, picture_card
from gallery.views.page import _may_print_card
from tests.conftest import RunningPress, wait_until
from tests.gallery.views.conftest import another_site, manage
from tests.visitor import ask, fresh, long_page, post, post_file, printed
from worker.catalogue.address import Address
from worker.catalogue.expansion import stacks_key
from worker.catalogue.key import CHARACTERS, Key
from worker.catalogue.png import KEY, MARK, encode_page, read_chunks
from worker.catalogue.webp import AIM
from worker.store.store import Store

PREVIEW_BOT = "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)"


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
    assert f'<img id="picture" src="{address.path()[:-1]}.webp"' in again.text


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


def test_a_page_shows_a_webp_that_hardly_differs_and_opens_its_page(site: str, kept: Address) -> None:
    path = kept.path()[:-1] + ".webp"
    answer = ask(site, path)
    assert (answer.headers["content-type"], answer.headers["cache-control"]) == ("image/webp", "public, max-age=86400")
    assert answer.headers["etag"] == f'"{hashlib.sha256(answer.body).hexdigest()}"'
    assert len(answer.body) < 0.5 * len(printed(site, kept).body)
    opened = post_file(site, "saved.webp", answer.body)
    assert (opened.status, opened.headers["location"]) == (303, kept.path())
    unprinted = fresh("prompt").path()[:-1]
    assert ask(site, unprinted + ".webp").status == 404
    assert ask(site, unprinted + ".json").json["state"] == "absent", "it starts nothing"


def test_a_kept_page_weighs_at_most_80_kb_with_its_fonts_cached(site: str, kept: Address) -> None:
    page = ask(site, kept.path(), Accept_Encoding="gzip")
    text = gzip.decompress(page.body).decode()
    loaded = re.findall(r'<(?:script|link|img)[^>]* (?:src|href)="(/[^"]+\.(?:js|css|svg|webp)(?:\?[^"]*)?)"', text)
    assert {each.rsplit(".", 1)[1].split("?")[0] for each in loaded} == {"js", "css", "svg", "webp"}
    imported = [each for each in loaded if ".js" in each and "import " in ask(site, each).text]
    assert not imported, "a script that loads another has to be counted too"
    weight = {each: len(ask(site, each, Accept_Encoding="gzip").body) for each in set(loaded) if ".webp" not in each}
    # The weights of `tiny` are random and so are its pictures. One that shows something has at most AIM bytes.
    assert len(page.body) + sum(weight.values()) + AIM <= 80_000, weight


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
    for path in (base + ".png", "/card.png"):
        with Image.open(io.BytesIO(ask(site, path, User_Agent=PREVIEW_BOT).body)) as image:
            assert image.size == (1200, 630)
    assert ask(site, base + ".txt", User_Agent=PREVIEW_BOT).status == 503
    assert ask(site, base + ".json").json["state"] == "absent"


def test_a_page_that_was_opened_by_its_mark_says_and_links_its_own_name(site: str, kept: Address) -> None:
    mark = ask(site, kept.path()[:-1] + ".json").json["mark"]
    seen = ask(site, f"/tiny/mark/{mark}/")
    assert (
        f'<a href="{kept.path()}" rel="nofollow" dir="auto" id="named">{kept.name}</a>, picture 1 of 410' in seen.text
    )
    assert 'id="named"' not in ask(site, kept.path()).text


def test_a_kept_page_shows_chats_a_card_with_its_picture(site: str, kept: Address) -> None:
    seen = ask(site, kept.path(), User_Agent=PREVIEW_BOT)
    path = kept.path()[:-1] + "/card.png"
    assert f'<meta property="og:image" content="{site}{path}">' in seen.text
    assert '<meta property="og:image:height" content="630">' in seen.text
    shown = ask(site, path, User_Agent=PREVIEW_BOT)
    assert shown.body == picture_card(kept, printed(site, kept).body)
    assert shown.headers["cache-control"] == "public, max-age=86400"
    assert re.search(r'<meta property="og:image:alt" content="“', seen.text)


@pytest.mark.parametrize("path", ["/", "/about/", "/key/", "/search/"])
def test_every_page_of_words_has_the_card_of_the_library(site: str, path: str) -> None:
    seen = ask(site, path, User_Agent=PREVIEW_BOT)
    assert f'<meta property="og:image" content="{site}/card.png">' in seen.text
    for name in ("width", "height", "alt", "type"):
        assert seen.text.count(f'<meta property="og:image:{name}"') == 1
    with Image.open(io.BytesIO(ask(site, "/card.png").body)) as image:
        assert image.size == (1200, 630)


def test_what_may_be_printed_for_cards_counts_as_asked_by_their_visitor(settings: Any) -> None:
    settings.VISITOR_LIMIT = 1
    bounds._counts.clear()
    asked = [_may_print_card(RequestFactory().generic(method, "/")) for method in ("HEAD", "GET", "GET")]
    assert asked == [False, True, False]


def test_200_visitors_at_once_get_one_print(site: str) -> None:
    address = fresh("prompt")

    def visit(_: int) -> tuple[bytes, object]:
        return printed(site, address).body, ask(site, address.path()[:-1] + ".json").json["printed_at"]

    with ThreadPoolExecutor(200) as crowd:
        assert len(set(crowd.map(visit, range(200)))) == 1, "a second print would have another time"


@pytest.mark.parametrize(
    ("spelled", "canonical"),
    [
        ("/tiny/key/borges/1", "/tiny/key/borges/1/"),
        ("/tiny/prompt/a%20%20dog%09/1/", "/tiny/prompt/a%20dog/1/"),
        ("/tiny/prompt/e%CC%81/1/", "/tiny/prompt/%C3%A9/1/"),
        ("/tiny/prompt/A%20Dog/1/", "/tiny/prompt/a%20dog/1/"),
        ("/tiny/mark/NUMXAQQIOE4LPFC6QXH46PI5YY/", "/tiny/mark/numxaqqioe4lpfc6qxh46pi5yy/"),
        ("/tiny/prompt/a%20%20b/1/?visitor=x", "/tiny/prompt/a%20b/1/?visitor=x"),
    ],
)
def test_a_second_spelling_is_sent_to_the_canonical_one(site: str, spelled: str, canonical: str) -> None:
    answer = ask(site, spelled, "HEAD")
    assert (answer.status, answer.headers["location"]) == (301, canonical)


@pytest.mark.parametrize("path", ["/tiny/prompt/a/b's/1/", "/tiny/prompt/%61%2fb%27s/1/", "/tiny/prompt/a%2Fb's/1/"])
def test_a_name_that_is_only_encoded_otherwise_opens_at_once_and_names_the_canonical_path(site: str, path: str) -> None:
    answer = ask(site, path)
    assert answer.status == 200
    assert f'<link rel="canonical" href="{site}/tiny/prompt/a%2Fb%27s/1/">' in answer.text


@pytest.mark.parametrize("prompt", ["a/b?c#d", "100% dog & cat", "雪の中の狐 🦊", "كلب", "/", "a.png", "1/2"])
def test_a_prompt_in_any_script_is_the_page_of_its_canonical_path(site: str, prompt: str) -> None:
    address = Address("tiny", "prompt", prompt, 1)
    assert ask(site, address.path()[:-1] + ".json").json["name"] == prompt
    assert ask(site, address.path(), "HEAD").status == 200


@pytest.mark.parametrize("form", ["/", ".png", ".txt", "/events"])
def test_a_page_that_no_press_could_ever_print_is_refused_at_once(site: str, form: str) -> None:
    path = Address("sd-1.5", "key", secrets.token_hex(8), 1).path()[:-1]  # not installed, and no press prints it
    began = time.monotonic()
    answer = ask(site, path + form)
    assert answer.status == 404
    assert "is not installed here" in answer.text and "fetch_edition sd-1.5" in answer.text
    assert time.monotonic() - began < 5
    assert ask(site, path + ".json").json["state"] == "absent"


@pytest.mark.parametrize("form", [".png", ".txt"])
def test_head_of_a_page_not_printed_yet_promises_no_length(site: str, form: str) -> None:
    address = fresh()
    answer = ask(site, address.path()[:-1] + form, "HEAD")
    assert answer.status == 200 and "content-length" not in answer.headers
    assert ask(site, address.path()[:-1] + ".json").json["state"] == "absent"


def test_a_kept_picture_needs_neither_database_nor_redis_nor_press(site: str, kept: Address, lonely_site: str) -> None:
    assert printed(lonely_site, kept).body == printed(site, kept).body
    assert 'data-state="kept"' in ask(lonely_site, kept.path()).text
    assert ask(lonely_site, "/").status == 200
    assert ask(lonely_site, kept.path()[:-1] + "/next-volume").status == 503


def test_a_picture_that_takes_too_long_is_a_503_that_says_when_to_come_back(site: str, press: RunningPress) -> None:
    with another_site(press, BABELIA_PICTURE_WAIT="1") as impatient:
        queue = [long_page(site) for _ in range(6)]
        for address in queue:
            ask(site, address.path() + "?visitor=impatient")
        answer = ask(impatient, queue[-1].path()[:-1] + ".png")
        assert answer.status == 503, "six pages of 60 steps are not printed within a second"
        assert answer.headers["content-type"].startswith("text/plain")
        assert "is not drawn yet" in answer.text
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
    assert "An automatic check thinks this picture may be explicit" in seen.text
    assert 'class="veiled"' in seen.text
    assert ask(site, address.path()[:-1] + "/card.png").body == card(address), "words alone"
    assert 'class="veiled"' not in ask(site, address.path() + "?show=1").text
    assert ask(site, address.path()[:-1] + ".json").json["flagged"] is True
    assert ask(site, address.path()[:-1] + "/thumbnail.webp").status == 404, "nothing shows it without its veil"
    other = fresh("prompt")
    printed(site, other)
    ask(site, other.path())
    wait_until(lambda: other.path()[:-1] in ask(site, "/").text, 10, "the wall shows a page opened later")
    assert address.path()[:-1] not in ask(site, "/").text


def test_a_hidden_page_is_gone_in_every_form_and_from_the_wall(site: str, press: RunningPress) -> None:
    address = fresh("prompt")
    base = address.path()[:-1]
    printed(site, address)
    ask(site, address.path())
    mark = ask(site, base + ".json").json["mark"]
    wait_until(lambda: base in ask(site, "/").text, 10, "the wall shows it")
    manage(press, "hide", address.format())
    wait_until(lambda: ask(site, base + ".png").status == 410, 10, "it is hidden")
    for form in ("/", ".webp", ".txt", ".json", "/thumbnail.webp", "/with-key.png", "/events"):
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
