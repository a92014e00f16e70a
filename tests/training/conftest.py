"""What several tests of the training share: the command, and a folder in which the whole smoke preset has run."""

import contextlib
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from filelock import FileLock

from tests import ROOT
from training import __main__ as command

ENDED_WITHIN = 1500
"""Seconds after which a training that takes half a minute on an idle machine counts as one that hangs."""

Train = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def train() -> Train:
    """Runs the command in a process of its own, as its U-Net's trainings need it: they fork their workers."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
        return subprocess.run(
            [sys.executable, "-m", "training", *arguments], cwd=ROOT, env=environment, text=True, capture_output=True,
            timeout=ENDED_WITHIN, check=False,
        )  # fmt: skip

    return run


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


@pytest.fixture(scope="session")
def smoked(train: Train, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the whole smoke preset has run, and its edition beside; read only: copy it to change it.

    Where several processes run the tests, the first one that needs it makes it for all.
    """
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "smoke"
    with FileLock(folder.with_suffix(".lock")):
        if not (folder / "done").exists():
            shutil.rmtree(folder, ignore_errors=True)
            where = ("--runs", str(folder / "run"), "--edition", str(folder / "pocket"))
            found = train("all", "--preset", "smoke", *where)
            assert found.returncode == 0, found.stderr
            assert train_here("ship", "--preset", "smoke", *where) == 0
            (folder / "done").touch()
    return folder
