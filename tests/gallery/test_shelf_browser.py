"""The sheet of a volume, the shelf and the slideshow as a visitor uses them: Chromium, a real site, a real press."""

import json
import re
import secrets
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.conftest import wait_until
from tests.gallery import test_pages_browser as pages
from tests.gallery.test_pages_browser import visiting
from tests.visitor import ask, fresh, printed
from worker.catalogue.address import Address

browser, context = pages.browser, pages.context
Two = tuple[Address, Address]


@pytest.fixture(scope="module")
def two(site: str) -> Two:
    """Two kept pages."""
    pages = fresh("prompt"), fresh("key", 7)
    for address in pages:
        printed(site, address)
    return pages


def require_lists(page: Page, kept: list[str], seen: list[str] | None = None) -> None:
    """See that the shelf's page shows these pages as kept, and these as seen lately."""
    expect(page.locator("#shelves")).to_be_visible()
    expect(page.locator("[data-list=babelia-shelf] li bdi")).to_have_text(kept)
    if seen is not None:
        expect(page.locator("[data-list=babelia-history] li bdi")).to_have_text(seen)


def test_a_sheet_draws_what_is_looked_at_three_at_a_time_and_stops_when_told(browser: Browser, site: str) -> None:
    volume = f"/tiny/key/{secrets.token_hex(8)}/"
    asked: set[str] = set()
    with visiting(browser, viewport={"width": 390, "height": 480}) as context:
        page = context.new_page()
        page.on("request", lambda request: asked.add(urlsplit(request.url).path))
        page.goto(site + volume)
        page.evaluate(
            """() => {
                const sheet = document.querySelector(".sheet");
                const count = () => sheet.querySelectorAll(".drawing").length;
                const note = () => { window.most = Math.max(window.most ?? 0, count()); };
                new MutationObserver(note).observe(sheet, { subtree: true, attributes: true });
            }"""
        )
        page.mouse.move(200, 200)  # somebody is there
        for number in (1, 2, 3):
            expect(page.locator(f"li[id='{number}'] img")).to_have_attribute("src", re.compile("thumbnail.webp$"))
        assert f"{volume}410/events" not in asked, "nobody has looked at it"
        page.locator("li[id='410']").scroll_into_view_if_needed()
        expect(page.locator("li[id='410'] img")).to_have_attribute("src", re.compile("thumbnail.webp$"))
        page.click("#pause")
        assert page.evaluate("window.most") == 3
        before = {path for path in asked if path.endswith("/events")}
        page.clock.install()
        page.locator("li[id='200']").scroll_into_view_if_needed()
        page.evaluate(
            """() => new Promise((seen) => {
                new IntersectionObserver(seen).observe(document.querySelector("li[id='200']"));
            })"""
        )
        page.clock.run_for(60_000)  # far more than the rest after which it would have begun
        assert {path for path in asked if path.endswith("/events")} == before
        page.fill("#number", "410")
        page.press("#number", "Enter")
        page.wait_for_url(f"**{volume}410/")
        page.click("text=All 410")
        page.wait_for_url(f"**{volume}#410")
        expect(page.locator("li[id='410'] img")).to_be_in_viewport()
        page.close()


def test_a_shelf_keeps_forgets_and_brings_back(context: BrowserContext, site: str, two: Two) -> None:
    first, second = two
    page = context.new_page()
    for address in two:
        page.goto(site + address.path())
        star = page.get_by_role("button", name="Keep")
        expect(star).to_have_attribute("aria-pressed", "false")
    star.click()
    expect(star).to_have_attribute("aria-pressed", "true")
    assert page.evaluate("document.fullscreenElement") is None
    page.goto(site + "/shelf/")
    kept, seen = [f"{second.name}, 7"], [f"{second.name}, 7", f"{first.name}, 1"]
    require_lists(page, kept, seen)
    expect(page.locator("[data-list=babelia-shelf] img")).to_have_js_property("naturalWidth", 320)
    page.get_by_role("button", name=f"Remove {second.name}, 7").first.click()
    require_lists(page, [])
    expect(page.get_by_role("button", name="Undo")).to_be_focused()
    page.keyboard.press("Enter")
    require_lists(page, kept)
    page.click("text=Clear this list")
    require_lists(page, kept, [])
    page.click("text=Undo")
    require_lists(page, kept, seen)
    page.click("text=Clear this list")
    page.uncheck("#seen")
    page.goto(site + first.path())
    page.goto(site + "/shelf/")
    require_lists(page, kept, [])
    expect(page.locator("#seen")).not_to_be_checked()
    page.click("[data-list=babelia-shelf] li a")
    page.wait_for_url("**" + second.path())
    expect(page.get_by_role("button", name="Keep")).to_have_attribute("aria-pressed", "true")
    page.get_by_role("button", name="Keep").click()
    page.goto(site + "/shelf/")
    require_lists(page, [])


def test_a_shelf_is_saved_as_a_file_and_opened_beside_another(
    browser: Browser, context: BrowserContext, site: str, two: Two, tmp_path: Path
) -> None:
    first, second = two
    page = context.new_page()
    page.goto(site + first.path())
    page.get_by_role("button", name="Keep").click()
    page.goto(site + "/shelf/")
    with page.expect_download() as download:
        page.click("text=Save as a file")
    file = tmp_path / "shelf.json"
    download.value.save_as(file)
    assert [entry["path"] for entry in json.loads(file.read_text())["kept"]] == [first.path()]
    refused = {
        "broken": "{",
        "no shelf": '"shelf"',
        "of another program": '{"form": "bookmarks", "kept": [{"path": "/tiny/key/borges/1/"}]}',
        "hostile": json.dumps(
            {
                "form": "babelia-shelf",
                "kept": [
                    {"path": path}
                    for path in (
                        "javascript:alert(1)",
                        "//example.org/key/a/1/",
                        "https://example.org/tiny/key/a/1/",
                        "/tiny/key/../1/",
                        "/tiny/prompt/%FF/1/",
                        "/tiny/key/a/411/",
                        "/tiny/prompt/\\example.org/1/",
                        7,
                        None,
                    )
                ],
            }
        ),
    }
    with visiting(browser) as other:
        page = other.new_page()
        page.goto(site + second.path())
        page.get_by_role("button", name="Keep").click()
        page.goto(site + "/shelf/")
        for text in refused.values():
            (tmp_path / "other.json").write_text(text)
            page.set_input_files("#file", tmp_path / "other.json")
            expect(page.locator("#said")).to_contain_text("as it was")
            require_lists(page, [f"{second.name}, 7"])
            page.locator("#said").evaluate("(said) => { said.textContent = ''; }")
        for more in (1, 0):
            page.set_input_files("#file", file)
            expect(page.locator("#said")).to_have_text(f"{more} of 1 pictures are new and stand on your shelf now.")
            require_lists(page, [f"{second.name}, 7", f"{first.name}, 1"])
            page.locator("#said").evaluate("(said) => { said.textContent = ''; }")
        far = {"form": "babelia-shelf", "kept": [{"path": "/atlantis/key/far/1/"}, {"path": first.path()}]}
        (tmp_path / "far.json").write_text(json.dumps(far))
        page.set_input_files("#file", tmp_path / "far.json")
        expect(page.locator("#said")).to_contain_text("1 of them are drawn by models that are not here")
        foreign = page.locator("[data-list=babelia-shelf] li:has(small:not([hidden]))")
        expect(foreign).to_have_count(1)
        expect(foreign.locator("bdi")).to_have_text("far, 1")
        expect(foreign.get_by_text("Its model is not here")).to_be_visible()
        page.goto(site + "/key/")  # the wrong door for it
        page.set_input_files("#file", file)
        page.get_by_role("button", name="Open", exact=True).click()
        expect(page.get_by_role("alert")).to_contain_text("This is a shelf that was saved as a file")


def test_a_shelf_is_one_link_that_is_never_sent_and_is_put_on_another(
    browser: Browser, context: BrowserContext, site: str, two: Two
) -> None:
    page = context.new_page()
    for address in two:
        page.goto(site + address.path())
        page.get_by_role("button", name="Keep").click()
    page.goto(site + "/shelf/")
    for box in page.locator("[data-list=babelia-shelf]").get_by_label("Choose").all():
        box.check()
    page.get_by_role("button", name="Walk between two").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(f"From {two[1].name} to {two[0].name}")
    page.goto(site + "/shelf/")
    page.click("text=One link for all")
    expect(page.locator("#link")).to_be_visible()
    link = page.input_value("#link")
    assert link.startswith(f"{site}/shelf/#z") and len(link) < 200
    with visiting(browser) as other:
        page, sent = other.new_page(), []
        page.on("request", lambda request: sent.append(request.url))
        page.goto(link)
        given = page.locator("#given li bdi")
        expect(given).to_have_text([f"{two[1].name}, 7", f"{two[0].name}, 1"])
        require_lists(page, [])
        page.click("text=Put on mine")
        expect(page.locator("[data-list=babelia-shelf] li")).to_have_count(2)
        assert not [url for url in sent if "#" in url or link.split("#")[1] in url]
        for damaged in (link[:-6], link + "AAAA", f"{site}/shelf/#zAAAA", f"{site}/shelf/#p" + "A" * 9000):
            page.goto("about:blank")
            page.goto(damaged)
            expect(page.locator("#said")).to_have_text("This link is damaged: it holds no shelf that can be read.")
            expect(page.locator("#given")).to_be_hidden()


def test_a_slideshow_turns_by_itself_and_by_hand(context: BrowserContext, site: str, two: Two) -> None:
    page = context.new_page()
    for address in two:
        page.goto(site + address.path())
        page.get_by_role("button", name="Keep").click()
    page.goto(site + "/shelf/")
    page.locator("#shelves").get_by_role("link", name="Slideshow", exact=True).click()
    caption, play = page.locator("#caption"), page.locator("#play")
    shown = [f"{two[1].name}, 7", f"{two[0].name}, 1"]
    expect(caption).to_have_text(shown[0])
    page.select_option("#pace", "4")
    expect(caption).to_have_text(shown[1])
    page.keyboard.press("Space")
    expect(play).to_have_text("Go on")
    page.keyboard.press("ArrowLeft")
    expect(caption).to_have_text(shown[0])
    page.keyboard.press("ArrowRight")
    expect(caption).to_have_text(shown[1])
    expect(page.locator("#frame img").last).to_have_js_property("naturalWidth", 640)
    expect(caption).to_have_attribute("href", site + two[0].path())
    page.keyboard.press("Space")
    expect(play).to_have_text("Pause")
    page.keyboard.press("Escape")
    expect(play).to_have_text("Go on")
    shuffle = page.get_by_role("button", name="Shuffle")
    shuffle.click()
    expect(shuffle).to_have_attribute("aria-pressed", "true")
    page.get_by_role("button", name="Full screen").click()
    page.wait_for_function("document.fullscreenElement?.id === 'show'")
    page.keyboard.press("f")
    page.wait_for_function("!document.fullscreenElement")


def test_a_slideshow_of_a_volume_waits_for_what_is_not_drawn_while_the_last_picture_stays(
    context: BrowserContext, site: str
) -> None:
    first = fresh("key")
    printed(site, first)
    page = context.new_page()
    page.goto(f"{site}/slideshow/?of={first.path()}")
    expect(page.locator("#caption")).to_have_text(f"{first.name}, 1")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#frame img").first).to_be_visible()
    expect(page.locator("#caption")).to_have_text(f"{first.name}, 2")
    page.goto(site + "/slideshow/?edition=tiny")
    expect(page.locator("#caption")).to_be_visible()
    shown = Address.parse_path(page.locator("#caption").get_attribute("href") or "")
    assert shown.kind == "key" and ask(site, shown.path()[:-1] + ".json").json["state"] == "kept"


AWAKE = """
    const ask = navigator.wakeLock.request.bind(navigator.wakeLock);
    window.locks = [];
    navigator.wakeLock.request = async (kind) => {
        const lock = await ask(kind);
        window.locks.push(lock);
        return lock;
    };
"""
"""Notes each lock that the browser gives, which is its own."""


def test_a_slideshow_keeps_the_screen_awake_while_it_plays(context: BrowserContext, site: str, two: Two) -> None:
    page = context.new_page()
    page.add_init_script(AWAKE)
    page.goto(f"{site}/slideshow/?of={two[0].path()}")
    expect(page.locator("#caption")).to_have_text(f"{two[0].name}, 1")
    held = "(held) => JSON.stringify(locks.map((lock) => !lock.released)) === JSON.stringify(held)"
    page.wait_for_function(held, arg=[True])
    page.keyboard.press("Space")
    page.wait_for_function(held, arg=[False])
    page.keyboard.press("Space")
    page.wait_for_function(held, arg=[False, True])
    hide_tab(page, True)
    page.wait_for_function(held, arg=[False, False])
    hide_tab(page, False)
    page.wait_for_function(held, arg=[False, False, True])
    page.evaluate("for (const _ of 'four') document.querySelector('#play').click()")  # faster than it is given
    page.wait_for_function(held, arg=[False, False, False, False, True])
    page.keyboard.press("Space")
    page.wait_for_function(held, arg=[False] * 5)


def test_a_slideshow_goes_on_where_the_screen_may_not_be_kept_awake(
    context: BrowserContext, site: str, two: Two
) -> None:
    page = context.new_page()
    session = context.new_cdp_session(page)
    profile = session.send("Target.getTargetInfo")["targetInfo"]["browserContextId"]
    refusal = {"permission": {"name": "screen-wake-lock"}, "setting": "denied", "browserContextId": profile}
    session.send("Browser.setPermission", refusal)
    page.goto(f"{site}/slideshow/?of={two[0].path()}")
    assert page.evaluate("navigator.wakeLock.request('screen').catch((error) => error.name)") == "NotAllowedError"
    expect(page.locator("#caption")).to_have_text(f"{two[0].name}, 1")
    expect(page.locator("#play")).to_have_text("Pause")
    page.keyboard.press("Space")
    expect(page.locator("#play")).to_have_text("Go on")


def states(site: str, first: Address, pages: int) -> list[object]:
    """The states of the first pages of a volume."""
    return [ask(site, first.with_page(n).path()[:-1] + ".json").json["state"] for n in range(1, pages + 1)]


def hide_tab(page: Page, hidden: bool) -> None:
    """Let the page believe that its tab is hidden, or seen again."""
    page.evaluate(
        """(hidden) => {
            Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
            document.dispatchEvent(new Event("visibilitychange"));
        }""",
        hidden,
    )


@pytest.mark.parametrize(("kind", "places"), [("sheet", 3), ("slideshow", 1)])
def test_a_tab_that_nobody_sees_gives_up_its_places_and_so_does_one_that_is_left(
    context: BrowserContext, site: str, kind: str, places: int
) -> None:
    first = Address("pocket-1", "key", secrets.token_hex(8), 1)  # no press here prints it: it goes on waiting
    page = context.new_page()
    page.goto(f"{site}/pocket-1/key/{first.name}/" if kind == "sheet" else f"{site}/slideshow/?of={first.path()}")
    waiting, nothing = ["queued"] * places + ["absent"], ["absent"] * (places + 1)

    def wait_for(wanted: list[str]) -> None:
        wait_until(lambda: states(site, first, places + 1) == wanted, 20, f"the pages are {wanted}")

    wait_for(waiting)
    hide_tab(page, True)
    wait_for(nothing)
    hide_tab(page, False)
    wait_for(waiting)
    page.goto(site + "/about/")
    wait_for(nothing)


def test_a_path_is_read_as_what_it_is_below_any_path_of_the_host(context: BrowserContext, site: str) -> None:
    page = context.new_page()
    page.goto(site + "/shelf/")
    read = page.evaluate(
        """async () => {
            const shelves = document.querySelector("#shelves");
            shelves.dataset.root = "/library/";
            const { path, where, read } = await import(`${shelves.dataset.memory}&below`);
            const places = ["/library/tiny/key/a/7/", "/tiny/key/a/7/", "/library/tiny/key/a/0/", "/library/about/"];
            const names = ["/tiny/prompt/24%2F7/1/", "/tiny/prompt/a b/1/", "/tiny/key/a%2Fb/1/", "/tiny/mark/a/"];
            return [places.map(path), where("/tiny/key/a/7/"), names.map((name) => read(name)?.name ?? null)];
        }"""
    )
    assert read == [
        ["/tiny/key/a/7/", None, None, None],
        "/library/tiny/key/a/7/",
        ["24/7", None, None, None],
    ]
