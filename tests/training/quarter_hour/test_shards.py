"""Shards are safetensors files, whoever reads them."""

import pytest
import torch
from safetensors.torch import load_file, save_file

from training.errors import TrainingError
from training.quarter_hour import shards
from worker.editions.weights import read_header


def test_what_is_written_is_read_by_the_library_and_passes_the_editions_check(tmp_path):
    tensors = {
        "a.weight": torch.randn(3, 5),
        "b": torch.randn(2, 4, 3, 3).contiguous(memory_format=torch.channels_last),
    }
    path = tmp_path / "x.safetensors"
    shards.write_half(path, tensors, {"step": "7"})
    theirs = load_file(path)
    ours, facts = shards.read(path)
    assert facts == {"step": "7"}
    for name, tensor in tensors.items():
        assert torch.equal(theirs[name], tensor.half()) and torch.equal(ours[name], tensor.half().float())
    assert read_header(path).keys() == tensors.keys()


def test_what_the_library_writes_is_read(tmp_path):
    save_file({"a": torch.arange(6.0).view(2, 3), "n": torch.tensor([3])}, tmp_path / "x.safetensors")
    found, facts = shards.read(tmp_path / "x.safetensors")
    assert torch.equal(found["a"], torch.arange(6.0).view(2, 3)) and found["n"].dtype == torch.int64
    assert facts == {}


@pytest.mark.parametrize("cut", [4, 40, -1])
def test_a_file_cut_short_is_refused(tmp_path, cut):
    path = tmp_path / "x.safetensors"
    shards.write_half(path, {"a": torch.ones(100)}, {})
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(TrainingError, match="not a whole safetensors file"):
        shards.read(path)


def test_no_shard_is_larger_than_what_passes():
    tensors = {f"t{i:02}": torch.zeros(1_000_000) for i in range(12)}  # 2 MB each in float16
    parts = shards.divide(tensors)
    assert [len(part) for part in parts] == [6, 6]
    assert {name for part in parts for name in part} == tensors.keys()
