"""What the tests of the outside world share: nginx in a folder of its own, a browser that knows our host."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests import ROOT
from tests.conftest import free_port, is_listening, wait_until
from tests.gallery.test_pages_browser import visiting

HOST = "library.example.org"
"""The name under which docs/operating.md reaches the library; the browser finds it on loopback."""


def guide_blocks(language: str) -> list[str]:
    """The configurations of one kind that docs/operating.md shows, in its order."""
    guide = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", guide, re.MULTILINE | re.DOTALL)


@contextlib.contextmanager
def run_nginx(folder: Path, servers: str, port: int) -> Iterator[None]:
    """A real nginx with some `server` blocks, in a folder of its own; one of them listens on `port`."""
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    assert program, "These tests need nginx: `apt-get install nginx-light`."
    temporary = "\n".join(
        f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    configuration = folder / "nginx.conf"
    user = "user root;\n" if os.geteuid() == 0 else ""  # its workers write into our folder
    configuration.write_text(
        f"{user}daemon off;\npid {folder}/nginx.pid;\nerror_log stderr warn;\nworker_processes 1;\n"
        f"events {{}}\nhttp {{\naccess_log off;\n{temporary}\n{servers}\n}}\n",
        encoding="utf-8",
    )
    subprocess.run([program, "-t", "-q", "-p", folder, "-c", configuration, "-e", "stderr"], check=True)
    process = subprocess.Popen([program, "-p", folder, "-c", configuration, "-e", "stderr"])
    try:
        wait_until(lambda: is_listening(port), 10, "nginx listens")
        yield
    finally:
        process.send_signal(signal.SIGQUIT)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@pytest.fixture
def nginx(tmp_path: Path) -> Iterator[Callable[[str], str]]:
    """Starts nginx with one server whose content is handed in, and returns the URL that visitors type."""
    with contextlib.ExitStack() as stack:

        def start(content: str) -> str:
            port = free_port()
            folder = tmp_path / str(port)
            folder.mkdir()
            folder.chmod(0o755)
            stack.enter_context(run_nginx(folder, f"server {{ listen 127.0.0.1:{port}; {content} }}", port))
            return f"http://{HOST}:{port}"

        yield start


@pytest.fixture(scope="module")  # of two at a time, Playwright refuses the second
def outside_browser() -> Iterator[Browser]:
    """Chromium, for which `HOST` is this machine. Over plain HTTP it says no Sec-Fetch-Site, as in any network."""
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    assert path, "These tests need Chromium: `apt-get install chromium`, or set CHROMIUM to the path of one."
    flags = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", f"--host-resolver-rules=MAP {HOST} 127.0.0.1"]
    with (
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=path, args=[*flags, "--ignore-certificate-errors"]) as found,
    ):
        yield found


class visiting_from_outside(visiting):  # noqa: N801  (reads as a sentence where it is used)
    """As `visiting`; that browsers heed one of our headers only where nobody reads along is no fault of a page."""

    def _note(self, kind: str, text: str) -> None:
        if not text.startswith("The Cross-Origin-Opener-Policy header has been ignored, because the URL's origin was"):
            super()._note(kind, text)
