"""Many visitors at once: of a kept page, of one page that is printed, of pages that nobody has opened; silent ones."""

import http.client
import itertools
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from statistics import median

import redis

from bench.chaos.report import Report, percentile
from bench.chaos.running import BROWSER, Answer, Library, ask, close, following, wait_until

KEPT_A_SECOND, KEPT_SECONDS, KEPT_TIMES, KEPT_MS, SLOWEST_MS = 200, 8, 5, 60.0, 100.0
FOLLOWERS = 300
NEW, NEW_SECONDS = 2000, 10
SILENT, SILENT_SECONDS = 1000, 10.0
_HANDS = 24


def kept_while_printing(running: Library, report: Report, steps: int) -> None:
    """A kept page at a steady rate, while the press is at work for all of that time.

    Several times: a borrowed machine may stand still for a tenth of a second, which is all that the slowest of them
    shows, so that the middle one has a bar of its own.
    """
    kept = f"{running.page('kept')}.png"
    assert ask(running.port, kept).status == 200
    stop = threading.Event()

    def go_on_printing() -> None:
        while not stop.is_set():
            ask(running.port, f"{running.long_page(steps)}.png", timeout=120)

    printing = threading.Thread(target=go_on_printing)
    printing.start()
    try:
        _at_a_rate(running.port, itertools.repeat(kept, KEPT_A_SECOND), KEPT_A_SECOND)  # the site has just been opened
        times = [
            _at_a_rate(running.port, itertools.repeat(kept, KEPT_A_SECOND * KEPT_SECONDS), KEPT_A_SECOND)
            for _ in range(KEPT_TIMES)
        ]
    finally:
        stop.set()
        printing.join()
    report.exactly(
        f"{KEPT_A_SECOND} kept pictures a second while a page prints: answers other than 200",
        sum(answer.status != 200 for answers in times for answer in answers),
        0,
    )
    slowest = sorted(percentile([1000 * answer.seconds for answer in answers], 0.99) for answers in times)
    report.most(
        f"… 99 % of them within (the middle of {KEPT_TIMES} times {KEPT_SECONDS} s)", median(slowest), KEPT_MS, "ms"
    )
    report.most("… 99 % of them within, the slowest time", slowest[-1], SLOWEST_MS, "ms")


def followers(running: Library, report: Report, steps: int) -> None:
    """One page that many follow: each is told that it is there."""
    with following(running.port, running.long_page(steps), FOLLOWERS) as streams:

        def end(stream: http.client.HTTPResponse) -> tuple[bool, float]:
            kept = any(b'"state": "kept"' in line for line in stream if line.startswith(b"data: "))
            return kept, time.monotonic()

        with ThreadPoolExecutor(FOLLOWERS) as pool:
            ended = list(pool.map(end, streams))
    report.exactly(
        f"of {FOLLOWERS} who follow one page, told that it is printed", sum(kept for kept, _ in ended), FOLLOWERS
    )
    moments = [moment for _, moment in ended]
    report.most("… from the first to the last of them", max(moments) - min(moments), 2.0, "s")


def new_addresses(running: Library, report: Report) -> None:
    """Pages that nobody has opened, far more than can be printed."""
    with redis.Redis.from_url(running.redis_url) as server:
        before = server.info("memory")["used_memory"]
        paths = (f"{running.page(f'crowd{number}')}/" for number in range(NEW))
        answers = _at_a_rate(running.port, paths, NEW / NEW_SECONDS)
        after = server.info("memory")["used_memory"]
        server.delete(f"babelia:waiting:{running.edition}")  # what is tried next need not wait for all of them
    statuses = Counter(answer.status for answer in answers)
    said = ", ".join(f"{count} × {status}" for status, count in sorted(statuses.items()))
    report.exactly(
        f"{NEW:,} new addresses in {NEW_SECONDS} s ({said}): others than 200 and 503",
        sum(count for status, count in statuses.items() if status not in (200, 202, 503)),
        0,
    )
    report.most("… more memory in Valkey", (after - before) / 1e6, 4.0, "MB")


def silent_hands(running: Library, report: Report) -> None:
    """Connections that never finish their headers: others are served meanwhile, and these are closed."""
    silent = [socket.create_connection(("127.0.0.1", running.port)) for _ in range(SILENT)]
    try:
        for connection in silent:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-")
        answer = ask(running.port, "/about/")
        report.exactly(f"answers while {SILENT:,} connections never finish their headers", answer.status, 200)
        report.most("… after", answer.seconds, 1.0, "s")
        seconds = wait_until(lambda: all(map(_is_closed, silent)), 60, "all of them are closed")
        report.most("… until all of those are closed", seconds, SILENT_SECONDS + 5, "s")
    finally:
        for connection in silent:
            connection.close()


def closing(running: Library, report: Report, steps: int) -> None:
    """Ctrl-C while many follow a page."""
    with following(running.port, running.long_page(steps), 50):
        report.most("Ctrl-C with 50 open streams, until nothing runs any more", close(running.process), 10.0, "s")


def _is_closed(connection: socket.socket) -> bool:
    connection.setblocking(False)
    try:
        while connection.recv(1000):
            pass
    except BlockingIOError:
        return False
    except OSError:
        pass
    return True


def _at_a_rate(port: int, paths: Iterable[str], rate: float) -> list[Answer]:
    """Ask for each path when it is due, whether the site answers or not; a wait counts from that moment."""
    answers: list[Answer] = []
    due = _clock(rate)
    turn, todo = threading.Lock(), iter(paths)

    def visit() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        while True:
            with turn:
                path, moment = next(todo, None), due()
            if path is None:
                connection.close()
                return
            time.sleep(max(0.0, moment - time.monotonic()))
            try:
                connection.request("GET", path, headers={"User-Agent": BROWSER})
                answer = connection.getresponse()
                body = answer.read()
                answers.append(Answer(answer.status, body[:0], time.monotonic() - moment))
            except (OSError, http.client.HTTPException):
                connection.close()
                answers.append(Answer(0, b"", time.monotonic() - moment))

    hands = [threading.Thread(target=visit) for _ in range(_HANDS)]
    for hand in hands:
        hand.start()
    for hand in hands:
        hand.join()
    return answers


def _clock(rate: float) -> Callable[[], float]:
    began, number = time.monotonic(), itertools.count()
    return lambda: began + next(number) / rate
