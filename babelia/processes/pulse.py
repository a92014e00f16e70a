"""Signs of life between the processes of one machine: a process touches a file, its supervisor looks at it.

A process that was stopped (SIGSTOP), or that hangs, is alive for the kernel and does nothing for anybody. No Redis is
asked, so that its being away kills nothing. Imports nothing of ours.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

FOLDER = "LIBRARY_PULSES"
"""The environment variable by which a supervisor hands the folder on; without it nobody watches."""
EVERY = 1.0
"""Seconds between two signs of life."""
SILENCE = 40.0
"""Seconds without one after which a process counts as hanging."""
ASK_EVERY = 5.0
"""Seconds between two questions to a process that gives no signs of life by itself."""
_LONGEST_LOOK = 2.0


def touch(name: str) -> None:
    """Give one sign of life as `name`; nothing where no supervisor watches, or its folder is gone."""
    folder = os.environ.get(FOLDER)
    if folder:
        try:
            Path(folder, name).touch()
        except OSError:  # no space, say: whoever cannot tell that it lives is not watched
            forget(name)


def forget(name: str) -> None:
    """Be watched no longer as `name`, until the next sign of life: something long begins."""
    folder = os.environ.get(FOLDER)
    if folder:
        with contextlib.suppress(OSError):
            Path(folder, name).unlink(missing_ok=True)


def beat(name: str) -> None:
    """Give signs of life as `name` from now on, by a thread: it stops where the process does or Python hangs."""

    def go_on() -> None:
        while True:
            touch(name)
            time.sleep(EVERY)

    if os.environ.get(FOLDER):
        threading.Thread(target=go_on, name=f"pulse of {name}", daemon=True).start()


class Watch:
    """Looks at the signs of life in a folder.

    Silence is counted in the seconds between looks, each look as two at most: a laptop that slept, a clock that was set
    or a supervisor that was stopped itself make nobody a hanging process.
    """

    def __init__(self, folder: Path, ready: str) -> None:
        """Make the folder, and empty it of what was left. `ready`: whose first sign means readiness."""
        self.folder = folder
        self._ready = ready
        folder.mkdir(parents=True, exist_ok=True)
        self.clear()

    def clear(self) -> None:
        """Begin afresh: the process is started again."""
        with contextlib.suppress(OSError):
            for path in self.folder.iterdir():
                path.unlink(missing_ok=True)
        self._seen: dict[str, int] = {}
        self._silent: dict[str, float] = {}
        self._looked = time.monotonic()

    def look(self) -> str | None:
        """The name of whoever has been silent for too long, or None."""
        now = time.monotonic()
        passed, self._looked = min(now - self._looked, _LONGEST_LOOK), now
        seen = {}
        with contextlib.suppress(OSError):  # a file that goes away meanwhile is looked at next time
            for path in self.folder.iterdir():
                seen[path.name] = path.stat().st_mtime_ns
        self._silent = {
            name: self._silent.get(name, 0.0) + passed if self._seen.get(name) == moment else 0.0
            for name, moment in seen.items()
        }
        self._seen = seen
        return next((name for name, silent in self._silent.items() if silent > SILENCE), None)

    @property
    def begun(self) -> bool:
        """Whether the process has become ready since its start."""
        return self._ready in self._seen


class Questions:
    """Asks a process that is none of ours whether it answers: a server that was stopped takes connections all the same.

    Silence is counted as `Watch` counts it; what has not answered once since its start is not ready, and may take long.
    """

    def __init__(self, name: str, answers: Callable[[], bool]) -> None:
        """`answers` asks once, and takes a second or so where nothing comes back."""
        self._name = name
        self._answers = answers
        self.clear()

    def clear(self) -> None:
        """Begin afresh: the process is started again."""
        self.begun = False
        self._silent = 0.0
        self._asked = time.monotonic()

    def look(self) -> str | None:
        """Ask, where it is time to; the name of what has been silent for too long, or None."""
        now = time.monotonic()
        if self.begun and now - self._asked < ASK_EVERY:
            return None
        passed, self._asked = min(now - self._asked, ASK_EVERY + _LONGEST_LOOK), now
        if self._answers():
            self.begun, self._silent = True, 0.0
        elif self.begun:
            self._silent += passed
        return self._name if self._silent > SILENCE else None
