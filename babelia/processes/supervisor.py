"""Keeps processes running: starts, restarts and stops them. What they are is babelia.processes.library's business.

Each process is a child in a session of its own, so that Ctrl-C reaches only the supervisor, which then stops them in
order. One that ends unasked is restarted: at once if it had become ready, else after a pause that doubles from one
second to half a minute; one whose signs of life stop is ended. The supervisor says so. On Linux every child asks the
kernel to end it when its parent is gone, so that nothing is left running even where the supervisor itself is killed.
May import processes.parent, processes.pulse and psutil, neither Django nor `worker`.
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

from babelia.processes import pulse
from babelia.processes.parent import end_with_parent

PAUSE_FIRST, PAUSE_MAX = 1.0, 30.0
RAN = 2.0
"""Seconds that a process which had become ready must have run to be started again at once."""
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
    nice: int = 0  # added to our own niceness: how far it stands back where the processors are few
    watch: pulse.Watch | pulse.Questions | None = None  # its signs of life; it has become ready with the first
    process: subprocess.Popen[bytes] | None = None
    became_ready: bool = False
    pause: float = PAUSE_FIRST
    started: float = 0.0
    again_at: float | None = None

    def start(self) -> None:
        """Start it now."""
        self.again_at, self.started, self.became_ready = None, time.monotonic(), False
        environment = os.environ | self.environment
        if self.watch is not None:
            self.watch.clear()
            if isinstance(self.watch, pulse.Watch):
                environment[pulse.FOLDER] = str(self.watch.folder)
        self.process = subprocess.Popen(
            list(self.command()),
            cwd=self.folder,
            env=environment,
            pass_fds=self.sockets,
            start_new_session=True,
            preexec_fn=functools.partial(_begin, os.getpid(), self.ends_with_us, self.nice),  # safe: we have one thread
        )

    def look(self) -> str | None:
        """Note whether it has become ready; whose sign of life has been missing for too long, or None."""
        silent = None if self.watch is None else self.watch.look()
        self.became_ready = self.became_ready or (self.watch is not None and self.watch.begun)
        return silent

    def kill(self) -> None:
        """End it and its descendants at once, also where it is stopped."""
        assert self.process is not None, "it was started"
        family: list[psutil.Process] = []
        with contextlib.suppress(psutil.NoSuchProcess):
            family = psutil.Process(self.process.pid).children(recursive=True)
        self.process.kill()
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()

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
        """End what hangs; restart what has ended: at once if it had become ready, else when its pause is over."""
        now = time.monotonic()
        for child in self.children:
            if child.alive:
                silent = child.look()
                if silent is not None:
                    self.say(f"{child.name} hangs: no sign of life of its {silent} for {pulse.SILENCE:.0f} s.")
                    child.kill()
                if now - child.started > STEADY:
                    child.pause = PAUSE_FIRST
            elif child.again_at is None:
                assert child.process is not None, "a child is started when it is added"
                ending = f"{child.name} {_ending(child.process.returncode)}."
                if child.became_ready and now - child.started > RAN:
                    self.say(f"{ending} Starting it again.")
                    child.pause = PAUSE_FIRST
                    child.start()
                    continue
                self.say(f"{ending} Starting it again in {child.pause:.0f} s.")
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


def _begin(parent: int, number: signal.Signals, nice: int) -> None:
    """What a child does before it becomes its program."""
    end_with_parent(parent, number)
    if nice:
        niceness = os.nice(nice)
        # Linux may share its processors out between sessions first, and then niceness counts within one alone.
        with contextlib.suppress(OSError):
            Path("/proc/self/autogroup").write_text(str(niceness), encoding="ascii")


def _ending(code: int) -> str:
    return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"stopped with exit code {code}"
