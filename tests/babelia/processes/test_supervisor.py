"""The supervisor over small processes that are started, restarted with growing pauses and stopped in order."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from babelia.processes import pulse, supervisor
from babelia.processes.pulse import Questions, Watch
from babelia.processes.supervisor import Child, Supervisor
from tests import ROOT
from tests.conftest import wait_until

SLEEP = "import time; time.sleep(60)"


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[tuple[Supervisor, list[str]]]:
    """A supervisor and what it says; all of its children are gone afterwards."""
    said: list[str] = []
    keeper = Supervisor(said.append)
    yield keeper, said
    keeper.stop()
    assert not any(child.alive for child in keeper.children)


def child(folder: Path, script: str, name: str = "The child", **options: object) -> Child:
    return Child(name, lambda: [sys.executable, "-c", script], folder, 2.0, **options)  # type: ignore[arg-type]


def test_a_child_has_its_folder_its_environment_and_its_sockets(
    watched: tuple[Supervisor, list[str]], tmp_path: Path
) -> None:
    reading, writing = os.pipe()
    script = f"import os; os.write({writing}, (os.getcwd() + ' ' + os.environ['WORD']).encode())"
    watched[0].add(child(tmp_path, script, environment={"WORD": "hello"}, sockets=(writing,)))
    os.close(writing)
    with os.fdopen(reading) as pipe:
        assert pipe.read() == f"{tmp_path} hello"


def test_a_child_stands_back_as_far_as_it_is_told_to(watched: tuple[Supervisor, list[str]], tmp_path: Path) -> None:
    script = "import time; time.sleep(60)"
    back = watched[0].add(child(tmp_path, script, nice=3))
    like_us = watched[0].add(child(tmp_path, script))
    assert back.process is not None
    assert like_us.process is not None
    ours = os.getpriority(os.PRIO_PROCESS, 0)
    assert os.getpriority(os.PRIO_PROCESS, like_us.process.pid) == ours
    assert os.getpriority(os.PRIO_PROCESS, back.process.pid) == min(19, ours + 3)
    group = Path(f"/proc/{back.process.pid}/autogroup")
    if group.exists():  # a kernel that shares its processors out between sessions
        assert group.read_text(encoding="ascii").endswith(f" nice {min(19, ours + 3)}\n")


def test_what_ends_unasked_is_restarted_after_pauses_that_double(
    watched: tuple[Supervisor, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper, said = watched
    monkeypatch.setattr(supervisor, "PAUSE_MAX", 3.0)
    failing = keeper.add(child(tmp_path, "raise SystemExit(3)"))
    for pause in (1, 2, 3, 3):
        keeper.wait(lambda: failing.again_at is not None, 10)
        assert said[-1] == f"The child stopped with exit code 3. Starting it again in {pause} s."
        failing.again_at = 0.0  # the pause is over
        keeper.look()
    killed = keeper.add(child(tmp_path, SLEEP, "Another"))
    assert killed.process is not None
    killed.process.kill()
    keeper.wait(lambda: killed.again_at is not None, 10)
    assert "Another was ended by SIGKILL. Starting it again in 1 s." in said


def test_what_had_become_ready_is_restarted_at_once_however_often(
    watched: tuple[Supervisor, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "RAN", 0.0)
    keeper, said = watched
    steady = keeper.add(child(tmp_path, SLEEP, watch=Questions("child", lambda: True)))
    for times in range(1, 7):
        keeper.wait(lambda: steady.became_ready, 10)
        assert steady.process is not None
        before = steady.process.pid
        steady.process.kill()
        keeper.wait(lambda before=before: steady.alive and steady.process.pid != before, 0.9)  # type: ignore[misc]
        assert steady.alive
        assert said == ["The child was ended by SIGKILL. Starting it again."] * times


def test_what_hangs_is_ended_and_started_again(
    watched: tuple[Supervisor, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pulse, "SILENCE", 2.0)
    monkeypatch.setattr(supervisor, "RAN", 0.0)
    keeper, said = watched
    script = f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
    script += f"from babelia.processes import pulse; pulse.beat('child')\n{SLEEP}"
    hanging = keeper.add(child(tmp_path, script, watch=Watch(tmp_path / "pulses", "child")))
    assert keeper.wait(lambda: hanging.became_ready, 20)
    assert not keeper.wait(lambda: bool(said), 2.5)  # it gives signs of life
    assert hanging.process is not None
    stopped = hanging.process
    stopped.send_signal(signal.SIGSTOP)
    assert keeper.wait(lambda: hanging.process is not stopped, 10)
    assert said == [
        "The child hangs: no sign of life of its child for 2 s.",
        "The child was ended by SIGKILL. Starting it again.",
    ]


def test_a_child_that_ran_well_gets_the_first_pause_again(
    watched: tuple[Supervisor, list[str]], tmp_path: Path
) -> None:
    keeper, _ = watched
    steady = keeper.add(child(tmp_path, SLEEP))
    steady.pause = 8.0
    keeper.look()
    assert steady.pause == 8.0
    steady.started -= supervisor.STEADY + 1
    keeper.look()
    assert steady.pause == supervisor.PAUSE_FIRST


def test_waiting_ends_when_it_holds_when_time_is_over_or_at_a_signal(watched: tuple[Supervisor, list[str]]) -> None:
    keeper, _ = watched
    assert keeper.wait(lambda: True)
    assert not keeper.wait(lambda: False, 0.2)
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        keeper.stop_on_signals()
        os.kill(os.getpid(), signal.SIGTERM)
        assert not keeper.wait(lambda: False)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert keeper.stopping


def test_what_others_need_stops_last_and_what_does_not_stop_is_killed_with_its_own(
    watched: tuple[Supervisor, list[str]], tmp_path: Path
) -> None:
    keeper, _ = watched
    note = "import signal, sys, time\nfrom pathlib import Path\n"
    note += "def end(*_):\n    Path(f'{name}.end').write_text(str(time.monotonic_ns())); sys.exit()\n"
    note += "signal.signal(signal.SIGTERM, end)\nPath(f'{name}.up').touch()\ntime.sleep(60)\n"
    stubborn = "import signal, subprocess, sys, time\nfrom pathlib import Path\n"
    stubborn += "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    stubborn += f"own = subprocess.Popen([sys.executable, '-c', {SLEEP!r}])\n"
    stubborn += "Path('own.pid').write_text(str(own.pid)); Path('stubborn.up').touch()\ntime.sleep(60)\n"
    keeper.add(child(tmp_path, f"name = 'last'\n{note}", stops_last=True))
    keeper.add(child(tmp_path, f"name = 'first'\n{note}"))
    keeper.add(child(tmp_path, stubborn))
    up = [tmp_path / f"{name}.up" for name in ("last", "first", "stubborn")]
    wait_until(lambda: all(path.exists() for path in up), 20, "all of them run")
    began = time.monotonic()
    keeper.stop()
    assert 2 <= time.monotonic() - began < 6  # the grace of the stubborn one
    first, last = (int((tmp_path / f"{name}.end").read_text()) for name in ("first", "last"))
    assert last - first > 1_500_000_000
    own = int((tmp_path / "own.pid").read_text())
    wait_until(lambda: not psutil.pid_exists(own) or psutil.Process(own).status() == "zombie", 5, "its own is gone")


def test_it_knows_neither_django_nor_the_press() -> None:
    script = "import sys, babelia.processes.supervisor\n"
    script += "print([n for n in ('django', 'worker', 'celery') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout == "[]\n", done.stderr
