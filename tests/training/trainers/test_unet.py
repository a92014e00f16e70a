"""The U-Net's training: its loss, its steps and its averages."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from training import runs
from training.configs import FIXED, TEXT_LAYERS
from training.export import new_unet
from training.plans import Share, UnetPlan
from training.trainers import auxiliary
from training.trainers.muon import ADAM_RATE
from training.trainers.unet import Stepper, Trainer, Weights, prepare, rate_at


class Fixed(torch.nn.Module):
    """Stands in for the network in `Trainer._loss`: keeps what it is asked and answers with one value everywhere."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = value
        self.asked: list[tuple[torch.Tensor, ...]] = []

    def forward(self, *asked):
        self.asked.append(asked)
        noised = asked[0]
        height, width = noised.shape[2] // 4, noised.shape[3] // 4
        subjects = [torch.zeros(len(noised), 1, height, width)]
        return torch.full_like(noised, self.value), torch.zeros(len(noised), 2, height, width), subjects


class Shelf:
    """Stands in for a bank: pages of latents 1 with a subject on their left half, embeddings 7."""

    def take(self, rng, number):
        where = torch.zeros(number, 1, 52, 80)
        where[..., :40] = 1
        return torch.ones(number, 4, 52, 80), torch.full((number, 77, 768), 7.0), where


def test_the_loss_is_on_v_at_tilted_timesteps_with_captions_dropped():
    trainer = object.__new__(Trainer)
    trainer.plan, trainer.device, trainer.empty = UnetPlan("pages", 1, (), dropout=0.25), "cpu", torch.zeros(77, 768)
    level = torch.linspace(0, 1, 1000)
    signal = (1 - level**2).sqrt()
    share, rng = Share("pages", 200, 1, tilt=0.4, focus=0.0), np.random.default_rng(0)
    network = Fixed(0.0)
    main, heads = trainer._loss(network, Shelf(), share, rng, signal, level)
    noised, t, states = network.asked[0]
    a, s = signal[t].view(-1, 1, 1, 1), level[t].view(-1, 1, 1, 1)
    noise = (noised - a) / s.clamp_min(1e-3)
    assert abs(float(noise[s.flatten() > 0.1].std()) - 1) < 0.02
    assert float(main) == pytest.approx(float((a * noise - s).pow(2).mean()), rel=0.02), "v = α·ε − σ·x₀"
    assert 0.15 < float((states[:, 0, 0] == 0).float().mean()) < 0.35 and set(states.unique().tolist()) == {0.0, 7.0}
    assert float(t.float().mean()) == pytest.approx(1000 / 1.4, rel=0.02), "the mean of 1000 · u^0.4"
    lost = auxiliary.POSITION * float(auxiliary.positions(13, 20).pow(2).mean())
    assert float(heads) == pytest.approx(lost + auxiliary.SUBJECTS * np.log(2), rel=1e-4)
    crops = replace(share, kind="crops")
    assert float(trainer._loss(network, Shelf(), crops, rng, signal, level)[1]) == 0, "heads learn of whole pages only"


@pytest.mark.parametrize(("tilt", "loss"), [(1e-9, 0.5), (1e9, 0.25)], ids=["at timestep 999", "at timestep 0"])
def test_subjects_count_three_times_at_little_noise_only(tilt, loss):
    class Half(Fixed):
        """Right where the subject is, on the left half, and wrong by 1 on the other."""

        def forward(self, *asked):
            output, position, subjects = super().forward(*asked)
            output[..., 40:] += 1
            return output, position, subjects

    trainer = object.__new__(Trainer)
    trainer.plan, trainer.device, trainer.empty = UnetPlan("pages", 1, ()), "cpu", torch.zeros(77, 768)
    share, rng = Share("pages", 8, 1, tilt=tilt, focus=2.0), np.random.default_rng(1)
    main, _ = trainer._loss(Half(-1.0), Shelf(), share, rng, torch.zeros(1000), torch.ones(1000))
    assert float(main) == pytest.approx(loss), "with no signal left v is −x₀ = −1"


def test_the_average_moves_as_its_decay_says():
    torch.manual_seed(0)
    one, average = torch.nn.Linear(6, 8), torch.nn.Linear(6, 8)
    average.load_state_dict(one.state_dict())
    start = one.weight.detach().clone()
    weights = Weights(one, average.requires_grad_(False), 1, "cpu")
    stepper = Stepper(weights, 0, 0)
    weights.attach(0)
    one(torch.ones(3, 6)).pow(2).mean().backward()
    stepper.step(0.05, 0.9)
    assert (one.weight - start).abs().max() > 1e-4
    assert torch.allclose(average.weight, 0.9 * start + 0.1 * one.weight, atol=1e-7)


def test_the_rate_warms_up_stays_and_falls_to_a_tenth():
    plan = UnetPlan("pages", 1000, (), rate=1.0, warmup=10, decay=0.2)
    assert rate_at(plan, 0) == pytest.approx(0.1)
    assert rate_at(plan, 500) == 1.0
    assert rate_at(plan, 999) == pytest.approx(0.1, abs=0.01)


def test_a_unet_made_quick_to_train_computes_the_same():
    torch.manual_seed(0)
    unet = new_unet()
    x, t, states = torch.randn(1, 4, 12, 16), torch.tensor([500]), torch.randn(1, 77, 768)
    found = []
    for _ in range(2):
        unet.zero_grad()
        output = unet(x, t, states).sample
        output.pow(2).mean().backward()
        found.append((output.detach(), torch.cat([p.grad.flatten() for p in unet.parameters()])))
        prepare(unet)
    for before, after in zip(*found, strict=True):
        assert (before - after).abs().max() < 1e-4 * before.abs().max()


def test_two_workers_step_as_torch_does_with_muon_and_adamw():
    torch.manual_seed(0)
    made = [torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.Tanh(), torch.nn.Linear(8, 4)) for _ in range(3)]
    one, average, reference = made
    reference.load_state_dict(one.state_dict())
    start = [parameter.detach().clone() for parameter in one.parameters()]
    weights = Weights(one, average.requires_grad_(False), 2, "cpu")
    steppers = [Stepper(weights, rank, 0) for rank in (0, 1)]
    assert all(stepper.optimizers for stepper in steppers), "both have something to do"
    named = dict(reference.named_parameters())
    optimizers = [
        torch.optim.Muon([p for p in named.values() if p.dim() == 2], lr=0.05, weight_decay=0.0),
        torch.optim.AdamW(
            [p for p in named.values() if p.dim() == 1], 0.05 * ADAM_RATE, (0.9, 0.99), weight_decay=1e-2
        ),
    ]
    for _ in range(4):
        x = torch.randn(8, 6)
        for rank in (0, 1):
            weights.attach(rank)
            one(x[rank::2]).pow(2).mean().backward()
        for stepper in steppers:
            stepper.step(0.05, 0.9)
        reference.zero_grad()
        reference(x).pow(2).mean().backward()
        torch.nn.utils.clip_grad_norm_(reference.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
    for mine, theirs, before in zip(one.parameters(), reference.parameters(), start, strict=True):
        far, moved = (mine - theirs).abs().max(), (mine - before).abs().max()
        assert far < 0.1 * moved, "sums in another order and Muon's bfloat16, nothing else"


def test_nothing_is_learned_of_the_two_values_that_no_key_holds(smoked):
    state = runs.load(smoked / "run" / "unet.pt")
    assert state is not None
    read = [name for name in state["model"] if name.endswith(TEXT_LAYERS)]
    places = [place for place, _ in FIXED]
    assert len(read) == 8
    for name in read:
        assert (state["model"][name][:, places] == 0).all() and (state["model"][name] != 0).any()
