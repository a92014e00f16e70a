"""`python -m bench.holds` on tiny weights: each part alone, going on where it was stopped, and what it refuses."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from PIL import Image

from bench.holds import __main__ as command
from bench.holds import bits, dimension, kinds, mush, pictures
from worker.finding import search


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    """The engine sets torch's switches for the whole process."""
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(False)


def run(data: Path, folder: Path, *more: str) -> int:
    return command.main(
        ["--edition", "tiny", "--data", str(data), "--output", str(folder), "--threads", "1", "--count", "1", *more]
    )


def test_each_part_is_measured_alone_and_goes_on(
    tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(dimension, "STEPS", 2)
    monkeypatch.setattr(dimension, "ROUNDS", 1)
    monkeypatch.setattr(bits, "PLACES", (0, 14))
    monkeypatch.setattr(bits, "TOGETHER", (1,))
    monkeypatch.setattr(mush, "SCENES", 1)
    assert run(tiny_data, tmp_path, "--part", "dimension") == 0
    parts = json.loads((tmp_path / "holds.json").read_text())["parts"]
    (row,) = parts["dimension"]["rows"]
    assert parts.keys() == {"dimension"} and parts["dimension"]["how"]["steps"] == 2
    assert row["latents"]["shares"] == [1.0] and row["latents"]["strengths"][0] > 0

    assert run(tiny_data, tmp_path, "--part", "bits", "--part", "mush") == 0
    parts = json.loads((tmp_path / "holds.json").read_text())["parts"]
    (row,) = parts["bits"]["rows"]
    kinds = [(flip["field"], flip["bit"]) for flip in row["flips"]]
    assert kinds[-4:] == [("embedding", 0), ("embedding", 14), ("latents", 0), ("latents", 14)]
    assert ("steps", 0) not in kinds, "68 steps are more than the edition's limit"
    sign, lowest = (next(flip for flip in row["flips"][-2:] if flip["bit"] == bit) for bit in (0, 14))
    assert sign["rms"] > lowest["rms"]
    assert [(each["field"], each["low"]) for each in row["together"]] == [("embedding", 1), ("latents", 1)]
    (row,) = parts["mush"]["rows"]
    assert len(row["scenes"]) == 1 and row["key"]["steps"] == 4

    capsys.readouterr()
    assert run(tiny_data, tmp_path, "--part", "mush") == 0
    assert capsys.readouterr().out == "mush: 1 are there\n", "nothing is measured twice"


def test_what_a_person_got_wrong_is_one_sentence(
    tiny_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(["--edition", "atlantis", "--data", str(tiny_data)]) == 2
    said = capsys.readouterr().err
    assert said.startswith("There is no edition 'atlantis'. The editions here are: pocket-1, sd-1.5, tiny. ")
    assert said.count("\n") == 1
    for wrong in (["--count", "0"], ["--count", "many"], ["--part", "nothing"]):
        with pytest.raises(SystemExit) as ended:
            command.main(wrong)
        assert ended.value.code == 2
    (tmp_path / "holds.json").write_text("nothing")
    assert run(tiny_data, tmp_path, "--part", "mush") == 2
    assert "should hold measurements and cannot be read" in capsys.readouterr().err


def test_pictures_are_searched_for_and_again_where_a_search_has_become_another(
    tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(pictures, "KINDS", ("flat",))
    monkeypatch.setitem(search._EFFORTS, "quick", search._Effort(steps=2, fitted_steps=2, goes=1, embedding_fit=1))
    asked = ("--part", "pictures", "--depth", "quick")
    assert run(tiny_data, tmp_path, *asked) == 0
    (row,) = json.loads((tmp_path / "holds.json").read_text())["parts"]["pictures"]["rows"]
    assert (row["kind"], row["number"], row["efforts"]["quick"][:4]) == ("flat", 0, [2, 2, 1, 1])
    assert row["dB"].keys() == {"bound", "quick"} and len(row["mark"]) == 26
    for file in row["files"].values():
        with Image.open(tmp_path / f"{file}.webp") as image:
            assert image.size == (320, 208)
    capsys.readouterr()
    assert run(tiny_data, tmp_path, *asked) == 0
    assert capsys.readouterr().out == "pictures: 1 are there\n", "nothing is searched for twice"
    monkeypatch.setitem(search._EFFORTS, "quick", search._Effort(steps=4, fitted_steps=4, goes=1, embedding_fit=1))
    assert run(tiny_data, tmp_path, *asked) == 0
    (row,) = json.loads((tmp_path / "holds.json").read_text())["parts"]["pictures"]["rows"]
    assert row["efforts"]["quick"][0] == 4


def test_without_photographs_it_is_said_where_they_come_from(
    tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(kinds, "find_spec", lambda name: None)
    monkeypatch.setattr(pictures, "KINDS", ("photographs",))
    assert run(tiny_data, tmp_path, "--part", "pictures") == 2
    assert "scikit-image, which is not installed. `pip install --no-deps" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
    assert run(tiny_data, tmp_path, "--part", "pictures", "--count", "13") == 2
    assert "There are 12 pictures of each kind, and 13 were asked for." in capsys.readouterr().err
