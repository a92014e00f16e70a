"""worker.engine.networks.decoder: the VAEs' pictures in our own layers, and what it refuses."""

from typing import Any

import pytest
import torch
from diffusers import AutoencoderKL, AutoencoderTiny
from torch import Tensor

from bench.random_weights import fill, taesd_config, vae_config
from worker.catalogue.key import LATENTS_SHAPE
from worker.engine.networks.autoencoder import PocketAutoencoder
from worker.engine.networks.decoder import Decoder
from worker.errors import WeightsRefused

CPU = torch.device("cpu")


def ordinary(**changes: Any) -> Any:
    """A small AutoencoderKL with random weights; equal arguments, equal weights."""
    with torch.device("meta"):
        empty = AutoencoderKL(**(vae_config("tiny") | changes))
    return fill(empty, 3).float().eval().requires_grad_(False)


def unusual() -> Any:
    """An AutoencoderKL of a form that our own layers do not know."""
    return ordinary(act_fn="gelu")


def taesd() -> Any:
    """A small AutoencoderTiny with random weights."""
    with torch.device("meta"):
        empty = AutoencoderTiny(**taesd_config("tiny"))
    return fill(empty, 3).float().eval().requires_grad_(False)


def pocket() -> Any:
    """Our own autoencoder with random weights, and latents that are neither centred nor of unit variance."""
    with torch.random.fork_rng():
        torch.manual_seed(4)
        vae: Any = PocketAutoencoder()
    vae.latent_mean += 0.25
    vae.latent_std *= 1.5
    return vae.eval().requires_grad_(False)


def latents(rows: int) -> Tensor:
    return torch.randn(rows, *LATENTS_SHAPE, generator=torch.Generator().manual_seed(5))


def as_pixels(picture: Tensor) -> Tensor:
    """−1 … 1 (B, 3, H, W) → uint8 (B, H, W, 3), as a picture is rounded."""
    return (picture.permute(0, 2, 3, 1) * 127.5 + 127.5).round().clamp(0, 255).to(torch.uint8)


@pytest.mark.parametrize("make", [ordinary, pocket, unusual, taesd])
def test_it_paints_what_the_class_of_the_weights_paints(make: Any) -> None:
    """But for values that lie on the edge of two, where the same sums in another order fall to either side."""
    given = latents(1)
    vae = make()
    expected = as_pixels(vae.decode(given / vae.config.scaling_factor).sample)
    found, finite = Decoder(make(), 1, CPU, torch.float32).decode(given)
    assert bool(finite.all())
    assert (found.dtype, found.shape) == (torch.uint8, (1, 416, 640, 3))
    assert found.float().std() > 1  # not one flat colour
    difference = (found.int() - expected.int()).abs()
    assert int(difference.max()) <= 1
    assert float((difference > 0).float().mean()) < 1e-3


@pytest.mark.parametrize("make", [unusual, taesd])
def test_a_form_that_our_layers_do_not_know_is_painted_by_its_own_class_to_the_bit(make: Any) -> None:
    given, vae, decoder = latents(1), make(), Decoder(make(), 1, CPU, torch.float32)
    scaled = (given / vae.config.scaling_factor).contiguous(memory_format=torch.channels_last)
    assert torch.equal(decoder.decode(given)[0], as_pixels(vae.decode(scaled).sample))
    assert decoder.kernels == "diffusers"
    assert Decoder(ordinary(), 1, CPU, torch.float32).kernels != "diffusers"


def test_each_page_of_a_batch_is_painted_as_if_it_were_alone() -> None:
    given = latents(2)
    together, _ = Decoder(ordinary(), 2, CPU, torch.float32).decode(given)
    alone = Decoder(ordinary(), 1, CPU, torch.float32)
    assert torch.equal(together, torch.cat([alone.decode(row[None])[0] for row in given]))


@pytest.mark.parametrize("make", [ordinary, pocket, taesd])
def test_a_picture_goes_into_latents_by_the_class_s_own_encoder(make: Any) -> None:
    picture = torch.randint(0, 256, (1, 416, 640, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(6))
    vae = make()
    encoded = vae.encode(picture.permute(0, 3, 1, 2).float() / 127.5 - 1.0)
    expected = encoded.latents if hasattr(encoded, "latents") else encoded.latent_dist.mode()
    found = Decoder(make(), 1, CPU, torch.float32).encode(picture)
    assert found.shape == (1, *LATENTS_SHAPE)
    torch.testing.assert_close(found, expected * vae.config.scaling_factor, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("changes", "named"),
    [({"latents_mean": [0.1] * 4}, r"latents_mean is \[0.1"), ({"shift_factor": 0.1}, "shift_factor is 0.1")],
)
def test_it_refuses_another_form_by_name(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(WeightsRefused, match=named):
        Decoder(ordinary(**changes), 1, CPU, torch.float32)


def test_it_refuses_a_layer_that_it_does_not_know() -> None:
    vae = pocket()
    vae.decoder.append(torch.nn.Tanh())
    with pytest.raises(WeightsRefused, match="has a Tanh"):
        Decoder(vae, 1, CPU, torch.float32)
