"""`manage.py find_key`: from pictures to keys, in one process and in a fresh one; bad input is one sentence, exit 2."""

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.management import call_command
from PIL import Image

from tests.worker.finding.test_copies import keep
from tests.worker.finding.test_registration import scene
from worker.catalogue.expansion import stacks_key
from worker.catalogue.key import Key
from worker.catalogue.png import KEY, MARK, encode_page, pixel_digest_of_file, read_chunks
from worker.finding import search
from worker.store.store import Store

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def data(tmp_path: Path, tiny_data: Path) -> Path:
    """A data folder of one's own with the edition `tiny`, and page 1 of a volume kept."""
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "editions").symlink_to(tiny_data / "editions")
    keep(Store(folder, reserve=0), 1)
    return folder


@pytest.fixture
def run(
    tmp_path: Path, data: Path, settings: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Run]:
    """Run the command in this process and in an empty folder: exit code, standard output, standard error."""
    settings.DATA_DIR, settings.DEVICE = data, "cpu"
    few = replace(search._EFFORTS["quick"], steps=2, fitted_steps=2, goes=1, embedding_fit=2)
    monkeypatch.setitem(search._EFFORTS, "quick", few)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")

    def run(*arguments: str) -> tuple[int, str, str]:
        code = 0
        try:
            call_command("find_key", *arguments)
        except SystemExit as ended:
            code = int(ended.code or 0)
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    yield run
    if "torch" in sys.modules:
        import torch

        torch.use_deterministic_algorithms(False)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.jpg"
    scene(50).save(path)
    return path


def test_a_key_is_found_written_kept_and_prints_the_same_page_again(run: Run, photo: Path, data: Path) -> None:
    code, printed, said = run(str(photo), "--edition", "tiny", "--json")
    assert code == 0, said
    (entry,) = json.loads(printed)["pictures"]
    key = Key.parse(Path(entry["key_file"]).read_text(encoding="ascii"))
    png = Path(entry["png"]).read_bytes()
    texts = read_chunks(png)
    assert texts[MARK] == entry["mark"] == key.mark
    assert texts[KEY] == key.format()
    assert pixel_digest_of_file(png) == entry["pixel_digest"]
    assert entry["address"] == f"tiny/mark/{key.mark}"
    assert entry["said"] == "This is a JPEG picture of 640 × 416 pixels."
    assert 0 <= entry["likeness"] <= 1
    assert 0 < entry["decibels"] < 100
    kept = Store(data).key(key.mark)
    assert kept == key
    call_command("key_to_image", entry["address"], "--output", "again")
    assert pixel_digest_of_file(Path("again-000.png").read_bytes()) == entry["pixel_digest"]


def test_copies_are_said_and_not_searched_for_unless_that_is_asked(run: Run, photo: Path, tmp_path: Path) -> None:
    mark = stacks_key("copies", 1).mark
    copy, page = tmp_path / "copy.jpg", tmp_path / "page.png"
    scene(1).save(copy, quality=60)
    texts = {"address": "tiny/stacks/copies/1", "mark": mark, "edition": "tiny", "rendition": "r"}
    page.write_bytes(encode_page(np.asarray(scene(1)), **texts))
    code, printed, said = run(str(copy), str(page), "--edition", "tiny")
    assert code == 0, said
    assert f"a page that is kept here: tiny/mark/{mark}" in printed
    assert "says itself which page it is: tiny/stacks/copies/1" in printed
    assert "The press took" not in said  # nothing was loaded
    assert not list(Path().iterdir())
    code, printed, said = run(str(copy), str(photo), "--edition", "tiny", "--search-anyway", "--output", "mine")
    assert code == 0, said
    lines = printed.splitlines()
    assert [line.partition(":")[0] for line in lines if not line.startswith(" ")] == [str(copy), str(photo)]
    assert printed.count("the autoencoder alone") == 2
    assert sorted(path.name for path in Path().iterdir()) == [
        *("mine-000.key.txt", "mine-000.png", "mine-001.key.txt", "mine-001.png")
    ]
    first, second = (Path(f"mine-00{number}.key.txt").read_text(encoding="ascii") for number in (0, 1))
    assert Key.parse(first) != Key.parse(second), "each has a key of its own"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("gone.png",), "There is no file gone.png."),
        ((".",), ". is a folder"),
        (("{photo}", "note.txt"), "note.txt cannot be used. This file is text;"),
        (("{photo}", "--prompt", "\x07"), "--prompt cannot be used."),
        (("{photo}", "--edition", "nowhere"), "nowhere"),
        (("{photo}", "--output", "no/folder/here"), "does not exist"),
        (("{photo}", "--depth", "deep"), "invalid choice: 'deep'"),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_is_loaded(
    run: Run, photo: Path, arguments: tuple[str, ...], said: str
) -> None:
    Path("note.txt").write_text("no picture", encoding="ascii")
    given = [argument.format(photo=photo) for argument in arguments]
    code, printed, told = run(*given, *([] if "--edition" in given else ["--edition", "tiny"]))
    assert (code, printed) == (2, "")
    assert said in told
    assert "The press took" not in told
    assert [path.name for path in Path().iterdir()] == ["note.txt"]


def test_a_picture_of_another_shape_is_fitted_as_is_asked(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "tall.png"
    Image.new("RGB", (30, 90), (10, 60, 200)).save(path)
    code, printed, said = run(str(path), "--edition", "tiny", "--fit", "fit", "--prompt", "A dog", "--json")
    assert code == 0, said
    (entry,) = json.loads(printed)["pictures"]
    assert entry["said"].startswith("This is a PNG picture of 30 × 90 pixels.")
