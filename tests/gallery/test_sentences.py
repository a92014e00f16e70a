"""gallery.management.sentences: how the commands refuse, are interrupted, and end."""

import sys
from collections.abc import Callable
from typing import Any

import pytest

from gallery.management.sentences import PressCommand, integer
from worker.errors import InputRefused, KeyRefused


def ended(work: Callable[[], None], *arguments: str) -> int:
    """The exit code of a command that does this work."""

    class Command(PressCommand):
        def add_arguments(self, parser: Any) -> None:
            parser.add_argument("--count", type=integer(1, 9, "the count is"))

        def run(self, **options: Any) -> None:
            work()

    try:
        Command().run_from_argv(["manage.py", "work", *arguments])
    except SystemExit as error:
        return int(error.code or 0)
    return 0


def fails_with(error: BaseException) -> Callable[[], None]:
    def work() -> None:
        raise error

    return work


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (InputRefused("No.", hint="Do this."), 2, "No.\nDo this.\n"),
        (KeyRefused("No key."), 2, "No key.\n"),
        (OSError(28, "No space left on device", "page.png"), 2, "page.png: "),
        (KeyboardInterrupt(), 130, "Stopped.\n"),
        (BrokenPipeError(), 0, ""),
    ],
)
def test_what_ends_a_command_is_one_sentence_and_a_code(
    error: BaseException, code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended(fails_with(error)) == code
    found = capsys.readouterr().err
    assert found.startswith(said) and "Traceback" not in found
    assert bool(found) == bool(said)


def test_a_mistake_of_ours_is_not_made_a_sentence() -> None:
    with pytest.raises(ZeroDivisionError):
        ended(lambda: sys.exit(1 // 0))


@pytest.mark.parametrize("count", ["0", "10", "1.5", "٧", "-3", "many"])
def test_a_number_out_of_range_is_refused_in_one_line(count: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(lambda: None, f"--count={count}") == 2
    assert capsys.readouterr().err == f"--count: the count is 1 to 9, and {count!r} was given.\n"


def test_a_number_within_its_range_is_taken() -> None:
    assert ended(lambda: None, "--count", "9") == 0
