"""worker.engine.networks.denoiser: guidance as its formula says, and which pages need it."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from diffusers import UNet2DConditionModel
from torch import Tensor

from bench.random_weights import fill, unet_config
from worker.catalogue.key import EMBEDDING_SHAPE, LATENTS_SHAPE
from worker.engine.networks.denoiser import Denoiser, Guidance

Embedding = npt.NDArray[np.float16]
CPU = torch.device("cpu")
PLAIN = Guidance(7.5, 7.5, 999)


def embedding(number: int) -> Embedding:
    generator = np.random.Generator(np.random.PCG64(number))
    return generator.standard_normal(EMBEDDING_SHAPE).astype(np.float16)


EMPTY = embedding(0)


def unet(seed: int = 1) -> Any:
    """A small U-Net with random weights, the same for every seed; attention at the coarsest places only."""
    config = unet_config("tiny") | {
        "down_block_types": ["DownBlock2D", "DownBlock2D", "CrossAttnDownBlock2D"],
        "up_block_types": ["CrossAttnUpBlock2D", "UpBlock2D", "UpBlock2D"],
        "block_out_channels": [16, 32, 32],
    }
    with torch.device("meta"):
        empty = UNet2DConditionModel(**config)
    return fill(empty, seed).float().eval().requires_grad_(False)


def denoiser(guidance: Guidance, batch: int = 1, guide: int | None = None) -> Denoiser:
    weaker = None if guide is None else unet(guide)
    return Denoiser(unet(), EMPTY[None], guidance, batch, CPU, torch.float32, weaker)


def latents(rows: int = 1) -> Tensor:
    return torch.randn(rows, *LATENTS_SHAPE, generator=torch.Generator().manual_seed(2))


@torch.no_grad()
def prediction(given: Tensor, timestep: int, text: Embedding, seed: int = 1) -> Tensor:
    """What the U-Net of diffusers says of latents and one text."""
    states = torch.from_numpy(text[None]).float().expand(len(given), -1, -1)
    predicted: Tensor = unet(seed)(given, torch.tensor(timestep), states).sample
    return predicted


@pytest.mark.parametrize(("timestep", "scale"), [(861, 1.5), (860, 7.5), (250, 7.5), (249, 1.0)])
def test_guidance_leads_away_from_the_empty_prompt_less_near_pure_noise_and_not_at_the_end(
    timestep: int, scale: float
) -> None:
    run = denoiser(Guidance(7.5, 1.5, 860, 250))
    run.start(embedding(1)[None])
    uncond, cond = (prediction(latents(), timestep, text) for text in (EMPTY, embedding(1)))
    expected = uncond + scale * (cond - uncond)
    torch.testing.assert_close(run(latents(), torch.tensor(timestep), timestep), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("timestep", "scale"), [(250, 7.5), (249, 1.0)])
@pytest.mark.parametrize("text", [EMPTY, embedding(1)], ids=["empty", "other"])
def test_a_guide_reads_the_empty_prompt_in_the_other_net_s_place(timestep: int, scale: float, text: Embedding) -> None:
    run = denoiser(Guidance(7.5, 7.5, 999, 250), 2, guide=2)
    assert run.is_guided(text)
    run.start(np.stack([text, text]))
    weak, own = prediction(latents(2), timestep, EMPTY, seed=2), prediction(latents(2), timestep, text)
    expected = weak + scale * (own - weak)
    torch.testing.assert_close(run(latents(2), torch.tensor(timestep), timestep), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("guidance", "text"), [(PLAIN, EMPTY), (Guidance(1.0, 1.0, 999), embedding(1))])
def test_without_guidance_it_is_the_page_s_own_prediction(guidance: Guidance, text: Embedding) -> None:
    run = denoiser(guidance)
    assert not run.is_guided(text)
    run.start(text[None])
    torch.testing.assert_close(
        run(latents(), torch.tensor(501), 501), prediction(latents(), 501, text), rtol=1e-4, atol=1e-4
    )


def test_a_page_is_guided_by_the_last_bit_of_its_embedding() -> None:
    text = EMPTY.copy()
    text[76, 767] = np.nextafter(text[76, 767], np.float16(9))
    assert denoiser(PLAIN).is_guided(text)


def test_each_page_of_a_batch_is_computed_as_if_it_were_alone() -> None:
    texts, given = np.stack([embedding(1), embedding(2)]), latents(2)
    together, alone = denoiser(PLAIN, 2), denoiser(PLAIN)
    together.start(texts)
    found = together(given, torch.tensor(501), 501)
    for row, text in enumerate(texts):
        alone.start(text[None])
        assert torch.equal(found[row : row + 1], alone(given[row : row + 1], torch.tensor(501), 501))


def test_pages_with_and_without_guidance_are_not_run_together() -> None:
    with pytest.raises(AssertionError, match="with and without guidance"):
        denoiser(PLAIN, 2).start(np.stack([EMPTY, embedding(1)]))
