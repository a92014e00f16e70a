"""What visitors read is said in their words: every page, state and odd moment of a library of this process is read.

The words of the workshop (press, print, queue, edition …) belong to headings, to About, to the API's page and to docs.
What follows "For the keeper:" is for who runs the library, after its meaning for everybody else.
"""

import re
from html.parser import HTMLParser
from typing import Any
from urllib.parse import quote

import pytest
from asgiref.sync import async_to_sync
from django.template.loader import render_to_string
from django.test import AsyncClient

from gallery.pages import status
from tests.gallery.views.conftest import InProcess
from tests.visitor import CHROME
from worker.catalogue.address import Address
from worker.catalogue.expansion import stacks_key
from worker.errors import LibraryBusy, StoreUnavailable
from worker.jobs.client import JobClient, _too_many
from worker.jobs.progress import Press, Progress, redis_away
from worker.store import hidden

pytestmark = pytest.mark.django_db(transaction=True)

WORKSHOP = re.compile(
    r"\b(press|presses|print|prints|printed|printing|printer|queue\w*|editions?|renditions?|volumes?|stacks|marks?"
    r"|keepers|librarians?|lexicon|page \d+ of 410)\b",
    re.IGNORECASE,
)
PATHS = re.compile(r"\S*/\S*")
OF_HEADINGS = {"h1", "h2", "h3", "script", "style", "code", "q"}
"""Elements whose text is not read: headings, names that somebody gave, and code."""
ATTRIBUTES = {"alt", "title", "aria-label", "placeholder", "content", "label"}


class Reader(HTMLParser):
    """Collects what of a page is read or heard: its text, and the attributes that are sentences."""

    def __init__(self) -> None:
        super().__init__()
        self.read: list[str] = []
        self._inside: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in OF_HEADINGS:
            self._inside.append(tag)
        for name, value in attrs:
            if value and (name in ATTRIBUTES or (name.startswith("data-") and " " in value)):
                self.read.append(value)

    def handle_endtag(self, tag: str) -> None:
        if self._inside and self._inside[-1] == tag:
            self._inside.pop()

    def handle_data(self, data: str) -> None:
        if not self._inside:
            self.read.append(" ".join(data.split()))


def of_the_workshop(html: str) -> list[str]:
    """The sentences of a page in which a word of the workshop stands."""
    reader = Reader()
    reader.feed(html)
    for_all = [text.partition("For the keeper:")[0] for text in reader.read]
    return [text for text in for_all if WORKSHOP.search(PATHS.sub("", text))]


def test_a_word_of_the_workshop_is_found_where_it_is_read_and_in_no_heading() -> None:
    assert of_the_workshop("<p>Next at the press.</p>") == ["Next at the press."]
    assert of_the_workshop('<p data-done="The page is printed."><img alt="Page 7 of 410"></p>') == [
        "The page is printed.",
        "Page 7 of 410",
    ]
    assert of_the_workshop("<h1>The press</h1><q>print</q><p>Not now. For the keeper: the press is away</p>") == []


KEPT = ("pocket-1/prompt/a dog/1", "pocket-1/key/borges/7", "pocket-1/stacks/borges/1")
FLAGGED, GONE = "pocket-1/key/flagged/1", "pocket-1/key/gone/1"
MARK = stacks_key(KEPT[0], 1).mark
FIRST = quote(Address.parse(KEPT[0]).path(), safe="")
PAGES = (
    *("/", "/search/?prompt=a/../b", "/pocket-1/", "/pocket-1/opened/", "/pocket-1/opened/?kind=mine"),
    *("/pocket-1/subjects/", "/shelf/", "/slideshow/", f"/slideshow/?of={FIRST}", "/slideshow/?of=nothing"),
    *("/find/", "/key/", "/corridor/", f"/corridor/?from={FIRST}&to=a", "/compare/", f"/compare/?a={FIRST}&b=x"),
    *(Address.parse(each).path() for each in (*KEPT, FLAGGED, GONE)),
    *(f"/pocket-1/mark/{MARK}/{form}" for form in ("", "anatomy/", "nearby/", "report", "embed/", "volume")),
    *(f"/{each}/{form}" for each in KEPT[:2] for form in ("anatomy/", "nearby/", "report", "embed/", "volume")),
    *("/pocket-1/prompt/a dog/", "/pocket-1/prompt/a dog/?page=900", "/pocket-1/key/borges/", f"/{GONE}/embed/"),
    *("/nothing/here/", "/pocket-1/key/borges/900/", "/pocket-1/key/bor%20ges/1/", "/pocket-1/mark/abc/"),
    *(f"/pocket-1/mark/{'a' * 26}/", "/sd-1.5/key/borges/1/", "/atlantis/key/borges/1/", "/oembed?url=x"),
    *("/pocket-1/key/new/1/leave", "/pocket-1/prompt/a dog/1/next-volume", "/pocket-1/key/new/1/preview.webp"),
)
READY = Press("one", "ready", ("pocket-1",), "", "", "here", 1)
LOADING = Press("one", "loading", ("pocket-1",), "", "", "here", 1)
BROKEN = Press("one", "broken", ("pocket-1",), "", "No edition is installed, so it has nothing to print.", "", 1)
BLOCKED = Press("one", "blocked", ("pocket-1",), "", "The disk is full, so no page can be printed.", "here", 1)
STATES: dict[str, tuple[Progress, list[Press]]] = {
    "next": (Progress("queued", place=1, seconds=4.0), [READY]),
    "third": (Progress("queued", place=3), [READY]),
    "begins": (Progress("printing"), [READY]),
    "goes on": (Progress("printing", step=7, of=20, seconds=1.2), [READY]),
    "failed": (Progress("failed"), [READY]),
    "busy": (Progress("busy", retry_after=9), [READY]),
    "absent": (Progress("absent"), [READY]),
    "loads": (Progress("queued", place=1), [LOADING]),
    "broken": (Progress("queued", place=1), [BROKEN]),
    "blocked": (Progress("queued", place=1), [BLOCKED]),
    "nobody": (Progress("queued", place=1), []),
}
REFUSED = {
    "many": _too_many(3, 0, 4.0),
    "fast": _too_many(0, 60, 4.0),
    "busy": LibraryBusy("So many files are being read that yours has to wait."),
    "no redis": redis_away(OSError()),
    "full": redis_away(RuntimeError("OOM command not allowed when used memory > 'maxmemory'")),
    "disk": redis_away(RuntimeError("MISCONF Redis is configured to save")),
    "store": StoreUnavailable("The disk is full, so nothing new can be kept."),
}


def read(path: str) -> Any:
    return async_to_sync(AsyncClient().get)(path, headers={"User-Agent": CHROME})


def test_no_page_speaks_the_language_of_the_workshop(library: InProcess) -> None:
    library.opened(*KEPT)
    library.keep(FLAGGED, flagged=True)
    hidden.hide(library.data, {hidden.name_of_address(Address.parse(GONE))})
    found = {path: of_the_workshop(read(path).content.decode()) for path in PAGES}
    found["broken"] = of_the_workshop(render_to_string("broken.html"))
    assert {path: sentences for path, sentences in found.items() if sentences} == {}


def test_no_state_of_a_picture_is_told_in_the_language_of_the_workshop(
    library: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = {}
    for name, (progress, presses) in STATES.items():

        async def answer(*_: object, progress: Progress = progress, **__: object) -> Progress:
            return progress

        monkeypatch.setattr(JobClient, "ask", answer)
        monkeypatch.setattr(JobClient, "look", answer)
        status._presses["running"] = presses
        page = read("/pocket-1/prompt/not drawn/1/").content.decode()
        assert 'id="sentence"' in page, name
        found[name] = of_the_workshop(page)
    for name, error in REFUSED.items():

        async def refuse(*_: object, error: Exception = error, **__: object) -> None:
            raise error

        monkeypatch.setattr(JobClient, "ask", refuse)
        status._presses["running"] = [READY]
        answered = read("/pocket-1/prompt/not drawn/1/")
        assert answered.status_code in (429, 503), name
        found[name] = of_the_workshop(answered.content.decode())
    assert {name: sentences for name, sentences in found.items() if sentences} == {}
