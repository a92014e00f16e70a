"""gallery.editions: which editions a visitor is offered, and how often their folders are read."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gallery import editions as module
from gallery.editions import default_edition, edition_of, editions, offered_editions
from tests.conftest import write_edition
from worker.errors import EditionRefused


@pytest.fixture
def data(settings: Any, tmp_path: Path) -> Iterator[Path]:
    settings.DATA_DIR = tmp_path
    write_edition(tmp_path, "own", "nowhere")
    yield tmp_path


def test_the_folders_of_editions_are_read_once_for_many_requests(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = []
    all_editions = module.all_editions
    monkeypatch.setattr(module, "all_editions", lambda folder: read.append(folder) or all_editions(folder))
    for _ in range(5):
        assert "own" in editions() and offered_editions() and default_edition()
    assert read == [data]


def test_the_shipped_edition_is_the_default_and_only_installed_ones_are_offered(data: Path) -> None:
    assert default_edition() == next(iter(editions())) == "pocket-1"
    assert "own" not in {edition.slug for edition in offered_editions()}, "its weights are nowhere"
    assert edition_of("own").slug == "own"


def test_an_unknown_edition_is_refused_with_those_there_are(data: Path) -> None:
    with pytest.raises(EditionRefused, match="no model named “atlantis”") as refused:
        edition_of("atlantis")
    assert refused.value.hint.startswith("The models here are pocket-1") and "own" in refused.value.hint


def test_an_edition_with_a_broken_repertoire_is_one_without(data: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = data / "editions" / "own" / "repertoire"
    folder.mkdir()
    (folder / "repertoire.json").write_text("{", encoding="utf-8")
    known = module.known_of(edition_of("own"))
    assert (known.repertoire, known.fits) == (None, False)
    assert "does not say what edition own draws" in caplog.text


def test_the_shipped_repertoire_is_known_and_true_of_the_shipped_weights(data: Path) -> None:
    known = module.known_of(edition_of("pocket-1"))
    assert known.repertoire is not None and known.fits
