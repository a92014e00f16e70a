"""Commands on terminals that cannot write what they have to say: it stands there escaped, and nothing is cut off."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import ROOT
from tests.conftest import write_edition
from tests.forked import commands

PROMPT = "犬 über dem fluß, собака"
COMMANDS = sorted(path.stem for path in (ROOT / "gallery" / "management" / "commands").glob("[!_]*.py"))
ENCODINGS = ["ascii", "cp1252", "ascii:strict"]
POOREST = ENCODINGS[-1]
"""What refuses the most: where loading a model or starting each command makes a row dear, it stands for all three."""


def environment_of(data: Path, encoding: str) -> dict[str, str]:
    return os.environ | {"PYTHONIOENCODING": encoding, "BABELIA_DATA": str(data), "BABELIA_THREADS": "1"}


def run(data: Path, encoding: str, *arguments: str, status: int = 0) -> subprocess.CompletedProcess[str]:
    """What a command writes there; bytes that are no UTF-8 are lone surrogates."""
    done = commands().run(["manage.py", *arguments], environment_of(data, encoding), data)
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr
    return done


@pytest.fixture(scope="module")
def data(tiny_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("terminals")
    write_edition(folder, "tiny", str(tiny_weights), lambda text: text.replace('"Tiny"', '"Tiny 犬 ü"'))
    return folder


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_every_command_can_be_written(command: str, data: Path) -> None:
    assert "usage" in run(data, POOREST, command, "--help").stdout


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_as_a_process_of_its_own_a_command_writes_the_same(encoding: str, data: Path) -> None:
    """The other commands here are forked of a process whose own terminal can write anything; this is Python itself."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "manage.py"), "editions"],
        cwd=data,
        env=environment_of(data, encoding),
        capture_output=True,
        check=True,
    )
    forked = run(data, encoding, "editions")
    for written, same in ((done.stdout, forked.stdout), (done.stderr, forked.stderr)):
        assert written == same.encode("utf-8", "surrogateescape")


def test_a_batch_is_printed_to_its_end(data: Path) -> None:
    options = ["--edition", "tiny", "--prompt", PROMPT * 20, "--nb-keys", "2", "--output", "page"]
    done = run(data, POOREST, "key_to_image", *options)
    assert done.stdout.count(".png") == 2
    assert len(list(data.glob("page-*.png"))) == 2


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_json_is_json_whatever_the_terminal(encoding: str, data: Path) -> None:
    found = {entry["slug"]: entry for entry in json.loads(run(data, encoding, "editions", "--json").stdout)}
    assert found["tiny"]["title"] == "Tiny 犬 ü", "an escape of Python's, as \\xfc, is none of JSON's"
    assert "Tiny \\u72ac" in run(data, encoding, "editions").stdout


def test_the_json_of_a_print_is_json(data: Path) -> None:
    options = ["--edition", "tiny", "--prompt", PROMPT, "--digest-only", "--check-determinism", "--json"]
    printed = json.loads(run(data, POOREST, "key_to_image", *options).stdout)
    assert printed["pages"][0]["address"] == f"tiny/prompt/{PROMPT}/1"


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_key_is_inspected_and_refused_in_any_encoding(encoding: str, data: Path) -> None:
    assert "steps" in run(data, encoding, "inspect_key", f"prompt/{PROMPT}/1", "--edition", "tiny").stdout
    refused = run(data, encoding, "inspect_key", f"prompt/{PROMPT}/999", "--edition", "tiny", status=2)
    assert "999" in refused.stderr
    assert json.loads(run(data, encoding, "inspect_key", "stacks/borges/1", "--edition", "tiny", "--json").stdout)
