"""Muon for many matrices at once."""

import pytest
import torch
from torch import nn

from training.trainers.muon import is_inner_matrix, step_matrices


@pytest.mark.parametrize("shape", [(3, 8, 20), (2, 24, 6), (1, 5, 5)])
def test_matrices_of_one_shape_step_as_torch_steps_each(shape):
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(shape, generator=generator)
    now, momentum = start.clone(), torch.zeros(shape)
    each = [nn.Parameter(matrix.clone()) for matrix in start]
    optimizer = torch.optim.Muon(each, lr=0.03, weight_decay=0.0)
    for _ in range(3):
        gradient = torch.randn(shape, generator=generator)
        step_matrices(now, gradient, momentum, 0.03)
        for parameter, slope in zip(each, gradient, strict=True):
            parameter.grad = slope.clone()
        optimizer.step()
    assert (now - torch.stack([*each])).abs().max() < 0.03 * (now - start).abs().max(), "bfloat16"


def test_muon_steps_what_lies_inside_the_network():
    matrix, bias = nn.Parameter(torch.zeros(4, 4)), nn.Parameter(torch.zeros(4))
    assert is_inner_matrix("unet.mid_block.resnets.0.conv1.weight", nn.Parameter(torch.zeros(4, 4, 3, 3)))
    assert is_inner_matrix("down_blocks.2.attentions.0.proj_in.weight", matrix)
    assert not is_inner_matrix("down_blocks.2.attentions.0.proj_in.bias", bias)
    for name in ("conv_in.weight", "unet.conv_out.weight", "time_embedding.linear_1.weight", "heads.things.weight",
                 "mid_block.resnets.0.time_emb_proj.weight"):  # fmt: skip
        assert not is_inner_matrix(name, matrix)
