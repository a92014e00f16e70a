"""`manage.py fetch_edition`: what it brings out of a folder, and what it refuses. The hub itself: test_hub.py."""

import hashlib
import shutil
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from tests.conftest import write_edition
from worker.editions.edition import load_edition
from worker.editions.weights import deciding_files


@pytest.fixture
def data(tmp_path: Path, tiny_weights: Path, settings: Any) -> Path:
    """A data folder with the edition `hubbed`, whose weights are pinned and not there."""
    pins = [
        f'"{name}" = {{ bytes = {len(content)}, sha256 = "{hashlib.sha256(content).hexdigest()}" }}'
        for name, content in ((name, (tiny_weights / name).read_bytes()) for name in deciding_files(tiny_weights))
    ]
    lines = ['hub = "owner/tiny"', f'revision = "{"0" * 40}"', "[weights.files]", *pins]
    write_edition(tmp_path, "hubbed", "MODEL", lambda text: text.replace('model = "MODEL"', "\n".join(lines)))
    settings.DATA_DIR = tmp_path
    return tmp_path


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What the command says as it ends with code 2."""
    with pytest.raises(SystemExit) as ended:
        call_command("fetch_edition", *arguments)
    assert ended.value.code == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "Traceback" not in said.err
    return said.err


def test_weights_out_of_a_folder_are_installed_and_named(
    data: Path, tiny_weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("fetch_edition", "hubbed", "--from", str(tiny_weights))
    edition = load_edition("hubbed", data)
    digest = edition.check().digest
    assert capsys.readouterr().out == f"Tiny is installed in {data / 'weights' / 'hubbed'}, digest {digest}.\n"


def test_another_file_than_the_pinned_one_is_refused(
    data: Path, tiny_weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "source"
    shutil.copytree(tiny_weights, source)
    config = source / "unet" / "config.json"
    config.write_bytes(config.read_bytes().replace(b"{", b"[", 1))
    assert "unet/config.json" in refused(capsys, "hubbed", "--from", str(source))
    assert not load_edition("hubbed", data).installed


def test_a_folder_or_an_edition_that_is_not_there_is_refused_with_a_sentence(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nowhere = data / "nowhere"
    assert f"There is no folder {nowhere}." in refused(capsys, "hubbed", "--from", str(nowhere))
    assert "There is no edition 'unheard-of'." in refused(capsys, "unheard-of")
