"""The growing bank: what it keeps, and captions as the press embeds them."""

import numpy as np
import pytest
import torch

from tests import ROOT
from tests.training.quarter_hour.conftest import chunk
from training.quarter_hour import bank as banks
from training.quarter_hour.bank import Bank, embed, spread
from training.quarter_hour.vectors import DEAF
from worker.catalogue.key import snap_embedding

EDITION = ROOT / "editions" / "pocket-1"


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


def test_the_grid_of_embeddings_is_that_of_the_key():
    from worker.catalogue.float15 import EMBEDDING

    assert (EMBEDDING.smallest, EMBEDDING.largest) == (banks._SMALLEST, banks._LARGEST)
