"""The parts of the library on one machine: Valkey, the press, the site; which are started, when, and what is said.

May import Django's settings, the rest of babelia that needs no site, and `worker` without its engine.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import signal
import socket
import ssl
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import redis
from django.conf import settings

from babelia import strays
from babelia.processes.errors import LibraryRefused
from babelia.processes.network import addresses, listen, public_url, serves
from babelia.processes.pulse import Questions, Watch
from babelia.processes.supervisor import Child, Supervisor
from babelia.processes.valkey import Server, remembered_port
from worker.errors import StoreUnavailable
from worker.jobs.consumer import JobConsumer
from worker.jobs.progress import Press

PARTS = ("redis", "press", "site")
PRESS_GRACE, SITE_GRACE, REDIS_GRACE = 5.0, 5.0, 3.0
"""Seconds that each part gets to stop; press and site stop together, Redis after them: 8 s in all."""
REDIS_AT_ONCE, REDIS_WITHIN = 1.0, 30.0
"""Seconds that Redis gets to answer before it is said that it is waited for, and then before that is given up: a reason
to stop where no site serves what is kept."""


def open_library(parts: Sequence[str], say: Callable[[str], None]) -> None:
    """Start some of `PARTS` and keep them running until a signal comes. Raises LibraryRefused, StoreUnavailable."""
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
            for watch in (child.watch for child in supervisor.children):
                if isinstance(watch, Watch):
                    shutil.rmtree(watch.folder, ignore_errors=True)
            if "redis" in parts:
                settings.REDIS_URL_FILE.unlink(missing_ok=True)


def _run(supervisor: Supervisor, parts: Sequence[str]) -> None:
    say = supervisor.say
    for sentence in strays.sentences():
        say(sentence)
    url = _start_redis(supervisor) if "redis" in parts and settings.REDIS_IS_OURS else settings.REDIS_URL
    if not url:
        raise LibraryRefused(
            "There is no Redis to work with.", hint="Set REDIS_URL, or start one with `manage.py library --only redis`."
        )
    listening = None
    if "site" in parts:  # first, whatever becomes of Redis: what is kept is served without it
        may_move = set(parts) == set(PARTS) and not settings.HTTPS  # behind a proxy nobody would find it again
        listening = listen(settings.LISTEN, settings.PORT, say if may_move else None)
        for number in range(settings.SITE_PROCESSES):
            supervisor.add(_site(url, listening, number + 1))
    _wait_for_redis(supervisor, url, goes_on=listening is not None)
    if supervisor.stopping:
        return
    press = supervisor.add(_press(url)) if "press" in parts else None
    if listening is not None:
        port = listening.getsockname()[1]
        if not supervisor.wait(lambda: serves(settings.LISTEN, port), 60) and not supervisor.stopping:
            say("The site does not answer yet; its messages are above.")
        say(f"The site listens at {addresses(settings.LISTEN, port)}.")
    if press is not None or "site" in parts:
        _wait_for_press(supervisor, url, press)
    if listening is not None and not supervisor.stopping:
        say(f"\n    The library is open:  {_url(listening.getsockname()[1])}\n{_how_to_close()}")
    supervisor.wait(lambda: False)


def _url(port: int) -> str:
    """What somebody types who wants to read: behind HTTPS the site's name, else where it listens."""
    public = public_url(settings.ALLOWED_HOSTS, settings.PREFIX) if settings.HTTPS else None
    return public or addresses(settings.LISTEN, port)


def _how_to_close() -> str:
    """A line for whoever started the library by hand; a service is stopped by what started it."""
    return "    Ctrl-C closes it.\n" if sys.stdin is not None and sys.stdin.isatty() else ""


def _wait_for_redis(supervisor: Supervisor, url: str, *, goes_on: bool) -> None:
    """Wait until Redis answers. Where it does not: say so if the library `goes_on`, else raise StoreUnavailable."""
    if not supervisor.wait(lambda: _answers(url), REDIS_AT_ONCE) and not supervisor.stopping:
        meanwhile = ", and serving what is kept meanwhile" if goes_on else ""
        supervisor.say(f"Waiting for Redis at {_without_password(url)} to answer{meanwhile}.")
    if supervisor.wait(lambda: _answers(url), REDIS_WITHIN):
        _refuse_evicting(url)
    elif supervisor.stopping:
        return
    elif goes_on:
        supervisor.say(
            f"Redis at {_without_password(url)} does not answer, so nothing new is printed until it does. "
            "Kept pages can be read all the same."
        )
    else:
        raise StoreUnavailable(
            f"Redis at {_without_password(url)} does not answer.", hint="Check REDIS_URL and that the server runs."
        )


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
        if one.able and one.rendition:
            say(f"The press can print: {one.rendition}.")
        else:
            say(f"The press cannot print: {one.sentence} Kept pages can be read all the same.")


def _start_redis(supervisor: Supervisor) -> str:
    folder = settings.DATA_DIR / "valkey"
    server = Server(folder, remembered_port(folder, supervisor.say))

    def command() -> list[str]:
        place = server.set_aside_damage()
        if place is not None:
            supervisor.say(
                f"The queue's file was damaged and is set aside at {place}. The queue begins empty: whoever opens a "
                "page that waited puts it there again."
            )
        return server.command()

    supervisor.add(
        Child(
            "Redis",
            command,
            settings.BASE_DIR,
            REDIS_GRACE,
            ends_with_us=signal.SIGTERM,
            stops_last=True,
            watch=Questions("server", lambda: _says_something(server.url)),
        )
    )
    file = settings.REDIS_URL_FILE
    beside = file.with_name(f"{file.name}.partial")  # whoever finds the file empty would take another server for ours
    beside.unlink(missing_ok=True)
    beside.touch(0o600)
    beside.write_text(server.url, encoding="ascii")
    beside.replace(file)
    return server.url


def _press(url: str) -> Child:
    command = [sys.executable, "-m", "celery", "-q", "-A", "babelia", "worker", "--loglevel", "WARNING"]
    # prefork with one child: the parent keeps the broker alive and can end a print that hangs; the child has the model.
    command += ["--pool", "prefork", "--concurrency", "1", "--without-gossip", "--without-mingle"]
    watch = Watch(_pulses("press"), "child")
    return Child(
        "The press",
        lambda: command,
        settings.BASE_DIR,
        PRESS_GRACE,
        {"REDIS_URL": url},
        nice=settings.PRESS_NICENESS,
        watch=watch,
    )


def _pulses(part: str) -> Path:
    """A new folder for one part's signs of life: on a disk of this machine, whatever becomes of the data folder's."""
    return Path(tempfile.mkdtemp(prefix=f"babelia-{part}-"))


def _site(url: str, listening: socket.socket, number: int) -> Child:
    command = [sys.executable, "-m", "babelia.serve", "--fd", str(listening.fileno())]
    name = "The site" if settings.SITE_PROCESSES == 1 else f"The site's process {number}"
    return Child(
        name,
        lambda: command,
        settings.BASE_DIR,
        SITE_GRACE,
        {"REDIS_URL": url},
        sockets=(listening.fileno(),),
        watch=Watch(_pulses(f"site-{number}"), "site"),
    )


@contextlib.contextmanager
def _only_one(part: str) -> Iterator[None]:
    """Hold the place of a part on this machine, card and data folder. Raises LibraryRefused where it is taken."""
    folder: Path = settings.DATA_DIR / "running"
    folder.mkdir(parents=True, exist_ok=True)
    card = re.sub(r"[^A-Za-z0-9-]", "_", os.environ.get("CUDA_VISIBLE_DEVICES", "")) if part == "press" else ""
    with (folder / "-".join(filter(None, (socket.gethostname(), part, card)))).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise LibraryRefused(
                f"A library with the data folder {settings.DATA_DIR} runs on this machine already (its {part}).",
                hint="Use that one, or set BABELIA_DATA to another folder.",
            ) from error
        yield


def _answers(url: str) -> bool:
    """Whether a Redis answers there. Raises LibraryRefused where it wants another password."""
    try:
        with redis.Redis.from_url(url, socket_timeout=1, socket_connect_timeout=1) as client:
            return bool(client.ping())
    except redis.exceptions.AuthenticationError as error:
        raise LibraryRefused(f"Redis at {_without_password(url)} does not accept the password in REDIS_URL.") from error
    except redis.exceptions.ResponseError as error:
        raise LibraryRefused(f"Redis at {_without_password(url)} refuses: {error}.", hint="Check REDIS_URL.") from error
    except (redis.exceptions.RedisError, OSError) as error:
        if _is_untrusted(error):
            raise LibraryRefused(
                f"Redis at {_without_password(url)} shows a certificate that is not trusted here.",
                hint="Name the file of its CA in REDIS_URL: …?ssl_ca_certs=/path/of/ca.pem",
            ) from error
        return False


def _says_something(url: str) -> bool:
    """Whether a Redis answers there, be it that it refuses us."""
    try:
        return _answers(url)
    except LibraryRefused:
        return True


def _is_untrusted(error: BaseException | None) -> bool:
    """Whether a certificate that could not be verified lies behind an error."""
    while error is not None and not isinstance(error, ssl.SSLCertVerificationError):
        error = error.__cause__ or error.__context__
    return error is not None


def _refuse_evicting(url: str) -> None:
    """Raise LibraryRefused for a Redis that may evict the queue: pages would vanish from it without a word."""
    with redis.Redis.from_url(url, socket_timeout=2) as client:
        try:
            policy = client.config_get("maxmemory-policy").get("maxmemory-policy", "")
        except redis.exceptions.ResponseError:
            return  # a hosted server that shows no configuration
    if policy.startswith("allkeys"):
        raise LibraryRefused(
            f"Redis at {_without_password(url)} evicts any key when memory runs short ({policy}), the queue too.",
            hint="Set its maxmemory-policy to volatile-lru or noeviction.",
        )


def _without_password(url: str) -> str:
    """Where a Redis is, for people: the URL without account and options."""
    where = url.partition("?")[0].rpartition("@")[2]
    return where.partition("://")[2] or where
