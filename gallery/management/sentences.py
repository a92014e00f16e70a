"""The press's commands speak in sentences: bad input ends with one on standard error and exit code 2, no traceback.

May import Django and worker.errors; never torch, so that a refusal comes at once.
"""

import abc
import argparse
import json
import os
import sys
from collections.abc import Callable
from typing import Any, NoReturn

from django.core.management.base import BaseCommand, CommandParser

from worker.errors import BabeliaError, reason

REFUSED = 2
INTERRUPTED = 130


class PressCommand(abc.ABC, BaseCommand):
    """A command over the press. Subclasses write `run`; what it raises becomes a sentence and an exit code."""

    requires_system_checks: list[str] = []  # noqa: RUF012  (Django's own declaration); they would import the site

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        """Django's parser, whose errors are one sentence instead of a usage text."""
        parser = super().create_parser(prog_name, subcommand, **kwargs)
        parser.error = self._refuse_argument  # type: ignore[method-assign]  # the parser is Django's, its words ours
        return parser

    def handle(self, *_: Any, **options: Any) -> None:
        """Run the command; end the process with 2 for what is refused, `interrupted_code` for Ctrl-C."""
        try:
            self.run(**options)
            self.stdout.flush()  # here, and not as Python ends, where nobody could say what went wrong
        except BabeliaError as error:
            self.say(str(error))
            if "hint" in vars(error):  # the class's own hint only repeats what the sentence says
                self.say(error.hint)
            sys.exit(REFUSED)
        except BrokenPipeError:  # the reader of `editions | head` has what it wanted
            self._let_go()
        except OSError as error:
            self._let_go()
            where = f"{error.filename}: " if error.filename else ""
            self.say(f"{where}{reason(error)}.")
            sys.exit(REFUSED)
        except KeyboardInterrupt:
            self.say(self.interrupted)
            sys.exit(self.interrupted_code)

    interrupted = "Stopped."
    interrupted_code = INTERRUPTED

    @abc.abstractmethod
    def run(self, **options: Any) -> None:
        """What the command does."""

    def say(self, sentence: str) -> None:
        """One line on standard error, where everything goes that is not a result."""
        self.stderr.write(sentence, str)  # str in place of a style: Django's own makes every line red

    def write_json(self, value: Any) -> None:
        """One JSON value on standard output; beyond ASCII in JSON's escapes where that is not UTF-8."""
        encoding = getattr(self.stdout, "encoding", None) or "utf-8"
        self.stdout.write(json.dumps(value, indent=2, ensure_ascii=not encoding.lower().startswith("utf")))

    def _let_go(self) -> None:
        """Flush what was written; where standard output takes nothing any more, let the rest go nowhere."""
        try:
            self.stdout.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    def _refuse_argument(self, message: str) -> NoReturn:
        text = message.removeprefix("argument ")
        self.say(text[:1].upper() + text[1:].rstrip(".") + ".")
        sys.exit(REFUSED)


def integer(low: int, high: int, what: str) -> Callable[[str], int]:
    """A reader of integers for argparse: `what` begins the sentence that refuses another."""

    def read(text: str) -> int:
        digits = text.removeprefix("-")
        if not (digits.isascii() and digits.isdigit() and len(digits) < 10 and low <= int(text) <= high):
            raise argparse.ArgumentTypeError(f"{what} {low} to {high}, and {text!r} was given")
        return int(text)

    return read
