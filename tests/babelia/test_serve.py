"""babelia.serve: one process of the site, on a port of its own or on a socket that was handed to it."""

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests import ROOT
from tests.conftest import free_port, wait_until


@contextlib.contextmanager
def serving(data: Path, port: int, *arguments: str, sockets: tuple[int, ...] = ()) -> Iterator[subprocess.Popen[bytes]]:
    environment = os.environ | {"BABELIA_DATA": str(data), "BABELIA_PORT": str(port), "REDIS_URL": ""}
    command = [sys.executable, "-m", "babelia.serve", *arguments]
    process = subprocess.Popen(command, cwd=ROOT, env=environment, pass_fds=sockets)
    try:
        wait_until(lambda: alive(port), 30, "the site answers")
        yield process
    finally:
        process.kill()
        process.wait()


def alive(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/-/alive")
        answer = connection.getresponse()
        return (answer.status, answer.read(), answer.getheader("server")) == (200, b"alive\n", None)
    except OSError:
        return False
    finally:
        connection.close()


def test_it_serves_alone_and_ends_at_a_signal(tmp_path: Path) -> None:
    with serving(tmp_path, free_port()) as process:
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) in (0, -signal.SIGTERM)


def test_it_takes_over_a_socket_that_listens_already(tmp_path: Path) -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        number = listening.fileno()
        with serving(tmp_path, listening.getsockname()[1], "--fd", str(number), sockets=(number,)):
            pass
