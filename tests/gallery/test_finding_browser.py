"""Find my picture as a visitor does: Chromium, a real site, a real press, a picture that the library never saw."""

import contextlib
import io
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from gallery.finding.searches import INTERRUPTED
from tests.conftest import RunningPress, run_site, wait_until, write_edition
from tests.gallery.finding.conftest import picture
from tests.gallery.test_pages_browser import browser, visiting
from tests.visitor import ask, fresh, printed

pytestmark = pytest.mark.alone

__all__ = ["browser"]

HEAR = """() => {
    const line = document.querySelector("#sentence");
    window.said = [];
    new MutationObserver(() => said.push(line.textContent)).observe(line, { childList: true });
}"""
"""Notes every sentence that the page of a search says from now on."""


@pytest.fixture(scope="module")
def seeker(valkey: str, tiny_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPress]:
    """A press of its own, whose pages have two steps: a search of any depth takes seconds, and it may be killed."""
    data = tmp_path_factory.mktemp("seeker")
    write_edition(data, "tiny", str(tiny_weights), lambda text: re.sub(r"_(steps|limit) = \d+", r"_\1 = 2", text))
    running = RunningPress(data, valkey.removesuffix("/0") + "/8")
    running.start()
    try:
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="module")
def finder(seeker: RunningPress) -> Iterator[str]:
    """The base URL of a site that belongs to `seeker`."""
    with run_site(seeker) as url:
        yield url


def look_up(page: Page, site: str, file: Path) -> None:
    """Bring a picture, and see what would be searched for."""
    page.goto(f"{site}/find/")
    page.locator("#edition").select_option("tiny")
    page.locator("#picture").set_input_files(file)
    page.get_by_role("button", name="Look it up").click()


def search_deeply(page: Page) -> str:
    """Ask for the deepest search near some words, while the press stands; the URL that every visitor of it shares."""
    page.get_by_label("Best").check()
    page.get_by_text("Near some words").click()
    page.get_by_label("Words that say what is to be seen").fill("A dog")
    page.get_by_role("button", name="Search", exact=True).last.click()
    expect(page.get_by_role("button", name="Cancel")).to_be_visible()
    return page.url.partition("?")[0]


def test_a_picture_is_brought_searched_for_found_and_held_against_its_page(
    browser: Browser, finder: str, tmp_path: Path
) -> None:
    mine = tmp_path / "mine.jpg"
    mine.write_bytes(picture(77, "JPEG", (500, 500)))
    with visiting(browser, viewport={"width": 320, "height": 640}) as context:
        page = context.new_page()
        page.goto(f"{finder}/")
        page.get_by_role("link", name="Find my picture").first.click()
        page.locator("#edition").select_option("tiny")
        page.locator("#picture").set_input_files(mine)
        expect(page.get_by_alt_text("Your picture, as it will be searched for")).to_have_css("object-fit", "cover")
        page.get_by_label("Fit into the page").check()
        expect(page.get_by_alt_text("Your picture, as it will be searched for")).to_have_css("object-fit", "contain")
        page.get_by_role("button", name="Look it up").click()
        expect(page.get_by_text("500 × 500 pixels")).to_be_visible()
        assert not page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
        page.get_by_label("Quick").check()
        page.get_by_role("button", name="Search", exact=True).last.click()
        expect(page.get_by_role("heading", name="Found", exact=True)).to_be_visible(timeout=60_000)
        expect(page.locator(".verdict")).to_have_text(re.compile(r"dB$"))
        expect(page.locator("#pair.over img")).to_have_count(2)
        slider = page.get_by_label("How much of yours is seen")
        slider.focus()
        page.keyboard.press("End")
        assert page.evaluate("getComputedStyle(document.querySelector('#pair')).getPropertyValue('--cut')") == "100%"
        assert not page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
        page.get_by_role("link", name="Open the page").click()
        expect(page).to_have_url(re.compile(r"/tiny/mark/[a-z2-7]{26}/$"))
        expect(page.locator("#picture")).to_be_visible()
        found = urlsplit(page.url).path
        assert found not in ask(finder, "/tiny/opened/").text, "on no wall unless its visitor says so"
        page.go_back()
        page.get_by_role("button", name="Put it on the wall").click()
        expect(page).to_have_url(finder + found)
        assert found in ask(finder, "/tiny/opened/").text
        page.go_back()
        page.get_by_label("Quick").check()
        expect(page.get_by_label("Go on from what was found")).to_be_checked()
        page.get_by_text("Near some words").click()
        page.get_by_label("Words that say what is to be seen").fill("A dog")
        page.get_by_role("button", name="Search on").click()
        expect(page.get_by_text(f"from the page {found.split('/')[3][:8]}… on")).to_be_visible(timeout=60_000)
        expect(page.locator(".facts q")).to_have_text("a dog")
        page.get_by_role("button", name="Forget my picture").click()
        expect(page.get_by_role("button", name="Look it up")).to_be_visible()


def test_two_tabs_share_a_deep_search_which_may_be_cancelled_and_outlives_its_press(
    browser: Browser, finder: str, seeker: RunningPress, tmp_path: Path
) -> None:
    mine, child = tmp_path / "mine.png", seeker.child
    mine.write_bytes(picture(78))
    assert child is not None
    os.kill(child, signal.SIGSTOP)  # nothing is taken out of the queue meanwhile
    try:
        with visiting(browser) as context:
            one, other = context.new_page(), context.new_page()
            look_up(one, finder, mine)
            deep = search_deeply(one)
            look_up(other, finder, mine)
            assert search_deeply(other) == deep
            one.go_back()  # to the picture as it was looked at, which is searched for as another search by now
            expect(one).to_have_url(deep)
            expect(one.locator("[data-part=plate] img").first).to_be_visible()
            one.goto(f"{finder}/about/")  # which gives its place up
            os.kill(child, signal.SIGCONT)
            expect(other.locator("#sentence")).to_have_text(re.compile(r"^Step .* dB near"), timeout=60_000)
            other.evaluate(HEAR)
            os.kill(child, signal.SIGKILL)
            other.wait_for_function(
                "([sentence]) => said.includes(sentence) && /^Step .* dB near/.test(said.at(-1))",
                arg=[INTERRUPTED],
                timeout=180_000,  # another press starts and loads
            )
            other.get_by_role("button", name="Cancel").click()
            expect(other.get_by_role("button", name="Look it up")).to_be_visible()
            mine_there = urlsplit(deep).path + "picture.png"  # the press that has it lets go after its step
            wait_until(lambda: ask(finder, mine_there).status == 404, 60, "the cancelled picture is forgotten")
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGCONT)


def test_a_copy_of_a_kept_page_leads_to_it_without_scripts(browser: Browser, finder: str, tmp_path: Path) -> None:
    kept, mine = fresh("prompt"), tmp_path / "copy.png"  # random weights draw noise, which a JPEG would spoil
    Image.open(io.BytesIO(printed(finder, kept).body)).convert("RGB").save(mine)
    with visiting(browser, java_script_enabled=False) as context:
        page = context.new_page()
        look_up(page, finder, mine)
        page.locator("#copies + ul a").first.click()
        expect(page).to_have_url(finder + kept.path())
        mine.write_bytes(printed(finder, kept).body)  # as it is saved: it says itself which page it is
        look_up(page, finder, mine)
        expect(page).to_have_url(finder + kept.path())
