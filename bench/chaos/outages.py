"""Redis dead, Redis frozen, and a clock that jumps by an hour."""

import contextlib
import json
import os
import re
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import redis

from babelia.processes.valkey import Server
from bench.chaos.report import Report, percentile
from bench.chaos.running import Library, ask, following, free_port, library, wait_until

KEPT_MS, FROZEN_MS = 100.0, 500.0
REFUSED, REFUSED_FROZEN = 0.5, 3.0
_FAKETIME = ("/usr/lib/*/faketime/libfaketimeMT.so.1", "/usr/local/lib/faketime/libfaketimeMT.so.1")
JUMPS = (3600, -3600, 3600, 0)
CLOCK_PAGES = 12


@contextlib.contextmanager
def own_valkey(folder: Path, **environment: str) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """A Valkey that nobody starts again; its URL, and a list that begins with its process, for who starts another."""
    server = Server(folder, free_port())
    processes = [subprocess.Popen(server.command(), env=os.environ | environment)]
    try:
        yield server.url, processes
    finally:
        for process in processes:
            process.kill()
            process.wait()


def without_redis(data: Path, edition: str, report: Report) -> None:
    """What is kept and what is new, while Redis is dead and while it is frozen."""
    with (
        own_valkey(data / "own-valkey") as (url, processes),
        library(data, edition, "--only", "press", "--only", "site", REDIS_URL=url) as running,
    ):
        pages = [running.page("kept", number) for number in range(1, 9)]
        for page in pages:
            assert ask(running.port, f"{page}.png").status == 200
        processes[0].kill()
        processes[0].wait()
        _outage(running, pages, report, "dead", KEPT_MS, REFUSED)
        processes.append(subprocess.Popen(processes[0].args))  # as it was started
        began = time.monotonic()
        wait_until(lambda: ask(running.port, f"{running.page('again')}.png").status == 200, 90, "a page is printed")
        report.told("from the start of a dead Valkey to a new page", time.monotonic() - began, "s")
        processes[1].send_signal(signal.SIGSTOP)
        _outage(running, pages, report, "frozen", FROZEN_MS, REFUSED_FROZEN)
        processes[1].send_signal(signal.SIGCONT)


def _outage(running: Library, pages: list[str], report: Report, how: str, kept_ms: float, refused: float) -> None:
    new = [ask(running.port, f"{running.page(how, number)}/") for number in range(1, 4)]
    report.exactly(f"new pages while Valkey is {how}: answers other than 503", sum(a.status != 503 for a in new), 0)
    report.most("… the slowest of them", max(answer.seconds for answer in new), refused, "s")
    kept = [ask(running.port, f"{pages[number % len(pages)]}.png") for number in range(400)]
    report.exactly(f"kept pages while Valkey is {how}: answers other than 200", sum(a.status != 200 for a in kept), 0)
    report.most("… 99 % of them within", 1000 * percentile([a.seconds for a in kept], 0.99), kept_ms, "ms")
    report.told("… the slowest", 1000 * max(a.seconds for a in kept), "ms")


def wrong_clocks(data: Path, edition: str, report: Report) -> None:
    """Pages are printed and followed while Valkey’s clock, by which all leases go, jumps an hour there and back."""
    found = [str(path) for pattern in _FAKETIME for path in Path("/").glob(pattern[1:])]
    if not found:
        report.told("a clock that jumps: left out, it takes libfaketime (apt-get install faketime)", "–")
        return
    offset = data / "offset"
    data.mkdir(parents=True, exist_ok=True)
    offset.write_text("+0", encoding="ascii")
    faked = {"LD_PRELOAD": found[0], "FAKETIME_TIMESTAMP_FILE": str(offset), "FAKETIME_NO_CACHE": "1"}
    faked |= {"FAKETIME_DONT_FAKE_MONOTONIC": "1", "NO_FAKE_STAT": "1"}
    with (
        own_valkey(data / "own-valkey", **faked) as (url, _),
        library(data, edition, "--only", "press", "--only", "site", REDIS_URL=url) as running,
    ):
        done = Counter[str]()

        def follow(number: int) -> None:
            base, end = running.page("clock", number), time.monotonic() + 120
            while time.monotonic() < end:
                with following(running.port, base, 1) as (stream,):
                    for line in stream:
                        if line.startswith(b"data: ") and json.loads(line[6:])["state"] == "kept":
                            done[base] += 1
                            return

        threads = [threading.Thread(target=follow, args=(number,)) for number in range(1, CLOCK_PAGES + 1)]
        jumped = 0
        with redis.Redis.from_url(running.redis_url) as server:
            for number, thread in enumerate(threads):
                thread.start()
                if number % 3 == 2:
                    offset.write_text(f"{JUMPS[number // 3]:+d}", encoding="ascii")
                    seconds, _ = server.time()
                    jumped += abs(seconds - time.time() - JUMPS[number // 3]) < 60
                    time.sleep(1)
        for thread in threads:
            thread.join()
        prints = Counter(re.findall(r"Printed (\S*/clock/\d+) in", running.said))
        report.exactly("jumps of the clock by an hour that Valkey has seen", jumped, len(JUMPS))
        report.exactly("… pages printed meanwhile", len(done), CLOCK_PAGES)
        report.exactly("… pages printed more than once", sum(count > 1 for count in prints.values()), 0)
