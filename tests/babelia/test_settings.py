"""babelia.settings: what ends every command, what is made once, the README's table, the one place of reading."""

import ast
import os
import re
import socket
import stat
import subprocess
from pathlib import Path

import pytest

from babelia import environment
from tests import ROOT
from tests.forked import commands


def manage(data: Path, *arguments: str, **environment_: str) -> subprocess.CompletedProcess[str]:
    return commands().run(["manage.py", *arguments], os.environ | {"BABELIA_DATA": str(data)} | environment_)


def test_production_settings_pass_djangos_own_check(tmp_path: Path) -> None:
    arguments = ("check", "--deploy", "--fail-level", "WARNING")
    production = {"BABELIA_HTTPS": "true", "BABELIA_HOSTS": "library.example.org", "BABELIA_LISTEN": "0.0.0.0"}
    done = manage(tmp_path, *arguments, **production)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("System check identified no issues")


def test_a_check_before_going_public_names_what_is_missing(tmp_path: Path) -> None:
    done = manage(tmp_path, "check", "--deploy", "--fail-level", "WARNING")
    assert done.returncode == 1
    assert "BABELIA_HTTPS is off" in done.stderr and "Set BABELIA_HTTPS=true" in done.stderr
    assert "BABELIA_HTTPS is off" not in manage(tmp_path, "check").stderr


def test_a_wrong_variable_ends_every_command_with_its_sentence_alone(tmp_path: Path) -> None:
    done = manage(tmp_path, "check", BABELIA_PORT="eight thousand")
    assert done.returncode == 2
    assert done.stderr == (
        "The environment variable BABELIA_PORT should be a whole number from 1 to 65,535, and is 'eight thousand'.\n"
    )


def test_the_secret_key_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    read = "from django.conf import settings; print(settings.SECRET_KEY)"
    first = manage(tmp_path, "shell", "-v", "0", "-c", read).stdout
    assert len(first.strip()) >= 50
    assert manage(tmp_path, "shell", "-v", "0", "-c", read).stdout == first
    assert stat.S_IMODE((tmp_path / "secret-key").stat().st_mode) == 0o600
    assert manage(tmp_path, "shell", "-v", "0", "-c", read, SECRET_KEY="five5" * 10).stdout == "five5" * 10 + "\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_secret_key_that_root_makes_belongs_to_the_owner_of_the_data_folder(tmp_path: Path) -> None:
    read = "from django.conf import settings; print(settings.SECRET_KEY)"
    os.chown(tmp_path, 65534, 65534)
    assert len(manage(tmp_path, "shell", "-v", "0", "-c", read).stdout.strip()) >= 50
    made = (tmp_path / "secret-key").stat()
    assert (made.st_uid, made.st_gid, stat.S_IMODE(made.st_mode)) == (65534, 65534, 0o600)


def test_a_secret_key_that_cannot_be_read_is_named_and_not_the_folder(tmp_path: Path) -> None:
    (tmp_path / "secret-key").mkdir()
    done = manage(tmp_path, "shell", "-v", "0", "-c", "from django.conf import settings; print(settings.SECRET_KEY)")
    assert f"{tmp_path / 'secret-key'} cannot be read" in done.stderr
    assert "BABELIA_DATA" not in done.stderr


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
    wide = manage(tmp_path, "shell", "-v", "0", "-c", read, BABELIA_LISTEN="0.0.0.0").stdout
    assert socket.gethostname().lower() in wide
    assert "'*'" not in wide


def test_the_operators_guide_has_every_setting_and_no_other() -> None:
    from babelia import settings  # noqa: F401  (reading it fills the table)

    guide = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
    told = re.findall(r"^\| `([A-Z][A-Z_]+)` \| (.+?) \| (.+) \|$", guide, re.MULTILINE)
    read = [(setting.name, setting.default or "none", setting.meaning) for setting in environment.SETTINGS.values()]
    assert told == read


def test_settings_are_read_from_the_environment_in_one_place() -> None:
    """Everything else gets them as arguments."""
    from babelia import settings  # noqa: F401  (reading it fills the table)

    readers = {"os.environ", "os.environ.get", "os.environ.setdefault", "os.environ.pop", "os.getenv", "environ.get"}
    packages = ("babelia", "gallery", "worker", "training", "bench")
    files = [ROOT / "manage.py", *(file for package in packages for file in (ROOT / package).rglob("*.py"))]
    found = []
    for file in files:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in readers and node.args:
                asked: ast.expr = node.args[0]
            elif isinstance(node, ast.Subscript) and ast.unparse(node.value) in readers:
                asked = node.slice
            elif isinstance(node, ast.Compare) and ast.unparse(node.comparators[0]) in readers:
                asked = node.left
            else:
                continue
            name = asked.value if isinstance(asked, ast.Constant) else ""
            if name in environment.SETTINGS or str(name).startswith("BABELIA_"):
                found.append(f"{file.relative_to(ROOT)}:{node.lineno} reads {name}")
    assert not found
