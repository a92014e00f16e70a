"""gallery.finding.views: from a picture to what it found, as a visitor meets it, and what is refused and forgotten."""

import io
import re
from typing import Any

import numpy as np
import pytest
import redis
from PIL import Image

from babelia.services import store
from gallery.models import Page
from tests.conftest import free_port
from tests.gallery.finding.conftest import Library, keep, picture
from worker.catalogue.address import Address
from worker.catalogue.expansion import stacks_key
from worker.catalogue.png import encode_page
from worker.store.hidden import hide, name_of_key

pytestmark = pytest.mark.django_db(transaction=True)


def text(answer: Any) -> str:
    return re.sub(r"\s+", " ", answer.content.decode())


def test_the_form_says_what_happens_and_how_a_picture_is_fitted(library: Library) -> None:
    page = text(library.get("/find/"))
    for said in ("Fill the page", "Fit into the page", "Stretch to the page", "then it is deleted", "ten minutes"):
        assert said in page
    assert 'href="/find/"' in text(library.get("/")) and 'href="/find/"' in text(library.get("/about/"))


def test_a_picture_is_shown_as_it_would_be_searched_for_and_nothing_begins(library: Library) -> None:
    path = library.park(picture(1, "JPEG", (300, 300)), fit="fit")
    page = library.get(path)
    assert "300 × 300 pixels" in text(page) and "not timed here yet" in text(page)
    assert page["X-Robots-Tag"] == "noindex, nofollow" and page["Cache-Control"] == "no-store"
    shown = library.get(path + "picture.png")
    assert shown.content.startswith(b"\x89PNG") and shown["Cache-Control"] == "no-store"
    assert library.jobs.take("tiny") == []
    assert library.get(path + "events").status_code == 404, "to follow starts nothing"
    assert path == library.park(picture(1, "JPEG", (300, 300)), fit="fit"), "one name for one picture"
    assert path != library.park(picture(1, "JPEG", (300, 300)), fit="stretch")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"no picture", "This file is text; a PNG"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "save it there as a PNG"),
        (picture(1)[:900], "damaged"),
        (b"", "No picture was sent"),
    ],
)
def test_what_is_no_picture_is_refused_with_a_sentence_beside_the_form(
    library: Library, data: bytes, said: str
) -> None:
    answer = library.bring(data) if data else library.post("/find/send", {"edition": "tiny"})
    assert answer.status_code == 400
    assert said in text(answer) and 'id="bring"' in text(answer)


def test_a_search_waits_is_followed_and_ends_in_a_page_that_stands_on_no_list(library: Library) -> None:
    path = library.park(picture(2))
    begun = library.start(path, prompt="A Dog")["Location"]
    assert begun.endswith("?visitor=me") and not begun.startswith(path), "with words it is another search"
    assert library.get(path)["Location"] == begun.partition("?")[0], "the first one leads there"
    path = begun.partition("?")[0]
    waits = library.get(begun)
    assert "Nothing draws new pictures right now. Yours waits for its turn" in text(waits)
    assert f'data-events="{path}events?visitor=me"' in text(waits)
    (claim,) = library.jobs.take("tiny")
    library.jobs.tell_sofar(claim, {"decibels": 21.46})
    library.jobs.step(claim, 3, 60, preview=b"RIFF small")
    assert "Step 3 of 60. 21.5 dB near." in text(library.get(begun))
    assert library.get(path + "preview.webp").content == b"RIFF small"
    mark = library.tell(claim, keep("tiny/stacks/found-2/1", 3, by_mark=True))
    page = text(library.get(path))
    for said in (
        "31.3 dB",
        "the search came nearer, by 0.8 dB",
        "near the words <q",
        "As ordinary as",
        f"/tiny/mark/{mark}/",
    ):
        assert said in page
    assert "(98 % like noise)" in page, "in the words of docs/finding.md"
    assert 'id="slide"' in page and "Go on from what was found" in page
    assert 'value="good" checked' in page, "going on is offered in the depth after the one that is done"
    assert f"/tiny/mark/{mark}/" in text(library.get(f"/tiny/mark/{mark}/"))
    assert mark not in text(library.get("/")) + text(library.get("/tiny/opened/")) + text(library.get("/feed.atom"))
    row = Page.objects.get(mark=mark)
    assert not row.listed
    assert library.post(path + "list")["Location"] == f"/tiny/mark/{mark}/"
    row.refresh_from_db()
    assert row.listed and "may stand on the walls" in text(library.get(path))
    assert "about 12 seconds" in text(library.get(path)), "the time that it took here"


def test_the_name_of_a_search_that_became_another_one_leads_there(library: Library) -> None:
    earlier = library.park(picture(20))
    path = library.start(earlier, depth="best")["Location"].partition("?")[0]
    assert path != earlier
    for each in ("", "?visitor=me&opened=1", "events?visitor=me", "picture.png"):
        led = library.get(earlier + each)
        assert (led.status_code, led["Location"], led["Cache-Control"]) == (302, path + each, "no-store")
    for each in ("", "/events?visitor=me"):
        led = library.get(f"/api{earlier[:-1]}{each}")
        assert (led.status_code, led["Location"]) == (302, f"/api{path[:-1]}{each}")
    again = library.start(earlier, depth="quick")["Location"].partition("?")[0]
    assert again not in (earlier, path) and library.get(again + "picture.png").status_code == 200
    assert library.park(picture(20)) == earlier and "Search for it" in text(library.get(earlier)), "brought again"
    for each in (path, again):
        library.post(each + "leave", {"visitor": "me"})
    library.post(earlier + "forget")
    assert library.get(earlier).status_code == 404, "forgotten under each of its names"


def test_a_search_goes_on_from_what_was_found(library: Library) -> None:
    path = library.park(picture(4))
    library.start(path, depth="good")
    mark = library.find(4)
    onwards = library.start(path, depth="best", onwards="1")["Location"].partition("?")[0]
    (claim,) = library.jobs.take("tiny")
    assert getattr(claim.wanted, "begin", "") == mark
    library.tell(claim, keep("tiny/stacks/better/1", 5, by_mark=True))
    assert f"from the page <code>{mark[:8]}…</code> on" in text(library.get(onwards))


def test_a_flagged_page_is_not_shown_beside_the_picture(library: Library) -> None:
    path = library.park(picture(6))
    library.start(path, depth="good")
    mark = library.find(6, flagged=True)
    page = text(library.get(path))
    assert "may be explicit" in page and f"/tiny/mark/{mark}.webp" not in page and 'id="slide"' not in page


def test_a_copy_is_found_first_and_a_hidden_one_is_none(library: Library) -> None:
    mark, other = keep("tiny/stacks/kept/1", 7), keep("tiny/stacks/hidden/1", 8)
    page = text(library.get(library.park(picture(7, "JPEG", quality=80))))
    assert "It is here already" in page and "/tiny/stacks/kept/1/" in page and "dB near" in page
    assert "Search all the same" in page
    assert "every pixel is the same" in text(library.get(library.park(picture(7))))
    hide(store().data, {name_of_key(other, "tiny")})
    page = text(library.get(library.park(picture(8))))
    assert "It is here already" not in page and other not in page and mark not in page


def test_a_picture_that_names_its_page_goes_straight_there(library: Library) -> None:
    own, key = "tiny/stacks/own/1", stacks_key("elsewhere", 1)
    mark = keep(own, 21)
    kept = store().picture(Address.parse(own))
    assert kept is not None
    assert library.bring(kept.png)["Location"] == f"/{own}/"
    pixels = np.asarray(Image.open(io.BytesIO(picture(22))))
    texts = {"mark": key.mark, "edition": "tiny", "rendition": "by hand"}
    whole = encode_page(pixels, address="no address", key=key, **texts)
    assert library.bring(whole)["Location"] == f"/tiny/mark/{key.mark}/" and store().key(key.mark) == key
    far = stacks_key("far", 1).mark
    named = encode_page(pixels, address="tiny/key/never-seen/7", **texts | {"mark": far})
    assert library.bring(named)["Location"] == "/tiny/key/never-seen/7/"
    library.park(encode_page(pixels, address="no address", **texts | {"mark": far}))
    hide(store().data, {name_of_key(mark, "tiny")})
    assert library.bring(kept.png).status_code == 410


def test_a_hidden_page_that_was_found_is_gone_on_every_surface(library: Library) -> None:
    path = library.park(picture(9))
    library.start(path, depth="good")
    mark = library.find(9)
    hide(store().data, {name_of_key(mark, "tiny")})
    for each in (path, f"/api{path[:-1]}"):
        answer = library.get(each)
        assert answer.status_code == 410 and mark not in text(answer)
    assert library.post(path + "list").status_code == 410
    assert library.start(path, onwards="1", depth="best").status_code == 410
    events = library.stream(path + "events?visitor=me")
    assert b"taken this picture down" in events and mark.encode() not in events


def test_the_address_of_a_form_that_was_refused_leads_back_to_the_form(library: Library) -> None:
    answer = library.get("/find/send")
    assert (answer.status_code, answer["Location"]) == (302, "/find/")


def test_cancelled_it_is_forgotten_and_left_it_waits_ten_minutes(library: Library, redis_url: str) -> None:
    path = library.park(picture(10))
    library.start(path, depth="good")
    assert library.post(path + "leave", {"visitor": "me", "unseen": "1"}).status_code == 204
    assert library.get(path + "picture.png").status_code == 200
    assert "Search for it" in text(library.get(path))
    library.get(path + "?visitor=me&away=1")  # what a browser sends as it hides the page that is left
    assert not library.jobs.take("tiny"), "nobody waits for it"
    assert "Number" not in text(library.get(path + "?visitor=me")) and library.jobs.take("tiny"), "it goes on by name"
    assert library.post(path + "leave", {"visitor": "me"})["Location"] == "/find/"
    assert library.get(path + "picture.png").status_code == 404
    with redis.Redis.from_url(redis_url) as server:
        assert server.keys("babelia:search:*") == []
    other = library.park(picture(11))
    assert library.post(other + "forget")["Location"] == "/find/"
    assert library.get(other).status_code == 404


def test_so_many_searches_wait_and_no_more(library: Library, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.SEARCH_LIMIT = 1
    first, second = library.park(picture(12)), library.park(picture(13))
    assert library.start(first).status_code == 303
    full = library.start(second)
    assert (full.status_code, full["Retry-After"]) == (503, "10")
    assert "So many pictures are searched for already" in text(full)


def test_machines_start_nothing_and_forms_of_other_sites_are_refused(library: Library) -> None:
    path = library.park(picture(14))
    library.get(path + "?visitor=bot", **{"user-agent": "Twitterbot/1.0"})
    assert library.jobs.take("tiny") == []
    for form in ("send", path.removeprefix("/find/") + "start"):
        assert library.post(f"/find/{form}", **{"sec-fetch-site": "cross-site"}).status_code == 403
    assert library.get(path + "start").status_code == 405


def test_what_is_wrong_with_a_search_is_said(library: Library) -> None:
    path = library.park(picture(15))
    assert "quick, good or best, not “deep”" in text(library.start(path, depth="deep"))
    assert library.start(path, prompt="\u202edog").status_code == 400
    library.start(path, depth="good")
    (claim,) = library.jobs.take("tiny")
    library.jobs.give_up(claim, "This edition has no encoder.", final=True)
    failed = library.get(path)
    assert failed.status_code == 503 and "This edition has no encoder." in text(failed)
    for name in ("a" * 64, "a", "../x", "A" * 64):
        assert library.get(f"/find/{name}/").status_code == 404


def test_without_redis_it_is_said_and_nothing_breaks(library: Library, settings: Any) -> None:
    settings.REDIS_URL = f"redis://127.0.0.1:{free_port()}/0"
    assert library.bring(picture(16)).status_code == 503
    assert library.get(f"/find/{'a' * 64}/").status_code == 503
    assert library.get("/find/").status_code == 200


def test_a_picture_without_a_key_that_is_opened_is_one_to_be_found(library: Library) -> None:
    answer = library.bring(picture(17), "/key/open")
    assert re.fullmatch(r"/find/[0-9a-f]{64}/\?opened=1", answer["Location"])
    assert "carries no key and no address" in text(library.get(answer["Location"]))
    assert "no text" in text(library.bring(b"\x80\x81", "/key/open"))


def test_nothing_of_a_picture_is_written_to_the_data_folder(library: Library) -> None:
    before = {file for file in store().data.rglob("*") if file.is_file()}
    path = library.park(picture(18))
    library.start(path)
    library.get(path)
    new = {file.relative_to(store().data).as_posix() for file in store().data.rglob("*") if file.is_file()}
    assert {name for name in new if not name.startswith("finding/")} <= {
        file.relative_to(store().data).as_posix() for file in before
    } | {"secret-key"}
    assert stacks_key("none", 1).mark not in new
