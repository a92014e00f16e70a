"""babelia.processes.pulse: whose signs of life are missed, and whose silence is nobody's fault."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from babelia.processes import pulse
from babelia.processes.pulse import Questions, Watch
from tests import ROOT
from tests.conftest import wait_until


def test_without_a_supervisor_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(pulse.FOLDER, raising=False)
    pulse.touch("site")
    pulse.forget("site")
    pulse.beat("site")
    assert list(tmp_path.iterdir()) == []


def test_signs_of_life_come_by_themselves(tmp_path: Path) -> None:
    script = "import time; from babelia.processes import pulse; pulse.beat('child'); time.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, env={pulse.FOLDER: str(tmp_path)})
    try:
        wait_until(lambda: (tmp_path / "child").exists(), 20, "the first sign")
        first = (tmp_path / "child").stat().st_mtime_ns
        wait_until(lambda: (tmp_path / "child").stat().st_mtime_ns > first, 10, "the second")
    finally:
        process.kill()
        process.wait()


def test_silence_is_counted_by_looks_and_never_by_a_clock_that_jumps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setenv(pulse.FOLDER, str(tmp_path / "pulses"))
    watch = Watch(tmp_path / "pulses", "child")
    assert (watch.look(), watch.begun) == (None, False)
    pulse.touch("worker")
    assert (watch.look(), watch.begun) == (None, False)
    pulse.touch("child")
    assert (watch.look(), watch.begun) == (None, True)
    now[0] += 10_000  # the laptop slept, or we were stopped ourselves
    assert watch.look() is None
    for turn in range(int(pulse.SILENCE / 2)):
        assert watch.look() is None
        os.utime(tmp_path / "pulses" / "worker", ns=(turn, turn))  # a touch, on a file system of whatever precision
        now[0] += 2
    assert watch.look() == "child"
    pulse.forget("child")  # it loads something, and says so
    assert watch.look() is None
    watch.clear()
    assert not watch.begun


def test_a_server_is_asked_and_its_silence_counts_from_its_first_answer_on(monkeypatch: pytest.MonkeyPatch) -> None:
    now, answers, asked = [1000.0], [False], [0]

    def ask() -> bool:
        asked[0] += 1
        return answers[0]

    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    watch = Questions("server", ask)
    for _ in range(100):  # it loads its files
        now[0] += 1
        assert (watch.look(), watch.begun) == (None, False)
    answers[0] = True
    assert (watch.look(), watch.begun, asked[0]) == (None, True, 101)
    assert (watch.look(), asked[0]) == (None, 101), "not at every look"
    answers[0] = False
    now[0] += 10_000  # the laptop slept
    assert watch.look() is None
    began = now[0]
    while watch.look() is None:
        now[0] += 1
    assert pulse.SILENCE - 10 < now[0] - began < 60
    watch.clear()
    assert (watch.look(), watch.begun) == (None, False)
