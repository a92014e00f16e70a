"""gallery.views.subjects: what an edition can draw, over HTTP; a hidden page's picture is gone."""

import io
import re

import pytest
from PIL import Image

from tests import ROOT
from tests.conftest import RunningPress, wait_until
from tests.gallery.views.conftest import manage
from tests.visitor import ask
from worker.editions.repertoire import read_repertoire

BOT = "Twitterbot/1.0"
"""Of a page not printed it is shown what is known, and nothing is started."""


def test_the_page_shows_every_name_as_a_link_with_its_picture(site: str) -> None:
    page = ask(site, "/pocket-1/subjects/")
    assert page.status == 200
    images = re.findall(r'<img src="([^"]+)" width="240" height="156" alt="([^"]+)" loading="lazy"', page.text)
    assert len(images) > 180
    assert ("/pocket-1/subjects/a-dog.webp", "a dog") in images
    assert 'href="/pocket-1/prompt/a%20dog/1/"' in page.text
    picture = ask(site, "/pocket-1/subjects/a-dog.webp")
    assert (picture.status, picture.headers["content-type"]) == (200, "image/webp")
    with Image.open(io.BytesIO(picture.body)) as image:
        assert image.size == (240, 156)
    assert ask(site, "/pocket-1/subjects/a-dog.webp", If_None_Match=picture.headers["etag"]).status == 304


def test_what_it_links_to_loads_little(site: str) -> None:
    page = ask(site, "/pocket-1/subjects/")
    pictures = set(re.findall(r'<img src="([^"]+)"', page.text))
    assert len(page.body) + sum(len(ask(site, path).body) for path in pictures) <= 720_000, "scrolled to its end"


def test_an_edition_without_a_list_shows_its_phrases_and_an_unknown_one_is_refused(site: str) -> None:
    assert 'href="/tiny/prompt/a%20tower/1/"' in ask(site, "/tiny/subjects/").text
    assert ask(site, "/atlantis/subjects/").status == 404
    assert ask(site, "/tiny/subjects/a-dog.webp").status == 404
    assert ask(site, "/pocket-1/subjects/nothing.webp").status == 404


def test_search_engines_may_go_there_and_every_page_leads_there(site: str) -> None:
    assert "Allow: /pocket-1/subjects/\n" in ask(site, "/robots.txt").text
    assert 'href="/pocket-1/subjects/"' in ask(site, "/about/").text
    assert len(re.findall(r'<img src="/pocket-1/subjects/', ask(site, "/").text)) == 12


def test_the_box_is_completed_by_edition(site: str) -> None:
    known = ask(site, "/search/words.json?edition=pocket-1")
    assert "a dog" in known.json["prompts"]  # type: ignore[operator]
    assert len(known.body) < 8000
    assert "max-age" in known.headers["cache-control"]
    assert ask(site, "/search/words.json?edition=tiny").json["places"] == ["on a beach", "in the snow", "at night"]
    assert ask(site, "/search/words.json?edition=atlantis").status == 404
    assert 'data-words="/search/words.json"' in ask(site, "/").text


def test_a_prompts_page_says_what_is_known_of_its_words(site: str) -> None:
    page = ask(site, "/pocket-1/prompt/a%20jungle%20and%20a%20qwertz%20dog/1/", User_Agent=BOT).text
    told = " ".join(re.sub(r"<[^>]+>", "", page.partition('id="words">')[2].partition("</p>")[0]).split())
    assert told == (
        "Pocket 1 draws by name: jungle (forest), dog. Pocket 1 does not know qwertz; it draws the rest. "
        "What it can draw"
    )
    for path in ("/pocket-1/prompt/a%20jungle/1.json", "/api/page?address=pocket-1/prompt/a%20jungle/1"):
        assert ask(site, path).json["words"] == [
            {
                "text": "jungle",
                "known": True,
                "kind": "place",
                "name": "forest",
                "prompt": "a forest",
                "page": "/pocket-1/prompt/a%20forest/1/",
            }
        ]
    assert ask(site, "/tiny/prompt/a%20jungle/1.json").json["words"] is None
    assert 'id="words"' not in ask(site, "/pocket-1/key/borges/1/", User_Agent=BOT).text


@pytest.mark.parametrize(("by", "prompt"), [("address", "a ghost"), ("mark", "a robot")])
def test_a_hidden_page_shows_no_picture_here(site: str, press: RunningPress, by: str, prompt: str) -> None:
    path = f"/pocket-1/subjects/{prompt.replace(' ', '-')}.webp"
    repertoire = read_repertoire(ROOT / "editions" / "pocket-1")
    assert repertoire is not None
    mark = next(entry.mark for entry in repertoire.entries if entry.prompt == prompt)
    hidden = f"pocket-1/prompt/{prompt}/1" if by == "address" else f"pocket-1/mark/{mark}"
    assert ask(site, path).status == 200
    manage(press, "hide", hidden)
    try:
        assert ask(site, path).status == 410
        page = ask(site, "/pocket-1/subjects/").text
        assert path not in page and prompt in page
    finally:
        manage(press, "hide", "--show", hidden)
    wait_until(lambda: ask(site, path).status == 200, 20, "it is shown again")
