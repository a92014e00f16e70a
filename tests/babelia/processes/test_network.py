"""babelia.processes.network: which port is taken, what is refused, under which URLs the site is reached."""

import http.server
import socket
import threading
from collections.abc import Iterator

import pytest

from babelia.processes import network
from babelia.processes.errors import LibraryRefused
from babelia.processes.network import addresses, free_port, listen, public_url, serves
from tests.conftest import has_ipv6


@pytest.fixture
def taken() -> Iterator[int]:
    """A port of loopback that somebody listens on."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield listening.getsockname()[1]


def test_the_next_free_port_is_taken_and_named(taken: int) -> None:
    said: list[str] = []
    with listen("127.0.0.1", taken, said.append) as listening:
        port = listening.getsockname()[1]
    assert port > taken
    assert said == [f"Port {taken} is taken, so the site uses port {port}."]
    assert free_port(taken) > taken


def test_a_site_that_may_not_move_is_refused_a_taken_port(taken: int) -> None:
    with pytest.raises(LibraryRefused, match=f"Port {taken} is taken, so the site cannot listen there") as refused:
        listen("127.0.0.1", taken)
    assert "set BABELIA_PORT to another one" in refused.value.hint


def test_ports_that_are_all_taken_are_said(taken: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "PORTS_TRIED", 1)
    with pytest.raises(LibraryRefused, match=f"The ports from {taken} on are all taken") as refused:
        listen("127.0.0.1", taken, print)
    assert refused.value.hint == "Set BABELIA_PORT to another one."
    with pytest.raises(LibraryRefused, match=f"The ports of loopback from {taken} on are all taken"):
        free_port(taken)


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(LibraryRefused, match=r"The site cannot listen on 192\.0\.2\.1") as refused:
        listen("192.0.2.1", 8000, print)
    assert "BABELIA_LISTEN is an address of this machine" in refused.value.hint


def test_a_port_that_is_not_ours_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", forbidden)  # the tests may run as root, who may listen on any
    with pytest.raises(LibraryRefused, match="Port 80 is not ours to listen on"):
        listen("127.0.0.1", 80, print)


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6 loopback")
def test_it_listens_on_ipv6() -> None:
    with listen("::1", 0, print) as listening:
        assert listening.family == socket.AF_INET6


def test_whether_a_site_answers(taken: int) -> None:
    class Site(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/-/alive" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Site) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        assert serves("127.0.0.1", server.server_port)
        assert serves("0.0.0.0", server.server_port)
        server.shutdown()
        thread.join()
    assert not serves("127.0.0.1", free_port(taken))


def test_the_urls_under_which_the_site_is_reached() -> None:
    assert addresses("127.0.0.1", 8000) == "http://localhost:8000/"
    assert addresses("::1", 8000) == "http://[::1]:8000/"
    assert addresses("10.0.0.7", 80) == "http://10.0.0.7:80/"
    assert addresses("fd00::7", 80) == "http://[fd00::7]:80/"
    everywhere = addresses("0.0.0.0", 8000).split("  ")
    assert everywhere[0] == "http://localhost:8000/"
    assert not any("127.0.0.1" in url for url in everywhere)


def test_behind_https_a_site_is_reached_by_the_first_name_that_is_one() -> None:
    assert (
        public_url([".example.org", "localhost", "library.example.org", "other"], "") == "https://library.example.org/"
    )
    assert public_url(["[2001:db8::1]"], "/library") == "https://[2001:db8::1]/library/"
    for nobodys in (["*"], ["localhost", "127.0.0.1", "[::1]"], [".example.org"], []):
        assert public_url(nobodys, "/library") is None
