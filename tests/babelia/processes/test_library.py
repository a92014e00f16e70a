"""`manage.py library` as somebody runs it: what it starts, says, starts again and leaves behind."""

import contextlib
import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from babelia.processes import pulse
from tests import ROOT
from tests.conftest import free_port, run_valkey, wait_until, write_edition
from tests.visitor import long_page

STOP_WITHIN = 10
START_WITHIN = 240
LESS_PATIENT = "import manage; from babelia.processes import pulse; pulse.SILENCE = {}; manage.main()"
"""A supervisor that waits less long than usual before it ends what hangs; nothing else reads that number."""


@dataclass
class Library:
    """One `manage.py library` process and what it said so far."""

    data: Path
    process: subprocess.Popen[bytes]
    output: Path

    @property
    def said(self) -> str:
        return self.output.read_text(encoding="utf-8")

    @property
    def family(self) -> list[psutil.Process]:
        """The supervisor's descendants."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def part(self, words: str) -> psutil.Process:
        """The first direct child whose command line has these words."""
        found: list[psutil.Process] = []
        for child in psutil.Process(self.process.pid).children():
            with contextlib.suppress(psutil.Error):  # it was killed a moment ago
                found += [child] if words in " ".join(child.cmdline()) else []
        return found[0]

    @property
    def port(self) -> int:
        found = re.search(r"The library is open:  http://localhost:(\d+)/", self.said)
        assert found is not None, self.said
        return int(found[1])

    def wait_until_open(self) -> float:
        return wait_until(lambda: "The library is open" in self.said, START_WITHIN, f"it is open: {self.output}")

    def stop(self, number: signal.Signals = signal.SIGINT) -> float:
        """Send a signal and wait; the seconds until it is gone."""
        began = time.monotonic()
        self.process.send_signal(number)
        self.process.wait(STOP_WITHIN + 5)
        return time.monotonic() - began


@contextlib.contextmanager
def library(data: Path, *arguments: str, silence: float | None = None, **environment: str) -> Iterator[Library]:
    """Start a library; `silence`: seconds without a sign of life after which something hangs, where not the usual."""
    command = ["manage.py"] if silence is None else ["-c", LESS_PATIENT.format(silence)]
    own = {"BABELIA_DATA": str(data), "BABELIA_EDITIONS": "tiny", "BABELIA_DISK_RESERVE": "0", "REDIS_URL": ""}
    output = data / f"output-{time.monotonic_ns()}"
    with output.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, *command, "library", *arguments],
            cwd=ROOT,
            env=os.environ | own | environment,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    running = Library(data, process, output)
    try:
        yield running
    finally:
        if process.poll() is None:
            family = running.family
            process.kill()
            process.wait()
            for member in family:
                with contextlib.suppress(psutil.NoSuchProcess):
                    member.kill()


def answers(port: int, path: str = "/-/alive") -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=START_WITHIN)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()


@pytest.fixture(scope="module")
def data(tiny_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("supervised")
    write_edition(folder, "tiny", str(tiny_weights))
    return folder


def test_it_opens_restarts_what_dies_and_leaves_nothing_running(data: Path, taken: int) -> None:
    with library(data, BABELIA_PORT=str(taken)) as running:
        running.wait_until_open()
        assert "The press can print: tiny " in running.said
        assert f"Port {taken} is taken, so the site uses port {running.port}." in running.said
        assert answers(running.port) == 200

        # A second one on the same data folder is refused with a sentence.
        with library(data) as second:
            assert second.process.wait(30) == 1
            assert "runs on this machine already" in second.said

        # What dies is started again, and it says so; the site's other process answers meanwhile.
        assert answers(running.port, "/tiny/key/before/1.png") == 200
        running.part("valkey-server").kill()
        wait_until(lambda: "Redis was ended by SIGKILL. Starting it again." in running.said, 10, "it says so")
        wait_until(lambda: answers(running.port, "/tiny/key/between/1.png") == 200, 40, "a page is printed again")
        running.part("babelia.serve").kill()
        running.part("celery").kill()
        wait_until(lambda: running.said.count("was ended by SIGKILL. Starting it again.") == 3, 10, "it says so")
        assert answers(running.port) == 200
        wait_until(lambda: len(psutil.Process(running.process.pid).children()) == 4, 10, "all four are there again")

        family = running.family
        site = f"http://127.0.0.1:{running.port}"
        watched = long_page(site)
        with contextlib.ExitStack() as streams:  # open ones hold nobody up
            for _ in range(20):
                stream = http.client.HTTPConnection("127.0.0.1", running.port, timeout=START_WITHIN)
                streams.callback(stream.close)
                stream.request("GET", watched.path() + "events")
                assert stream.getresponse().readline() == b"retry: 2000\n"
            assert running.stop(signal.SIGINT) < STOP_WITHIN
        assert running.process.returncode == 0
        assert [member for member in family if member.is_running()] == []
        assert not (data / "valkey" / "url").exists()


@pytest.fixture
def taken() -> Iterator[int]:
    """A port of loopback that somebody listens on."""
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", 0))
        stranger.listen()
        yield stranger.getsockname()[1]


def test_a_site_that_a_proxy_would_not_find_elsewhere_refuses_a_taken_port(data: Path, valkey: str, taken: int) -> None:
    for arguments, https in ((("--only", "site"), "false"), ((), "true")):
        told = {"BABELIA_PORT": str(taken), "REDIS_URL": valkey, "BABELIA_HTTPS": https}
        with library(data, *arguments, **told) as running:
            assert running.process.wait(30) == 1
            assert f"Port {taken} is taken, so the site cannot listen there. End what listens there" in running.said


def test_a_service_says_the_url_that_visitors_type_and_nothing_of_a_keyboard(data: Path, valkey: str) -> None:
    told = {"BABELIA_HTTPS": "true", "BABELIA_HOSTS": "localhost,library.example.org", "BABELIA_PREFIX": "/library"}
    port = free_port()
    with library(data, "--only", "site", BABELIA_PORT=str(port), REDIS_URL=valkey, **told) as running:
        running.wait_until_open()
        assert f"The site listens at http://localhost:{port}/." in running.said
        assert "The library is open:  https://library.example.org/library/\n" in running.said
        assert "Ctrl-C" not in running.said
        assert "Waiting for Redis" not in running.said, "it answers at once"
        assert running.stop(signal.SIGTERM) < STOP_WITHIN


def test_without_redis_a_part_alone_says_what_it_lacks(tmp_path: Path) -> None:
    with library(tmp_path, "--only", "press") as running:
        assert running.process.wait(30) == 1
        assert "There is no Redis to work with. Set REDIS_URL" in running.said


def test_a_redis_that_would_evict_the_queue_is_refused(data: Path, tmp_path: Path) -> None:
    import redis

    with run_valkey(tmp_path) as (url, _):
        with redis.Redis.from_url(url) as client:
            client.config_set("maxmemory-policy", "allkeys-lru")
        with library(data, "--only", "site", REDIS_URL=url) as running:
            assert running.process.wait(30) == 1
            assert "evicts any key when memory runs short (allkeys-lru), the queue too." in running.said
            assert url.split("@")[0].split(":")[-1] not in running.said


def test_redis_alone_comes_back_where_it_was(tmp_path: Path) -> None:
    """Sites and presses that were started alone look for it there, though a lower port is free by now."""
    urls = []
    with socket.socket() as stranger:
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(OSError):  # somebody is there already, which serves as well
            stranger.bind(("127.0.0.1", 16379))
            stranger.listen()
        for _ in range(2):
            with library(tmp_path, "--only", "redis") as running:
                url = tmp_path / "valkey" / "url"
                wait_until(lambda url=url: url.exists() and bool(url.read_text()), 20, "its URL is known")  # type: ignore[misc]
                urls.append(url.read_text())
                running.stop()
            stranger.close()
    assert urls[0] == urls[1]
    assert ":16379/" not in urls[0]


def test_a_damaged_queue_is_set_aside_and_the_library_opens(data: Path) -> None:
    with library(data, "--only", "redis") as running:
        wait_until(lambda: (data / "valkey" / "url").exists(), 20, "Redis is started")
        import redis

        url = (data / "valkey" / "url").read_text()

        def written() -> bool:
            try:
                with redis.Redis.from_url(url) as client:
                    for number in range(50):
                        client.set(f"page {number}", "waits")
                    client.execute_command("WAITAOF", 1, 0, 5000)
                return True
            except redis.exceptions.RedisError:
                return False

        wait_until(written, 120, "the queue is on the disk")
        running.stop()
    (log,) = (data / "valkey" / "appendonlydir").glob("*.incr.aof")
    content = bytearray(log.read_bytes())
    content[content.index(b"page 25") - 4] ^= 0x40  # in the length before the name
    log.write_bytes(content)
    with library(data, "--only", "redis", "--only", "site", BABELIA_PORT=str(free_port())) as running:
        wait_until(lambda: "is set aside at" in running.said, 30, "it says so")
        running.wait_until_open()
        assert answers(running.port, "/-/ready") == 200
        assert len(list((data / "set-aside").glob("*-queue/*.incr.aof"))) == 1


def test_what_is_kept_is_served_while_redis_does_not_answer(data: Path) -> None:
    """A library on its own Redis that cannot start, as after a flipped bit that nobody recognises."""
    nobody = f"redis://127.0.0.1:{free_port()}/0"
    with library(data, "--only", "site", BABELIA_PORT=str(port := free_port()), REDIS_URL=nobody) as running:
        waits = f"Waiting for Redis at {nobody.removeprefix('redis://')} to answer, and serving what is kept meanwhile."
        wait_until(lambda: answers(port) == 200, 25, "the site serves before anybody gave up waiting for Redis")
        wait_until(lambda: waits in running.said, 5, "it says at once what it waits for")
        assert answers(port, "/about/") == 200
        assert answers(port, "/-/ready") == 503
        wait_until(lambda: "Kept pages can be read all the same." in running.said, 45, "it says so and goes on")
        assert running.process.poll() is None


SILENCE = 12.0


@pytest.fixture(scope="module")
def mended(data: Path) -> Iterator[Library]:
    """A library whose processes are stopped and killed, and which mends that; the last test ends it."""
    with library(data, silence=SILENCE, BABELIA_PORT=str(free_port())) as running:
        running.wait_until_open()
        yield running


def test_a_press_that_hangs_is_ended_within_a_minute_and_prints_again(mended: Library) -> None:
    to_notice = 60 - pulse.SILENCE  # what is left of the minute
    assert to_notice >= 3 * pulse.ASK_EVERY, "it is looked at often enough"
    limit = SILENCE + to_notice
    worker = mended.part("celery")
    (child,) = worker.children()
    child.suspend()
    wait_until(lambda: "The press hangs: no sign of life of its child" in mended.said, limit, "it is noticed")
    wait_until(lambda: answers(mended.port, "/tiny/key/after-hang/1.png") == 200, 60, "a page is printed")
    worker, server = mended.part("celery"), mended.part("valkey-server")
    worker.suspend()
    server.suspend()
    wait_until(lambda: "no sign of life of its worker" in mended.said, limit, "the worker's too")
    wait_until(lambda: "Redis hangs: no sign of life of its server" in mended.said, limit, "the server's too")
    wait_until(lambda: answers(mended.port, "/tiny/key/after-all/1.png") == 200, 60, "a page is printed")


def test_a_killed_child_or_worker_is_started_again_and_prints(mended: Library) -> None:
    """How soon is a figure of `make chaos`: two seconds, and loading, which takes as long as the machine makes it."""
    for name in ("child", "worker"):
        worker = mended.part("celery")
        (child,) = worker.children()
        killed = child if name == "child" else worker
        killed.kill()

        def started(killed: psutil.Process = killed, within: psutil.Process = worker) -> bool:
            """Whether another process is in its place; a dead one may wait to be buried."""
            with contextlib.suppress(psutil.Error, IndexError):
                there = within.children() if killed is not within else [mended.part("celery")]
                return any(process.pid != killed.pid for process in there)
            return False

        wait_until(started, START_WITHIN, f"the {name} is started again")
        assert answers(mended.port, f"/tiny/key/{name}/1.png") == 200


def test_nothing_is_left_running_when_the_supervisor_itself_is_killed(mended: Library) -> None:
    family = mended.family
    assert len(family) >= 5
    mended.process.kill()
    mended.process.wait()
    wait_until(lambda: not any(member.is_running() for member in family), 5, "all of its family is gone")
