"""The one exception of the training: a sentence for the person at the terminal, and what to do (imports nothing)."""

from __future__ import annotations


class TrainingError(Exception):
    """What went wrong in one sentence, and a second that says what to do. The command prints both and exits with 2."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
