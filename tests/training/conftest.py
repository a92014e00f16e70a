"""What several tests of the training share: the command, and a folder in which the whole smoke preset has run."""

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import ROOT

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
            timeout=300, preexec_fn=prepare, check=False,
        )  # fmt: skip

    return run


@pytest.fixture(scope="session")
def smoked(train: Train, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the whole smoke preset has run, and its edition beside."""
    folder = tmp_path_factory.mktemp("smoke")
    found = train("all", "--preset", "smoke", "--runs", str(folder / "run"), "--edition", str(folder / "pocket"))
    assert found.returncode == 0, found.stderr
    shipped = train("ship", "--preset", "smoke", "--runs", str(folder / "run"), "--edition", str(folder / "pocket"))
    assert shipped.returncode == 0, shipped.stderr
    return folder
