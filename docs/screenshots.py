"""`make screenshots`: opens a library, fills it with a few pages, and takes the pictures in docs/screenshots/.

What is shown is in SHOTS, one line each: add a line there and run it again. The names, the pages and what they show are
the same each time, but for the page of the day; `--only NAME` takes some of them. Needs Chromium, as the tests do.
Imports nothing of the project.
"""

import argparse
import http.client
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, NamedTuple
from urllib.parse import quote, unquote, urlencode, urlsplit

from PIL import Image
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "docs" / "screenshots"
BYTES, AT_MOST = 100_000, 12
"""What one picture may have, and how many there may be: they travel with every copy of the project."""
OPEN_WITHIN, PRINTED_WITHIN = 300.0, 900.0
"""Seconds, on cores that others use too."""
DESK, PHONE = (1280, 860), (390, 844)


class Shot(NamedTuple):
    """One picture: what it is called, what it shows, in which window and which colours."""

    name: str
    path: str
    size: tuple[int, int] = DESK
    colours: Literal["light", "dark"] = "light"
    at: str = ""
    """A selector: what the window is scrolled to."""
    tiles: int = 0
    """How many pictures of a sheet are waited for."""


WORDS = (
    "a camel in the desert at sunset",
    "a fox in the snow at dusk",
    "a red sailboat on a calm sea",
    "a house in the mountains at night",
    "a tiger in the forest",
    "two pigs in a meadow",
    "a train in the mountains",
    "an owl in the forest at night",
    "a duck on a lake",
    "a giraffe in a meadow",
    "a panda in the snow",
    "a sheep in a meadow under a rainbow",
)
"""What is drawn before any picture is taken, the first page of each; the last ones stand first on the wall."""
PAGE = f"/pocket-1/prompt/{quote('a house in the mountains at night')}/1/"
TODAY = "/pocket-1/today/"
"""Leads to the page of the day, which the reading room shows."""
BETWEEN = {"from": PAGE, "to": "a red sailboat on a calm sea", "frames": "6"}
"""The corridor that is shown."""

SHOTS = (
    Shot("entrance", "/"),
    Shot("page", PAGE),
    Shot("page-dark", PAGE, colours="dark"),
    Shot("page-phone", PAGE, PHONE),
    Shot("room", "/pocket-1/"),
    Shot("volume", PAGE.removesuffix("1/")),
    Shot("nearby", f"{PAGE}nearby/", tiles=9),
    Shot("corridor", f"/corridor/?{urlencode(BETWEEN)}", tiles=int(BETWEEN["frames"])),
    Shot("anatomy", f"{PAGE}anatomy/"),
    Shot("subjects", "/pocket-1/subjects/"),
    Shot("about-key", "/about/?" + urlencode({"words": "a house in the mountains at night"}), at="#built"),
    Shot("api", "/api/"),
)


def main() -> None:
    """Take the pictures; exit code 1 where one cannot be had, or is too large."""
    parser = argparse.ArgumentParser(prog="make screenshots", description=__doc__)
    parser.add_argument("--only", action="append", choices=[shot.name for shot in SHOTS], help="take this one alone")
    only = parser.parse_args().only
    chosen = [shot for shot in SHOTS if not only or shot.name in only]
    assert len(SHOTS) <= AT_MOST, f"There may be {AT_MOST} pictures; {len(SHOTS)} are named."
    with opened_library() as site:
        pages = [ask(site, TODAY)[2], *(f"/pocket-1/prompt/{quote(words, safe='')}/1/" for words in WORDS)]
        for page in pages:
            draw(site, page)
            print(f"Drawn: {unquote(page)}", flush=True)
        wait_until_listed(site, len(pages))
        FOLDER.mkdir(exist_ok=True)
        for name, picture in photographs(site, chosen):
            (FOLDER / f"{name}.webp").write_bytes(picture)
            print(f"{name}.webp  {len(picture) / 1000:.0f} kB", flush=True)
    if not only:
        for old in FOLDER.glob("*.webp"):
            if old.stem not in {shot.name for shot in SHOTS}:
                old.unlink()


@contextmanager
def opened_library() -> Iterator[str]:
    """A library as `make run` opens it, in a data folder of its own: the URL of its site."""
    chosen = {"BABELIA_", "REDIS_URL", "DATABASE_URL"}
    environment = {name: value for name, value in os.environ.items() if not name.startswith(tuple(chosen))}
    with tempfile.TemporaryDirectory() as folder:
        environment |= {"BABELIA_DATA": folder, "BABELIA_EDITIONS": "pocket-1", "BABELIA_PRINT_AHEAD": "false"}
        log = Path(folder) / "library.log"
        with log.open("wb") as file:
            command = [sys.executable, "manage.py", "library"]
            process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=file, stderr=subprocess.STDOUT)
        try:
            yield _url_said(process, log)
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _url_said(process: "subprocess.Popen[bytes]", log: Path) -> str:
    """Wait until a library says where it is open."""
    until = time.monotonic() + OPEN_WITHIN
    while time.monotonic() < until and process.poll() is None:
        found = re.search(r"http://[^\s/]+", log.read_text(encoding="utf-8"))
        if found:
            return found[0]
        time.sleep(0.2)
    raise SystemExit(f"The library did not open:\n{log.read_text(encoding='utf-8')}")


def ask(site: str, path: str) -> tuple[int, bytes, str]:
    """One request: its status, its body, and where it leads to."""
    connection = http.client.HTTPConnection(urlsplit(site).netloc, timeout=120)
    try:
        connection.request("GET", path, headers={"User-Agent": "Mozilla/5.0 (screenshots)"})
        response = connection.getresponse()
        return response.status, response.read(), response.headers.get("Location", "")
    finally:
        connection.close()


def draw(site: str, page: str) -> None:
    """Have a page drawn, by its path, and wait for it."""
    until = time.monotonic() + PRINTED_WITHIN
    while time.monotonic() < until:
        status, body, _ = ask(site, page.removesuffix("/") + ".png")
        if status == 200:
            return
        if status != 503:
            raise SystemExit(f"{page} was not drawn: {status} {body[:200]!r}")
        time.sleep(2)
    raise SystemExit(f"{page} was not drawn within {PRINTED_WITHIN:.0f} s.")


def wait_until_listed(site: str, number: int) -> None:
    """Wait until the wall has so many pages: the database is told of them a moment later."""
    until = time.monotonic() + 60
    while len(json.loads(ask(site, "/api/recent?limit=100")[1])) < number:
        if time.monotonic() > until:
            raise SystemExit("The wall does not show what was drawn.")
        time.sleep(0.5)


def photographs(site: str, shots: list[Shot]) -> Iterator[tuple[str, bytes]]:
    """Take pictures in Chromium: their names, and WebP."""
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if not path:
        raise SystemExit("Screenshots need Chromium: `apt-get install chromium`, or set CHROMIUM to the path of one.")
    with sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"]
        with playwright.chromium.launch(executable_path=path, args=flags) as browser:
            for shot in shots:
                width, height = shot.size
                context = browser.new_context(
                    viewport={"width": width, "height": height}, color_scheme=shot.colours, reduced_motion="reduce"
                )
                page = context.new_page()
                page.set_default_timeout(1000 * PRINTED_WITHIN)  # sheets are drawn while they are looked at
                page.goto(site + shot.path)  # the first time without its typefaces, which come too late for it
                page.goto(site + shot.path, wait_until="networkidle")
                if shot.at:
                    page.locator(shot.at).evaluate("(element) => element.scrollIntoView()")
                if shot.tiles:
                    page.locator(".tile img:visible").nth(shot.tiles - 1).wait_for()
                    page.wait_for_load_state("networkidle")
                yield shot.name, as_webp(page.screenshot(), shot.name)
                context.close()


def as_webp(png: bytes, name: str) -> bytes:
    """Return a picture as WebP, as good as its limit allows."""
    with Image.open(io.BytesIO(png)) as image:
        for quality in (85, 75, 65, 50):
            file = io.BytesIO()
            image.convert("RGB").save(file, "WEBP", quality=quality, method=6)
            if file.tell() < BYTES:
                return file.getvalue()
    raise SystemExit(f"The picture {name} is larger than {BYTES:,} bytes; take a smaller part of the page.")


if __name__ == "__main__":
    main()
