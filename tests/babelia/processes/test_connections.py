"""babelia.processes.connections: slow and silent hands at a real site process, with limits of a second or two."""

import contextlib
import os
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import psutil
import pytest

from tests import ROOT
from tests.conftest import free_port, is_listening, wait_until

LIMITS = {"headers": 1, "body-rate": 1000, "stall": 1, "answer": 2, "look": 0.1}
HOST = b"Host: localhost\r\n"


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a site that has little patience and, at first, few files."""
    data, port = tmp_path_factory.mktemp("data"), free_port()
    limits = [part for name, value in LIMITS.items() for part in (f"--{name}-limit", str(value))]
    environment = os.environ | {"BABELIA_DATA": str(data), "BABELIA_PORT": str(port), "REDIS_URL": ""}

    def few_files() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (128, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))

    command = [sys.executable, "-m", "babelia.serve", *limits]
    process = subprocess.Popen(command, cwd=ROOT, env=environment, preexec_fn=few_files)
    try:
        wait_until(lambda: is_listening(port), 30, "the site listens")
        yield port
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def connection(port: int) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), timeout=60) as opened:
        yield opened


def rest(opened: socket.socket) -> bytes:
    """What comes until the other side closes."""
    found = b""
    with contextlib.suppress(ConnectionResetError):
        while part := opened.recv(65536):
            found += part
    return found


@pytest.mark.parametrize("sent", [b"GET / HTTP/1.1\r\nHos", b"\r\n"])
def test_headers_that_never_end_are_not_waited_for(port: int, sent: bytes) -> None:
    with connection(port) as opened:
        opened.sendall(sent)
        began = time.monotonic()
        assert rest(opened).startswith(b"HTTP/1.1 408 ")
        assert time.monotonic() - began < 5


def test_a_connection_that_asks_nothing_is_closed_without_a_word(port: int) -> None:
    with connection(port) as opened:
        began = time.monotonic()
        assert rest(opened) == b""
        assert time.monotonic() - began < 5


def test_headers_that_drip_are_not_waited_for(port: int) -> None:
    with connection(port) as opened:
        opened.sendall(b"GET / HTTP/1.1\r\nX-Drip: ")
        opened.settimeout(0.1)
        began, answer = time.monotonic(), b""
        while not answer and time.monotonic() - began < 8:
            opened.sendall(b"x")
            with contextlib.suppress(TimeoutError):
                answer = opened.recv(65536)
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert time.monotonic() - began < 5


def test_the_second_request_of_a_connection_has_no_more_time(port: int) -> None:
    with connection(port) as opened:
        opened.sendall(b"GET /-/alive HTTP/1.1\r\n" + HOST + b"\r\n")
        answer = b""
        while b"alive" not in answer:  # in as many pieces as it likes
            answer += (part := opened.recv(65536))
            assert part, answer
        opened.sendall(b"GET /-/alive HTTP/1.1\r\nHos")
        assert rest(opened).startswith(b"HTTP/1.1 408 ")


def test_a_header_without_end_is_refused_as_soon_as_it_is_too_long(port: int) -> None:
    head = b"GET / HTTP/1.1\r\n" + HOST + b"X: "
    with connection(port) as opened:
        opened.sendall(
            head + b"x" * (64 * 1024 + 1 - len(head))
        )  # no byte is left unread, so that no reset overtakes it
        assert rest(opened).startswith(b"HTTP/1.1 431 ")


HEAD = b"POST /key/open HTTP/1.1\r\n" + HOST + b"Content-Type: image/png\r\nContent-Length: 100000\r\n\r\n"


def test_a_body_below_the_least_rate_is_not_waited_for(port: int) -> None:
    with connection(port) as opened:
        opened.sendall(HEAD)
        began = time.monotonic()
        with contextlib.suppress(ConnectionError):
            while time.monotonic() - began < 8:
                opened.sendall(b"x")
                time.sleep(0.05)
        assert time.monotonic() - began < 5


def test_a_body_above_it_may_take_its_time(port: int) -> None:
    form = b"Content-Type: application/x-www-form-urlencoded\r\n"
    head = b"POST /key/open HTTP/1.1\r\n" + HOST + form + b"Content-Length: 20000\r\nConnection: close\r\n\r\n"
    with connection(port) as opened:
        opened.sendall(head)
        for _ in range(40):
            opened.sendall(b"x" * 500)
            time.sleep(0.1)  # 5,000 bytes a second for four seconds
        assert rest(opened).startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 200 "))


def test_an_answer_that_nobody_takes_is_not_kept_for_ever(port: int) -> None:
    with connection(port) as opened:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        request = b"GET /static/css/rules.css HTTP/1.1\r\n" + HOST + b"\r\n"
        requests = 32_000 // len(request)  # half of what the heads of requests may have: that is not what closes it
        mine = opened.getsockname()[1]

        def holds() -> bool:
            """Whether a process has the site's end of this connection; what a kernel still sends is nobody's file."""
            found = [end for end in psutil.net_connections("tcp") if end.laddr.port == port and end.raddr]
            return any(end.pid for end in found if end.raddr.port == mine)

        wait_until(holds, 20, "the site takes the connection")
        opened.sendall(request * requests)  # answers of several MB, and never a look at what comes back
        began = time.monotonic()
        wait_until(lambda: not holds(), 20, "the site lets go of it")
        assert time.monotonic() - began > LIMITS["answer"] / 2, "its patience was at an end, and nothing else"


def test_silent_connections_keep_nobody_out_though_they_are_more_than_files_were_allowed(port: int) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(300):
            stack.enter_context(connection(port)).sendall(b"GET /")
        with connection(port) as opened:
            opened.sendall(b"GET /-/alive HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n")
            assert rest(opened).endswith(b"alive\n")
