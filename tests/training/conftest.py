"""What several tests of the training share: the command, and a folder in which the whole smoke preset has run."""

import contextlib
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from filelock import FileLock

from tests import ROOT
from training import __main__ as command

ENDED_WITHIN = 1500
"""Seconds after which a training that takes half a minute on an idle machine counts as one that hangs."""


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a training in a process of its own, as those of the U-Net need it: they fork their workers."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env=environment, text=True, capture_output=True,
        timeout=ENDED_WITHIN, check=False,
    )  # fmt: skip


def train_here(*arguments: str) -> int:
    """Run the command in this process, which has torch already; its exit code. One worker, so that nothing forks."""
    threads = torch.get_num_threads()
    try:
        return command.main([*arguments, "--threads", "1"])
    finally:
        torch.set_num_threads(threads)


@contextlib.contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """Let no file that this process writes grow beyond a size in bytes: the write fails, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))  # Python ignores the signal that goes with it
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


COMMAND = "import sys; from training.__main__ import main; sys.exit(main(sys.argv[1:]))"
"""The command, as `python -m training` but not standing back: beside other tests that would wait long."""
STAGE_BY_STAGE = """
import shutil, sys
from pathlib import Path
from training.__main__ import main
from training.presets import SMOKE
for stage in SMOKE.stages:
    if stage == "pages":
        shutil.copy(Path(sys.argv[1], "unet.pt"), sys.argv[2])
    if code := main(["next", "--preset", "smoke", "--runs", sys.argv[1]]):
        sys.exit(code)
"""
"""Runs the whole smoke preset in one process, and copies what the U-Net is before its last stage."""


@pytest.fixture(scope="session")
def smoked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the whole smoke preset has run, its edition beside, and the U-Net as it was before `pages`.

    Read only: copy it to change it. Where several processes run the tests, the first that needs it makes it for all.
    """
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "smoke"
    with FileLock(folder.with_suffix(".lock")):
        if not (folder / "done").exists():
            shutil.rmtree(folder, ignore_errors=True)
            run, before_pages = str(folder / "run"), str(folder / "before-pages.pt")
            folder.mkdir()
            found = python("-c", STAGE_BY_STAGE, run, before_pages)
            assert found.returncode == 0, found.stderr
            assert train_here("ship", "--preset", "smoke", "--runs", run, "--edition", str(folder / "pocket")) == 0
            (folder / "done").touch()
    return folder
