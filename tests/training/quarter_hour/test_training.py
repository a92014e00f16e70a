"""What a step of the training is made of."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from tests import ROOT
from training.plans import Part, Phase
from training.presets import REHEARSAL
from training.quarter_hour import bank as banks
from training.quarter_hour.bank import Bank, Batch, embed, spread
from training.quarter_hour.heads import Said
from training.quarter_hour.networks import Unet
from training.quarter_hour.renderers import Chunk
from training.quarter_hour.training import Frozen, Training
from training.quarter_hour.vectors import DEAF
from training.scenes.illustrator import SHAPES
from worker.catalogue.key import snap_embedding

EDITION = ROOT / "editions" / "pocket-1"
PLAN = replace(REHEARSAL, dropout=0.25)


@pytest.fixture(scope="module")
def frozen() -> Frozen:
    return Frozen.of(EDITION, "cpu")


@pytest.fixture
def training(frozen) -> Training:
    said: list[str] = []
    training = Training(PLAN, frozen, PLAN.pieces, 1, said.append)
    for kind in ("crops", "pages"):
        training.banks[kind].put(chunk(kind, 8))
    return training


def chunk(kind, number: int, seed: int = 0) -> Chunk:
    h, w = SHAPES[kind]
    rng = np.random.default_rng(seed)
    pixels = np.repeat(rng.integers(0, 256, (number, 1, 1, 3), np.uint8), h * 8, 1).repeat(w * 8, 2)
    marks = np.zeros((number, h, w), np.uint8)
    return Chunk(kind, 0.1, pixels, marks, marks.astype(np.int16), np.zeros((number, 2, h, w), np.uint8),
                 np.full((number, 77), 5, np.int16))  # fmt: skip


def test_the_bank_keeps_what_it_is_given_and_the_oldest_make_room(frozen):
    bank = Bank("crops", 10, frozen.vae, "cpu", bf16=False)
    bank.put(chunk("crops", 8, 1))
    first = bank._latents[:8].clone()
    bank.put(chunk("crops", 8, 2))
    assert bank.made == 16
    assert not torch.equal(bank._latents[0], first[0]) and torch.equal(bank._latents[6], first[6])
    pixels = torch.from_numpy(chunk("crops", 8, 1).pixels).permute(0, 3, 1, 2).float() / 127.5 - 1
    assert torch.allclose(first.float(), frozen.vae.encode(pixels), atol=4e-3), "float16"
    taken = bank.take(30, torch.Generator().manual_seed(0))
    assert taken.latents.shape == (30, 4, 24, 24) and taken.tokens.dtype == torch.int64
    assert bank.uses == 30 / 16


def test_a_bank_that_is_not_full_gives_only_what_it_holds(frozen):
    bank = Bank("crops", 100, frozen.vae, "cpu", bf16=False)
    bank.put(chunk("crops", 2))
    assert bank.take(64, torch.Generator().manual_seed(0)).latents.abs().amin((1, 2, 3)).min() >= 0
    assert (bank.take(64, torch.Generator().manual_seed(0)).tokens == 5).all()


def test_embeddings_are_those_of_the_press_up_to_rounding(frozen):
    from worker.engine.networks.text_encoder import TextEncoder

    press = TextEncoder(EDITION)
    texts = ["a dog on a beach at sunset", ""]
    found = embed(frozen.encoder, torch.tensor([frozen.tokenizer(text) for text in texts]))
    expected = torch.stack([torch.from_numpy(press.embed(text)).float() for text in texts])
    expected[..., DEAF] = 0
    assert (found[..., DEAF] == 0).all()
    assert (found == expected).float().mean() > 0.98, "float32 sums instead of float64"
    assert (found - expected).abs().max() < 2e-3 * expected.abs().max()
    on_grid = found.numpy()[0].copy()
    snapped = snap_embedding(on_grid).astype(np.float32)
    assert np.array_equal(np.delete(snapped, DEAF, 1), np.delete(on_grid, DEAF, 1))


def test_timesteps_are_spread_over_the_batch_and_stay_below():
    t = spread(1000, 0.4, 750, torch.Generator().manual_seed(0))
    assert int(t.min()) >= 0 and int(t.max()) < 750
    assert float(t.float().mean()) == pytest.approx(750 / 1.4, rel=0.02), "the mean of 750 · u^0.4"


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


def test_the_grid_of_embeddings_is_that_of_the_key():
    from worker.catalogue.float15 import EMBEDDING

    assert (EMBEDDING.smallest, EMBEDDING.largest) == (banks._SMALLEST, banks._LARGEST)
