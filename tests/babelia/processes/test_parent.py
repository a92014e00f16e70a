"""babelia.processes.parent: no process outlives the one that started it."""

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests import ROOT
from tests.conftest import wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent is gone")


def test_a_process_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    script = f"""
import os, time
from pathlib import Path
from babelia.processes.parent import end_with_parent
parent = os.getpid()
if os.fork() == 0:
    end_with_parent(parent)
    Path({str(tmp_path / "child")!r}).write_text(str(os.getpid()))
time.sleep(60)
"""
    parent = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT)
    wait_until(lambda: bool((tmp_path / "child").exists() and (tmp_path / "child").read_text()), 20, "the child runs")
    child = psutil.Process(int((tmp_path / "child").read_text()))
    assert child.is_running()
    parent.kill()
    parent.wait()
    wait_until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE, 5, "the child is gone")


@pytest.mark.parametrize(("parent", "code"), [("os.getppid()", 0), ("os.getppid() + 1", 1)])
def test_a_process_whose_parent_is_gone_already_ends_at_once(parent: str, code: int) -> None:
    script = f"import os; from babelia.processes.parent import end_with_parent; end_with_parent({parent})"
    assert subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=False).returncode == code


def test_process_1_of_a_container_is_a_parent_like_any_other() -> None:
    if subprocess.run(["unshare", "--pid", "--fork", "true"], capture_output=True, check=False).returncode:
        pytest.skip("this user may not make a namespace of process ids")
    script = (
        "import os\nfrom babelia.processes.parent import end_with_parent\nparent = os.getpid()\nassert parent == 1\n"
    )
    script += "child = os.fork()\nif child == 0:\n    end_with_parent(parent)\n    os._exit(7)\n"
    script += "print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
    command = ["unshare", "--pid", "--fork", "--mount-proc", sys.executable, "-c", script]
    done = subprocess.run(command, cwd=ROOT, env=os.environ, capture_output=True, text=True, check=False)
    assert done.stdout == "7\n", done.stderr
