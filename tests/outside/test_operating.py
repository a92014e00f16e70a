"""The configurations of docs/operating.md, read out of it and run, with other ports, files and folders."""

import contextlib
import os
import shutil
import ssl
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from playwright.sync_api import Browser, expect

from tests import ROOT
from tests.conftest import LOADED_WITHIN, free_port, is_listening, wait_until, write_edition
from tests.gallery.test_pages_browser import drop
from tests.outside.conftest import HOST, guide_blocks, run_nginx, visiting_from_outside
from tests.visitor import ask, fresh, printed
from worker.jobs.consumer import JobConsumer


def changed(block: str, changes: dict[str, str]) -> str:
    """A block of the guide with what cannot be had here replaced, each of it there to be replaced."""
    for before, after in changes.items():
        assert before in block, f"the guide's block has {before!r}"
        block = block.replace(before, after)
    return block


def inner(site: str) -> str:
    return site.removeprefix("http://")


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate for our host, made by openssl, and its key."""
    made, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-days", "2", "-subj", f"/CN={HOST}", "-addext", f"subjectAltName=DNS:{HOST}"]
    subprocess.run([*command, "-out", made, "-keyout", key], check=True, capture_output=True)
    return made, key


def use(browser: Browser, url: str, picture: bytes) -> None:
    """What a visitor does: a page that fills while it is printed, a picture that is dropped; its links are ours."""
    address = fresh("prompt")
    with visiting_from_outside(browser) as context:
        page = context.new_page()
        page.goto(url + address.path())
        expect(page.locator("#picture")).to_be_visible()
        assert page.locator("main").get_attribute("data-state") == "kept"
        assert page.locator("link[rel=canonical]").get_attribute("href") == url + address.path()
        assert page.evaluate("[...document.styleSheets].every((sheet) => sheet.cssRules.length)")
        page.goto(url + "/about/")
        drop(page, "page.png", "image/png", picture + bytes(2_000_000))
        page.wait_for_url(f"{url}/tiny/key/*/1/")


def test_nginx_over_plain_http(site: str, own_site: str, outside_browser: Browser, tmp_path: Path) -> None:
    port = free_port()
    block = changed(
        guide_blocks("nginx")[0], {"listen 80": f"listen 127.0.0.1:{port}", "127.0.0.1:8000": inner(own_site)}
    )
    with run_nginx(tmp_path, block, port):
        use(outside_browser, f"http://{HOST}:{port}", printed(site, fresh()).body)


def test_nginx_below_a_path(site: str, own_site: str, outside_browser: Browser, tmp_path: Path) -> None:
    port = free_port()
    block = changed(
        guide_blocks("nginx")[2], {"listen 80": f"listen 127.0.0.1:{port}", "127.0.0.1:8000": inner(own_site)}
    )
    with run_nginx(tmp_path, block, port):
        use(outside_browser, f"http://{HOST}:{port}/library", printed(site, fresh()).body)


def test_caddy(site: str, https_site: str, outside_browser: Browser, tmp_path: Path) -> None:
    assert shutil.which("caddy"), "This test needs Caddy: `apt-get install caddy`."
    port = free_port()
    # A certificate of Caddy's own: nobody in the world would sign one for this name here.
    options = "{\nadmin off\nauto_https disable_redirects\nskip_install_trust\n}\n"
    (block,) = guide_blocks("caddy")
    changes = {f"{HOST} {{": f"https://{HOST}:{port} {{\ntls internal", "127.0.0.1:8000": inner(https_site)}
    (tmp_path / "Caddyfile").write_text(options + changed(block, changes), encoding="utf-8")
    with caddy(tmp_path, port):
        use(outside_browser, f"https://{HOST}:{port}", printed(site, fresh()).body)


@contextlib.contextmanager
def caddy(folder: Path, port: int) -> Iterator[None]:
    environment = os.environ | {"HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    command = ["caddy", "run", "--config", folder / "Caddyfile", "--adapter", "caddyfile"]
    with (folder / "log").open("wb") as log, subprocess.Popen(command, env=environment, stderr=log) as process:
        try:
            wait_until(lambda: is_listening(port), 20, "Caddy listens")
            yield
        finally:
            process.terminate()


# -- services


def units() -> dict[str, str]:
    """The units of the guide by their file names."""
    blocks = [block.partition("\n") for block in guide_blocks("ini")]
    return {Path(first.removeprefix("# ")).name: rest for first, _, rest in blocks}


def test_systemd_reads_the_units(tmp_path: Path) -> None:
    assert shutil.which("systemd-analyze"), "This test needs systemd-analyze: `apt-get install systemd`."
    assert set(units()) == {"babelia-press.service", "babelia-site.service"}
    for name, unit in units().items():
        text = changed(unit, {"/srv/babelia/.venv/bin/python": sys.executable, "=/srv/babelia": f"={ROOT}"})
        (tmp_path / name).write_text(text, encoding="utf-8")
        done = subprocess.run(
            ["systemd-analyze", "verify", "--man=no", tmp_path / name], capture_output=True, text=True, check=False
        )
        assert (done.returncode, [line for line in done.stderr.splitlines() if name in line]) == (0, [])


def execution(unit: str) -> list[str]:
    """The command of a unit, with this Python."""
    (line,) = [line for line in units()[unit].splitlines() if line.startswith("ExecStart=")]
    return changed(line.removeprefix("ExecStart="), {"/srv/babelia/.venv/bin/python": sys.executable}).split()


# -- all of it


def test_a_stranger_gets_from_nothing_to_https(
    postgresql: str,
    valkey: str,
    tiny_weights: Path,
    outside_browser: Browser,
    tmp_path: Path,
    certificate: tuple[Path, Path],
) -> None:
    """The steps of the guide in their order: database, settings, units, nginx with HTTPS, and the last look."""
    data, inside, plain, secure = tmp_path / "data", free_port(), free_port(), free_port()
    write_edition(data, "tiny", str(tiny_weights))
    (statements,) = guide_blocks("sql")
    with psycopg.connect(postgresql, autocommit=True) as connection:
        for statement in statements.split(";")[:-1]:
            connection.execute(statement.encode())

    (settings,) = guide_blocks("properties")
    changes = {"/var/lib/babelia": str(data), "redis://127.0.0.1:6379/0": valkey.removesuffix("/0") + "/12"}
    changes |= {"127.0.0.1:5432": f"127.0.0.1:{urlsplit(postgresql).port}"}
    told = dict(line.split("=", 1) for line in changed(settings, changes).splitlines())
    here = {
        "BABELIA_PORT": str(inside),
        "BABELIA_EDITIONS": "tiny",
        "BABELIA_THREADS": "1",
        "BABELIA_DISK_RESERVE": "0",
    }
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)} | told | here

    folder = f"/etc/letsencrypt/live/{HOST}"
    changes = {
        "listen 80": f"listen 127.0.0.1:{plain}",
        "listen 443": f"listen 127.0.0.1:{secure}",
        "127.0.0.1:8000": f"127.0.0.1:{inside}",
        f"{folder}/fullchain.pem": str(certificate[0]),
        f"{folder}/privkey.pem": str(certificate[1]),
    }
    with contextlib.ExitStack() as stack:
        services = [
            stack.enter_context(subprocess.Popen(execution(unit), cwd=ROOT, env=environment)) for unit in units()
        ]
        for service in services:
            stack.callback(service.terminate)
        stack.enter_context(run_nginx(tmp_path, changed(guide_blocks("nginx")[1], changes), secure))
        stack.enter_context(contextlib.closing(jobs := JobConsumer(told["REDIS_URL"])))
        wait_until(lambda: is_listening(inside), 60, "the site listens")
        wait_until(lambda: any(press.able for press in jobs.presses()), LOADED_WITHIN, "the press can print")
        page = ask(f"http://127.0.0.1:{inside}", fresh().path()[:-1] + ".png", Host=HOST)
        assert page.headers["content-type"] == "image/png"
        use(outside_browser, f"https://{HOST}:{secure}", page.body)

        sent = ask(f"http://127.0.0.1:{plain}", "/about/", Host=HOST)
        assert (sent.status, sent.headers["location"]) == (301, f"https://{HOST}/about/")
        context = ssl.create_default_context(cafile=str(certificate[0]))
        context.check_hostname = False
        request = urllib.request.Request(f"https://127.0.0.1:{secure}/", headers={"Host": HOST})
        with urllib.request.urlopen(request, context=context, timeout=20) as answer:
            assert answer.headers["Strict-Transport-Security"] == "max-age=2592000"

        look = next(block for block in guide_blocks("sh") if "check --deploy" in block)
        file = tmp_path / "babelia.env"
        file.write_text("".join(f"{name}={value}\n" for name, value in told.items()), encoding="utf-8")
        changes = {"/srv/babelia": str(ROOT), "/etc/babelia.env": str(file), ".venv/bin/python": sys.executable}
        changes |= {"runuser -u babelia -- ": ""}  # the user whom the guide makes is not on this machine
        done = subprocess.run(["sh", "-c", changed(look, changes)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert not (data / "library.sqlite3").exists(), "what is remembered is in PostgreSQL"
        for service in services:
            service.terminate()
        assert [service.wait(30) for service in services] == [0, 0]
