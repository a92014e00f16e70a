"""The library that is tried, started as `make run` starts it on a data folder of its own, and how it is asked.

Imports worker.catalogue, worker.jobs.consumer and psutil.
"""

import contextlib
import http.client
import json
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from worker.catalogue.expansion import stacks_key
from worker.catalogue.key import Key
from worker.jobs.consumer import JobConsumer

ROOT = Path(__file__).resolve().parents[2]
BOT = "examplebot/1.0"
"""A visitor who starts no print."""
BROWSER = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/149.0.0.0 Safari/537.36"
"""A visitor who starts one."""
OPEN_WITHIN = 300.0


@dataclass(frozen=True)
class Answer:
    """What came back, and in how many seconds; status 0: nothing did."""

    status: int
    body: bytes
    seconds: float


def ask(
    port: int, path: str, method: str = "GET", body: bytes | None = None, *, timeout: float = 60, **headers: str
) -> Answer:
    """Ask once, on a connection of its own; a header's name is written with underscores."""
    began = time.monotonic()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    sent = {"User-Agent": BROWSER} | {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        connection.request(method, path, body, sent)
        answer = connection.getresponse()
        return Answer(answer.status, answer.read(), time.monotonic() - began)
    except (OSError, http.client.HTTPException):
        return Answer(0, b"", time.monotonic() - began)
    finally:
        connection.close()


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(holds: Callable[[], bool], seconds: float, what: str) -> float:
    """Wait until something holds and return the seconds; TimeoutError where it does not in time."""
    began = time.monotonic()
    while not holds():
        if time.monotonic() - began > seconds:
            raise TimeoutError(f"Waited {seconds:.0f} s until {what}.")
        time.sleep(0.02)
    return time.monotonic() - began


@dataclass
class Library:
    """One library that runs."""

    data: Path
    edition: str
    port: int
    redis_url: str
    output: Path
    process: subprocess.Popen[bytes]

    @property
    def said(self) -> str:
        """Everything that its processes have printed and logged."""
        return self.output.read_text(encoding="utf-8", errors="replace")

    def part(self, words: str) -> psutil.Process | None:
        """The supervisor's child whose command line has these words; None while there is none."""
        with contextlib.suppress(psutil.Error):
            for child in psutil.Process(self.process.pid).children():
                with contextlib.suppress(psutil.Error):
                    if words in " ".join(child.cmdline()) and child.status() != psutil.STATUS_ZOMBIE:
                        return child
        return None

    def child_of_press(self) -> psutil.Process | None:
        """The process that prints; None while there is none."""
        worker = self.part("celery")
        with contextlib.suppress(psutil.Error):
            found = [] if worker is None else worker.children()
            return next((child for child in found if child.status() != psutil.STATUS_ZOMBIE), None)
        return None

    def page(self, name: str, number: int = 1) -> str:
        """The path of a page, without its form."""
        return f"/{self.edition}/key/{name}/{number}"

    def post(self, path: str, content: dict[str, object]) -> Answer:
        """Send JSON."""
        return ask(self.port, path, "POST", json.dumps(content).encode(), Content_Type="application/json")

    def ask_for(self, name: str, number: int = 1) -> int:
        """Ask for a page as a program does that will be back within ten minutes; the status."""
        address = self.page(name, number)[1:]
        return self.post("/api/page", {"address": address, "visitor": "chaos", "patience": 600}).status

    def long_page(self, steps: int) -> str:
        """The path of a page of so many steps, whose key is brought and which is not printed yet."""
        data = bytearray(stacks_key(secrets.token_hex(8), 1).data)
        data[0] = (data[0] & 3) | ((steps // 2 - 1) << 2)
        key = Key(bytes(data)).format().encode()
        answer = ask(self.port, f"/api/key?edition={self.edition}", "POST", key, Content_Type="text/plain")
        assert answer.status == 201, answer.body
        return str(json.loads(answer.body)["page"]).removesuffix("/")

    def kept(self) -> set[str]:
        """The marks of the pages that are on the disk."""
        return {path.stem for path in (self.data / "pages").glob("*/*/*.png") if path.with_suffix(".json").exists()}

    def jobs(self) -> JobConsumer:
        """The press's side of the queue, to look at."""
        return JobConsumer(self.redis_url)


@contextlib.contextmanager
def library(data: Path, edition: str, *arguments: str, **environment: str) -> Iterator[Library]:
    """A library that is open; afterwards it is closed as Ctrl-C closes it, or killed where it does not close."""
    own = {"BABELIA_DATA": str(data), "BABELIA_EDITIONS": edition, "BABELIA_PORT": str(free_port()), "REDIS_URL": ""}
    own |= {"BABELIA_LOG_LEVEL": "INFO", "BABELIA_DISK_RESERVE": "0"}
    own |= {"BABELIA_VISITOR_LIMIT": "0", "BABELIA_VISITOR_WAITING": "0"}  # all come from one address
    data.mkdir(parents=True, exist_ok=True)
    output = data / "output"
    with output.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "manage.py", "library", *arguments],
            cwd=ROOT,
            env=os.environ | own | environment,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    running = Library(data, edition, 0, "", output, process)
    try:
        wait_until(lambda: "The library is open" in running.said, OPEN_WITHIN, f"it is open: {output}")
        found = re.search(r"The library is open: +http://localhost:(\d+)/", running.said)
        assert found is not None
        running.port = int(found[1])
        url = environment.get("REDIS_URL") or (data / "valkey" / "url").read_text(encoding="ascii")
        running.redis_url = url
        yield running
    finally:
        close(process)


def close(process: subprocess.Popen[bytes]) -> float:
    """Send SIGINT and wait; the seconds. What does not end within 30 is killed, with all below it."""
    began = time.monotonic()
    if process.poll() is None:
        family = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGINT)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            for member in family:
                with contextlib.suppress(psutil.NoSuchProcess):
                    member.kill()
    return time.monotonic() - began


@contextlib.contextmanager
def following(port: int, base: str, count: int) -> Iterator[list[http.client.HTTPResponse]]:
    """So many visitors who follow a page by its events; each has had the first line."""
    with contextlib.ExitStack() as stack:
        streams = []
        for _ in range(count):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
            stack.callback(connection.close)
            connection.request("GET", f"{base}/events")
            streams.append(connection.getresponse())
        for stream in streams:
            stream.readline()
        yield streams
