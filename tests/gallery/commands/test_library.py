"""`manage.py library`: what it refuses before it starts anything. Starting and stopping: see the processes."""

import os
import subprocess
import sys
from pathlib import Path

from tests import ROOT


def library(data: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"BABELIA_DATA": str(data)} | settings
    command = [sys.executable, "manage.py", "library", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def test_a_damaged_database_is_said_and_left_alone(tmp_path: Path) -> None:
    database = tmp_path / "library.sqlite3"
    database.write_bytes(b"SQLite format 3\0" + bytes(range(256)) * 64)
    done = library(tmp_path, "--only", "site")
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    assert "database" in done.stderr
    assert database.read_bytes().startswith(b"SQLite format 3\0")


def test_a_part_that_there_is_not_is_refused(tmp_path: Path) -> None:
    done = library(tmp_path, "--only", "printer")
    assert done.returncode == 2
    assert "invalid choice" in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_part_without_redis_says_how_to_have_one(tmp_path: Path) -> None:
    done = library(tmp_path, "--only", "press", REDIS_URL="")
    assert done.returncode != 0
    assert "There is no Redis to work with. Set REDIS_URL" in done.stderr
