"""DATABASE_URL with a real PostgreSQL: two sites and two presses over one database, one queue and one folder."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import redis

from tests import ROOT
from tests.conftest import RunningPress, free_port, run_site, wait_until, write_edition
from tests.forked import commands
from tests.visitor import ask
from tests.worker.store import keep, key_of, stacks
from worker.catalogue.address import Address
from worker.jobs.consumer import JobConsumer
from worker.store.backup import read_backup
from worker.store.store import Store


@contextlib.contextmanager
def presses(data: Path, url: str, count: int) -> Iterator[list[RunningPress]]:
    """Presses over one queue and one data folder, as on machines of their own."""
    running = [RunningPress(data, url) for _ in range(count)]
    try:
        for press in running:
            press.launch()
        for press in running:
            press.wait_until_ready()
        yield running
    finally:
        for press in running:
            if press.process is not None:
                press.stop()


def rows_of_pages(url: str) -> int:
    with psycopg.connect(url) as connection:
        found = connection.execute("SELECT count(*) FROM gallery_page").fetchone()
    assert found is not None
    return int(found[0])


def test_two_sites_and_two_presses_are_one_library(
    postgresql: str, valkey: str, tiny_weights: Path, tmp_path: Path
) -> None:
    write_edition(tmp_path, "tiny", str(tiny_weights))
    url = valkey.removesuffix("/0") + "/6"
    with redis.Redis.from_url(url) as client:
        client.flushdb()
    database = {"DATABASE_URL": postgresql, "SECRET_KEY": "one key for both sites " * 3}
    with (
        presses(tmp_path, url, 2) as (first, second),
        run_site(second, **database) as one,
        run_site(second, **database) as other,
    ):
        jobs = JobConsumer(url)
        assert len([press for press in jobs.presses() if press.able]) == 2
        jobs.close()
        assert ask(one, "/tiny/key/together/1.png").status == 200
        first.stop()  # the other one prints what comes
        assert ask(other, "/tiny/key/together/2.png").status == 200
        for site in (one, other):
            for page in (1, 2):
                assert ask(site, f"/tiny/key/together/{page}/").status == 200
                assert ask(site, f"/tiny/key/together/{page}.json").json["state"] == "kept"

        wait_until(lambda: rows_of_pages(postgresql) >= 2, 20, "the sites have written down both pages")
        assert not (tmp_path / "library.sqlite3").exists()

        # Hidden on one machine, gone on both.
        commands().manage(second.environment | database, "hide", "tiny/key/together/1")
        for site in (one, other):
            wait_until(lambda: ask(site, "/tiny/key/together/1.png").status == 410, 15, "the page is hidden")  # noqa: B023
        assert ask(other, "/tiny/key/together/2.png").status == 200


def environment_of(data: Path, **environment: str) -> dict[str, str]:
    return os.environ | {"BABELIA_DATA": str(data), "REDIS_URL": ""} | environment


def manage(data: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """What became of a command of manage.py."""
    return commands().run(["manage.py", *words], environment_of(data, **environment))


def python(data: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """What became of a process of its own, which reads every variable from its beginning on."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=environment_of(data, **environment),
        capture_output=True,
        text=True,
        check=False,
    )


def test_sites_that_start_together_migrate_one_after_the_other(postgresql: str, tmp_path: Path) -> None:
    with psycopg.connect(postgresql, autocommit=True) as connection:
        connection.execute("CREATE DATABASE fresh")
    fresh = f"{postgresql.removesuffix('/postgres')}/fresh"
    command = [sys.executable, "manage.py", "library", "--only", "site"]
    # No Redis answers there: each ends after its migration, with a sentence about that.
    own = {"DATABASE_URL": fresh, "REDIS_URL": "", "BABELIA_PORT": str(free_port())}
    sites = [
        subprocess.Popen(
            command,
            cwd=ROOT,
            env=os.environ | own | {"BABELIA_DATA": str(tmp_path / str(number))},
            stderr=subprocess.PIPE,
        )
        for number in range(4)
    ]
    said = [site.communicate(timeout=120)[1].decode() for site in sites]
    assert ["There is no Redis to work with." in text for text in said] == [True] * 4, said


def test_a_backup_taken_while_the_library_runs_comes_back_in_postgresql_and_in_sqlite(
    postgresql: str, valkey: str, tmp_path: Path
) -> None:
    """Kept pages need no press; the rows are what a site wrote of those who opened them, while others open more."""
    with psycopg.connect(postgresql, autocommit=True) as connection:
        connection.execute("CREATE DATABASE saved")
        connection.execute("CREATE DATABASE brought_back")
    saved, brought_back = (f"{postgresql.removesuffix('/postgres')}/{name}" for name in ("saved", "brought_back"))
    url = valkey.removesuffix("/0") + "/6"
    here, file = RunningPress(tmp_path / "here", url), tmp_path / "backup"
    write_edition(here.data, "tiny", "no-weights")
    store = Store(here.data, reserve=0)
    pages = [stacks(page, "saved") for page in range(1, 41)]
    for page in pages:
        keep(store, page, shade=1)
    brought = store.keep_key(key_of(stacks(1, "brought")))

    def backup(data: Path, database: str, to: Path) -> list[dict[str, Any]]:
        done = manage(data, "backup", str(to), DATABASE_URL=database)
        assert done.returncode == 0, done.stderr
        return read_backup(to)

    with run_site(here, DATABASE_URL=saved) as site:
        for page in pages[:20]:
            assert ask(site, page.path()).status == 200
        wait_until(lambda: len(backup(here.data, saved, file)) >= 20, 20, "the site has written its rows")
        assert manage(here.data, "hide", pages[0].format(), DATABASE_URL=saved).returncode == 0
        with ThreadPoolExecutor(1) as pool:
            opening = pool.submit(lambda: [ask(site, page.path()).status for page in pages[20:]])
            rows = backup(here.data, saved, file)
            assert set(opening.result()) == {200}

    assert sum(row["hidden"] for row in rows) == 1
    lite = f"sqlite:///{quote(str(tmp_path / 'lite.sqlite3'), safe='/')}"
    for name, database in (("again", brought_back), ("lite", lite)):
        there = RunningPress(tmp_path / name, url)
        write_edition(there.data, "tiny", "no-weights")
        with run_site(there, DATABASE_URL=database) as site:  # it runs while everything comes back
            assert ask(site, pages[0].path(), User_Agent="examplebot/1.0").status == 200
            for _ in range(2):  # the second time, all of it is there
                done = manage(there.data, "restore", str(file), DATABASE_URL=database)
                assert done.returncode == 0, done.stderr
            assert f"0 of {len(rows)} rows and 0 files were not there" in done.stdout
            for address in (pages[0], Address("tiny", "mark", key_of(pages[0]).mark, None)):
                assert ask(site, address.path()).status == 410, "from the first request on"
            assert ask(site, f"/tiny/mark/{brought}.txt").text == key_of(stacks(1, "brought")).format()
        assert backup(there.data, database, tmp_path / "second") == rows


def test_a_database_that_does_not_answer_is_a_sentence(tmp_path: Path) -> None:
    url = f"postgres://librarian:secret@127.0.0.1:{free_port()}/pages"
    done = manage(tmp_path, "library", "--only", "site", DATABASE_URL=url)
    assert done.returncode == 1
    assert "The database cannot be used: " in done.stderr
    assert "Check DATABASE_URL." in done.stderr
    assert "Traceback" not in done.stderr
    assert "secret" not in done.stderr


def test_a_missing_driver_is_named_with_what_installs_it(tmp_path: Path) -> None:
    script = (
        "import sys; sys.modules['psycopg'] = None; sys.argv = ['manage.py', 'check']; import manage; manage.main()"
    )
    done = python(tmp_path, "-c", script, DATABASE_URL="postgres://librarian:secret@127.0.0.1/pages")
    assert done.returncode == 2
    assert done.stderr == (
        "DATABASE_URL names PostgreSQL, and its driver psycopg is missing here. "
        "Install it: python -m pip install -r requirements.txt.\n"
    )


def test_libpq_s_own_variables_decide_nothing(postgresql: str, tmp_path: Path) -> None:
    strays = {"PGHOST": "192.0.2.1", "PGPORT": "1", "PGDATABASE": "another", "PGUSER": "nobody", "PGSERVICE": "other"}
    strays |= {"PGOPTIONS": "-c search_path=nowhere", "PGSSLMODE": "verify-full"}
    done = python(tmp_path, "manage.py", "migrate", "-v", "0", DATABASE_URL=postgresql, **strays)
    assert done.returncode == 0, done.stderr
    said = python(tmp_path, "manage.py", "check", DATABASE_URL=postgresql, **strays).stderr
    assert [
        name for name in strays if f"The variable {name} is set and does not count here: DATABASE_URL" not in said
    ] == []
