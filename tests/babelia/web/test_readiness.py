"""babelia.web.readiness: what a load balancer is told while Redis, the database or the data folder is away."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests import ROOT
from tests.conftest import RunningPress, run_site, run_valkey
from tests.visitor import ask


@pytest.fixture
def library(tmp_path: Path) -> RunningPress:
    """The settings of a library whose press is never started."""
    data = tmp_path / "data"
    data.mkdir()
    return RunningPress(data, "")


def missing(site: str) -> tuple[int, list[str]]:
    """The status, and what is named as missing, as soon as the last answer is a second old."""
    time.sleep(1.1)
    began = time.monotonic()
    answer = ask(site, "/-/ready")
    assert time.monotonic() - began < 4
    found = json.loads(answer.body)
    assert found["ready"] is (answer.status == 200)
    assert ask(site, "/-/alive").status == 200
    return answer.status, sorted(found["missing"])


def test_it_is_ready_when_redis_database_and_data_answer_and_names_what_does_not(
    library: RunningPress, tmp_path: Path
) -> None:
    with run_valkey(tmp_path / "valkey") as (url, valkey):
        library.redis_url = url
        with run_site(library) as site:
            assert missing(site) == (200, [])
            assert ask(site, "/-/ready", Host="balancer.example").status == 200
            assert ask(site, "/-/ready", "HEAD").body == b""
            valkey.send_signal(signal.SIGSTOP)
            assert missing(site) == (503, ["redis"])
            valkey.send_signal(signal.SIGCONT)
            assert missing(site) == (200, [])
            database = library.data / "library.sqlite3"
            script = "import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute(sys.argv[2])"
            subprocess.run([sys.executable, "-c", script, database, "DROP TABLE gallery_page"], cwd=ROOT, check=True)
            assert missing(site) == (503, ["database"])
            valkey.kill()
            valkey.wait()
            library.data.rename(tmp_path / "unmounted")
            assert missing(site)[0] == 503
            assert {"data", "redis"} <= set(missing(site)[1])
