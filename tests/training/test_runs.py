"""A run's folder: checkpoints that appear whole or not at all."""

import shutil

import pytest
import torch

from tests.training.conftest import files_of_at_most, train_here
from training import runs
from training.errors import TrainingError


def test_a_checkpoint_of_other_shapes_is_refused_and_left_alone(smoked, tmp_path, capsys):
    folder = tmp_path / "run"
    shutil.copytree(smoked / "run", folder)
    state = runs.load(folder / "unet.pt")
    assert state is not None
    state["average"]["conv_in.weight"] = torch.zeros(40, 4, 3, 3)
    state["model"]["conv_in.weight"] = torch.zeros(40, 4, 3, 3)
    state["progress"] = {}
    runs.save(folder / "unet.pt", state)
    before = (folder / "unet.pt").read_bytes()
    assert train_here("next", "--preset", "smoke", "--runs", str(folder)) == 2
    said = capsys.readouterr().err
    assert said.splitlines()[-1].startswith("The checkpoint ") and "conv_in.weight is (40, 4, 3, 3)" in said
    assert (folder / "unet.pt").read_bytes() == before


def test_a_full_disk_is_one_sentence_and_the_checkpoint_before_is_whole(smoked, tmp_path, capsys):
    folder = tmp_path / "run"
    shutil.copytree(smoked / "run", folder)
    state = runs.load(folder / "unet.pt")
    assert state is not None
    state["progress"] = {}
    runs.save(folder / "unet.pt", state)
    before = (folder / "unet.pt").read_bytes()
    with files_of_at_most(20_000_000):
        assert train_here("next", "--preset", "smoke", "--runs", str(folder)) == 2
    said = capsys.readouterr().err
    assert "could not be written" in said.splitlines()[-1]
    assert "Traceback" not in said
    assert (folder / "unet.pt").read_bytes() == before
    assert not list(folder.glob("*.partial"))


def test_a_checkpoint_that_cannot_be_read_says_what_to_do(tmp_path):
    (tmp_path / "unet.pt").write_bytes(b"half a file")
    with pytest.raises(TrainingError, match="cannot be read") as caught:
        runs.load(tmp_path / "unet.pt")
    assert "Move it away" in caught.value.hint
