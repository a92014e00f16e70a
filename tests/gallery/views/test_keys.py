"""gallery.views.keys and gallery.keys: full keys as visitors bring them, over HTTP."""

import io
import os
import secrets

import numpy as np
from PIL import Image

from tests.conftest import wait_until
from tests.visitor import FORM, ask, fresh, post, post_file, printed
from worker.catalogue.address import Address
from worker.catalogue.expansion import stacks_key
from worker.catalogue.key import CHARACTERS
from worker.catalogue.png import encode_page, read_chunks


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
    answer = post_file(site, "page.png", picture)
    assert (answer.status, answer.headers["location"]) == (303, kept.path())


def test_a_saved_picture_opens_under_its_own_name(site: str, kept: Address) -> None:
    answer = post_file(site, "page.png", printed(site, kept).body, Accept="application/json")
    assert answer.json == {"address": kept.format(), "page": kept.path()}


def test_a_saved_picture_that_has_lost_its_texts_opens_by_its_pixels(site: str) -> None:
    address, file = fresh("prompt"), io.BytesIO()
    Image.open(io.BytesIO(printed(site, address).body)).convert("RGBA").save(file, "PNG", compress_level=1)
    assert read_chunks(file.getvalue()) == {}
    ask(site, address.path())

    def location() -> str | None:
        return post_file(site, "page.png", file.getvalue()).headers.get("location")

    wait_until(lambda: location() == address.path(), 10, "the ledger is written")


def test_a_picture_from_elsewhere_is_one_to_be_found_and_what_is_none_is_refused(site: str) -> None:
    for kind in ("PNG", "JPEG"):
        file = io.BytesIO()
        Image.new("RGB", (8, 8)).save(file, kind)
        answer = post_file(site, "cat", file.getvalue(), Accept="application/json")
        assert (answer.status, answer.json["address"]) == (200, None)
        assert "carries no key and no address" in ask(site, str(answer.json["page"])).text
    photo = post_file(site, "cat.jpg", b"\xff\xd8\xff").text
    assert "This file is a JPEG picture, and no key can be in it." in photo and "ask for the link" in photo
    assert "byte 1 is no text" in post_file(site, "cat.bin", b"\x80\x81").text


def test_too_much_is_refused_while_it_arrives(site: str) -> None:
    for kind, claimed in ((FORM, 300_000), ("multipart/form-data; boundary=x", 17 << 20)):
        refused = ask(site, "/key/open", "POST", b"begins", Content_Type=kind, Content_Length=str(claimed))
        assert refused.status == 413
        assert "189,436 characters" in refused.text
    text = post_file(site, "big.txt", b"A" * 300_000)
    assert text.status == 400
    assert "may have 262,144 bytes" in text.text


def test_a_form_of_another_site_is_refused(site: str) -> None:
    for headers in ({"Sec_Fetch_Site": "cross-site"}, {"Origin": "https://elsewhere.example"}):
        assert post(site, "/key/open", {"key": "A"}, **headers).status == 403
    for headers in ({"Sec_Fetch_Site": "same-origin"}, {"Origin": site}, {}):
        assert post(site, "/key/open", {"key": "A"}, **headers).status == 400


def test_a_dropped_picture_of_another_edition_opens_in_it(site: str) -> None:
    key = stacks_key(secrets.token_hex(8), 1)
    image = Image.frombytes("RGB", (640, 416), os.urandom(640 * 416 * 3))
    png = encode_page(
        np.asarray(image), address="tiny/mark/x", mark=key.mark, edition="elsewhere", rendition="", key=key
    )
    answer = post_file(site, "page.png", png)
    assert answer.headers["location"] == f"/tiny/mark/{key.mark}/"
