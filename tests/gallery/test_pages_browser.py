"""The pages as a visitor sees them: Chromium, a real site, a real press, a real Valkey.

Debian's Chromium is driven by Playwright; `CHROMIUM` names another one. Nothing is skipped where it is missing.
"""

import base64
import contextlib
import hashlib
import http.server
import io
import json
import os
import re
import secrets
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect, sync_playwright

from gallery.pages.walls import ON_A_WALL
from tests import ROOT
from tests.conftest import RunningPress, wait_until
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
    """The SHA-256 of the pixels of the WebP that the page shows, whose PNG is printed."""
    printed(site, address)
    with Image.open(io.BytesIO(ask(site, address.path()[:-1] + ".webp").body)) as image:
        return hashlib.sha256(image.convert("RGB").tobytes()).hexdigest()


@pytest.mark.alone
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
    assert picture.get_attribute("alt") == f"The picture with the short name {address.name}"
    assert pixels_shown(page) == pixels_kept(site, address)
    assert page.locator("main").get_attribute("data-state") == "kept"


@pytest.mark.alone
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


def state_of(site: str, address: Address) -> object:
    return ask(site, address.path()[:-1] + ".json").json["state"]


@pytest.mark.alone
def test_fast_hands_wait_for_the_last_page_alone(context: BrowserContext, site: str, press: RunningPress) -> None:
    """The press has begun the first of six; what was left is neither waited for nor printed to its end."""
    first, child = long_page(site, steps=64), press.child
    assert child is not None
    page = context.new_page()
    page.goto(site + first.path())
    expect(page.locator("#sentence")).to_contain_text(re.compile(r"^Step [1-9]"))
    os.kill(child, signal.SIGSTOP)
    try:
        left = [first]
        for _ in range(5):
            page.click("nav.turn >> text=Random")
            page.wait_for_url("**/tiny/key/**")
            page.wait_for_load_state()
            left.append(Address.parse_path(urlsplit(page.url).path))
        last = left.pop()
        wait_until(lambda: {state_of(site, each) for each in left[1:]} == {"absent"}, 60, "their places are given up")
        assert ask(site, last.path()[:-1] + ".json").json["place"] == 1
    finally:
        os.kill(child, signal.SIGCONT)
    expect(page.locator("#picture")).to_be_visible()
    assert {state_of(site, each) for each in left} == {"absent"}


@pytest.mark.alone
def test_a_tab_has_one_place_whatever_became_of_its_page(context: BrowserContext, site: str) -> None:
    waiting = Address("pocket-1", "key", secrets.token_hex(8), 1)  # no press here prints it, so that it can be left
    page = context.new_page()
    page.goto(site + waiting.path())
    page.evaluate("navigator.sendBeacon = () => false")  # a browser that does not come to it
    page.goto(site + fresh().path())
    wait_until(lambda: state_of(site, waiting) == "absent", 60, "the next page has given it up")
    page.goto(site + waiting.path())
    page.reload()
    expect(page.locator("#sentence")).to_contain_text("Nothing draws new pictures right now")
    assert state_of(site, waiting) == "queued", "a reload keeps the place"
    page.close(run_before_unload=True)  # as people close tabs
    wait_until(lambda: state_of(site, waiting) == "absent", 60, "a tab that is closed gives it up")


@pytest.mark.alone
def test_the_next_page_is_printed_while_one_is_looked_at(context: BrowserContext, site: str) -> None:
    address = fresh()
    page = context.new_page()
    page.goto(site + address.path())
    expect(page.locator("#picture")).to_be_visible()
    wait_until(lambda: state_of(site, address.with_page(2)) == "kept", 20, "the next page is printed ahead")
    page.click("nav.turn >> text=Next")
    page.wait_for_url("**" + address.with_page(2).path())
    assert page.locator("#picture").is_visible(), "it is there at once"


@pytest.mark.parametrize(("focused", "afterwards"), [("nav a.chief", "nav a.chief"), ("text=Cancel", "figure")])
@pytest.mark.alone
def test_the_focus_stays_when_the_picture_arrives(
    context: BrowserContext, site: str, focused: str, afterwards: str
) -> None:
    page = context.new_page()
    page.goto(site + long_page(site, 64).path())
    page.focus(focused)
    page.evaluate("window.held = document.activeElement")
    expect(page.locator("#picture")).to_be_visible()
    assert page.locator(afterwards).evaluate("(element) => element === document.activeElement")
    same = page.evaluate("window.held && window.held === document.activeElement")
    assert same is (focused == afterwards), "the very element, on the page that was not loaded again"
    expect(page.locator("[role=status]#spoken")).to_have_text("The picture is drawn.")
    expect(page.get_by_text("About this picture")).to_be_visible()
    expect(page.locator("details.save summary")).to_be_visible()


def test_the_live_region_speaks_at_most_once_in_five_seconds_and_its_last_sentence_stays(
    context: BrowserContext, site: str
) -> None:
    address = fresh("prompt")
    printed(site, address)
    page = context.new_page()
    page.clock.install()
    page.goto(site + address.path())
    page.evaluate(
        """() => {
            window.spoken = [];
            const region = document.querySelector("#spoken");
            const note = () => window.spoken.push([performance.now(), region.textContent]);
            new MutationObserver(note).observe(region, { childList: true, characterData: true, subtree: true });
        }"""
    )
    for number in range(60):
        news = {"sentence": f"Step {number} of 60.", "final": number == 59}
        page.evaluate("(detail) => document.dispatchEvent(new CustomEvent('news', { detail }))", news)
        page.clock.run_for(300)
    page.clock.run_for(60_000)
    spoken = page.evaluate("window.spoken")
    times = [0, *(time for time, _ in spoken)]  # since the page was opened
    assert all(later - earlier >= 5_000 for earlier, later in pairwise(times)), spoken
    assert len(spoken) >= 3
    assert spoken[-1][1] == page.locator("#spoken").text_content() == "Step 59 of 60."


@pytest.mark.alone
def test_the_bar_is_seen_in_forced_colours(browser: Browser, site: str, press: RunningPress) -> None:
    address, child = long_page(site, 64), press.child
    assert child is not None
    with visiting(browser, forced_colors="active") as context:
        page = context.new_page()

        def apart() -> bool:
            """Whether what is done is told from what is left, and the bar from the page, once it has moved to half."""
            page.locator("#bar").evaluate("(bar) => { bar.value = 50; }")
            with Image.open(io.BytesIO(page.locator("#bar").screenshot())) as image:
                bar = image.convert("L")
            done, left, edge = (bar.getpixel((bar.width * part // 100, bar.height // 2)) for part in (25, 75, 0))
            return abs(done - left) > 100 and abs(edge - left) > 100

        os.kill(child, signal.SIGSTOP)
        try:
            page.goto(site + address.path())
            wait_until(apart, 20, "the bar is seen")
        finally:
            os.kill(child, signal.SIGCONT)
        page.close()


@pytest.mark.parametrize(("width", "height"), [(844, 390), (667, 375), (568, 320), (1280, 600), (1440, 900)])
def test_the_whole_picture_is_seen_in_a_window_that_is_wider_than_high(
    browser: Browser, site: str, width: int, height: int
) -> None:
    address = Address("tiny", "key", "sideways", 1)
    printed(site, address)
    with visiting(browser, viewport={"width": width, "height": height}) as context:
        page = context.new_page()
        page.goto(site + address.path())
        box = page.locator("#picture").bounding_box()
        assert box is not None
        assert box["y"] >= 0 and box["y"] + box["height"] <= height, box
        assert box["width"] / box["height"] == pytest.approx(640 / 416, rel=0.01), "and not cropped"
        assert box["width"] > 0.35 * width or box["width"] >= 640, box


@pytest.mark.parametrize("width", [320, 390])
def test_what_turns_pages_is_named_on_a_phone_too(browser: Browser, site: str, width: int) -> None:
    prompt = fresh("prompt", 2)
    printed(site, prompt)
    mark = f"/tiny/mark/{ask(site, prompt.path()[:-1] + '.json').json['mark']}/"
    with visiting(browser, viewport={"width": width, "height": 800}) as context:
        page = context.new_page()
        for path in (prompt.path(), mark):
            page.goto(site + path)
            names = page.locator(".turn a, .turn button").evaluate_all(
                """(controls) => controls.map((control) => {
                    const [box, text] = [control, control.querySelector("span")].map((e) => e.getBoundingClientRect());
                    const inside = text.left >= box.left && text.right <= box.right && text.width > 15;
                    const style = getComputedStyle(control.querySelector("span"));
                    const named = text.height > 8 && style.clipPath === "none";
                    return [control.textContent.trim(), inside && named && box.width >= 44 && box.height >= 44];
                })"""
            )
            assert len(names) in (3, 5) and all(seen for _, seen in names), names
            assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.alone
def test_nothing_moves_when_the_typefaces_come_late(browser: Browser, site: str) -> None:
    address = fresh("prompt")
    printed(site, address)
    with visiting(browser, viewport={"width": 390, "height": 844}) as context:
        page = context.new_page()
        fonts: list[str] = []

        def late(route: Route) -> None:
            fonts.append(route.request.url)
            page.wait_for_timeout(400)  # a slow line: longer than a browser waits before it writes
            route.continue_()

        page.route("**/fonts/*", late)
        for path in ("/", "/about/", address.path()):
            page.goto(site + path, wait_until="networkidle")
            moved = page.evaluate(
                """() => new Promise((resolve) => {
                    new PerformanceObserver((list) => resolve(list.getEntries().reduce((sum, e) => sum + e.value, 0)))
                        .observe({ type: "layout-shift", buffered: true });
                    setTimeout(resolve, 100, 0);
                })"""
            )
            assert moved < 0.01, path
        assert {url.rpartition("/")[2].partition("?")[0] for url in fonts} >= {
            "literata.woff2",
            "literata-italic.woff2",
        }


@pytest.mark.alone
def test_the_page_is_set_in_its_own_typefaces(context: BrowserContext, site: str) -> None:
    address = fresh("prompt")
    printed(site, address)
    page = context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    for _ in range(2):  # a browser may do without them once
        page.goto(site + address.path(), wait_until="networkidle")
        page.click("text=About this picture")
    families = page.evaluate("[...document.fonts].filter((f) => f.status === 'loaded').map((f) => f.family)")
    assert {family.strip('"') for family in families} == {"Literata", "JetBrains Mono"}
    assert len({url for url in asked if "/fonts/" in url}) == 3, "preloads and sheets name the same files"
    assert all(url.startswith((site, "data:", "blob:")) for url in asked)


@pytest.mark.alone
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
        page.get_by_text("Share", exact=True).click()
        page.click("button[data-copy]")
        expect(page.locator("button[data-copy] span")).to_have_text("Copied")
        expect(page.locator("[role=status]#heard")).to_have_text("Copied")
        link = page.evaluate("navigator.clipboard.readText()")
        mine = pixels_shown(page)
    with visiting(browser) as context:
        page = context.new_page()
        page.goto(link)
        expect(page.locator("#picture")).to_be_visible()
        assert pixels_shown(page) == mine == pixels_kept(site, address)


@pytest.mark.alone
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
        assert len([url for url in asked if "away=1" in url]) > 1


@pytest.mark.alone
def test_a_page_stays_while_a_proxy_answers_for_a_site_that_starts_again(context: BrowserContext, site: str) -> None:
    """The proxy's 502 comes from the browser's own network here; what it stands before goes on."""
    address = long_page(site)
    page = context.new_page()
    asked: list[str] = []

    def refuse(route: Route) -> None:
        if route.request.method == "HEAD" or "/events" in route.request.url:
            asked.append(route.request.method)
            route.fulfill(status=502, body="Bad Gateway")
        else:
            route.continue_()

    page.route(f"{site}/**", refuse)
    page.goto(site + address.path())
    page.wait_for_function("document.querySelector('#sentence').textContent.includes('Reconnecting')")
    with page.expect_request(lambda request: request.method == "HEAD"):
        pass
    assert page.locator("main.page").is_visible() and "HEAD" in asked
    page.unroute(f"{site}/**")
    expect(page.locator("#picture")).to_be_visible(timeout=60_000)


def test_the_share_sheet_is_offered_where_there_is_one(browser: Browser, site: str) -> None:
    address = fresh("prompt")
    printed(site, address)
    with visiting(browser) as context:
        page = context.new_page()
        page.goto(site + address.path())
        assert page.locator("button[data-share]").is_hidden(), "this browser has no share sheet"
        page.evaluate("navigator.share = async (what) => { window.shared = what; }")  # only phones have one
        page.evaluate("document.dispatchEvent(new Event('page-printed'))")
        page.get_by_text("Share", exact=True).click()
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
    page = context.new_page()
    page.goto(site + "/about/")
    drop(page, "page.png", "image/png", picture)
    page.wait_for_url("**" + address.path())
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
    "link",
    ["https://example.org/picture.jpg", "{site}/about/"],
)
def test_a_link_that_is_no_page_of_a_library_is_said_to_be_none(link: str, context: BrowserContext, site: str) -> None:
    page = context.new_page()
    page.goto(site + "/")
    drop_link(page, "text/uri-list", link.format(site=site))
    expect(page.locator("#notice")).to_contain_text("This link leads to no picture of a Babelia. Take the link of")
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
    expect(page.locator("#notice")).to_contain_text("leads to no picture")


def test_a_link_of_another_library_is_opened_here(context: BrowserContext, site: str) -> None:
    page = context.new_page()
    page.goto(site + "/about/")
    drop_link(page, "text/uri-list", "https://other.example/below/tiny/key/borges/9.png")
    page.wait_for_url("**/tiny/key/borges/9/")


def paste(page: Page, target: str, files: list[tuple[str, str, bytes]], **texts: str) -> bool:
    """Paste files and texts into an element; whether the site has taken them from it."""
    taken: bool = page.locator(target).evaluate(
        """(element, [files, texts]) => {
            const clipboardData = new DataTransfer();
            for (const [name, type, bytes] of files) {
                const data = Uint8Array.from(atob(bytes), (character) => character.charCodeAt(0));
                clipboardData.items.add(new File([data], name, { type }));
            }
            for (const [kind, text] of Object.entries(texts)) clipboardData.setData(kind.replace("_", "/"), text);
            const event = new ClipboardEvent("paste", { clipboardData, bubbles: true, cancelable: true });
            return !element.dispatchEvent(event);
        }""",
        [[(name, kind, base64.b64encode(data).decode()) for name, kind, data in files], texts],
    )
    return taken


def test_a_pasted_picture_opens_its_page_and_a_text_stays_in_its_field(context: BrowserContext, site: str) -> None:
    address = fresh("prompt")
    file = ("page.png", "image/png", printed(site, address).body)
    page = context.new_page()
    page.goto(site + "/about/")
    assert not paste(page, "input[name=prompt]", [file], text_plain="a table of an office program")
    assert not paste(page, "input[name=prompt]", [], text_plain="a dog")
    assert paste(page, "input[name=prompt]", [file])
    page.wait_for_url("**" + address.path())
    copied = fresh("prompt")
    html = f'<img src="{site}{copied.path()[:-1]}.png">'  # of "copy picture", whose file has no texts any more
    assert paste(page, "main", [("image.png", "image/png", b"\x89PNG")], text_html=html)
    page.wait_for_url("**" + copied.path())


@pytest.mark.parametrize("scripts", [True, False])
def test_one_box_takes_anything_in_the_head_of_every_page(browser: Browser, site: str, scripts: bool) -> None:
    key = stacks_key(secrets.token_hex(8), 1)
    address = fresh("prompt")
    printed(site, address)
    with visiting(browser, java_script_enabled=scripts) as context:
        page = context.new_page()
        for path, typed, there in (
            ("/about/", key.format(), f"/pocket-1/mark/{key.mark}/"),
            ("/key/", key.mark, f"/pocket-1/mark/{key.mark}/"),
            ("/nothing/", site + address.path(), address.path()),
            ("/search/?prompt=", address.format(), address.path()),
            (address.path(), "  " + address.name.upper(), address.path()),
        ):
            page.goto(site + path)
            box = page.locator("input[name=prompt]").first
            assert box.get_attribute("autocapitalize") == "none"
            box.fill(typed)
            box.press("Enter")
            page.wait_for_url("**" + there)


def test_the_page_for_files_needs_no_scripts(browser: Browser, site: str, tmp_path: Path) -> None:
    address = fresh("prompt")
    (tmp_path / "page.png").write_bytes(printed(site, address).body)
    with visiting(browser, java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(site + "/")
        page.get_by_role("main").get_by_role("link", name="Open a saved picture or key").click()
        page.set_input_files("#file", tmp_path / "page.png")
        page.get_by_role("main").get_by_role("button", name="Open").click()
        page.wait_for_url("**" + address.path())
        page.goto(site + "/key/")
        page.get_by_role("main").get_by_role("button", name="Open").click()
        expect(page.get_by_role("alert")).to_contain_text("Nothing was sent.")
        page.fill("#key", site + address.path())
        page.get_by_role("main").get_by_role("button", name="Open").click()
        page.wait_for_url("**" + address.path())


def test_what_looks_like_a_link_may_be_meant_as_words(context: BrowserContext, site: str) -> None:
    page = context.new_page()
    page.goto(site + "/")
    page.fill("input[name=prompt]", "https://example.org")
    page.press("input[name=prompt]", "Enter")
    expect(page.get_by_role("alert")).to_contain_text("This link leads to no picture of a Babelia.")
    page.get_by_role("button", name="These are words: draw them").click()
    page.wait_for_url("**/prompt/https%3A%2F%2Fexample.org/1/")


def test_a_button_draws_whatever_the_browser_calls_itself(browser: Browser, site: str) -> None:
    with visiting(browser, java_script_enabled=False, user_agent="Twitterbot/1.0") as context:
        page = context.new_page()
        address = fresh("prompt")
        page.goto(site + "/")
        page.fill("input[name=prompt]", address.format())
        page.press("input[name=prompt]", "Enter")
        draw = page.get_by_role("button", name="Draw it")
        expect(draw.or_(page.locator("#picture")).or_(page.locator("#bar")).first).to_be_visible()
        if draw.is_visible():
            draw.click()
        expect(page.locator("#picture")).to_be_visible()


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
    page.get_by_role("main").get_by_role("button", name="Open").click()
    expect(page.get_by_role("alert")).to_contain_text("Character 100,000 of this key is “é” (U+00E9)")
    assert page.input_value("#key")[99_999] == "é", "what was pasted is still there to be mended"
    page.fill("#key", text)
    page.get_by_role("main").get_by_role("button", name="Open").click()
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


@pytest.mark.alone
def test_a_page_that_failed_says_so_and_can_be_tried_again(browser: Browser, site: str, press: RunningPress) -> None:
    address = fresh("prompt")
    folder = press.data / "pages" / "tiny"
    aside = Path(f"{folder}-aside")
    folder.rename(aside)
    folder.symlink_to(press.data / "unmounted")  # a disk that is away; a file in the way would be set aside
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
    # The press says that its disk works again with its next sign of life; the tests that follow want prints.
    wait_until(lambda: ask(site, fresh().path()[:-1] + ".png").status == 200, 60, "the press prints again")


@pytest.mark.parametrize("scripts", [True, False])
def test_it_is_said_beside_the_box_that_words_are_public_and_a_tick_keeps_them_off_the_wall(
    browser: Browser, site: str, scripts: bool
) -> None:
    address = fresh("prompt")
    printed(site, address)
    with visiting(browser, java_script_enabled=scripts, viewport={"width": 390, "height": 844}) as context:
        page = context.new_page()
        page.goto(site + "/")
        expect(page.get_by_text("others may see the words here")).to_be_visible()
        page.goto(site + "/about/")
        tick = page.get_by_label("Keep these words off the wall")
        expect(tick).to_be_hidden()
        page.select_option("select[name=edition]", "tiny")
        page.fill("input[name=prompt]", address.name)
        expect(page.get_by_text("others may see the words here")).to_be_visible()
        tick.check()
        with page.expect_request(lambda sent: "/search/" in sent.url and "unlisted=1" in (sent.post_data or "")):
            page.press("input[name=prompt]", "Enter")
        page.wait_for_url("**" + address.path())


def test_a_visitor_reports_a_page_and_the_keeper_hides_and_shows_it_in_one_click(
    browser: Browser, site: str, press: RunningPress
) -> None:
    address, password = fresh("prompt"), "five words in a row"
    printed(site, address)
    command = [sys.executable, "manage.py", "createsuperuser", "--noinput", "--username", "keeper", "--email", ""]
    environment = press.environment | {"DJANGO_SUPERUSER_PASSWORD": password}
    subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True)
    with visiting(browser, java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(site + address.path())
        page.click("text=Report this picture")
        page.check("input[value=people]")
        page.fill("textarea", "This is my house.")
        page.click("text=Send the report")
        expect(page.get_by_role("heading", name="Thank you")).to_be_visible()
        assert context.cookies() == []
    with visiting(browser) as context:
        page = context.new_page()
        page.goto(site + "/-/keeper/")
        page.fill("input[name=username]", "keeper")
        page.fill("input[name=password]", password)
        page.press("input[name=password]", "Enter")
        page.click("text=Reports")
        row = page.locator("tr", has_text=address.name)
        expect(row).to_contain_text("This is my house.")
        assert row.locator("img").evaluate("(image) => image.decode().then(() => image.naturalWidth)") == 320
        for button, said in (("Hide it", "is hidden"), ("Show it again", "is shown again")):
            row.get_by_role("button", name=button).click()
            expect(page.locator(".messagelist")).to_contain_text(f"{address.format()} {said}")
            if said == "is hidden":
                assert ask(site, address.path()).status == 410, "from the next request on"
        wait_until(lambda: ask(site, address.path()).status == 200, 10, "it is shown again")


@pytest.mark.parametrize("width", [320, 360, 1280])
def test_no_page_is_wider_than_its_window(browser: Browser, site: str, width: int) -> None:
    long_name = Address("tiny", "prompt", "m" * 500, 1)
    printed(site, long_name)
    with visiting(browser, viewport={"width": width, "height": 800}) as context:
        page = context.new_page()
        refused = (
            "/tiny/key/" + "W" * 500 + "/1/",
            "/search/?prompt=" + "W" * 501,
            "/atlantis/prompt/" + "W" * 500 + "/1/",
        )
        rooms = ("/", "/tiny/", "/pocket-1/", "/tiny/opened/", "/tiny/opened/?kind=mine")
        for path in (*rooms, "/about/", "/key/", "/nothing/", long_name.path(), *refused, fresh().path()):
            page.goto(site + path)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, path
        page.evaluate("document.querySelector('.notice').textContent = 'W'.repeat(500)")
        assert page.evaluate("document.querySelector('.notice').scrollWidth") <= width


def test_every_control_has_a_name_and_every_picture_words(context: BrowserContext, site: str) -> None:
    address = fresh("prompt")
    printed(site, address)
    page = context.new_page()
    rooms = ("/", "/tiny/", "/tiny/opened/", "/tiny/opened/?kind=mine", address.path() + "embed/")
    for path in (*rooms, "/about/", "/key/", "/nothing/", address.path(), long_page(site, 64).path()):
        page.goto(site + path)
        nameless = page.evaluate(
            """() => [...document.querySelectorAll("a, button, input:not([type=hidden]), textarea, img, progress")]
                .filter((e) => e.checkVisibility())
                .filter((e) => !(e.getAttribute("aria-label") || e.getAttribute("alt") || e.title
                    || e.querySelector("img")?.alt
                    || e.labels?.[0]?.textContent.trim() || e.textContent.trim()))
                .map((e) => e.outerHTML)"""
        )
        assert nameless == [], path
        assert page.locator("h1").count() == 1, path
        assert page.locator("main").count() == 1, path
        ids = page.evaluate("[...document.querySelectorAll('[id]')].map((element) => element.id)")
        assert len(set(ids)) == len(ids), path


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


# -- the reading room


def fill_wall(press: RunningPress, pages: int) -> None:
    """Rows of pages that were opened in another edition than the press's; none is kept, so that only links are here."""
    columns = "digest, address, edition, kind, name, mark, rendition, pixel_digest, steps, printed_at, colour"
    others = "opened, flagged, hidden, listed, everywhere"
    addresses = [Address("pocket-1", "key", f"wall-{secrets.token_hex(6)}", 1) for _ in range(pages)]
    rows = [
        (a.digest, a.format(), a.edition, a.kind, a.name, stacks_key(a.name, 1).mark, "by hand", a.digest, 20)
        for a in addresses
    ]
    with contextlib.closing(sqlite3.connect(press.data / "library.sqlite3", timeout=10)) as database, database:
        database.executemany(
            f"INSERT INTO gallery_page ({columns}, {others})"
            " VALUES (?,?,?,?,?,?,?,?,?, '2026-01-01 00:00:00', '#aa5500', 1, 0, 0, 1, 0)",
            rows,
        )


def test_who_is_lost_is_led_on(context: BrowserContext, site: str) -> None:
    page = context.new_page()
    page.goto(site + "/nothing/here/")
    expect(page.get_by_role("heading", level=1)).to_have_text("Page not found")
    page.locator("main").get_by_role("link", name="Reading room").click()
    page.get_by_role("navigation", name="Library").get_by_role("link", name="Shelf").click()
    page.get_by_role("link", name="Babelia", exact=True).first.click()
    page.get_by_role("link", name="About", exact=True).click()
    page.locator("footer").get_by_role("link", name="Feed").evaluate(
        "async (feed) => { window.kind = (await fetch(feed.href)).headers.get('Content-Type'); }"
    )
    assert page.evaluate("window.kind").startswith("application/atom+xml")
    manifest = page.locator("link[rel=manifest]").get_attribute("href")
    assert ask(site, manifest or "").json["start_url"] == "/pocket-1/"


@pytest.mark.alone
def test_a_visitor_finds_the_page_of_the_day_in_the_reading_room(context: BrowserContext, site: str) -> None:
    page = context.new_page()
    page.goto(site)
    page.get_by_role("link", name="Reading room", exact=True).first.click()
    assert urlsplit(page.url).path == "/pocket-1/"
    page.goto(site + "/tiny/")
    assert page.locator(".day img").count() == 0, "looking at the room draws nothing"
    page.get_by_role("link", name="Be the first to open it").click()
    expect(page.locator("#picture")).to_be_visible()
    assert re.fullmatch(r"/tiny/key/\d{4}-\d\d-\d\d/1/", urlsplit(page.url).path)
    page.goto(site + "/tiny/")
    expect(page.locator(".day img")).to_be_visible()
    expect(page.get_by_role("link", name="Open it")).to_be_visible()


@pytest.mark.alone
def test_the_wall_goes_on_a_few_times_and_then_when_its_link_is_pressed(
    context: BrowserContext, site: str, press: RunningPress
) -> None:
    fill_wall(press, 5 * ON_A_WALL)
    page = context.new_page()
    page.goto(site + "/pocket-1/opened/")
    tiles, foot = page.locator("#wall > li"), page.locator("footer")
    for times in (2, 3, 4):
        foot.scroll_into_view_if_needed()
        expect(tiles).to_have_count(times * ON_A_WALL)
    foot.scroll_into_view_if_needed()
    expect(foot).to_be_in_viewport()
    expect(page.locator("#heard")).to_have_text("Page 4 of 5")
    page.get_by_role("link", name="Older").press("Enter")
    expect(tiles).to_have_count(5 * ON_A_WALL)
    expect(tiles.nth(4 * ON_A_WALL).locator("a")).to_be_focused()
    links = [link.get_attribute("href") for link in page.locator("#wall > li > a").all()]
    assert len(set(links)) == len(links)
    assert page.get_by_role("link", name="Older").count() == 0


@pytest.mark.alone
def test_without_scripts_the_wall_is_turned_by_numbers(browser: Browser, site: str, press: RunningPress) -> None:
    fill_wall(press, 2 * ON_A_WALL)
    with visiting(browser, java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(site + "/pocket-1/opened/?kind=random")
        first = page.locator("#wall a").first.get_attribute("href")
        page.get_by_role("navigation", name="Pages of the wall").get_by_role("link", name="2", exact=True).click()
        assert page.locator("#wall > li").count() == ON_A_WALL
        assert page.locator(f'#wall a[href="{first}"]').count() == 0
        page.get_by_role("link", name="Mine").click()
        expect(page.locator("#lacking")).to_contain_text("This browser runs none here.")


def test_what_was_opened_in_this_browser_is_shown_by_it_alone(context: BrowserContext, site: str) -> None:
    address = fresh("prompt", 7)
    printed(site, address)
    page = context.new_page()
    page.goto(site + "/tiny/opened/?kind=mine")
    expect(page.locator("#lacking")).to_contain_text("Nothing was opened in this browser yet")
    page.evaluate(
        "history => localStorage.setItem('babelia-history', JSON.stringify(history))",
        [
            {"path": address.path(), "name": address.name, "at": 1},
            {"path": "javascript:alert(1)", "name": "hostile", "at": 2},
            {"path": "https://elsewhere.example/x/", "name": "foreign", "at": 3},
            {"path": fresh().path(), "name": "gone", "at": 4},
            None,
        ],
    )
    page.reload()
    tiles = page.locator("#wall > li")
    expect(tiles).to_have_count(2)
    expect(tiles.first.get_by_role("link")).to_have_attribute("href", address.path())
    expect(tiles.first.locator("img")).to_be_visible()
    assert tiles.first.locator("img").evaluate("image => image.decode().then(() => image.naturalWidth)") == 320
    expect(tiles.last.locator("img")).to_have_count(0)
    page.evaluate("localStorage.setItem('babelia-history', 'no JSON')")
    page.reload()
    expect(page.locator("#lacking")).to_be_visible()


@pytest.mark.parametrize("width", [320, 390, 1280])
def test_the_head_is_one_calm_line_or_two(browser: Browser, site: str, width: int) -> None:
    with visiting(browser, viewport={"width": width, "height": 800}) as context:
        page = context.new_page()
        page.goto(site + "/about/")
        head = page.locator(".head").bounding_box()
        assert head is not None and head["height"] < (130 if width < 640 else 80)
        for way in page.locator(".doors a").all():
            box = way.bounding_box()
            assert box is not None and box["height"] >= 44 and box["x"] + box["width"] <= width


def test_a_printed_page_is_the_picture_its_name_and_its_link(context: BrowserContext, site: str) -> None:
    address = fresh("prompt")
    printed(site, address)
    page = context.new_page()
    page.goto(site + address.path())
    assert not page.locator(".imprint").is_visible()
    page.emulate_media(media="print")
    expect(page.locator("#picture")).to_be_visible()
    expect(page.locator("h1")).to_have_text(address.name)
    expect(page.locator(".imprint")).to_have_text(site + address.path())
    for other in ("button", ".button", "form", "nav", "footer a", "summary"):
        assert [each for each in page.locator(other).all() if each.is_visible()] == [], other


@contextlib.contextmanager
def another_origin(html: str) -> Iterator[str]:
    """A page of another site on this machine. A made-up answer would not do: browsers ask where it came from."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(html.encode())

        def log_message(self, *_: object) -> None:
            """Nothing is logged."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def test_a_page_stands_in_a_frame_of_another_site(context: BrowserContext, site: str) -> None:
    address = fresh("prompt")
    printed(site, address)
    page = context.new_page()
    page.goto(site + address.path())
    page.get_by_text("Share", exact=True).click()
    assert page.get_by_label("Link", exact=True).input_value() == site + address.path()
    code = page.get_by_label("To show the picture on a page of your own").input_value()
    assert code == ask(site, f"/oembed?url={quote(site + address.path(), safe='')}").json["html"]
    with another_origin(code) as elsewhere:
        page.goto(elsewhere)
        framed = page.frame_locator("iframe")
        expect(framed.get_by_role("img")).to_be_visible()
        box = framed.get_by_role("img").bounding_box()
        assert box is not None and abs(box["width"] / box["height"] - 640 / 416) < 0.02, "whole"
        with context.expect_page() as opening:
            framed.get_by_role("link", name="Babelia").click()
        assert opening.value.url == site + "/"


# -- keys, touch and forms of a page


def test_keys_do_what_their_list_says_and_nothing_while_one_types(context: BrowserContext, site: str) -> None:
    address = fresh("prompt", 2)
    for each in (address, address.with_page(3)):
        printed(site, each)
    page = context.new_page()
    page.goto(site + address.path())
    expect(page.get_by_role("button", name="Keep")).to_be_visible()  # by a script that loads another
    page.keyboard.press("?")
    listed = page.locator("dialog dt").all_text_contents()
    assert listed == ["←", "→", "Shift ←", "Shift →", "r", "/", "s", "k", "f", "?"]
    assert page.locator("dialog dd").nth(1).text_content() == "Next picture"
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Escape")
    assert page.locator("dialog").is_hidden() and page.url == site + address.path(), "under the list no key turns pages"
    page.keyboard.press("s")
    assert page.locator(".save a").first.is_visible()
    page.keyboard.press("/")
    page.keyboard.type("r s ? f")
    page.keyboard.press("ArrowRight")
    assert page.locator("input[name=prompt]").input_value() == "r s ? f" and page.url == site + address.path()
    page.locator("h1").click()
    page.keyboard.press("Control+ArrowRight")
    page.keyboard.press("ArrowRight")
    page.wait_for_url("**" + address.with_page(3).path())
    page.keyboard.press("?")
    page.get_by_label("Use these keys").uncheck()
    page.keyboard.press("Escape")
    page.keyboard.press("r")
    page.reload()
    page.keyboard.press("ArrowLeft")
    assert page.url == site + address.with_page(3).path(), "who wants none has none"
    page.get_by_role("button", name="Keys").click()
    page.get_by_label("Use these keys").check()
    page.keyboard.press("Escape")
    page.keyboard.press("r")
    page.wait_for_url("**/tiny/key/**")


def test_the_picture_fills_the_screen_whole_and_escape_leaves(context: BrowserContext, site: str) -> None:
    address = fresh()
    printed(site, address)
    page = context.new_page()
    page.goto(site + address.path())
    page.keyboard.press("f")
    page.wait_for_function("document.fullscreenElement !== null")
    fit = page.locator("#picture").evaluate("(image) => [image.clientWidth, getComputedStyle(image).objectFit]")
    assert fit == [page.evaluate("innerWidth"), "contain"]
    page.keyboard.press("f")
    page.wait_for_function("document.fullscreenElement === null")
    page.evaluate("() => { Element.prototype.requestFullscreen = () => Promise.reject(); }")  # a telephone without
    page.click("#picture")
    box = page.locator(".frame").bounding_box()
    assert box and (box["x"], box["y"], box["width"]) == (0, 0, page.viewport_size["width"])  # type: ignore[index]
    page.keyboard.press("Escape")
    assert page.locator(".frame.alone").count() == 0


def test_a_swipe_turns_the_page_and_a_tap_enlarges(browser: Browser, site: str) -> None:
    address = fresh("prompt", 5)
    for each in (address, address.with_page(6)):
        printed(site, each)
    with visiting(browser, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True) as context:
        page = context.new_page()
        page.goto(site + address.path())
        touch = context.new_cdp_session(page)

        def swipe(start: int, end: int) -> None:
            for kind, x in (("touchStart", start), ("touchMove", (start + end) // 2), ("touchMove", end)):
                touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": 200}]})
            touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})

        swipe(300, 90)
        page.wait_for_url("**" + address.with_page(6).path())
        swipe(90, 300)
        page.wait_for_url("**" + address.path())
        page.tap("#picture")
        page.wait_for_function("document.fullscreenElement || document.querySelector('.frame.alone')")


def test_a_page_is_saved_in_five_ways_and_the_numbers_of_bytes_are_true(context: BrowserContext, site: str) -> None:
    address = fresh("prompt")
    printed(site, address)
    page = context.new_page()
    page.goto(site + address.path())
    row, ways = page.locator(".row:has(> .sharing)"), page.locator(".save li")
    offered = [text.strip() for text in row.locator("> button, > a, summary").all_text_contents()]
    assert offered == ["Share", "Full screen", "All 410", "Keep", "Save"]
    expect(ways.first).to_be_hidden()
    page.locator(".save summary").press("Enter")
    for width in (320, 1280):
        page.set_viewport_size({"width": width, "height": 800})
        around, list_, after = (each.bounding_box() for each in (row, page.locator(".save ul"), page.locator(".ways")))
        assert around and list_ and after and list_["width"] == around["width"] <= width, "it has the row to itself"
        assert list_["y"] + list_["height"] <= after["y"], "and lies over nothing"
    page.click(".save summary")
    expect(ways.first).to_be_hidden()
    page.click(".save summary")
    sizes = {}
    for link in ways.locator("a").all():
        with page.expect_download() as waiting:
            link.click()
        sizes[link.text_content()] = len(Path(waiting.value.path()).read_bytes()) / 1000
    said = dict(zip(sizes, ways.locator("span").all_text_contents(), strict=True))
    assert len(sizes) == 5
    for name, text in said.items():
        (number,) = re.findall(r"([0-9]+) kB", text)
        exact = 3 if name == "Postcard" else 0.1  # here it is noise, which is larger enlarged than pictures are
        assert sizes[name] == pytest.approx(int(number), rel=exact), said


@pytest.mark.alone
def test_a_second_print_is_followed_replayed_and_compared(context: BrowserContext, site: str) -> None:
    address = long_page(site, 64)
    printed(site, address)
    page = context.new_page()
    page.goto(site + address.path())
    page.click("text=Anatomy")
    page.get_by_role("button", name="Draw it again").click()
    expect(page).to_have_url(site + address.path() + "anatomy/#again")  # shortened, and still at its place
    expect(page.locator(".verdict")).to_have_text("Identical: every pixel is the same.")
    slider = page.locator("#step")
    assert int(slider.get_attribute("max") or 0) > 2, "a preview of several steps, and the picture"
    slider.focus()
    last = page.locator("#replay img").get_attribute("src")
    slider.press("Home")
    first = page.locator("#replay img").get_attribute("src")
    assert first != last and str(first).startswith("data:image/webp")
    assert page.locator("#replay output").text_content().endswith("/ 64")  # type: ignore[union-attr]


def test_two_pages_lie_under_one_slider_that_keys_move(browser: Browser, context: BrowserContext, site: str) -> None:
    addresses = [fresh("prompt"), fresh()]
    for each in addresses:
        printed(site, each)
    page = context.new_page()
    page.goto(site + addresses[0].path())
    history = json.dumps([{"path": each.path(), "name": each.name, "at": 1} for each in reversed(addresses)])
    page.evaluate("(history) => localStorage.setItem('babelia-history', history)", history)
    page.get_by_role("link", name="Compare").click()
    page.click("text=With the one you saw last")
    expect(page.locator(".verdict")).to_contain_text("PSNR")
    cut = page.locator("#cut")
    clip = "() => getComputedStyle(document.querySelector('.pair img')).clipPath"
    before = page.evaluate(clip)
    cut.focus()
    cut.press("End")
    assert page.evaluate(clip) != before and cut.input_value() == "100"
    compared = page.url
    with visiting(browser, java_script_enabled=False) as plain:
        page = plain.new_page()
        page.goto(compared)
        left, right = (page.locator(".pair img").nth(n).bounding_box() for n in (0, 1))
        assert left and right and left["x"] + left["width"] <= right["x"], "without scripts, side by side"
