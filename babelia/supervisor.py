"""Keeps the library's processes running: Valkey, the press, the site. May import Django's settings and babelia.valkey.

Each process is a child in a session of its own, so that Ctrl-C reaches only the supervisor, which then stops them in
order. One that ends by itself is started again, after a pause that doubles from one second to half a minute, and the
supervisor says so. On Linux every child asks the kernel to end it when its parent is gone, so that nothing is left
running even where the supervisor itself is killed.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import redis
from django.conf import settings

from babelia import ALIVE
from babelia.valkey import Server
from worker.errors import BabeliaError, StoreUnavailable
from worker.jobs.consumer import JobConsumer
from worker.jobs.progress import Press

PARTS = ("redis", "press", "site")
PAUSE_FIRST, PAUSE_MAX = 1.0, 30.0
STEADY = 60.0
"""Seconds after which a process counts as running well: its next pause is the first one again."""
PRESS_GRACE, SITE_GRACE, REDIS_GRACE = 5.0, 5.0, 3.0
"""Seconds that each part gets to stop; press and site stop together, Redis after them: 8 s in all."""
VALKEY_PORT = 16379
PORTS_TRIED = 100

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


class SupervisorRefused(BabeliaError):
    """The library cannot be started as things are."""

    code = "not_started"


@dataclass
class Child:
    """One process that is kept running."""

    name: str
    command: Callable[[], Sequence[str]]  # asked for at every start
    environment: dict[str, str]
    grace: float
    sockets: tuple[int, ...] = ()
    ends_with_us: signal.Signals = signal.SIGKILL  # what the kernel sends it when the supervisor is gone
    process: subprocess.Popen[bytes] | None = None
    pause: float = PAUSE_FIRST
    started: float = 0.0
    again_at: float | None = None

    def start(self) -> None:
        """Start it now."""

        def end_with_parent() -> None:
            if _libc is not None:
                _libc.prctl(_PR_SET_PDEATHSIG, self.ends_with_us)

        self.again_at, self.started = None, time.monotonic()
        self.process = subprocess.Popen(
            list(self.command()),
            cwd=settings.BASE_DIR,
            env=os.environ | self.environment,
            pass_fds=self.sockets,
            start_new_session=True,
            preexec_fn=end_with_parent,  # safe: this process has one thread
        )

    @property
    def alive(self) -> bool:
        """Whether its process runs."""
        return self.process is not None and self.process.poll() is None


@dataclass
class Supervisor:
    """The children of one `library` command, and what it says about them."""

    say: Callable[[str], None]
    children: list[Child] = field(default_factory=list)
    stopping: bool = False

    def stop_on_signals(self) -> None:
        """Let Ctrl-C, `kill` and a closed terminal stop the library in good order."""

        def stop(*_: object) -> None:
            self.stopping = True

        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, stop)

    def add(self, child: Child) -> Child:
        """Start a child and keep it running."""
        self.children.append(child)
        child.start()
        return child

    def look(self) -> None:
        """Start again what has ended, when its pause is over."""
        now = time.monotonic()
        for child in self.children:
            if child.alive:
                if now - child.started > STEADY:
                    child.pause = PAUSE_FIRST
            elif child.again_at is None:
                assert child.process is not None, "a child is started when it is added"
                self.say(f"{child.name} {_ending(child.process.returncode)}. Starting it again in {child.pause:.0f} s.")
                child.again_at = now + child.pause
                child.pause = min(PAUSE_MAX, 2 * child.pause)
            elif now >= child.again_at:
                child.start()

    def wait(self, holds: Callable[[], bool], seconds: float | None = None) -> bool:
        """Look after the children until something holds (True), a signal came or the time is over (False)."""
        began = time.monotonic()
        while not self.stopping:
            self.look()
            if holds():
                return True
            if seconds is not None and time.monotonic() - began > seconds:
                return False
            time.sleep(0.1)
        return False

    def stop(self) -> None:
        """Stop everything: press and site together, then Redis; what does not stop in time is killed with its own."""
        rest = [child for child in self.children if child.name != "Redis"]
        for group in (rest, [child for child in self.children if child.name == "Redis"]):
            _stop(group)


def _stop(group: list[Child]) -> None:
    families: list[psutil.Process] = []
    for child in group:
        if child.process is not None and child.alive:
            with contextlib.suppress(psutil.NoSuchProcess):
                families += psutil.Process(child.process.pid).children(recursive=True)
            child.process.terminate()
    deadline = time.monotonic() + max((child.grace for child in group), default=0.0)
    while time.monotonic() < deadline and any(child.alive for child in group):
        time.sleep(0.05)
    for child in group:
        if child.process is not None and child.alive:
            with contextlib.suppress(psutil.NoSuchProcess):
                families += psutil.Process(child.process.pid).children(recursive=True)
            child.process.kill()
            child.process.wait()
    for process in families:
        with contextlib.suppress(psutil.NoSuchProcess):  # psutil knows a process id that was used again
            process.kill()


def _ending(code: int) -> str:
    return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"stopped with exit code {code}"


# ------------------------------------------------------------------------------------------------------------- parts


def open_library(parts: Sequence[str], say: Callable[[str], None]) -> None:
    """Start some of `PARTS` and keep them running until a signal comes. Raises SupervisorRefused, StoreUnavailable."""
    with contextlib.ExitStack() as stack:
        for part in parts:
            stack.enter_context(_only_one(part))
        supervisor = Supervisor(say)
        supervisor.stop_on_signals()
        try:
            _run(supervisor, parts)
        finally:
            if supervisor.children:
                say("Closing the library.")
            supervisor.stop()
            if "redis" in parts:
                settings.REDIS_URL_FILE.unlink(missing_ok=True)


def _run(supervisor: Supervisor, parts: Sequence[str]) -> None:
    url, say = os.environ.get("REDIS_URL", "").strip(), supervisor.say
    if "redis" in parts and not url:
        url = _start_redis(supervisor)
    url = url or settings.REDIS_URL
    if not url:
        raise SupervisorRefused(
            "There is no Redis to work with.", hint="Set REDIS_URL, or start one with `manage.py library --only redis`."
        )
    if not supervisor.wait(lambda: _answers(url), 30):
        if not supervisor.stopping:
            raise StoreUnavailable(
                f"Redis at {_without_password(url)} does not answer.", hint="Check REDIS_URL and that the server runs."
            )
        return
    _refuse_evicting(url)
    press = supervisor.add(_press(url)) if "press" in parts else None
    if "site" in parts:
        listening = _listen(settings.LISTEN, settings.PORT, say)
        for number in range(settings.SITE_PROCESSES):
            supervisor.add(_site(url, listening, number + 1))
        port = listening.getsockname()[1]
        if not supervisor.wait(lambda: _serves(port), 60) and not supervisor.stopping:
            say("The site does not answer yet; its messages are above.")
        say(f"The site is at {_addresses(port)}.")
    if press is not None or "site" in parts:
        _wait_for_press(supervisor, url, press)
    if "site" in parts and not supervisor.stopping:
        say(f"\n    The library is open:  {_addresses(port)}\n    Ctrl-C closes it.\n")
    supervisor.wait(lambda: False)


def _wait_for_press(supervisor: Supervisor, url: str, press: Child | None) -> None:
    """Wait until a page can be printed: by our own press, or where there is none by any."""
    say = supervisor.say
    jobs = JobConsumer(url)
    found: list[Press] = []

    def decided() -> bool:
        with contextlib.suppress(StoreUnavailable):
            ours = press.process.pid if press and press.process else None
            found[:] = [one for one in jobs.presses() if ours in (None, one.parent) and one.state != "loading"]
        return bool(found)

    if press is None:
        if not supervisor.wait(decided, 2) and not supervisor.stopping:
            say("No press is there yet: kept pages can be read, new ones wait for one.")
    elif not supervisor.wait(decided, 300) and not supervisor.stopping:
        say("The press is still loading; its messages are above.")
    jobs.close()
    for one in found:
        if one.able:
            say(f"The press can print: {one.rendition}.")
        else:
            say(f"The press cannot print: {one.sentence} Kept pages can be read all the same.")


def _start_redis(supervisor: Supervisor) -> str:
    server = Server(settings.DATA_DIR / "valkey", _free_port(VALKEY_PORT))
    supervisor.add(Child("Redis", server.command, {}, REDIS_GRACE, ends_with_us=signal.SIGTERM))
    file = settings.REDIS_URL_FILE
    file.unlink(missing_ok=True)
    file.touch(0o600)
    file.write_text(server.url, encoding="ascii")
    return server.url


def _press(url: str) -> Child:
    command = [sys.executable, "-m", "celery", "-q", "-A", "babelia", "worker", "--loglevel", "WARNING"]
    # prefork with one child: the parent keeps the broker alive and can end a print that hangs; the child has the model.
    command += ["--pool", "prefork", "--concurrency", "1", "--without-gossip", "--without-mingle"]
    return Child("The press", lambda: command, {"REDIS_URL": url}, PRESS_GRACE)


def _site(url: str, listening: socket.socket, number: int) -> Child:
    command = [sys.executable, "-m", "babelia.serve", "--fd", str(listening.fileno())]
    name = "The site" if settings.SITE_PROCESSES == 1 else f"The site's process {number}"
    return Child(name, lambda: command, {"REDIS_URL": url}, SITE_GRACE, sockets=(listening.fileno(),))


# ------------------------------------------------------------------------------------------------------------ around


@contextlib.contextmanager
def _only_one(part: str) -> Iterator[None]:
    """Hold the place of a part on this machine, card and data folder. Raises SupervisorRefused where it is taken."""
    folder: Path = settings.DATA_DIR / "running"
    folder.mkdir(parents=True, exist_ok=True)
    card = re.sub(r"[^A-Za-z0-9-]", "_", os.environ.get("CUDA_VISIBLE_DEVICES", "")) if part == "press" else ""
    with (folder / "-".join(filter(None, (socket.gethostname(), part, card)))).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise SupervisorRefused(
                f"A library with the data folder {settings.DATA_DIR} runs on this machine already (its {part}).",
                hint="Use that one, or set BABELIA_DATA to another folder.",
            ) from error
        yield


def _listen(host: str, port: int, say: Callable[[str], None]) -> socket.socket:
    """A listening socket on the port, or the next free one, which is then named."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for candidate in range(port, min(port + PORTS_TRIED, 65536)):
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((host, candidate))
            listening.listen(2048)
        except PermissionError as error:
            listening.close()
            raise SupervisorRefused(
                f"Port {candidate} is not ours to listen on.", hint="Set BABELIA_PORT to one above 1023."
            ) from error
        except OSError as error:
            listening.close()
            if error.errno == 98 or candidate != port:  # EADDRINUSE
                continue
            raise SupervisorRefused(
                f"The site cannot listen on {host} ({error.strerror}).",
                hint="BABELIA_LISTEN is an address of this machine: 127.0.0.1, or 0.0.0.0 for all of them.",
            ) from error
        if candidate != port:
            say(f"Port {port} is taken, so the site uses port {candidate}.")
        return listening
    raise SupervisorRefused(f"The ports from {port} on are all taken.", hint="Set BABELIA_PORT to another one.")


def _free_port(first: int) -> int:
    """The first port of loopback from `first` on that nobody listens on."""
    for port in range(first, first + PORTS_TRIED):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                return port
    raise SupervisorRefused(f"The ports of loopback from {first} on are all taken.", hint="Set REDIS_URL.")


def _answers(url: str) -> bool:
    try:
        with redis.Redis.from_url(url, socket_timeout=1, socket_connect_timeout=1) as client:
            return bool(client.ping())
    except redis.exceptions.AuthenticationError as error:
        raise SupervisorRefused(
            f"Redis at {_without_password(url)} does not accept the password in REDIS_URL."
        ) from error
    except (redis.exceptions.RedisError, OSError):
        return False


def _refuse_evicting(url: str) -> None:
    """Raise SupervisorRefused for a Redis that may evict the queue: pages would vanish from it without a word."""
    with redis.Redis.from_url(url, socket_timeout=2) as client:
        try:
            policy = client.config_get("maxmemory-policy").get("maxmemory-policy", "")
        except redis.exceptions.ResponseError:
            return  # a hosted server that shows no configuration
    if policy.startswith("allkeys"):
        raise SupervisorRefused(
            f"Redis at {_without_password(url)} evicts any key when memory runs short ({policy}), the queue too.",
            hint="Set its maxmemory-policy to volatile-lru or noeviction.",
        )


def _serves(port: int) -> bool:
    host = "127.0.0.1" if settings.LISTEN in ("0.0.0.0", "::") else settings.LISTEN
    connection = http.client.HTTPConnection(host, port, timeout=2)
    try:
        connection.request("GET", ALIVE)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _addresses(port: int) -> str:
    """The URLs under which the site is reached, the one for this machine first."""
    if settings.LISTEN not in ("0.0.0.0", "::"):
        shown = "localhost" if settings.LISTEN in ("127.0.0.1", "::1") else settings.LISTEN
        return f"http://{f'[{shown}]' if ':' in shown else shown}:{port}/"
    own = {
        address.address
        for addresses in psutil.net_if_addrs().values()
        for address in addresses
        if address.family == socket.AF_INET and not address.address.startswith("127.")
    }
    return "  ".join(f"http://{name}:{port}/" for name in ["localhost", *sorted(own)])


def _without_password(url: str) -> str:
    return url.rpartition("@")[2].partition("://")[2] or url.rpartition("@")[2]
