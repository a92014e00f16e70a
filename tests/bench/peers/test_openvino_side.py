"""bench.peers.openvino_side: a peer that is there for the bench alone."""

import sys

import pytest
import torch
from torch import nn

from bench.peers import openvino_side


def test_where_it_is_not_installed_an_import_error_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    inputs = (torch.zeros(2, 4, 52, 80), torch.tensor(500), torch.zeros(2, 77, 768))
    with pytest.raises(ImportError, match="openvino"):
        openvino_side.prepare(nn.Identity(), inputs, 1)
