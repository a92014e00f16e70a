"""What the tests of the outside world share: nginx, PostgreSQL, sites behind proxies, a browser that knows our host."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
from playwright.sync_api import Browser, sync_playwright

from tests import ROOT
from tests.conftest import RunningPress, free_port, is_listening, run_site, wait_until
from tests.gallery.test_pages_browser import visiting

HOST = "library.example.org"
"""The name under which docs/operating.md reaches the library; the browser finds it on loopback."""
PASSWORD = "p@ss/w#rd?100%:ü"
"""Of the database: what is special in it has to be percent-encoded."""


def guide_blocks(language: str) -> list[str]:
    """The configurations of one kind that docs/operating.md shows, in its order."""
    guide = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
    found = re.findall(rf"^( *)```{language}\n(.*?)^ *```$", guide, re.MULTILINE | re.DOTALL)
    return [re.sub(rf"^{indent}", "", block, flags=re.MULTILINE) for indent, block in found]


@pytest.fixture(scope="session")
def own_site(press: RunningPress) -> Iterator[str]:
    """A site that knows the name under which visitors reach it."""
    with run_site(press, BABELIA_HOSTS=f"{HOST},127.0.0.1") as url:
        yield url


@pytest.fixture(scope="session")
def https_site(press: RunningPress) -> Iterator[str]:
    """A site that is reached over HTTPS alone."""
    with run_site(press, BABELIA_HOSTS=HOST, BABELIA_HTTPS="true") as url:
        yield url


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """The URL of an empty database of a real server, which runs as a user without privileges: it refuses root."""
    binaries = max(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    folder = Path(tempfile.mkdtemp(prefix="babelia-postgresql-"))
    port, password = free_port(), folder / "password"
    password.write_text(PASSWORD, encoding="utf-8")
    other: dict[str, Any] = {}
    if os.geteuid() == 0:
        other = {"user": "postgres", "group": "postgres", "extra_groups": []}
        for path in (folder, password):
            shutil.chown(path, "postgres", "postgres")
    begin = [
        str(binaries / "initdb"),
        "-D",
        str(folder / "data"),
        "-U",
        "librarian",
        "-E",
        "UTF8",
        "--locale",
        "C.UTF-8",
    ]
    begin += ["--auth", "scram-sha-256", "--pwfile", str(password), "--no-sync"]
    subprocess.run(begin, check=True, capture_output=True, cwd=folder, **other)
    serve = [str(binaries / "postgres"), "-D", str(folder / "data"), "-k", str(folder), "-p", str(port)]
    serve += ["-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-c", "log_min_messages=fatal"]
    server = subprocess.Popen(serve, cwd=folder, stderr=subprocess.DEVNULL, **other)
    url = f"postgres://librarian:{quote(PASSWORD, safe='')}@127.0.0.1:{port}/postgres"
    try:
        wait_until(lambda: is_listening(port), 30, "PostgreSQL listens")
        wait_until(lambda: takes_connections(url), 30, "PostgreSQL takes connections")
        yield url
    finally:
        server.send_signal(signal.SIGINT)  # its fast shutdown
        server.wait(30)
        shutil.rmtree(folder)


def takes_connections(url: str) -> bool:
    try:
        psycopg.connect(url.replace("postgres://", "postgresql://")).close()
    except psycopg.OperationalError:
        return False
    return True


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
