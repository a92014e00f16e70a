"""Keeps processes running: starts, restarts and stops them. What they are is babelia.processes.library's business.

Each process is a child in a session of its own, so that Ctrl-C reaches only the supervisor, which then stops them in
order. One that ends unasked is restarted after a pause that doubles from one second to half a minute, and the
supervisor says so. On Linux every child asks the kernel to end it when its parent is gone, so that nothing is left
running even where the supervisor itself is killed. May import processes.parent and
psutil, neither Django nor `worker`.
"""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from babelia.processes.parent import end_with_parent

PAUSE_FIRST, PAUSE_MAX = 1.0, 30.0
STEADY = 60.0
"""Seconds after which a process counts as running well: its next pause is the first one again."""


@dataclass
class Child:
    """One process that is kept running."""

    name: str
    command: Callable[[], Sequence[str]]  # asked for at every start
    folder: Path  # that it works in
    grace: float  # seconds that it gets to stop
    environment: dict[str, str] = field(default_factory=dict)  # added to ours
    sockets: tuple[int, ...] = ()
    stops_last: bool = False  # after all that do not say so, because they need it until they have stopped
    ends_with_us: signal.Signals = signal.SIGKILL  # what the kernel sends it when the supervisor is gone
    process: subprocess.Popen[bytes] | None = None
    pause: float = PAUSE_FIRST
    started: float = 0.0
    again_at: float | None = None

    def start(self) -> None:
        """Start it now."""
        self.again_at, self.started = None, time.monotonic()
        self.process = subprocess.Popen(
            list(self.command()),
            cwd=self.folder,
            env=os.environ | self.environment,
            pass_fds=self.sockets,
            start_new_session=True,
            preexec_fn=functools.partial(end_with_parent, os.getpid(), self.ends_with_us),  # safe: we have one thread
        )

    @property
    def alive(self) -> bool:
        """Whether its process runs."""
        return self.process is not None and self.process.poll() is None


@dataclass
class Supervisor:
    """The children of one process, and what it says about them."""

    say: Callable[[str], None]
    children: list[Child] = field(default_factory=list)
    stopping: bool = False

    def stop_on_signals(self) -> None:
        """Let Ctrl-C, `kill` and a closed terminal stop everything in good order."""

        def stop(*_: object) -> None:
            self.stopping = True

        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, stop)

    def add(self, child: Child) -> Child:
        """Start a child and keep it running."""
        self.children.append(child)
        child.start()
        return child

    def look(self) -> None:
        """Restart what has ended, when its pause is over."""
        now = time.monotonic()
        for child in self.children:
            if child.alive:
                if now - child.started > STEADY:
                    child.pause = PAUSE_FIRST
            elif child.again_at is None:
                assert child.process is not None, "a child is started when it is added"
                self.say(f"{child.name} {_ending(child.process.returncode)}. Starting it again in {child.pause:.0f} s.")
                child.again_at = now + child.pause
                child.pause = min(PAUSE_MAX, 2 * child.pause)
            elif now >= child.again_at:
                child.start()

    def wait(self, holds: Callable[[], bool], seconds: float | None = None) -> bool:
        """Look after the children until something holds (True), a signal came or the time is over (False)."""
        began = time.monotonic()
        while not self.stopping:
            self.look()
            if holds():
                return True
            if seconds is not None and time.monotonic() - began > seconds:
                return False
            time.sleep(0.1)
        return False

    def stop(self) -> None:
        """Stop everything, in two groups (`stops_last`). What does not stop in time is killed with its descendants."""
        for last in (False, True):
            _stop([child for child in self.children if child.stops_last is last])


def _stop(group: list[Child]) -> None:
    families: list[psutil.Process] = []
    for child in group:
        if child.process is not None and child.alive:
            with contextlib.suppress(psutil.NoSuchProcess):
                families += psutil.Process(child.process.pid).children(recursive=True)
            child.process.terminate()
    deadline = time.monotonic() + max((child.grace for child in group), default=0.0)
    while time.monotonic() < deadline and any(child.alive for child in group):
        time.sleep(0.05)
    for child in group:
        if child.process is not None and child.alive:
            with contextlib.suppress(psutil.NoSuchProcess):
                families += psutil.Process(child.process.pid).children(recursive=True)
            child.process.kill()
            child.process.wait()
    for process in families:
        with contextlib.suppress(psutil.NoSuchProcess):  # psutil knows a process id that was used again
            process.kill()


def _ending(code: int) -> str:
    return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"stopped with exit code {code}"
