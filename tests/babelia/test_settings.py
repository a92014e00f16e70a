"""babelia.environment, babelia.settings and babelia.checks: what is refused at start-up, what contradicts."""

import os
import re
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings

from babelia import environment
from babelia.checks import settings_agree
from tests import ROOT


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Sets a variable and calls a reader for it, without a trace in the table of settings."""
    monkeypatch.setattr(environment, "SETTINGS", {})

    def call(reader: Any, value: str | None, *arguments: Any, **options: Any) -> Any:
        if value is None:
            monkeypatch.delenv("BABELIA_TEST", raising=False)
        else:
            monkeypatch.setenv("BABELIA_TEST", value)
        environment.SETTINGS.clear()
        return reader("BABELIA_TEST", *arguments, "what it is for", **options)

    return call


def test_an_unset_or_empty_variable_is_its_default(read: Any) -> None:
    assert read(environment.whole, None, 7, 1, 9) == 7
    assert read(environment.whole, "  ", 7, 1, 9) == 7
    assert read(environment.flag, None, True) is True
    assert read(environment.names, None, ["a", "b"]) == ["a", "b"]
    assert read(environment.size, None, "2 GB") == 2_000_000_000


def test_values_are_read(read: Any) -> None:
    assert read(environment.whole, " 9 ", 7, 1, 9) == 9
    assert read(environment.flag, "Yes", False) is True
    assert read(environment.flag, "off", True) is False
    assert read(environment.names, " a.example , b.example,", []) == ["a.example", "b.example"]
    assert read(environment.choice, "cpu", "auto", ("auto", "cpu")) == "cpu"
    sizes = {"0": 0, "750 MB": 750_000_000, "2.5gb": 2_500_000_000, "3k": 3_000, "12": 12, "1 TB": 10**12}
    assert {text: read(environment.size, text, "0") for text in sizes} == sizes


@pytest.mark.parametrize(
    ("reader", "value", "arguments", "expected"),
    [
        ("whole", "10", (7, 1, 9), "a whole number from 1 to 9"),
        ("whole", "7.5", (7, 1, 9), "a whole number from 1 to 9"),
        ("whole", "٧", (7, 1, 9), "a whole number from 1 to 9"),
        ("flag", "maybe", (False,), "true or false"),
        ("choice", "gpu", ("auto", ("auto", "cpu")), "one of auto, cpu"),
        ("size", "lots", ("0",), "a size like 750 MB or 20 GB"),
        ("size", "-1 GB", ("0",), "a size like 750 MB or 20 GB"),
        ("names", "a b", ([],), "names with commas between them"),
        ("text", "a\tb", ("",), "one line of text"),
    ],
)
def test_nonsense_is_refused_with_a_sentence(read: Any, reader: str, value: str, arguments: Any, expected: str) -> None:
    with pytest.raises(ImproperlyConfigured) as refused:
        read(getattr(environment, reader), value, *arguments)
    assert str(refused.value) == f"The environment variable BABELIA_TEST should be {expected}, and is {value!r}."


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        ({}, []),
        ({"DEBUG": True, "LISTEN": "0.0.0.0"}, ["babelia.E001"]),
        ({"PROXIES": ["*"]}, ["babelia.E002"]),
        ({"LEASE": 1800}, ["babelia.E003"]),
        ({"HTTPS": True, "ALLOWED_HOSTS": ["localhost", "127.0.0.1"]}, ["babelia.W001"]),
        ({"DISK_BUDGET": 1_000_000}, ["babelia.W002"]),
        ({"THREADS": 2, "DEVICE": "cuda"}, ["babelia.W003"]),
    ],
)
def test_settings_that_contradict_each_other_are_found(settings: dict[str, Any], found: list[str]) -> None:
    with override_settings(**settings):
        messages = settings_agree()
    assert [message.id for message in messages] == found
    assert all(message.hint for message in messages)


def manage(data: Path, *arguments: str, **environment_: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=os.environ | {"BABELIA_DATA": str(data)} | environment_,
        capture_output=True,
        text=True,
        check=False,
    )


def test_production_settings_pass_djangos_own_check(tmp_path: Path) -> None:
    arguments = ("check", "--deploy", "--fail-level", "WARNING")
    production = {"BABELIA_HTTPS": "true", "BABELIA_HOSTS": "library.example.org", "BABELIA_LISTEN": "0.0.0.0"}
    done = manage(tmp_path, *arguments, **production)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("System check identified no issues")


def test_a_wrong_variable_ends_every_command_with_its_sentence_alone(tmp_path: Path) -> None:
    done = manage(tmp_path, "check", BABELIA_PORT="eight thousand")
    assert done.returncode == 1
    assert done.stderr == (
        "The environment variable BABELIA_PORT should be a whole number from 1 to 65,535, and is 'eight thousand'.\n"
    )


def test_the_secret_key_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    read = "from django.conf import settings; print(settings.SECRET_KEY)"
    first = manage(tmp_path, "shell", "-v", "0", "-c", read).stdout
    assert len(first.strip()) >= 50
    assert manage(tmp_path, "shell", "-v", "0", "-c", read).stdout == first
    assert stat.S_IMODE((tmp_path / "secret-key").stat().st_mode) == 0o600
    assert manage(tmp_path, "shell", "-v", "0", "-c", read, SECRET_KEY="x" * 50).stdout == "x" * 50 + "\n"


def test_a_command_that_refuses_its_input_leaves_no_data_folder_behind(tmp_path: Path) -> None:
    done = manage(tmp_path / "new", "key_to_image", "--prompt", "")
    assert done.returncode == 2, done.stderr
    assert not (tmp_path / "new").exists()


def test_a_data_folder_that_cannot_be_written_ends_the_library_with_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = manage(tmp_path / "file" / "data", "library")
    assert done.returncode == 1
    assert "cannot be written (Not a directory). Set BABELIA_DATA to one that can." in done.stderr
    assert "Traceback" not in done.stderr


def test_listening_beyond_loopback_answers_to_this_machines_addresses(tmp_path: Path) -> None:
    read = "from django.conf import settings; print(settings.ALLOWED_HOSTS)"
    assert manage(tmp_path, "shell", "-v", "0", "-c", read).stdout == "['localhost', '127.0.0.1', '[::1]']\n"
    import socket

    wide = manage(tmp_path, "shell", "-v", "0", "-c", read, BABELIA_LISTEN="0.0.0.0").stdout
    assert socket.gethostname().lower() in wide
    assert "'*'" not in wide


def test_the_operators_guide_has_every_setting_and_no_other() -> None:
    from babelia import settings  # noqa: F401  (reading it fills the table)

    guide = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
    told = re.findall(r"^\| `([A-Z][A-Z_]+)` \| (.+?) \| (.+) \|$", guide, re.MULTILINE)
    read = [(setting.name, setting.default or "none", setting.meaning) for setting in environment.SETTINGS.values()]
    assert told == read
