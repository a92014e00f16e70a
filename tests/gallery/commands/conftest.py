"""What tests of printing commands share: the command in this process, in an empty folder, and what it leaves there."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    tiny_data: Path,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Run]:
    """Run the COMMAND of a test file here and in an empty folder: exit code, standard output, standard error."""
    settings.DATA_DIR, settings.DISK_RESERVE = tiny_data, 0
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")

    def run(*arguments: str, edition: str | None = "tiny") -> tuple[int, str, str]:
        chosen = [] if edition is None else ["--edition", edition]
        code = 0
        try:
            call_command(request.module.COMMAND, *arguments, *chosen)
        except SystemExit as ended:
            code = int(ended.code or 0)
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    yield run
    if "torch" in sys.modules:
        import torch

        torch.use_deterministic_algorithms(False)


def here() -> list[str]:
    return sorted(path.name for path in Path.cwd().iterdir())
