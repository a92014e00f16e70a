"""gallery.api.keys: a full key, or a picture with one, that a program brings."""

import secrets

from tests.visitor import ask, fresh, printed, query_of
from worker.catalogue.expansion import stacks_key
from worker.catalogue.limits import PICTURE_FILE_BYTES


def test_a_key_sent_as_text_is_held_and_its_page_named(site: str) -> None:
    key = stacks_key(secrets.token_hex(8), 1)
    answer = ask(site, "/api/key?edition=tiny", "POST", key.format().encode(), Content_Type="text/plain")
    assert answer.status == 201
    assert answer.json == {
        "address": f"tiny/mark/{key.mark}",
        "mark": key.mark,
        "page": f"/tiny/mark/{key.mark}/",
    }
    assert ask(site, f"/api/page/key?address=tiny/mark/{key.mark}").text == key.format()


def test_a_picture_sent_to_the_api_is_found_again(site: str) -> None:
    address = fresh("prompt")
    picture = printed(site, address).body
    mark = ask(site, f"/api/page{query_of(address)}").json["mark"]
    answer = ask(site, "/api/key", "POST", picture, Content_Type="image/png")
    assert (answer.status, answer.json["mark"]) == (201, mark)


def test_a_picture_may_have_sixteen_megabytes(site: str) -> None:
    address = fresh("prompt")
    picture = printed(site, address).body
    mark = ask(site, f"/api/page{query_of(address)}").json["mark"]
    large = picture + bytes(PICTURE_FILE_BYTES - len(picture))
    answer = ask(site, "/api/key", "POST", large, Content_Type="image/png")
    assert (answer.status, answer.json["mark"]) == (201, mark)
    refused = ask(site, "/api/key", "POST", large + b"\0", Content_Type="image/png")
    assert refused.status == 400 and "may have 16,777,216 bytes" in str(refused.json["message"])
