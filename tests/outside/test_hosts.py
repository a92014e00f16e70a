"""A host that the site does not answer to, and the addresses it listens on: a real site, asked as visitors ask."""

import contextlib
import http.client
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from babelia.processes.network import serves
from tests import ROOT
from tests.conftest import RunningPress, free_port, has_ipv6, migrated_database, wait_until
from tests.forked import commands
from tests.visitor import ask

SENTENCE = "This library does not answer to the name “elsewhere.example”."


@pytest.fixture
def quiet(tmp_path: Path, valkey: str) -> RunningPress:
    """A library whose press does not run: its settings."""
    return RunningPress(tmp_path, valkey.removesuffix("/0") + "/8")


@contextlib.contextmanager
def serving(quiet: RunningPress, host: str, log: Path, **settings: str) -> Iterator[int]:
    """A site that is asked on an address of loopback, its log in a file: its port."""
    port = free_port()
    environment = quiet.environment | {"BABELIA_PORT": str(port)} | settings
    shutil.copy(migrated_database(), quiet.data)
    process = commands().start(["-m", "babelia.serve"], environment, log)
    try:
        wait_until(lambda: serves(host, port), 60, "the site answers")
        yield port
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture(scope="module")
def logged(valkey: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A site that answers to library.example.org alone, and the file that its log goes to."""
    folder = tmp_path_factory.mktemp("quiet")
    quiet = RunningPress(folder, valkey.removesuffix("/0") + "/8")
    with serving(quiet, "127.0.0.1", folder / "site.log", BABELIA_HOSTS="library.example.org") as port:
        yield f"http://127.0.0.1:{port}", folder / "site.log"


def test_a_host_that_is_not_ours_is_told_so_in_the_form_asked_for(logged: tuple[str, Path]) -> None:
    site, log = logged
    html = ask(site, "/", Host="elsewhere.example")
    assert (html.status, html.headers["content-type"]) == (400, "text/html; charset=utf-8")
    assert SENTENCE in html.text
    assert "BABELIA_HOSTS" in html.text
    for path in ("/tiny/key/borges/1.json", "/api/editions"):
        found = ask(site, path, Host="elsewhere.example")
        assert (found.status, found.json["message"]) == (400, SENTENCE)
        assert "BABELIA_HOSTS" in str(found.json["hint"])
    for path in ("/tiny/key/borges/1.png", "/tiny/key/borges/1.txt"):
        found = ask(site, path, Host="elsewhere.example")
        assert (found.status, found.headers["content-type"]) == (400, "text/plain; charset=utf-8")
        assert found.text.startswith(SENTENCE)
        assert "BABELIA_HOSTS" in found.text
    assert ask(site, "/", Host="library.example.org").status == 200

    # One line for all of these requests.
    lines = [line for line in log.read_text(encoding="utf-8").splitlines() if "elsewhere.example" in line]
    assert len(lines) == 1
    assert "BABELIA_HOSTS does not name the host 'elsewhere.example'" in lines[0]
    for number in range(50):  # anybody can make up names
        ask(site, "/", Host=f"{number}.example")
    assert log.read_text(encoding="utf-8").count("BABELIA_HOSTS") == 20


@pytest.mark.parametrize("host", ["evil<script>.example", "a b", "x" * 300, "[::1", "ü.example", ""])
def test_a_host_that_is_none_is_refused_without_an_error_of_ours(host: str, logged: tuple[str, Path]) -> None:
    found = ask(logged[0], "/", Host=host.encode().decode("latin-1"))
    assert found.status == 400
    assert "<script>." not in found.text


def answer(host: str, port: int, **headers: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection(host, port, timeout=120)
    try:
        connection.request("GET", "/", headers={name.replace("_", "-"): value for name, value in headers.items()})
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6 loopback")
@pytest.mark.parametrize(("listen", "hosts"), [("::1", ["::1"]), ("::", ["::1", "127.0.0.1"])])
def test_a_site_listens_on_ipv6_and_believes_its_proxy(
    listen: str, hosts: list[str], quiet: RunningPress, tmp_path: Path
) -> None:
    told = {"BABELIA_LISTEN": listen, "BABELIA_PROXIES": "127.0.0.1,::1"}
    with serving(quiet, "::1", tmp_path / "site.log", **told) as port:
        for host in hosts:
            assert answer(host, port)[0] == 200
            status, html = answer(host, port, X_Forwarded_Proto="https")
            assert status == 200
            assert 'content="https://' in html


def refusal_of_a_site(quiet: RunningPress, **settings: str) -> str:
    """The one line with which a site that runs alone ends before it has begun."""
    command, environment = [sys.executable, "-m", "babelia.serve"], quiet.environment | settings
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
    return done.stderr


def test_a_port_that_is_taken_is_refused_by_a_site_that_runs_alone(quiet: RunningPress) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said = refusal_of_a_site(quiet, BABELIA_PORT=str(port))
    assert said.startswith(f"Port {port} is taken, so the site cannot listen there. End what listens there, or set ")


def test_an_address_of_another_machine_is_a_sentence(quiet: RunningPress) -> None:
    said = refusal_of_a_site(quiet, BABELIA_LISTEN="192.0.2.1", BABELIA_PORT=str(free_port()))
    assert said.startswith("The site cannot listen on 192.0.2.1 ")
