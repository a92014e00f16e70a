"""A disk that fails while a page is kept: nothing is torn, what was kept is served. strace has the kernel answer so."""

import contextlib
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import ROOT
from tests.worker.store import key_of, stacks
from worker.store.store import Store
from worker.store.upkeep import Damage, scrub

SCRIPT = """
import socket, sys
from pathlib import Path
from tests.worker.store import keep, stacks
from worker.errors import StoreUnavailable
from worker.store.store import Store

line = socket.socket(fileno=int(sys.argv[2]))  # what goes through it is no write(), which is made to fail
store = Store(Path(sys.argv[1]), reserve=0)
keep(store, stacks(1))
line.send(b"ready")
while page := line.recv(9):
    try:
        keep(store, stacks(int(page)))
        line.send(b"kept")
    except StoreUnavailable as error:
        line.send(str(error).encode())
"""
FULL = "The disk is full, so nothing new can be kept."
BROKEN = "The library's disk does not work with us (Input/output error)."
CALLS = {
    "write": "write",
    "sync": "fsync",
    "rename": "?rename,?renameat,?renameat2",
    "rename of the third file": "?rename,?renameat,?renameat2",
    "mkdir": "?mkdir,?mkdirat",
}


@contextlib.contextmanager
def failing(process: int, calls: str, answer: str) -> Iterator[None]:
    """Meanwhile, these calls of a process do nothing and answer with an error."""
    command = ["strace", "-f", "-o", "/dev/null", "-p", str(process), "-e", f"trace={calls}"]
    with subprocess.Popen([*command, "-e", f"inject={calls}:{answer}"], stderr=subprocess.PIPE, text=True) as strace:
        assert strace.stderr is not None
        said = strace.stderr.readline()
        if "Operation not permitted" in said:
            pytest.skip("watching another process takes the right to (CAP_SYS_PTRACE)")
        assert "attached" in said, said
        try:
            yield
        finally:
            strace.send_signal(signal.SIGINT)
            strace.stderr.read()


def test_whatever_call_fails_nothing_is_torn_and_kept_pages_are_served(tmp_path: Path) -> None:
    ours, theirs = socket.socketpair()
    ours.settimeout(30)
    command = [sys.executable, "-c", SCRIPT, str(tmp_path), str(theirs.fileno())]
    child = subprocess.Popen(command, cwd=ROOT, pass_fds=[theirs.fileno()], stderr=subprocess.DEVNULL)
    theirs.close()
    store, page = Store(tmp_path, reserve=0), 1
    try:
        assert ours.recv(9) == b"ready"
        for name, calls in CALLS.items():
            for error, sentence in (("ENOSPC", FULL), ("EIO", BROKEN)):
                page += 1
                what = f"{error} at {name}"
                with failing(child.pid, calls, f"error={error}" + (":when=3" if "third" in name else "")):
                    ours.send(str(page).encode())
                    assert ours.recv(300).decode() == sentence, what
                assert store.find(stacks(page)) is None, what
                assert not store.has("tiny", key_of(stacks(page)).mark), what
                kept = store.picture(stacks(1))
                assert kept is not None, what
                assert kept.mark == key_of(stacks(1)).mark
                assert not [found for found in scrub(store) if isinstance(found, Damage)], what
                assert not list(tmp_path.rglob("*.partial")), what
                ours.send(str(page).encode())
                assert ours.recv(300) == b"kept", what
                assert store.picture(stacks(page)) is not None, what
    finally:
        ours.close()  # which ends it
        child.wait(10)
