"""The pages as a visitor sees them: Chromium, a real site, a real press, a real Valkey.

Debian's Chromium is driven by Playwright; `CHROMIUM` names another one. Nothing is skipped where it is missing.
"""

import base64
import hashlib
import io
import os
import re
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.conftest import RunningPress
from tests.visitor import ask, fresh, long_page, printed
from worker.catalogue.address import Address
from worker.catalogue.expansion import stacks_key

PATIENCE_MS = 30_000
expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    assert path, "These tests need Chromium: `apt-get install chromium`, or set CHROMIUM to the path of one."
    with sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        with playwright.chromium.launch(executable_path=path, args=flags) as found:
            yield found


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A fresh profile whose pages must run without a single error in the console."""
    with visiting(browser) as found:
        yield found


class visiting:  # noqa: N801  (reads as a sentence where it is used)
    """A fresh browser profile; on leaving, no page of it may have complained."""

    def __init__(self, browser: Browser, **options: object) -> None:
        self._context = browser.new_context(**options)  # type: ignore[arg-type]
        self._context.set_default_timeout(PATIENCE_MS)
        self._complaints: list[str] = []
        self._context.on("console", lambda message: self._note(message.type, message.text))
        self._context.on("weberror", lambda error: self._complaints.append(str(error.error)))

    def _note(self, kind: str, text: str) -> None:
        if kind in ("error", "warning") and "the server responded with a status of" not in text:
            self._complaints.append(text)

    def __enter__(self) -> BrowserContext:
        return self._context

    def __exit__(self, *_: object) -> None:
        self._context.close()
        assert not self._complaints


def shown(page: Page) -> dict[str, Any]:
    """What the page shows at one instant: the step it names (0 before the first), its bar, its preview, its picture."""
    found: dict[str, Any] = page.evaluate(
        """() => ({
            step: Number(document.querySelector("#sentence")?.textContent.match(/^Step (\\d+) of/)?.[1] ?? 0),
            bar: document.querySelector("#bar")?.value ?? null,
            preview: document.querySelector("#preview")?.getAttribute("src") ?? null,
            printed: document.querySelector("#picture") !== null,
        })"""
    )
    return found


def pixels_shown(page: Page) -> str:
    """The SHA-256 of the pixels (416, 640, 3) of the picture that the page shows, as the browser decoded them."""
    digest: str = page.locator("#picture").evaluate(
        """async (image) => {
            await image.decode();
            const canvas = Object.assign(document.createElement("canvas"), { width: 640, height: 416 });
            const context = canvas.getContext("2d", { colorSpace: "srgb" });
            context.drawImage(image, 0, 0);
            const rgb = context.getImageData(0, 0, 640, 416).data.filter((_, place) => place % 4 !== 3);
            const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", rgb));
            return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
        }"""
    )
    return digest


def pixels_kept(site: str, address: Address) -> str:
    """The SHA-256 of the pixels of the page's PNG."""
    with Image.open(io.BytesIO(printed(site, address).body)) as image:
        return hashlib.sha256(image.tobytes()).hexdigest()


def test_a_page_fills_while_the_press_works(context: BrowserContext, site: str) -> None:
    address = long_page(site, 64)
    page = context.new_page()
    page.goto(site + address.path())
    assert page.locator("#picture").count() == 0
    seen = []
    began = time.monotonic()
    while not (now := shown(page))["printed"] and time.monotonic() - began < 60:
        seen.append(now)
        page.wait_for_timeout(30)
    steps = [now["step"] for now in seen if now["step"]]
    assert steps == sorted(steps)
    assert len(set(steps)) > 4, "the count of steps is seen to rise"
    assert len({now["preview"] for now in seen if now["preview"]}) > 2, "previews are seen to change"
    assert len({now["bar"] for now in seen}) > 4, "the bar is seen to grow"
    picture = page.locator("#picture")
    expect(picture).to_be_visible()
    assert picture.get_attribute("alt") == f"The page with the mark {address.name}"
    assert pixels_shown(page) == pixels_kept(site, address)
    assert page.locator("main").get_attribute("data-state") == "kept"


def test_two_tabs_and_a_reload_follow_one_print(context: BrowserContext, site: str, press: RunningPress) -> None:
    address, child = long_page(site, steps=64), press.child
    assert child is not None
    first, second = context.new_page(), context.new_page()
    first.goto(site + address.path())
    expect(first.locator("#sentence")).to_contain_text(re.compile(r"^Step [1-9]"))
    os.kill(child, signal.SIGSTOP)  # a long print, on however fast a machine
    try:
        second.goto(site + address.path())
        for tab in (first, second):
            expect(tab.locator("#sentence")).to_contain_text(re.compile(r"^Step [1-9]"))
        before = shown(first)
        first.reload()
        assert shown(first)["step"] >= before["step"] > 0, "a reload joins where the print is"
    finally:
        os.kill(child, signal.SIGCONT)
    for tab in (first, second):
        expect(tab.locator("#picture")).to_be_visible()
    assert pixels_shown(first) == pixels_shown(second) == pixels_kept(site, address)


def test_without_javascript_the_page_comes_back_until_the_picture_is_there(browser: Browser, site: str) -> None:
    address = long_page(site, steps=64)
    with visiting(browser, java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(site + address.path())
        assert page.locator("main").get_attribute("data-state") in ("queued", "printing")
        expect(page.locator("#picture")).to_be_visible()
        expect(page.locator("button[data-copy]")).to_be_hidden()
        page.goto(site + "/")
        page.fill("input[name=prompt]", "a dog")
        page.press("input[name=prompt]", "Enter")
        assert "/prompt/a%20dog/1/" in page.url


def test_a_shared_link_opens_the_same_pixels_in_a_fresh_profile(browser: Browser, site: str) -> None:
    address = fresh("prompt")
    with visiting(browser, permissions=["clipboard-read", "clipboard-write"]) as context:
        page = context.new_page()
        page.goto(site + address.path())
        expect(page.locator("#picture")).to_be_visible()
        page.click("button[data-copy]")
        expect(page.locator("button[data-copy] span")).to_have_text("Copied")
        link = page.evaluate("navigator.clipboard.readText()")
        mine = pixels_shown(page)
    with visiting(browser) as context:
        page = context.new_page()
        page.goto(link)
        expect(page.locator("#picture")).to_be_visible()
        assert pixels_shown(page) == mine == pixels_kept(site, address)


def test_a_tab_that_nobody_sees_asks_now_and_then_and_holds_no_connection(browser: Browser, site: str) -> None:
    address = long_page(site, 64)
    with visiting(browser) as context:
        context.add_init_script("Object.defineProperty(document, 'hidden', { value: true, configurable: true })")
        page = context.new_page()
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(site + address.path())
        expect(page.locator("#picture")).to_be_visible()
        assert not [url for url in asked if "/events" in url]
        assert len([url for url in asked if "-away" in url]) > 1


def test_the_share_sheet_is_offered_where_there_is_one(browser: Browser, site: str) -> None:
    address = fresh("prompt")
    printed(site, address)
    with visiting(browser) as context:
        page = context.new_page()
        page.goto(site + address.path())
        assert page.locator("button[data-share]").is_hidden(), "this browser has no share sheet"
        page.evaluate("navigator.share = async (what) => { window.shared = what; }")  # only phones have one
        page.evaluate("document.dispatchEvent(new Event('page-printed'))")
        page.click("button[data-share]")
        assert page.evaluate("window.shared") == {"url": site + address.path(), "title": address.name}


def drop(page: Page, name: str, kind: str, data: bytes) -> None:
    """Drop a file on the middle of the page, as the hand does."""
    transfer = page.evaluate_handle(
        """([name, kind, bytes]) => {
            const transfer = new DataTransfer();
            const data = Uint8Array.from(atob(bytes), (character) => character.charCodeAt(0));
            transfer.items.add(new File([data], name, { type: kind }));
            return transfer;
        }""",
        [name, kind, base64.b64encode(data).decode()],
    )
    page.dispatch_event("main", "dragover", {"dataTransfer": transfer})
    page.dispatch_event("main", "drop", {"dataTransfer": transfer})


def test_a_picture_dropped_on_any_page_opens_its_own(context: BrowserContext, site: str) -> None:
    address = fresh("prompt")
    picture = printed(site, address).body
    mark = ask(site, address.path()[:-1] + ".json").json["mark"]
    page = context.new_page()
    page.goto(site + "/about/")
    drop(page, "page.png", "image/png", picture)
    page.wait_for_url(f"**/tiny/mark/{mark}/")
    assert pixels_shown(page) == pixels_kept(site, address)


def test_a_file_that_is_no_key_is_refused_where_it_was_dropped(context: BrowserContext, site: str) -> None:
    page = context.new_page()
    page.goto(site + "/")
    drop(page, "notes.txt", "text/plain", b"not a key!")
    expect(page.locator("#notice")).to_contain_text("Character 10 of this key is “!”")
    assert page.url == site + "/"


def drop_link(page: Page, kind: str, text: str, target: str = "main") -> None:
    """Drop what another tab hands over: a list of links, or a piece of HTML."""
    transfer = page.evaluate_handle(
        """([kind, text]) => {
            const transfer = new DataTransfer();
            transfer.setData(kind, text);
            return transfer;
        }""",
        [kind, text],
    )
    page.dispatch_event(target, "dragover", {"dataTransfer": transfer})
    page.dispatch_event(target, "drop", {"dataTransfer": transfer})


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("text/uri-list", "{page}"),
        ("text/uri-list", "# from another tab\r\n{page}\r\n"),
        ("text/uri-list", "{picture}"),
        ("text/html", '<meta charset="utf-8"><img src="{picture}" alt="a picture">'),
        ("text/html", '<a href="{page}"><img src="{thumbnail}"></a>'),
    ],
)
def test_a_link_dropped_from_another_tab_opens_its_page(
    kind: str, text: str, context: BrowserContext, site: str
) -> None:
    address = fresh("prompt")
    printed(site, address)
    base = site + address.path()[:-1]
    page = context.new_page()
    page.goto(site + "/about/")
    drop_link(page, kind, text.format(page=base + "/", picture=base + ".png", thumbnail=base + "/thumbnail.webp"))
    page.wait_for_url("**" + address.path())
    assert pixels_shown(page) == pixels_kept(site, address)


@pytest.mark.parametrize(
    ("link", "sentence"),
    [("https://example.org/picture.jpg", "leads out of this library"), ("{site}/about/", "leads to no page")],
)
def test_a_link_that_is_no_page_of_this_library_is_said_to_be_none(
    link: str, sentence: str, context: BrowserContext, site: str
) -> None:
    page = context.new_page()
    page.goto(site + "/")
    drop_link(page, "text/uri-list", link.format(site=site))
    expect(page.locator("#notice")).to_contain_text(sentence)
    assert page.url == site + "/"


def test_several_files_are_said_to_be_several(context: BrowserContext, site: str) -> None:
    page = context.new_page()
    page.goto(site + "/")
    transfer = page.evaluate_handle(
        """() => {
            const transfer = new DataTransfer();
            for (const name of ["a.txt", "b.txt"]) transfer.items.add(new File(["A"], name));
            return transfer;
        }"""
    )
    page.dispatch_event("main", "drop", {"dataTransfer": transfer})
    expect(page.locator("#notice")).to_contain_text("several files")


def test_what_was_taken_up_on_the_same_page_or_is_meant_for_a_field_is_left_alone(
    context: BrowserContext, site: str
) -> None:
    page = context.new_page()
    page.goto(site + "/")
    drop_link(page, "text/uri-list", "https://example.org/", "input[name=prompt]")
    page.dispatch_event("main", "dragstart")
    drop_link(page, "text/uri-list", "https://example.org/")
    assert page.locator("#notice").text_content() == ""
    page.dispatch_event("main", "dragend")
    drop_link(page, "text/uri-list", "https://example.org/")
    expect(page.locator("#notice")).to_contain_text("leads out of this library")


def test_a_page_says_which_words_of_its_prompt_were_not_read(context: BrowserContext, site: str) -> None:
    address = Address("tiny", "prompt", "a red boat on a calm sea under a yellow moon, " * 8 + "and a dog", 1)
    printed(site, address)
    page = context.new_page()
    page.goto(site + address.path())
    expect(page.locator("#unread")).to_contain_text("and a dog")
    assert "and a dog" not in str(page.locator("#picture").get_attribute("alt"))
    unread = ask(site, address.path()[:-1] + ".json").json["unread"]
    assert str(unread).endswith("and a dog")
    assert ask(site, "/api/page?address=" + quote(address.format())).json["unread"] == unread


def test_a_pasted_key_with_one_wrong_character_is_answered_with_its_place(context: BrowserContext, site: str) -> None:
    key = stacks_key("paste", 1)
    text = key.format()
    page = context.new_page()
    page.goto(site + "/key/")
    page.fill("#key", text[:99_999] + "é" + text[100_000:])
    page.click("text=Open its page")
    expect(page.get_by_role("alert")).to_contain_text("Character 100,000 of this key is “é” (U+00E9)")
    assert page.input_value("#key")[99_999] == "é", "what was pasted is still there to be mended"
    page.fill("#key", text)
    page.click("text=Open its page")
    page.wait_for_url(f"**/mark/{key.mark}/")


def test_the_arrow_keys_turn_pages_and_volumes_but_not_in_the_search_box(context: BrowserContext, site: str) -> None:
    for name, number in (("arrows", 5), ("arrows", 6), ("arrowt", 5)):
        printed(site, Address("tiny", "key", name, number))
    page = context.new_page()
    page.goto(site + "/tiny/key/arrows/5/")
    page.keyboard.press("ArrowRight")
    page.wait_for_url("**/tiny/key/arrows/6/")
    page.keyboard.press("ArrowLeft")
    page.wait_for_url("**/tiny/key/arrows/5/")
    page.keyboard.press("Shift+ArrowRight")
    page.wait_for_url("**/tiny/key/arrowt/5/")
    page.fill("input[name=prompt]", "a dog")
    page.press("input[name=prompt]", "ArrowRight")
    page.wait_for_timeout(200)
    assert page.url.endswith("/tiny/key/arrowt/5/")


def test_a_page_that_failed_says_so_and_can_be_tried_again(browser: Browser, site: str, press: RunningPress) -> None:
    address = fresh("prompt")
    weights = press.data / "pages"
    folder = weights / "tiny"
    aside = Path(f"{folder}-aside")
    folder.rename(aside)
    folder.write_text("in the way, so that nothing can be kept", encoding="ascii")
    try:
        with visiting(browser) as context:
            page = context.new_page()
            page.goto(site + address.path())
            expect(page.get_by_role("button", name="Try again")).to_be_visible()
            assert page.locator("main").get_attribute("data-state") == "failed"
            sentence = page.locator("#sentence").text_content() or ""
            assert sentence.strip().endswith("."), sentence
            folder.unlink()
            aside.rename(folder)
            page.click("text=Try again")
            expect(page.locator("#picture")).to_be_visible()
            page.close()
    finally:
        if aside.exists():
            folder.unlink(missing_ok=True)
            aside.rename(folder)


@pytest.mark.parametrize("width", [360, 1280])
def test_no_page_is_wider_than_its_window(browser: Browser, site: str, width: int) -> None:
    long_name = Address("tiny", "prompt", "W" * 500, 1)
    printed(site, long_name)
    with visiting(browser, viewport={"width": width, "height": 800}) as context:
        page = context.new_page()
        for path in ("/", "/about/", "/key/", "/nothing/", long_name.path(), fresh().path()):
            page.goto(site + path)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, path


def test_every_control_has_a_name_and_every_picture_words(context: BrowserContext, site: str) -> None:
    address = fresh("prompt")
    printed(site, address)
    page = context.new_page()
    for path in ("/", "/about/", "/key/", "/nothing/", address.path(), long_page(site, 64).path()):
        page.goto(site + path)
        nameless = page.evaluate(
            """() => [...document.querySelectorAll("a, button, input:not([type=hidden]), textarea, img, progress")]
                .filter((e) => e.checkVisibility())
                .filter((e) => !(e.getAttribute("aria-label") || e.getAttribute("alt") || e.title
                    || e.labels?.[0]?.textContent.trim() || e.textContent.trim()))
                .map((e) => e.outerHTML)"""
        )
        assert nameless == [], path
        assert page.locator("h1").count() == 1, path
        assert page.locator("main").count() == 1, path


# -- what it can draw


@pytest.mark.parametrize(("width", "scripts"), [(320, False), (2560, True)])
def test_what_it_can_draw_is_shown_whole_and_nothing_moves_while_it_loads(
    browser: Browser, site: str, width: int, scripts: bool
) -> None:
    with visiting(browser, viewport={"width": width, "height": 900}, java_script_enabled=scripts) as context:
        page = context.new_page()
        page.goto(site + "/pocket-1/subjects/")
        pictures = page.locator(".draws img")
        expect(pictures.last).to_have_attribute("alt", "a penguin below a snowman")
        before = page.locator(".draws").last.bounding_box()
        pictures.last.scroll_into_view_if_needed()
        for picture in (pictures.first, pictures.last):
            box = picture.bounding_box()
            assert box is not None and abs(box["width"] / box["height"] - 640 / 416) < 0.03
        page.evaluate("scrollTo(0, 0)")
        assert page.locator(".draws").last.bounding_box() == before, "sizes are known before a picture is there"
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_box_completes_what_is_typed_from_what_the_edition_draws(context: BrowserContext, site: str) -> None:
    page = context.new_page()
    asked = []
    page.on("request", lambda request: asked.append(request.url) if "words.json" in request.url else None)
    page.goto(site + "/")
    box = page.get_by_role("combobox", name="What should the picture show?")
    assert asked == [], "nothing is loaded before the box is entered"

    def offered() -> list[str]:
        found: list[str] = page.evaluate("[...document.querySelector('input[list]').list.options].map((o) => o.value)")
        return found

    with page.expect_response("**/words.json*"):
        box.focus()
    for typed, completed in (
        ("a ha", "a hamburger"),
        ("two fo", "two foxes"),
        ("two foxes in the s", "two foxes in the snow"),
        ("two foxes in the snow ", "two foxes in the snow at night"),
    ):
        box.fill(typed)
        page.wait_for_function("() => document.querySelector('input[list]').list.options.length > 0")
        assert completed in offered(), (typed, offered())
    box.fill("xylophones")
    assert offered() == []
    assert len(asked) == 1
