"""Lighthouse, for a phone, on the pages of a running library: accessibility, best practices, performance, SEO.

`python -m bench.visits.lighthouse URL` asks the site at URL, as `make run` prints it. It needs node 18 or newer,
Chromium, and

    npm install --prefix /tmp/lighthouse lighthouse
    LIGHTHOUSE=/tmp/lighthouse/node_modules/.bin/lighthouse python -m bench.visits.lighthouse http://127.0.0.1:8000

Lighthouse calls itself an ordinary telephone. A page that is not kept would be drawn while it is measured, so one that
was opened lately is taken. Imports nothing of the project.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote
from urllib.request import urlopen

BARS: Final = {"accessibility": 100, "best-practices": 100, "performance": 95, "seo": 100}
INDEXED: Final = ("entrance", "room", "about", "subjects")
"""What search engines may have: only there does SEO count."""
TRIES: Final = 3
"""Runs of Lighthouse on one page at most …"""
AGAIN: Final = "Please run Lighthouse again"
"""… where it says this: its recording of the load lacks something, as on busy cores. It is told nothing of the page."""
FLAGS = "--headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage"


def main() -> None:
    """Measure each page and report; exit code 1 where a bar is missed."""
    parser = argparse.ArgumentParser(prog="python -m bench.visits.lighthouse", description=__doc__)
    parser.add_argument("url", help="the site, as http://127.0.0.1:8000")
    parser.add_argument("paths", nargs="*", metavar="NAME=PATH", help="instead of the usual pages")
    parser.add_argument("--throttling", choices=["simulate", "devtools", "provided"], default="simulate")
    parser.add_argument("--report", type=Path, help="a folder for Lighthouse's own reports, as JSON")
    arguments = parser.parse_args()
    site = arguments.url.rstrip("/")
    pages = dict(each.split("=", 1) for each in arguments.paths) or usual_pages(site)
    program = os.environ.get("LIGHTHOUSE") or shutil.which("lighthouse")
    chrome = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if not program or not chrome:
        sys.exit("This needs Chromium and Lighthouse: npm install --prefix /tmp/lighthouse lighthouse; see --help.")
    missed = False
    print(f"{'page':<14}" + "".join(f"{name:>16}" for name in BARS), flush=True)
    for name, path in pages.items():
        report = measure(program, chrome, site + path, arguments.throttling)
        if arguments.report:
            arguments.report.mkdir(parents=True, exist_ok=True)
            (arguments.report / f"{name}.json").write_text(json.dumps(report), encoding="utf-8")
        scores = {each: round(100 * (report["categories"][each]["score"] or 0)) for each in BARS}
        print(f"{name:<14}" + "".join(f"{score:>16}" for score in scores.values()), flush=True)
        for each, score in scores.items():
            if score < BARS[each] and (each != "seo" or name in INDEXED):
                missed = True
                print(f"    {each} below {BARS[each]}: {', '.join(failed(report, each))}", flush=True)
    sys.exit(1 if missed else 0)


def usual_pages(site: str) -> dict[str, str]:
    """Return the pages that the project promises something of, by what they are called."""
    with urlopen(f"{site}/api/opened?limit=100") as answer:
        opened = json.load(answer)["pages"]
    if not opened:
        sys.exit("Open a picture of this library first: one of the pages is that of a picture that is kept.")
    kept = next((page for page in opened if "/prompt/" in page["address"]), opened[0])
    edition = quote(kept["edition"])
    pages = {"entrance": "/", "room": f"/{edition}/", "about": "/about/", "subjects": f"/{edition}/subjects/"}
    volume = kept["page"].removesuffix("/").rpartition("/")[0] + "/"
    return pages | {"page": kept["page"], "volume": volume, "key": "/key/", "api": "/api/"}


def measure(program: str, chrome: str, url: str, throttling: str) -> dict[str, Any]:
    """Return Lighthouse's report of a page, on the telephone that it imagines."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "report.json"
        command = [program, url, "--quiet", "--output=json", f"--output-path={path}", f"--chrome-flags={FLAGS}"]
        command += [f"--only-categories={','.join(BARS)}", f"--throttling-method={throttling}"]
        environment = os.environ | {"CHROME_PATH": chrome}
        for left in reversed(range(TRIES)):
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
            if done.returncode == 0:
                break
            if not left or AGAIN not in done.stderr:
                sys.exit(f"Lighthouse failed on {url}: {done.stderr[-2000:]}")
            print(f"    once more, for Lighthouse could not record {url}", file=sys.stderr, flush=True)
        report: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return report


def failed(report: dict[str, Any], category: str) -> list[str]:
    """Return the names of the audits that cost a category something."""
    counted = {each["id"] for each in report["categories"][category]["auditRefs"] if each["weight"] > 0}
    found = [report["audits"][name] for name in sorted(counted)]
    return [audit["id"] for audit in found if audit["score"] is not None and audit["score"] < 0.9]


if __name__ == "__main__":
    main()
