"""Find my picture as a visitor does: Chromium, a real site, a real press, a picture that the library never saw."""

import io
import re
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, expect

from tests.gallery.finding.conftest import picture
from tests.gallery.test_pages_browser import browser, visiting
from tests.visitor import fresh, printed

pytestmark = pytest.mark.alone

__all__ = ["browser"]


def test_a_picture_is_brought_searched_for_found_and_held_against_its_page(
    browser: Browser, site: str, tmp_path: Path
) -> None:
    mine = tmp_path / "mine.jpg"
    mine.write_bytes(picture(77, "JPEG", (500, 500)))
    with visiting(browser, viewport={"width": 320, "height": 640}) as context:
        page = context.new_page()
        page.goto(f"{site}/")
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
        page.go_back()
        page.get_by_role("button", name="Forget my picture").click()
        expect(page.get_by_role("button", name="Look it up")).to_be_visible()


def test_a_copy_of_a_kept_page_leads_to_it_without_scripts(browser: Browser, site: str, tmp_path: Path) -> None:
    kept, mine = fresh("prompt"), tmp_path / "copy.png"  # random weights draw noise, which a JPEG would spoil
    Image.open(io.BytesIO(printed(site, kept).body)).convert("RGB").save(mine)
    with visiting(browser, java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(f"{site}/find/")
        page.locator("#edition").select_option("tiny")
        page.locator("#picture").set_input_files(mine)
        page.get_by_role("button", name="Look it up").click()
        page.locator("#copies + ul a").first.click()
        expect(page).to_have_url(site + kept.path())
