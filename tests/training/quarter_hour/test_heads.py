"""What the heads are asked, and that asking sends gradients into the U-Net."""

import pytest
import torch

from training.quarter_hour import heads
from training.quarter_hour.heads import Learner, Said
from training.quarter_hour.networks import Unet
from training.trainers import auxiliary


def said(things: torch.Tensor, places: torch.Tensor) -> Said:
    return Said(torch.zeros(1), torch.zeros(1, 2, 2, 2), [torch.zeros(1, 1, 8, 8)], things, places)


def test_only_cells_with_a_thing_are_asked_for_it_and_for_its_place():
    labels, places = torch.zeros(1, 8, 8, dtype=torch.int16), torch.zeros(1, 2, 8, 8, dtype=torch.uint8)
    labels[0, 2, 4], places[0, :, 2, 4] = 2, torch.tensor([255, 51], dtype=torch.uint8)
    logits, where_in = torch.zeros(1, 3, 4, 4), torch.zeros(1, 2, 4, 4)
    logits[0, 1, 1, 2] = 100.0  # the second thing, right
    where_in[0, :, 1, 2] = torch.tensor([1.0, 0.2])
    where = torch.zeros(1, 1, 8, 8)
    assert float(heads.loss(said(logits, where_in), where, labels, places, whole=False)) == pytest.approx(0, abs=1e-6)
    logits[0, :, 1, 2] = 0
    where_in[0, 0, 1, 2] = 0.5
    found = float(heads.loss(said(logits, where_in), where, labels, places, whole=False))
    assert found == pytest.approx(heads.THINGS * 1.0986 + heads.PLACES * 0.25, rel=1e-3), "log 3, and half a width off"
    whole = float(heads.loss(said(logits, where_in), where, labels, places, whole=True))
    both = auxiliary.loss(torch.zeros(1, 2, 2, 2), [torch.zeros(1, 1, 8, 8)], where)
    assert whole == pytest.approx(found + float(both))


def test_a_page_without_any_thing_has_a_finite_loss():
    labels, places = torch.zeros(1, 8, 8, dtype=torch.int16), torch.zeros(1, 2, 8, 8, dtype=torch.uint8)
    lost = heads.loss(
        said(torch.randn(1, 3, 4, 4), torch.randn(1, 2, 4, 4)), torch.zeros(1, 1, 8, 8), labels, places, False
    )
    assert float(lost) == 0


def test_the_heads_send_gradients_into_the_network():
    torch.manual_seed(0)
    learner = Learner(Unet((16, 24, 32), 2, 2), 7)
    answer = learner(torch.randn(2, 4, 16, 24), torch.tensor([999, 500]), torch.randn(2, 77, 768))
    assert answer.things.shape == (2, 7, 8, 12) and answer.places.shape == (2, 2, 8, 12)
    assert [logits.shape for logits in answer.subjects] == [(2, 1, 4, 6), (2, 1, 8, 12), (2, 1, 16, 24)]
    labels = torch.randint(0, 8, (2, 16, 24), dtype=torch.int16)
    places = torch.randint(0, 256, (2, 2, 16, 24), dtype=torch.uint8)
    heads.loss(answer, torch.rand(2, 1, 16, 24), labels, places, whole=True).backward()
    reached = {name for name, p in learner.unet.named_parameters() if p.grad is not None and p.grad.any()}
    assert {"conv_in.weight", "mid_block.resnets.1.conv2.weight", "up_blocks.1.resnets.2.conv2.weight"} <= reached
