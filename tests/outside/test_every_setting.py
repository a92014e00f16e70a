"""What the table of settings offers, each value run for real, and the list of how in docs/operating.md held to it.

What needs a server of another kind is beside this file: PostgreSQL, Redis, folders, hosts, malformed values.
"""

import contextlib
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import redis

from babelia.environment import SETTINGS
from tests import ROOT
from tests.babelia.processes.test_library import answers, library
from tests.conftest import RunningPress, free_port, run_site, wait_until, write_edition
from tests.outside.conftest import HOST
from tests.outside.test_strays import STRAYS
from tests.visitor import ask, long_page

KEY = "five5" * 10


def test_the_operators_guide_says_how_each_setting_was_run() -> None:
    from babelia import settings  # noqa: F401  (reading it fills the table)

    guide = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8").partition("## How each setting was run")[2]
    rows = re.findall(r"^\| `([A-Z][A-Z_]+)` \| (.+) \|$", guide, re.MULTILINE)
    assert [name for name, _ in rows] == list(SETTINGS)
    for name, how in rows:
        tests = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", how)
        assert tests, f"{name} names no test"
        for file, test in tests:
            assert f"def {test}(" in (ROOT / file).read_text(encoding="utf-8"), f"{name}: {file}::{test} is not there"


def test_a_library_runs_with_nearly_everything_set(tiny_weights: Path, tmp_path: Path) -> None:
    """What is set for other programs too: it is named, and none of it counts."""
    write_edition(tmp_path, "tiny", str(tiny_weights))
    write_edition(tmp_path, "other", str(tiny_weights))
    port = free_port()
    told = {
        "BABELIA_LISTEN": "0.0.0.0",
        "BABELIA_PORT": str(port),
        "BABELIA_SITE_PROCESSES": "3",
        "BABELIA_PROXIES": "127.0.0.1, 10.0.0.0/8",
        "BABELIA_HOSTS": "localhost,127.0.0.1,.example.org",
        "SECRET_KEY": KEY,
        "BABELIA_PICTURE_WAIT": "30",
        "BABELIA_EDITIONS": "tiny",
        "BABELIA_DEVICE": "cpu",
        "BABELIA_THREADS": "1",
        "BABELIA_BATCH": "2",
        "BABELIA_PRESS_NICENESS": "3",
        "BABELIA_LEASE": "15",
        "BABELIA_PRINT_LIMIT": "60",
        "BABELIA_QUEUE_LIMIT": "9",
        "BABELIA_SEARCH_LIMIT": "9",
        "BABELIA_PRINT_AHEAD": "true",
        "BABELIA_VISITOR_LIMIT": "90",
        "BABELIA_VISITOR_WAITING": "9",
        "BABELIA_DISK_BUDGET": "2.5 GB",
        "BABELIA_DISK_RESERVE": "1 MB",
        "BABELIA_HOT_PICTURES": "0",
        "BABELIA_LOG_LEVEL": "DEBUG",
    }
    with library(tmp_path, **told, **STRAYS) as running:
        running.wait_until_open()
        assert running.port == port
        assert " batch 2, " in running.said
        assert " 1 threads, " in running.said
        named = [name for name in STRAYS if re.search(rf"^The variable {name} is set", running.said, re.MULTILINE)]
        assert named == list(STRAYS)
        assert len([child for child in running.family if "babelia.serve" in " ".join(child.cmdline())]) == 3
        pressing = [child.nice() for child in running.family if "celery" in " ".join(child.cmdline())]
        assert set(pressing) == {min(19, os.nice(0) + 3)}
        for number in range(4):  # twice: the second answer would come from Redis
            assert answers(port, f"/tiny/key/all/{number % 2 + 1}.png") == 200
        assert ask(f"http://127.0.0.1:{port}", "/", Host=HOST).status == 200
        assert "Printed " in running.said  # what INFO and DEBUG say
        with redis.Redis.from_url((tmp_path / "valkey" / "url").read_text()) as client:
            assert client.keys("babelia:hot:*") == []
            presses = [client.get(key) or b"" for key in client.keys("babelia:press:*")]
        assert [b'"editions": ["tiny"]' in said for said in presses] == [True]
        assert not (tmp_path / "secret-key").exists()


def test_a_device_that_is_not_here_is_a_sentence_and_kept_pages_are_read(tiny_weights: Path, tmp_path: Path) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has CUDA")
    write_edition(tmp_path, "tiny", str(tiny_weights))
    told = {"BABELIA_PORT": str(free_port()), "BABELIA_SITE_PROCESSES": "1", "BABELIA_DEVICE": "cuda"}
    with library(tmp_path, **told) as running:
        running.wait_until_open()
        assert "The press cannot print: " in running.said
        assert "cuda" in running.said.lower()
        assert answers(running.port) == 200


# -- sites without a press


@pytest.fixture
def apart(valkey: str, tmp_path: Path) -> RunningPress:
    """A library of its own in an empty database, whose press is not started."""
    return of_its_own(valkey, tmp_path, 9)


def of_its_own(valkey: str, folder: Path, database: int) -> RunningPress:
    url = valkey.removesuffix("/0") + f"/{database}"
    with redis.Redis.from_url(url) as client:
        client.flushdb()
    return RunningPress(folder, url)


def test_a_picture_that_nobody_prints_is_waited_for_as_long_as_the_setting_says(
    apart: RunningPress, tiny_weights: Path
) -> None:
    write_edition(apart.data, "tiny", str(tiny_weights))
    with run_site(apart, BABELIA_PICTURE_WAIT="1") as site:
        found = ask(site, "/tiny/key/nobody/1.png")
    assert found.status == 503
    assert "Nothing draws new pictures right now" in found.text


def test_a_full_disk_is_said_at_once_and_nothing_printed(apart: RunningPress, tiny_weights: Path) -> None:
    """`ask` gives up long before a picture is no longer waited for here."""
    write_edition(apart.data, "tiny", str(tiny_weights))
    with run_site(apart, BABELIA_DISK_RESERVE="900000 TB", BABELIA_PICTURE_WAIT="600") as site:
        page = ask(site, "/tiny/key/full/1/").text
        pictures = [ask(site, f"/tiny/key/full/1{form}") for form in (".png", ".txt")]
    assert "cannot be drawn right now; those opened before still show. For the keeper: The disk has " in page
    for found in pictures:
        assert found.status == 503
        assert "The disk has " in found.text


def test_debug_pages_are_shown_where_they_are_asked_for(apart: RunningPress) -> None:
    with run_site(apart, BABELIA_DEBUG="true") as one, run_site(apart, BABELIA_DEBUG="false") as other:
        assert "DEBUG = True" in ask(one, "/nothing-here").text
        assert "DEBUG" not in ask(other, "/nothing-here").text


def test_https_redirects_and_is_believed_of_a_proxy(https_site: str, press: RunningPress) -> None:
    plain = ask(https_site, "/about/", Host=HOST, X_Forwarded_Proto="http")
    assert (plain.status, plain.headers["location"]) == (301, f"https://{HOST}/about/")
    # Of several proxies the first has spoken to the visitor; one that is silent of it would send in circles.
    for said in ({"X_Forwarded_Proto": "https"}, {"X_Forwarded_Proto": "https, http"}, {}):
        secure = ask(https_site, "/", Host=HOST, **said)
        assert (secure.status, "strict-transport-security" in secure.headers) == (200, True), said
        assert f'content="https://{HOST}/"' in secure.text
    with run_site(press, BABELIA_HTTPS="true", BABELIA_PROXIES="192.0.2.1") as site:  # nobody whom it believes
        for said in ({"X_Forwarded_Proto": "https"}, {}):
            assert ask(site, "/", **said).status == 301


# -- presses


@pytest.fixture(scope="module")
def frugal_and_strict(
    valkey: str, tiny_weights: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[RunningPress, RunningPress]]:
    """Two libraries, whose presses start at the same time: one keeps little, the other gives a print little time."""
    frugal, strict = (of_its_own(valkey, tmp_path_factory.mktemp("own"), database) for database in (10, 11))
    frugal.settings |= {"BABELIA_DISK_BUDGET": "1 MB", "BABELIA_LOG_LEVEL": "INFO"}
    strict.settings |= {"BABELIA_PRINT_LIMIT": "10", "BABELIA_LEASE": "15", "BABELIA_LOG_LEVEL": "ERROR"}
    with contextlib.ExitStack() as stack:
        for press in (frugal, strict):
            write_edition(press.data, "tiny", str(tiny_weights))
            press.launch()
            stack.callback(press.stop)
        for press in (frugal, strict):
            press.wait_until_ready()
        yield frugal, strict


def test_pages_make_room_and_the_press_says_as_much_as_is_asked_for(
    frugal_and_strict: tuple[RunningPress, RunningPress],
) -> None:
    frugal, _ = frugal_and_strict
    with run_site(frugal) as site:
        for page in range(1, 5):
            assert ask(site, f"/tiny/key/budget/{page}.png").status == 200
        pictures = frugal.data / "pages"
        wait_until(
            lambda: sum(path.stat().st_size for path in pictures.rglob("*.png")) <= 1_000_000, 20, "room is made"
        )
    logged = " INFO worker.press: Printed "
    wait_until(lambda: frugal.log.read_text(encoding="utf-8").count(logged) == 4, 10, "each print is logged")


def test_a_print_beyond_its_limit_is_stopped_and_the_press_says_no_more_than_is_asked_for(
    frugal_and_strict: tuple[RunningPress, RunningPress],
) -> None:
    """Its child is stopped in the middle of a page, as one that hangs, and ended when the limit is over."""
    _, strict = frugal_and_strict
    with run_site(strict) as site, redis.Redis.from_url(strict.redis_url) as client:
        assert ask(site, "/tiny/key/said/1.png").status == 200
        assert ask(site, long_page(site).path()).status == 200
        wait_until(lambda: client.zcard("babelia:printing") == 1, 20, "the page is being printed")
        child = strict.child
        assert child is not None
        os.kill(child, signal.SIGSTOP)
        wait_until(lambda: not psutil.pid_exists(child), 40, "the child is ended")
    assert " INFO " not in strict.log.read_text(encoding="utf-8")
