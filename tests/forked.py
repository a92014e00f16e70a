"""Commands and servers of the library without waiting for Python: the process of tests.entry_points forks them."""

from __future__ import annotations

import atexit
import ctypes
import functools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests import ROOT

_PR_SET_CHILD_SUBREAPER = 36
COMMANDS = {
    "library": ["manage.py", "library"],
    "check": ["manage.py", "check"],
    "key_to_image": ["manage.py", "key_to_image", "key/borges/1", "--digest-only"],
    "serve": ["-m", "babelia.serve"],
    "celery": ["-m", "celery", "-q", "-A", "babelia", "worker"],
}
"""Everything that starts, as Python is told to."""


class Started:
    """A process that goes on, a child of this one: what tests use of `subprocess.Popen`."""

    def __init__(self, pid: int, words: list[str]) -> None:
        self.pid, self.args = pid, words
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Its exit code, negative where a signal ended it; None while it runs."""
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code, once it has ended. Raises TimeoutExpired where that takes longer."""
        began = time.monotonic()
        while self.poll() is None:
            if timeout is not None and time.monotonic() - began > timeout:
                raise subprocess.TimeoutExpired(self.args, timeout)
            time.sleep(0.02)
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class Commands:
    """The process of tests.entry_points, and its answers."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "tests.entry_points"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def close(self) -> None:
        """End it; what it started goes on."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()

    def _ask(self, **asked: Any) -> dict[str, Any]:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        found: dict[str, Any] = json.loads(self._process.stdout.readline())
        return found

    def run(
        self, words: list[str], environment: dict[str, str], folder: Path = ROOT
    ) -> subprocess.CompletedProcess[str]:
        """What became of a command: what Python is told to start, and all of its environment."""
        found = self._ask(words=words, environment=environment, folder=str(folder))
        return subprocess.CompletedProcess(words, found["code"], found["said"], found["wrong"])

    def manage(self, environment: dict[str, str], *words: str) -> str:
        """What a command of `manage.py` says, which has to end well."""
        done = self.run(["manage.py", *words], environment)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def start(self, words: list[str], environment: dict[str, str], log: Path | None = None) -> Started:
        """Start a server, whose standard error goes to the end of a file, or to ours."""
        prctl = ctypes.CDLL(None).prctl
        prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)  # so that it is our child, whom we see end
        try:
            found = self._ask(words=words, environment=environment, folder=str(ROOT), stays=str(log or ""))
        finally:
            prctl(_PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
        return Started(found["process"], words)


@functools.cache
def commands() -> Commands:
    """The process that forks commands and servers, begun when the first of them is asked for."""
    found = Commands()
    atexit.register(found.close)
    return found
