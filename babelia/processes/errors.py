"""What the commands of this machine refuse. Imports only worker.errors."""

from __future__ import annotations

from worker.errors import BabeliaError


class LibraryRefused(BabeliaError):
    """The library cannot be started as things are."""

    code = "not_started"
