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
def serving(
    data: Path, port: int, *arguments: str, sockets: tuple[int, ...] = (), **settings: str
) -> Iterator[subprocess.Popen[bytes]]:
    """A site that answers, and what it says in the file `said` of its data folder."""
    own = {"BABELIA_DATA": str(data), "BABELIA_PORT": str(port), "REDIS_URL": ""}
    command = [sys.executable, "-m", "babelia.serve", *arguments]
    with (data / "said").open("wb") as said:
        process = subprocess.Popen(command, cwd=ROOT, env=os.environ | own | settings, pass_fds=sockets, stderr=said)
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


def test_it_serves_alone_names_what_does_not_count_and_ends_at_a_signal(tmp_path: Path) -> None:
    with serving(tmp_path, free_port(), PGHOST="192.0.2.1") as process:
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) in (0, -signal.SIGTERM)
    said = (tmp_path / "said").read_text(encoding="utf-8")
    assert said == "The variable PGHOST is set and does not count here: DATABASE_URL decides.\n"


def test_it_takes_over_a_socket_that_listens_already(tmp_path: Path) -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        number = listening.fileno()
        with serving(tmp_path, listening.getsockname()[1], "--fd", str(number), sockets=(number,)):
            pass


def test_whoever_comes_first_waits_for_no_view_to_be_read() -> None:
    script = "import sys, babelia.asgi; print({'gallery.views.page', 'gallery.api.routes'} - set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout == "set()\n"
