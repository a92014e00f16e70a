"""What a step of the training is made of."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from tests import ROOT
from tests.training.quarter_hour.conftest import chunk
from training.plans import Part, Phase
from training.presets import REHEARSAL
from training.quarter_hour.bank import Batch
from training.quarter_hour.heads import Said
from training.quarter_hour.networks import Unet
from training.quarter_hour.training import Training

EDITION = ROOT / "editions" / "pocket-1"
PLAN = replace(REHEARSAL, dropout=0.25)


@pytest.fixture
def training(frozen) -> Training:
    said: list[str] = []
    training = Training(PLAN, frozen, PLAN.pieces, 1, said.append)
    for kind in ("crops", "pages"):
        training.banks[kind].put(chunk(kind, 8))
    return training


class Fixed:
    """Stands in for the network: keeps what it is asked and predicts one value everywhere."""

    def __init__(self, value: float) -> None:
        self.value, self.asked = value, []

    def __call__(self, *asked):
        self.asked.append(asked)
        n, _, h, w = asked[0].shape
        zeros = torch.zeros(n, 2, h // 4, w // 4)
        prediction = torch.full_like(asked[0], self.value)
        return Said(
            prediction, zeros, [zeros[:, :1]], torch.zeros(n, 127, h // 2, w // 2), torch.zeros(n, 2, h // 2, w // 2)
        )


def batch_of(number: int) -> Batch:
    where = torch.zeros(number, 1, 52, 80)
    where[..., :40] = 1
    cells = torch.zeros(number, 52, 80, dtype=torch.int16)
    places = torch.zeros(number, 2, 52, 80, dtype=torch.uint8)
    return Batch(torch.ones(number, 4, 52, 80), torch.full((number, 77), 7), where, cells, places)


def test_the_loss_is_on_v_with_captions_dropped(training, monkeypatch):
    asked: list[torch.Tensor] = []
    monkeypatch.setattr(
        "training.quarter_hour.training.embed", lambda _, tokens: asked.append(tokens) or tokens.float()
    )
    training.plan = replace(PLAN, focus=0.0)
    network = Fixed(0.0)
    main, _ = training.loss(network, Part("pages", 200, tilt=0.4), batch_of(200))
    noised, t, _ = network.asked[0]
    a, s = training._signal[t].view(-1, 1, 1, 1), training._level[t].view(-1, 1, 1, 1)
    noise = (noised - a) / s.clamp_min(1e-3)
    assert abs(float(noise[s.flatten() > 0.1].std()) - 1) < 0.02
    assert float(main) == pytest.approx(float((a * noise - s).pow(2).mean()), rel=0.02), "v = α·ε − σ·x₀"
    dropped = (asked[0] == training._empty).all(1).float().mean()
    assert 0.15 < float(dropped) < 0.35


def test_subjects_count_three_times_at_little_noise_only(training):
    class Half(Fixed):
        """Right where the subject is, on the left half, and wrong by 1 on the other."""

        def __call__(self, *asked):
            said = super().__call__(*asked)
            said.prediction[..., 40:] += 1
            return said

    training._signal, training._level = torch.zeros(1000), torch.ones(1000)
    late, _ = training.loss(Half(-1.0), Part("pages", 8, tilt=1e9), batch_of(8))
    early, _ = training.loss(Half(-1.0), Part("pages", 8, tilt=1e-9), batch_of(8))
    assert float(late) == pytest.approx(0.25) and float(early) == pytest.approx(0.5)


def test_a_step_moves_the_weights_and_counts_what_it_used(training):
    before = training.vectors.now.clone()
    training.step(Phase("both", 1.0, (Part("pages", 2), Part("crops", 8))), 1e-3)
    assert not torch.equal(training.vectors.now, before)
    assert training.banks["pages"].used == 2 and training.banks["crops"].used == 8
    assert training.losses["pages"][2] == 2 and training.losses["crops"][2] == 2, "pieces of 1 page and 4 crops"


def test_memory_that_does_not_suffice_halves_a_piece(training, monkeypatch):
    real, said = training.loss, []

    def loss(network, part, batch):
        if len(batch.latents) > 1:
            raise torch.OutOfMemoryError
        return real(network, part, batch)

    monkeypatch.setattr(training, "loss", loss)
    training.say = said.append
    training.fit_pieces((Phase("crops", 1.0, (Part("crops", 8),)),))
    assert training.pieces["crops"] == 1
    assert said == ["memory allows 2 crops at once", "memory allows 1 crops at once"]


@pytest.mark.parametrize(
    ("broken", "sentence"),
    [
        (lambda learner: lambda *_: (_ for _ in ()).throw(RuntimeError("no such kernel")), "no such kernel"),
        (lambda learner: lambda *a: learner(a[0].flip(-1), *a[1:]), "cosine"),
    ],
    ids=["it fails", "its gradients are others"],
)
def test_a_compiler_that_fails_or_errs_is_gone_without(training, monkeypatch, broken, sentence):
    said: list[str] = []
    training.say = said.append
    monkeypatch.setattr(torch, "compile", lambda learner, **_: broken(learner))
    training.compile((Phase("crops", 1.0, (Part("crops", 4),)),))
    assert training.network is training.learner
    assert len(said) == 1 and said[0].startswith("not compiled") and sentence in said[0]


def test_a_compiled_network_with_the_same_gradients_is_used(training, monkeypatch):
    network = SimpleNamespace(forward=training.learner.forward)
    monkeypatch.setattr(torch, "compile", lambda learner, **_: network.forward)
    training.compile((Phase("crops", 1.0, (Part("crops", 4),)),))
    assert training.network == network.forward


def test_weights_of_another_plan_are_refused(frozen):
    from training.errors import TrainingError

    with pytest.raises(TrainingError, match="of another model"):
        Training(PLAN, frozen, PLAN.pieces, 1, print, Unet((8, 16, 24), 2, 2, groups=8).state_dict())


def test_gradients_are_not_compared_where_the_smoke_call_has_done_it(training, monkeypatch):
    monkeypatch.setattr(torch, "compile", lambda learner, **_: lambda *a: learner(a[0].flip(-1), *a[1:]))
    training.compile((Phase("crops", 1.0, (Part("crops", 4),)),), compared=False)
    assert training.network is not training.learner
