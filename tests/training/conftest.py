"""What several tests of the training share: the command, and a folder in which the whole smoke preset has run."""

import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

from tests import ROOT

ENDED_WITHIN = 1500
"""Seconds after which a training that takes half a minute on an idle machine counts as one that hangs."""

Train = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def train() -> Train:
    """Runs the command in a process of its own, with a limit in bytes on the files it may write."""

    def run(*arguments: str, limit: int | None = None) -> subprocess.CompletedProcess[str]:
        def prepare() -> None:
            if limit is not None:
                signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
                resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

        environment = os.environ | {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
        return subprocess.run(
            [sys.executable, "-m", "training", *arguments], cwd=ROOT, env=environment, text=True, capture_output=True,
            timeout=ENDED_WITHIN, preexec_fn=prepare, check=False,
        )  # fmt: skip

    return run


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
            for stage in ("all", "ship"):
                found = train(stage, "--preset", "smoke", *where)
                assert found.returncode == 0, found.stderr
            (folder / "done").touch()
    return folder
