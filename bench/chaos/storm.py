"""SIGKILL to the child that prints, its worker, Valkey and the site, in turn; and how long each takes to come back."""

import random
import re
import time
from collections import Counter
from collections.abc import Callable

import psutil
import redis

from bench.chaos.report import Report
from bench.chaos.running import Library, ask, wait_until

PAGES, KILLS = 80, 34
PAUSE = (3.0, 9.0)
"""Seconds between two kills."""
IDLE = 60.0
"""Seconds without a new page after which no more are waited for."""
LET_GO = 5.0
"""Seconds after the last page within which its press has to let go of it: a claim that is left lapses after 45."""
BACK, SERVED_AGAIN = 2.0, 4.0
"""Seconds that recovery may take: of the press beside its loading and one page, and of what needs no loading."""


def parts(running: Library) -> dict[str, Callable[[], psutil.Process | None]]:
    """The processes that are killed, by name."""
    return {
        "child": running.child_of_press,
        "worker": lambda: running.part("celery"),
        "Valkey": lambda: running.part("valkey-server"),
        "site": lambda: running.part("babelia.serve"),
    }


def storm(running: Library, report: Report) -> None:
    """Ask for pages one after the other while something is killed every few seconds; then each has to be there once."""
    chance = random.Random(1)
    before = running.kept()
    killed: Counter[str] = Counter()
    asked = 0
    for number in range(KILLS):
        while asked < PAGES * (number + 1) // KILLS:
            if running.ask_for("storm", asked + 1) in (200, 202):
                asked += 1
            else:
                time.sleep(0.2)  # what was killed is not back yet
        time.sleep(chance.uniform(*PAUSE))
        name, find = list(parts(running).items())[number % 4]
        process = find()
        if process is not None:
            process.kill()
            killed[name] += 1
    began = time.monotonic()
    _wait_while_pages_come(running, before)
    report.told(f"{PAGES} pages while " + ", ".join(f"{count} × {name}" for name, count in killed.items()), "killed")
    report.told("… from the last kill until the last of them is printed", time.monotonic() - began, "s")
    report.exactly("… that are printed", len(running.kept() - before), PAGES)
    prints = Counter(re.findall(r"Printed (\S*/storm/\d+) in", running.said))
    report.exactly("… that were printed more than once", sum(count > 1 for count in prints.values()), 0)
    with redis.Redis.from_url(running.redis_url) as server:
        wait_until(lambda: bool(server.ping()), 30, "Valkey answers")
        # A page is on disk a moment before its press has told everybody and let go of it.
        ends = time.monotonic() + LET_GO
        while _claims(server) and time.monotonic() < ends:
            time.sleep(0.1)
        report.exactly("… claims that are left", _claims(server), 0)


def _claims(server: redis.Redis) -> int:
    """How many pages a press holds, by their claims and by the list of what is printed."""
    return sum(1 for _ in server.scan_iter("babelia:claim:*")) + int(server.zcard("babelia:printing"))


def _wait_while_pages_come(running: Library, before: set[str]) -> None:
    """Wait until all pages are printed, or none was for a minute: how fast they come is the machine's business."""
    seen, heard = 0, time.monotonic()
    while seen < PAGES and time.monotonic() - heard < IDLE:
        time.sleep(0.2)
        now = len(running.kept() - before)
        if now > seen:
            seen, heard = now, time.monotonic()


def recovery(running: Library, report: Report) -> None:
    """Kill each part once, and wait for a new page."""
    page = _printed(running, "by-itself")
    report.told("a new page by itself", page, "s")
    for name in ("child", "worker"):
        before = parts(running)[name]()
        assert before is not None
        began = time.monotonic()
        before.kill()
        _wait_for_another(running, name, before)
        started = time.monotonic() - began
        _wait_until_loaded(running)
        loaded = time.monotonic() - began
        _printed(running, f"after-{name}")
        whole = time.monotonic() - began
        report.told(f"from a killed {name} to a new page, loading for {loaded - started:.1f} s of it", whole, "s")
        report.most("… beside loading and the page itself", whole - (loaded - started) - page, BACK, "s")
    for name in ("Valkey", "site"):
        process = parts(running)[name]()
        assert process is not None
        began = time.monotonic()
        process.kill()
        _printed(running, f"after-{name}")
        report.most(f"from a killed {name} to a new page", time.monotonic() - began, SERVED_AGAIN + page, "s")


def _wait_for_another(running: Library, name: str, before: psutil.Process) -> None:
    def another() -> bool:
        found = parts(running)[name]()
        return found is not None and found.pid != before.pid

    wait_until(another, 60, f"the {name} is started again")


def _wait_until_loaded(running: Library) -> None:
    """Wait until the press has said that it loads, and then that it can print."""
    jobs = running.jobs()
    seen = False

    def able() -> bool:
        nonlocal seen
        worker = running.part("celery")
        said = [press for press in jobs.presses() if worker is not None and press.parent == worker.pid]
        seen = seen or any(press.state == "loading" for press in said)
        return seen and any(press.able for press in said)

    try:
        wait_until(able, 90, "the press is loaded")
    finally:
        jobs.close()


def _printed(running: Library, name: str) -> float:
    """Ask for a page until it is printed; the seconds from the first try."""
    path, began = f"{running.page(name)}.png", time.monotonic()
    wait_until(lambda: ask(running.port, path).status == 200, 90, f"{path} is printed")
    return time.monotonic() - began
