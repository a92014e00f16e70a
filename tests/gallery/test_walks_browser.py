"""The sheet near a page and the corridor as a visitor uses them: Chromium, a real site, a real press."""

import os
import re
import signal
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.conftest import RunningPress, wait_until
from tests.gallery.test_pages_browser import browser, visiting
from tests.visitor import ask, fresh, printed

__all__ = ["browser"]
WIDE, PHONE = {"width": 1280, "height": 900}, {"width": 320, "height": 568}


def drawn(page: Page) -> int:
    return page.locator("[data-sheet] img:not([hidden])").count()


def has_a_bar(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"))


def test_the_pictures_near_a_page_are_drawn_while_they_are_looked_at(browser: Browser, site: str) -> None:
    middle = fresh("prompt")
    with visiting(browser, viewport=WIDE) as context:
        page = context.new_page()
        page.goto(site + middle.path() + "nearby/")  # not drawn yet: first itself, then what lies around it
        expect(page.locator("[data-sheet] li")).to_have_count(9)
        expect(page.locator("[data-sheet] img:not([hidden])")).to_have_count(9)
        expect(page.locator("#spoken")).to_have_text("All pictures here are drawn.")
        page.get_by_role("link", name="far", exact=True).click()
        expect(page.get_by_role("link", name="far", exact=True)).to_have_attribute("aria-current", "true")
        page.get_by_role("link", name="Picture 3 near it").click()
        expect(page).to_have_url(re.compile(r"/tiny/mark/[a-z2-7]{26}/$"))
        expect(page.locator("#picture")).to_be_visible()


@pytest.mark.alone
def test_a_corridor_is_asked_for_in_words_drawn_evenly_and_played_by_keyboard(browser: Browser, site: str) -> None:
    first, last = fresh("prompt"), fresh("prompt")
    printed(site, first)
    with visiting(browser, viewport=WIDE, reduced_motion="reduce") as context:
        page = context.new_page()
        page.goto(f"{site}/corridor/")
        page.get_by_label("From: words, a link").fill(site + first.path())
        page.get_by_label("To", exact=True).fill(f"tiny/prompt/{last.name}/1")
        page.get_by_label("How many pictures").fill("4")
        page.get_by_label("Evenly paced").check()
        page.get_by_label("There and back").check()
        page.get_by_role("button", name="Walk").click()
        expect(page).to_have_url(re.compile(r"/corridor/\?from=.*&frames=4&closed=1&even=1$"))
        expect(page.locator("[data-count]")).to_have_text("4 of 4 pictures are drawn.")
        expect(page.locator("[data-goes-on]")).to_have_count(0)
        expect(page.get_by_role("link", name="Film (MP4)")).to_be_visible()
        slider, number = page.get_by_role("slider"), page.locator("[data-number]")
        assert slider.input_value() == "0", "nothing moves by itself"
        slider.press("ArrowRight")
        expect(number).to_have_text("2 of 4")
        play = page.get_by_role("button", name="Play")
        play.press("Enter")
        expect(number).to_have_text("4 of 4")
        expect(number).to_have_text("3 of 4")
        page.get_by_role("button", name="Pause").press(" ")
        expect(play).to_be_visible()
        with page.expect_download() as download:
            page.get_by_role("link", name="Moving picture (WebP)").click()
        assert download.value.suggested_filename.endswith(".webp")
        assert not has_a_bar(page)
        page.set_viewport_size(PHONE)
        assert not has_a_bar(page)


@pytest.mark.alone
def test_who_leaves_a_corridor_gives_up_its_places(browser: Browser, site: str, press: RunningPress) -> None:
    ends, child = (fresh("prompt"), fresh("prompt")), press.child
    assert child is not None
    for end in ends:
        printed(site, end)
    with visiting(browser, viewport=WIDE) as context:
        page = context.new_page()
        os.kill(child, signal.SIGSTOP)  # nothing is taken out of the queue meanwhile
        try:
            page.goto(f"{site}/corridor/?{urlencode({'from': ends[0].format(), 'to': ends[1].format(), 'frames': 6})}")
            paths = [link.get_attribute("href") or "" for link in page.locator("[data-events] a").all()]
            assert len(paths) == 4

            def waiting() -> int:
                return [ask(site, f"{path[:-1]}.json").json["state"] for path in paths].count("queued")

            wait_until(lambda: waiting() == 3, 60, "three of them wait")
            page.goto(f"{site}/about/")
            wait_until(lambda: waiting() == 0, 60, "their places are given up")
        finally:
            os.kill(child, signal.SIGCONT)


def test_a_corridor_without_scripts_is_a_strip_of_links(browser: Browser, site: str) -> None:
    ends = fresh("prompt"), fresh("prompt")
    for end in ends:
        printed(site, end)
    with visiting(browser, java_script_enabled=False, viewport=PHONE) as context:
        page = context.new_page()
        page.goto(f"{site}/corridor/?from={ends[0].format()}&to={ends[1].format()}&frames=3")
        page.locator("[data-sheet] li").nth(1).get_by_role("link").click()
        expect(page).to_have_url(re.compile(r"/tiny/mark/[a-z2-7]{26}/$"))
        expect(page.locator("#picture")).to_be_visible()  # it comes back by itself until it is there
        page.go_back()
        page.reload()
        expect(page.get_by_text("3 of 3 pictures are drawn.")).to_be_visible()
        assert drawn(page) == 3
        expect(page.get_by_role("link", name="Film (MP4)")).to_be_visible()
        assert not has_a_bar(page)
