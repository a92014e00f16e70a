"""Auxiliary heads: what they are asked, and what asking does to the network."""

import torch

from training.export import new_unet
from training.trainers import auxiliary
from training.trainers.auxiliary import WithHeads


def test_the_heads_leave_the_prediction_as_it_is_and_send_gradients_into_the_network():
    torch.manual_seed(0)
    unet = new_unet()
    x, t, states = torch.randn(2, 4, 16, 24), torch.tensor([999, 500]), torch.randn(2, 77, 768)
    before = unet(x, t, states).sample
    after, position, subjects = WithHeads(unet)(x, t, states)
    assert torch.equal(before, after)
    assert position.shape == (2, 2, 4, 6)
    assert [logits.shape for logits in subjects] == [(2, 1, 4, 6), (2, 1, 8, 12), (2, 1, 16, 24)]
    auxiliary.loss(position, subjects, (torch.rand(2, 1, 16, 24) < 0.5).float()).backward()
    reached = {name for name, p in unet.named_parameters() if p.grad is not None and p.grad.any()}
    assert {"conv_in.weight", "mid_block.resnets.1.conv2.weight"} <= reached
    assert any(name.startswith("up_blocks.2.resnets.1") for name in reached)


def test_positions_are_columns_and_rows_from_one_edge_to_the_other():
    where = auxiliary.positions(13, 20)[0]
    assert where.mean((1, 2)).abs().max() < 1e-6
    assert where[0, 5].diff().min() > 0 and where[0, :, 7].unique().numel() == 1
    assert where[1, :, 5].diff().min() > 0 and where[1, 7].unique().numel() == 1
    perfect = auxiliary.loss(where[None], [torch.full((1, 1, 13, 20), 40.0)], torch.ones(1, 1, 52, 80))
    assert perfect < 1e-6
