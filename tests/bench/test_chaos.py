"""`python -m bench.chaos`: what it says and tries; what takes minutes is left to `make chaos`."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from bench.chaos import crowds, hostile
from bench.chaos.report import Report, percentile
from bench.chaos.running import Library
from tests import ROOT
from tests.conftest import RunningPress
from tests.gallery import test_fuzz


@pytest.fixture
def running(site: str, press: RunningPress) -> Library:
    """The library that the tests share, asked as `make chaos` asks one of its own."""
    port = int(site.rpartition(":")[2])
    assert press.process is not None
    return Library(press.data, "tiny", port, press.redis_url, Path(press.log), press.process)


def test_a_figure_that_misses_its_bar_is_said_and_counted(capsys: pytest.CaptureFixture[str]) -> None:
    report = Report()
    report.most("seconds", 1.23456, 2, "s")
    report.exactly("pages", 79, 80)
    report.told("memory", 12_345, "MB")
    assert report.missed == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines] == [
        ["seconds", "1.23", "s", "at", "most", "2", "s"],
        ["pages", "79", "exactly", "80", "NOT", "KEPT"],
        ["memory", "12,345", "MB"],
    ]
    assert (percentile([3, 1, 2], 0.99), percentile([3, 1, 2], 0)) == (3, 1)


def test_hostile_paths_and_many_new_addresses_get_answers(running: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hostile, "PATHS", 600)
    monkeypatch.setattr(crowds, "NEW", 200)
    monkeypatch.setattr(crowds, "NEW_SECONDS", 1)
    report = Report()
    hostile.paths(running, report)
    crowds.new_addresses(running, report)
    assert report.missed == 0, report.lines


def test_as_many_damaged_files_are_tried_as_were_promised() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    chaos = makefile.partition("\nchaos:")[2].partition("\n\n")[0]
    (cases,) = re.findall(r"FUZZ_CASES=([0-9]+) ", chaos)
    assert int(cases) >= 10_000
    assert "-m bench.chaos\n" in chaos and "tests/gallery/test_fuzz.py " in chaos
    assert test_fuzz.CASES >= 500, "make test"


def test_a_part_that_is_none_is_named() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench.chaos", "storms"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "there is no part storms" in done.stderr
