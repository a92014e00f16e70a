"""worker.editions.holdings: what was measured of an edition, read from its file."""

import json
from pathlib import Path

import pytest

from tests import ROOT
from worker.editions.edition import load_edition
from worker.editions.holdings import FILE, FOLDER, read_holdings
from worker.editions.weights import weights_digest
from worker.errors import EditionRefused

POCKET = ROOT / "editions" / "pocket-1"


def test_what_ships_was_measured_with_the_weights_that_ship(tmp_path: Path) -> None:
    edition, found = load_edition("pocket-1", tmp_path), read_holdings(POCKET)
    assert found is not None
    assert found.fits(edition, weights_digest(edition.weights, tmp_path / "digests.json"))
    assert not found.fits(edition, "0" * 64)
    begins = f"pocket-1 {edition.digest[:16]} "
    assert all(part.rows and part.how["rendition"].startswith(begins) for part in found.parts.values())


def test_every_picture_that_a_row_names_is_there_and_small_and_no_other() -> None:
    found = read_holdings(POCKET)
    assert found is not None
    rows = found.parts["pictures"].rows if "pictures" in found.parts else ()
    named = {f"{name}.webp" for row in rows for name in row.get("files", {}).values()}
    there = {file.name: file.stat().st_size for file in (POCKET / FOLDER).glob("*.webp")}
    assert there.keys() == named
    assert sum(there.values()) < 2_500_000 and all(size < 40_000 for size in there.values())


def test_an_edition_of_which_nothing_was_measured_has_none(tmp_path: Path) -> None:
    assert read_holdings(tmp_path) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        json.dumps({"weights": "a", "settings": {}, "rendition": "b", "parts": {"lore": {}}}),
        json.dumps(
            {"weights": "a", "settings": {}, "rendition": "b", "parts": {"bits": {"measured": "today", "rows": []}}}
        ),
    ],
)
def test_a_broken_file_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / FOLDER).mkdir()
    (tmp_path / FOLDER / FILE).write_text(text, encoding="utf-8")
    with pytest.raises(EditionRefused, match=r"holds\.json holds no measurements"):
        read_holdings(tmp_path)


def test_only_pictures_that_a_row_names_are_given(tmp_path: Path) -> None:
    part = {"how": {}, "measured": "2026-11-28", "rows": [{"files": {"asked": "flat-1-asked", "found": "gone"}}]}
    document = {"weights": "a", "settings": {}, "rendition": "b", "parts": {"pictures": part}}
    (tmp_path / FOLDER).mkdir()
    (tmp_path / FOLDER / FILE).write_text(json.dumps(document), encoding="utf-8")
    for name in ("flat-1-asked", "another"):
        (tmp_path / FOLDER / f"{name}.webp").write_bytes(b"picture")
    found = read_holdings(tmp_path)
    assert found is not None
    assert found.picture("flat-1-asked") == tmp_path / FOLDER / "flat-1-asked.webp"
    assert found.picture("another") is None and found.picture("gone") is None
