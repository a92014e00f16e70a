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

import pytest
import yaml
from playwright.sync_api import Browser, expect

from tests import ROOT
from tests.conftest import RunningPress, free_port, is_listening, run_site, wait_until
from tests.gallery.test_pages_browser import drop
from tests.outside.conftest import HOST, guide_blocks, run_nginx, visiting_from_outside
from tests.visitor import ask, fresh, printed


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


def test_nginx_over_plain_http(press: RunningPress, site: str, outside_browser: Browser, tmp_path: Path) -> None:
    port = free_port()
    with run_site(press, BABELIA_HOSTS=HOST) as own:
        block = changed(
            guide_blocks("nginx")[0], {"listen 80": f"listen 127.0.0.1:{port}", "127.0.0.1:8000": inner(own)}
        )
        with run_nginx(tmp_path, block, port):
            use(outside_browser, f"http://{HOST}:{port}", printed(site, fresh()).body)


def test_nginx_with_https(
    press: RunningPress, site: str, outside_browser: Browser, tmp_path: Path, certificate: tuple[Path, Path]
) -> None:
    plain, secure = free_port(), free_port()
    with run_site(press, BABELIA_HOSTS=HOST, BABELIA_HTTPS="true") as own:
        folder = f"/etc/letsencrypt/live/{HOST}"
        block = changed(
            guide_blocks("nginx")[1],
            {
                "listen 80": f"listen 127.0.0.1:{plain}",
                "listen 443": f"listen 127.0.0.1:{secure}",
                "127.0.0.1:8000": inner(own),
                f"{folder}/fullchain.pem": str(certificate[0]),
                f"{folder}/privkey.pem": str(certificate[1]),
            },
        )
        with run_nginx(tmp_path, block, secure):
            sent = ask(f"http://127.0.0.1:{plain}", "/about/", Host=HOST)
            assert (sent.status, sent.headers["location"]) == (301, f"https://{HOST}/about/")
            use(outside_browser, f"https://{HOST}:{secure}", printed(site, fresh()).body)
            context = ssl.create_default_context(cafile=str(certificate[0]))
            context.check_hostname = False
            request = urllib.request.Request(f"https://127.0.0.1:{secure}/", headers={"Host": HOST})
            with urllib.request.urlopen(request, context=context, timeout=20) as answer:
                assert answer.headers["Strict-Transport-Security"] == "max-age=2592000"


def test_a_site_with_https_whose_proxy_is_silent_of_it_is_not_sent_in_circles(press: RunningPress) -> None:
    with run_site(press, BABELIA_HOSTS=HOST, BABELIA_HTTPS="true") as own:
        answer = ask(own, "/", Host=HOST)
        assert answer.status == 200 and f'content="https://{HOST}/"' in answer.text
        plain = ask(own, "/", Host=HOST, X_Forwarded_Proto="http")
        assert (plain.status, plain.headers["location"]) == (301, f"https://{HOST}/")


def test_nginx_below_a_path(press: RunningPress, site: str, outside_browser: Browser, tmp_path: Path) -> None:
    port = free_port()
    with run_site(press, BABELIA_HOSTS=HOST) as own:
        block = changed(
            guide_blocks("nginx")[2], {"listen 80": f"listen 127.0.0.1:{port}", "127.0.0.1:8000": inner(own)}
        )
        with run_nginx(tmp_path, block, port):
            use(outside_browser, f"http://{HOST}:{port}/library", printed(site, fresh()).body)


def test_caddy(press: RunningPress, site: str, outside_browser: Browser, tmp_path: Path) -> None:
    assert shutil.which("caddy"), "This test needs Caddy: `apt-get install caddy`."
    port = free_port()
    # A certificate of Caddy's own: nobody in the world would sign one for this name here.
    options = "{\nadmin off\nauto_https disable_redirects\nskip_install_trust\n}\n"
    with run_site(press, BABELIA_HOSTS=HOST, BABELIA_HTTPS="true") as own:
        (block,) = guide_blocks("caddy")
        changes = {f"{HOST} {{": f"https://{HOST}:{port} {{\ntls internal", "127.0.0.1:8000": inner(own)}
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


def started(command: list[str], port: int, environment: dict[str, str]) -> str:
    """What a command says on its way to a site that answers; it is ended by SIGTERM, and has to end."""
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        wait_until(
            lambda: is_listening(port) and ask(f"http://127.0.0.1:{port}", "/-/alive").status == 200, 60, "it answers"
        )
    finally:
        process.terminate()
        said, _ = process.communicate(timeout=30)
    return said


def test_the_site_of_the_unit_opens(press: RunningPress) -> None:
    (line,) = [line for line in units()["babelia-site.service"].splitlines() if line.startswith("ExecStart=")]
    port = free_port()
    command = changed(line.removeprefix("ExecStart="), {"/srv/babelia/.venv/bin/python": sys.executable}).split()
    assert "The site is at" in started(command, port, press.environment | {"BABELIA_PORT": str(port)})


# -- containers: no engine runs here, so that their commands are run one by one


def dockerfile() -> list[tuple[str, str]]:
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    return [(line.partition(" ")[0], line.partition(" ")[2]) for line in lines if line and not line.startswith("#")]


def compose() -> dict[str, dict[str, object]]:
    services: dict[str, dict[str, object]] = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))[
        "services"
    ]
    return services


def test_what_the_image_installs_can_be_installed() -> None:
    installs = [rest for word, rest in dockerfile() if word == "RUN" and rest.startswith("pip ")]
    assert len(installs) == 1
    for line in installs:  # all of it is here already, which pip looks up and says; nothing is fetched
        command = [sys.executable, "-m", "pip", *line.split()[1:], "--dry-run", "--no-index"]
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True)


def test_the_image_holds_what_git_holds() -> None:
    copied = [rest for word, rest in dockerfile() if word == "COPY"]
    assert copied == ["requirements.txt ./", ". ./"]
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    assert {".git", ".venv", "data"} <= set(ignored)


def test_the_queue_of_the_composition_evicts_nothing() -> None:
    command = compose()["valkey"]["command"]
    assert command == ["valkey-server", "--appendonly", "yes", "--maxmemory-policy", "noeviction"]
