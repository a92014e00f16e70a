"""Savings that a kill leaves whole."""

import shutil

import pytest
import torch

from training.errors import TrainingError
from training.quarter_hour import averages, shards
from training.quarter_hour.heads import Learner
from training.quarter_hour.networks import Unet
from training.quarter_hour.vectors import Vectors


@pytest.fixture
def vectors(monkeypatch) -> Vectors:
    monkeypatch.setattr(shards, "LIMIT", 200_000)
    vectors = Vectors(Learner(Unet((16, 24, 32), 1, 2), 5), (0.05, 0.10))
    vectors.averages[0.10] += 1
    vectors.step_number = 3
    return vectors


def test_a_saving_is_read_back_by_width_without_the_heads(vectors, tmp_path):
    averages.save(tmp_path, vectors, {"plan": "x"})
    assert len(list(tmp_path.glob("average-0.05-*-of-*.safetensors"))) > 1
    narrow, facts = averages.load(tmp_path)
    wide, _ = averages.load(tmp_path, 0.10)
    assert facts == {"plan": "x", "average": "0.05", "step": "3"}
    assert narrow.keys() == Unet((16, 24, 32), 1, 2).state_dict().keys()
    for name, tensor in narrow.items():
        expected = vectors.named(vectors.averages[0.05])["unet." + name]
        assert torch.equal(tensor, expected.half().float())
        assert torch.allclose(wide[name], tensor + 1, atol=2e-3), "in float16"


def test_a_kill_while_writing_leaves_the_saving_before(vectors, tmp_path):
    averages.save(tmp_path, vectors, {})
    name = sorted(tmp_path.iterdir())[0].name
    (tmp_path / (name + ".partial")).write_bytes(b"half a file")
    averages.finish(tmp_path)
    assert not list(tmp_path.glob("*.partial"))
    assert averages.load(tmp_path)[1]["step"] == "3"


def test_a_kill_between_two_renamings_is_completed(vectors, tmp_path):
    old, new = tmp_path / "old", tmp_path / "new"
    for folder, step in ((old, 3), (new, 4)):
        folder.mkdir()
        vectors.step_number = step
        averages.save(folder, vectors, {})
    names = sorted(path.name for path in old.iterdir())
    for i, name in enumerate(names):  # the first is renamed, the others are not yet
        shutil.copyfile(new / name, old / (name if i == 0 else name + ".partial"))
    with pytest.raises(TrainingError, match="different savings"):
        averages.load(old)
    averages.finish(old)
    assert not list(old.glob("*.partial"))
    assert all((old / name).read_bytes() == (new / name).read_bytes() for name in names)
    assert averages.load(old, 0.10)[1]["step"] == "4"


def test_a_kill_before_the_last_file_was_begun_leaves_the_saving_before(vectors, tmp_path):
    averages.save(tmp_path, vectors, {})
    vectors.step_number = 4
    other = tmp_path / "other"
    other.mkdir()
    averages.save(other, vectors, {})
    for path in sorted(other.iterdir())[:-1]:
        path.replace(tmp_path / (path.name + ".partial"))
    shutil.rmtree(other)
    averages.finish(tmp_path)
    assert averages.load(tmp_path)[1]["step"] == "3" and averages.load(tmp_path, 0.10)[1]["step"] == "3"


def test_weights_that_are_not_finite_do_not_replace_a_saving(vectors, tmp_path):
    averages.save(tmp_path, vectors, {})
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    vectors.now[5] = float("inf")
    with pytest.raises(TrainingError, match="no longer finite"):
        averages.save(tmp_path, vectors, {})
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_folder_that_vanished_is_one_sentence(vectors, tmp_path):
    with pytest.raises(TrainingError, match="could not be written"):
        averages.save(tmp_path / "gone", vectors, {})


def test_a_missing_file_or_folder_is_one_sentence(vectors, tmp_path):
    with pytest.raises(TrainingError, match="There is no average in"):
        averages.load(tmp_path)
    averages.save(tmp_path, vectors, {})
    with pytest.raises(TrainingError, match=r"There is no average 0\.20"):
        averages.load(tmp_path, 0.2)
    sorted(tmp_path.iterdir())[0].unlink()
    with pytest.raises(TrainingError, match="files of the average"):
        averages.load(tmp_path)
