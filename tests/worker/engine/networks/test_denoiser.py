"""worker.engine.networks.denoiser: guidance as its formula says, and which pages need it."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from diffusers import StableDiffusionPipeline, UNet2DConditionModel
from torch import Tensor

from bench.random_weights import fill, unet_config
from worker.catalogue.key import EMBEDDING_SHAPE, LATENTS_SHAPE
from worker.engine.networks.denoiser import Denoiser, Guidance, guidance_embedding

Embedding = npt.NDArray[np.float16]
CPU = torch.device("cpu")
PLAIN = Guidance(7.5, 7.5, 999)


def embedding(number: int) -> Embedding:
    generator = np.random.Generator(np.random.PCG64(number))
    return generator.standard_normal(EMBEDDING_SHAPE).astype(np.float16)


EMPTY = embedding(0)


def unet(**changes: Any) -> Any:
    """A small U-Net with random weights, the same at every call; attention at the coarsest places only."""
    config = unet_config("tiny") | {
        "down_block_types": ["DownBlock2D", "DownBlock2D", "CrossAttnDownBlock2D"],
        "up_block_types": ["CrossAttnUpBlock2D", "UpBlock2D", "UpBlock2D"],
        "block_out_channels": [16, 32, 32],
        **changes,
    }
    with torch.device("meta"):
        empty = UNet2DConditionModel(**config)
    return fill(empty, 1).float().eval().requires_grad_(False)


def denoiser(guidance: Guidance, batch: int = 1) -> Denoiser:
    return Denoiser(unet(), EMPTY[None], guidance, batch, CPU, torch.float32)


def latents(rows: int = 1) -> Tensor:
    return torch.randn(rows, *LATENTS_SHAPE, generator=torch.Generator().manual_seed(2))


@torch.no_grad()
def prediction(given: Tensor, timestep: int, text: Embedding) -> Tensor:
    """What the U-Net of diffusers says of latents and one text."""
    states = torch.from_numpy(text[None]).float().expand(len(given), -1, -1)
    predicted: Tensor = unet()(given, torch.tensor(timestep), states).sample
    return predicted


@pytest.mark.parametrize(("timestep", "scale"), [(860, 7.5), (861, 1.5)])
def test_guidance_leads_away_from_the_empty_prompt_and_less_near_pure_noise(timestep: int, scale: float) -> None:
    run = denoiser(Guidance(7.5, 1.5, 860))
    run.start(embedding(1)[None])
    uncond, cond = (prediction(latents(), timestep, text) for text in (EMPTY, embedding(1)))
    expected = uncond + scale * (cond - uncond)
    torch.testing.assert_close(run(latents(), torch.tensor(timestep)), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("guidance", "text"), [(PLAIN, EMPTY), (Guidance(1.0, 1.0, 999), embedding(1))])
def test_without_guidance_it_is_the_page_s_own_prediction(guidance: Guidance, text: Embedding) -> None:
    run = denoiser(guidance)
    assert not run.is_guided(text)
    run.start(text[None])
    torch.testing.assert_close(
        run(latents(), torch.tensor(501)), prediction(latents(), 501, text), rtol=1e-4, atol=1e-4
    )


def test_a_page_is_guided_by_the_last_bit_of_its_embedding() -> None:
    text = EMPTY.copy()
    text[76, 767] = np.nextafter(text[76, 767], np.float16(9))
    assert denoiser(PLAIN).is_guided(text)


def test_each_page_of_a_batch_is_computed_as_if_it_were_alone() -> None:
    texts, given = np.stack([embedding(1), embedding(2)]), latents(2)
    together, alone = denoiser(PLAIN, 2), denoiser(PLAIN)
    together.start(texts)
    found = together(given, torch.tensor(501))
    for row, text in enumerate(texts):
        alone.start(text[None])
        assert torch.equal(found[row : row + 1], alone(given[row : row + 1], torch.tensor(501)))


def test_pages_with_and_without_guidance_are_not_run_together() -> None:
    with pytest.raises(AssertionError, match="with and without guidance"):
        denoiser(PLAIN, 2).start(np.stack([EMPTY, embedding(1)]))


@pytest.mark.parametrize("guided", [True, False])
@torch.no_grad()
def test_a_form_that_our_layers_do_not_know_is_computed_by_diffusers_to_the_bit(guided: bool) -> None:
    """Within the shape that a run has: latents once for each text, channels-last."""
    form = {"resnet_time_scale_shift": "scale_shift"}
    run = Denoiser(unet(**form), EMPTY[None], PLAIN if guided else Guidance(1.0, 1.0, 999), 1, CPU, torch.float32)
    assert (run.kernels, denoiser(PLAIN).kernels != "diffusers") == ("diffusers", True)
    run.start(embedding(1)[None])
    texts = torch.from_numpy(np.stack([EMPTY, embedding(1)] if guided else [embedding(1)])).float()
    given = latents().contiguous(memory_format=torch.channels_last)
    output = unet(**form)(torch.cat([given] * len(texts)), torch.tensor(501), texts).sample
    expected = output[:1] + 7.5 * (output[1:] - output[:1]) if guided else output
    assert torch.equal(run(latents(), torch.tensor(501)), expected)


@pytest.mark.parametrize("form", [{}, {"resnet_time_scale_shift": "scale_shift"}])
@torch.no_grad()
def test_a_distilled_u_net_is_told_of_its_guidance_and_needs_one_row(form: dict[str, Any]) -> None:
    """As diffusers' pipeline tells it: w = guidance − 1, in a width that need not be even; early guidance too."""
    form = form | {"time_cond_proj_dim": 33}
    run = Denoiser(unet(**form), EMPTY[None], Guidance(8.5, 1.5, 600), 1, CPU, torch.float32)
    assert not run.is_guided(embedding(1))
    run.start(embedding(1)[None])
    states = torch.from_numpy(embedding(1)[None]).float()
    seen = []
    for timestep, guidance in ((600, 8.5), (601, 1.5)):
        w = torch.tensor([guidance - 1])
        told = StableDiffusionPipeline.get_guidance_scale_embedding(None, w, 33)  # type: ignore[arg-type]  # no self
        assert torch.equal(guidance_embedding(guidance, 33), told)
        expected = unet(**form)(latents(), torch.tensor(timestep), states, timestep_cond=told).sample
        seen.append(run(latents(), torch.tensor(timestep)))
        torch.testing.assert_close(seen[-1], expected, rtol=1e-4, atol=1e-4)
    assert float((seen[0] - seen[1]).abs().max()) > 0.01
