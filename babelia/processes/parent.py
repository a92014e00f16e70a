"""Ends a process when the one that started it is gone. Imports nothing of ours.

A press or a site whose parent was killed would go on holding the model, the port and its claims, and nobody would ever
stop it. Only Linux offers this; elsewhere nothing is asked for.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None  # loaded now: not between fork and exec


def end_with_parent(parent: int, number: signal.Signals = signal.SIGKILL) -> None:
    """Ask the kernel to send this process a signal when its parent ends; end at once if it has ended already.

    `parent` is the process id of the parent, which it has noted before it forked. That our parent is now process 1 says
    nothing: in a container the parent may well be process 1.
    """
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, number)
        if os.getppid() != parent:
            os._exit(1)
