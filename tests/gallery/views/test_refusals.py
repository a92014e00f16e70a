"""gallery.views.refusals and gallery.answers: what is refused, and how it is said, over HTTP."""

import json
import time

import pytest
from django.test import RequestFactory

from gallery.views.refusals import broken
from tests.visitor import ask, fresh, post


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("/tiny/prompt/a%00b/1/", "Character 2 of this prompt is a control character (U+0000)"),
        ("/tiny/prompt/a%E2%80%AEb/1/", "bidirectional control"),
        ("/tiny/prompt/a%C0%AFb/1/", "not UTF-8"),
        ("/tiny/prompt/a%ED%A0%80b/1/", "not UTF-8"),
        ("/tiny/prompt/a%FFb/1/", "not UTF-8"),
        ("/tiny/prompt/%2E%2E/1/", ". and .. alone between slashes"),
        ("/tiny/prompt/%2E%2E%2F%2E%2E%2Fetc%2Fpasswd/1/", ". and .. alone between slashes"),
        ("/tiny/key/borges/411/", "411 is not among them"),
        ("/tiny/key/borges/0/", "“0” is no page"),
        ("/tiny/key/bor%20ges/1/", "cannot be a name"),
        ("/tiny/prompt/" + 501 * "a" + "/1/", "this one has 501"),
        ("/tiny/mark/numxaqqioe4lpfc6qxh46pi5y/", "is no short name of a key"),
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
    assert "There is no model named “atlantis”" in edition.text
    mark = ask(site, "/tiny/mark/numxaqqioe4lpfc6qxh46pi5yy/")
    assert mark.status == 404
    assert "has not seen the key" in mark.text


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        ("/about?from=phone", "/about/?from=phone"),
        ("/tiny", "/tiny/"),
        ("/TINY/", "/tiny/"),
        ("/tiny/opened", "/tiny/opened/"),
        ("/tiny/random", "/tiny/random/"),
        ("/tiny/key/borges", "/tiny/key/borges/"),
        ("/tiny/stacks/borges/", "/tiny/stacks/borges/1/"),
        ("/tiny/prompt/a%20dog", "/tiny/prompt/a%20dog/"),
        ("/Tiny/Prompt/A%20Dog/01/", "/tiny/prompt/a%20dog/1/"),
        ("/tiny/key/borges/01.json", "/tiny/key/borges/1.json"),
        ("/api", "/api/"),
        ("/api/docs/", "/api/docs"),
    ],
)
def test_a_path_that_is_not_quite_right_leads_to_what_was_meant(site: str, path: str, meant: str) -> None:
    for method in ("GET", "HEAD"):
        answer = ask(site, path, method)
        assert (answer.status, answer.headers["location"], answer.headers["cache-control"]) == (302, meant, "no-store")
    assert ask(site, meant, "HEAD").status in (200, 302)
    assert post(site, path.partition("?")[0], {"a": "b"}).status == 404


@pytest.mark.parametrize("path", ["/", "/tiny/key/borges/1/", "/tiny/key/borges/1.png", "/tiny/key/borges/1.json"])
def test_what_is_sent_to_an_address_that_takes_no_forms_is_refused_with_a_sentence(site: str, path: str) -> None:
    answer = post(site, path, {"a": "b"})
    assert answer.status == 405 and answer.headers["allow"] == "GET, HEAD"
    assert "can only be opened" in answer.text


def test_an_address_of_a_form_is_not_a_blank_page_to_who_opens_it(site: str) -> None:
    answer = ask(site, fresh().path()[:-1] + "/leave")
    assert answer.status == 405 and answer.headers["allow"] == "POST"
    assert "There is nothing to see at this address" in answer.text


@pytest.mark.parametrize(("path", "form"), [("/key/open", "/key/"), ("/corridor/open", "/corridor/")])
def test_a_form_that_was_refused_is_opened_again_as_a_form(site: str, path: str, form: str) -> None:
    for method in ("GET", "HEAD"):
        answer = ask(site, path, method)
        assert (answer.status, answer.headers["location"]) == (302, form)
    assert ask(site, path, "DELETE").status == 405


def test_a_mistake_of_ours_has_a_page_of_its_own() -> None:
    answer = broken(RequestFactory().get("/"))
    assert answer.status_code == 500
    assert b"Something went wrong on our side" in answer.content and answer.content.count(b'<a class="button') >= 2
    for path, headers in (("/api/page", {}), ("/tiny/key/a/1.json", {}), ("/", {"accept": "application/json"})):
        answer = broken(RequestFactory().get(path, headers=headers))
        assert answer.status_code == 500
        assert set(json.loads(answer.content)) == {"code", "message", "hint"}
    assert broken(RequestFactory().get("/tiny/key/a/1.png"))["Content-Type"].startswith("text/plain")


def test_without_redis_a_new_page_is_a_503_that_says_when_to_come_back(lonely_site: str) -> None:
    began = time.monotonic()
    answer = ask(lonely_site, fresh().path())
    assert answer.status == 503
    assert int(answer.headers["retry-after"]) > 0
    assert time.monotonic() - began < 4
    assert ask(lonely_site, fresh().path()[:-1] + ".png").status == 503
