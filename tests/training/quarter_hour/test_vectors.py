"""Flat vectors step as torch's own optimizers do, and average as their width says."""

import numpy as np
import pytest
import torch
from torch import nn

from training.quarter_hour.heads import Learner
from training.quarter_hour.networks import Unet
from training.quarter_hour.vectors import DEAF, Vectors, decay_at, power_of
from training.trainers.muon import ADAM_RATE


def net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 8), nn.Linear(8, 3))


def test_steps_are_those_of_muon_and_adamw():
    ours, reference = net(), net()
    vectors = Vectors(ours, (0.1,))
    optimizers = [
        torch.optim.Muon([p for p in reference.parameters() if p.dim() == 2], lr=0.02, weight_decay=0.0),
        torch.optim.AdamW([p for p in reference.parameters() if p.dim() == 1], 0.02 * ADAM_RATE, (0.9, 0.99)),
    ]
    for _ in range(4):
        x = torch.randn(8, 6)
        vectors.gradient.zero_()
        (2 * ours(x).pow(2).mean()).backward()  # as if of two pieces
        vectors.step(0.02, 2)
        reference.zero_grad()
        reference(x).pow(2).mean().backward()
        torch.nn.utils.clip_grad_norm_(reference.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
    start = net()
    for mine, theirs, before in zip(ours.parameters(), reference.parameters(), start.parameters(), strict=True):
        assert (mine - theirs).abs().max() < 0.1 * (mine - before).abs().max(), "Muon's bfloat16 and nothing else"


def test_a_gradient_that_is_not_finite_moves_nothing_and_is_counted():
    network = net()
    vectors = Vectors(network, (0.1,))
    before = vectors.now.clone()
    vectors.gradient.fill_(float("nan"))
    vectors.step(0.02, 1)
    assert int(vectors.skipped) == 1
    assert torch.allclose(vectors.now, before, atol=1e-4), "AdamW's decay of the weights at most"
    assert bool(torch.isfinite(vectors.now).all())


def test_nothing_is_learned_in_the_two_columns_that_no_key_holds():
    learner = Learner(Unet((16, 24, 32), 1, 2), 5)
    for name, weight in learner.named_parameters():
        if "attn2.to_k" in name or "attn2.to_v" in name:
            weight.data[:, DEAF] = 0
    vectors = Vectors(learner, (0.1,))
    states = torch.randn(1, 77, 768)
    states[..., DEAF] = 0
    for _ in range(2):
        vectors.gradient.zero_()
        learner(torch.randn(1, 4, 8, 8), torch.tensor([500]), states).prediction.pow(2).mean().backward()
        vectors.step(0.01, 1)
    for name, weight in learner.named_parameters():
        if "attn2.to_k" in name:
            assert (weight[:, DEAF] == 0).all() and (weight != 0).any()


@pytest.mark.parametrize("width", [0.05, 0.10, 0.20])
def test_an_average_is_as_wide_as_it_says(width):
    gamma, steps = power_of(width), 4000
    weights = np.zeros(steps + 1)
    for step in range(1, steps + 1):
        decay = decay_at(gamma, step)
        weights *= decay
        weights[step] += 1 - decay
    places = np.arange(steps + 1) / steps
    mean = (weights * places).sum()
    assert np.sqrt((weights * (places - mean) ** 2).sum()) == pytest.approx(width, rel=0.01)
    assert weights.sum() == pytest.approx(1)


def test_the_first_step_of_an_average_is_the_weights_themselves():
    vectors = Vectors(net(), (0.05,))
    vectors.gradient.fill_(0.1)
    vectors.step(0.01, 1)
    assert torch.equal(vectors.averages[0.05], vectors.now)


def test_parameters_are_views_of_the_vector_whatever_their_order():
    network = net()
    expected = {name: p.detach().clone() for name, p in network.named_parameters()}
    vectors = Vectors(network, (0.1,))
    found = vectors.named(vectors.now)
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    vectors.load({name: p + 1 for name, p in expected.items()})
    assert all(torch.equal(p, expected[name] + 1) for name, p in network.named_parameters())
    assert torch.equal(vectors.averages[0.1], vectors.now)
