"""worker.catalogue.noise: an order that never changes, and noise that is normal, fresh and near where keys are near."""

import hashlib

import numpy as np
import pytest

from worker.catalogue.expansion import page_latents
from worker.catalogue.key import LATENTS_CODES
from worker.catalogue.noise import noise_order


def noise(latents: np.ndarray, step: int) -> np.ndarray:
    order, signs = noise_order(step)
    return signs * latents.astype(np.float32).ravel()[order]


@pytest.mark.parametrize(
    ("step", "digest"),
    [
        (1, "d7c72c3f9cf624480689e2b5f27ac140be3ca1b49e6f13308d231bdeba9fbbef"),
        (127, "e4015f88b9550dc3ff73ae99a17a7c4c180299f18720a66d6a57834348c4d767"),
    ],
)
def test_the_order_is_the_same_for_ever(step: int, digest: str) -> None:
    order, signs = noise_order(step)
    content = order.astype("<i8").tobytes() + signs.astype("<f4").tobytes()
    assert hashlib.sha256(content).hexdigest() == digest


def test_it_takes_every_number_once_by_the_rule_of_its_docstring() -> None:
    order, signs = noise_order(3)
    stream = hashlib.shake_256(b"babelia/1/noise\x003").digest(8 * LATENTS_CODES)
    numbers = [int.from_bytes(stream[at : at + 8], "big") for at in range(0, len(stream), 8)]
    assert order.tolist() == sorted(range(LATENTS_CODES), key=numbers.__getitem__)
    assert signs.tolist() == [-1.0 if number % 2 else 1.0 for number in numbers]


def test_it_is_normal_and_related_to_nothing_that_the_model_has_seen() -> None:
    """Correlations of 16,640 independent numbers are below 4 / √16640 = 0.031 but once in 16,000 times."""
    latents = page_latents("prompt", "a dog", 1).astype(np.float32)
    seen = [latents.ravel(), *(noise(latents, step) for step in (1, 2, 3))]
    assert all(abs(part.mean()) < 0.031 and abs(part.std() - 1) < 0.031 for part in seen)
    related = np.corrcoef(np.stack(seen)) - np.eye(4)
    assert np.abs(related).max() < 0.031
    moved = noise(latents, 1).reshape(4, 52, 80)
    shifted = np.corrcoef(moved[:, :, 1:].ravel(), moved[:, :, :-1].ravel())[0, 1]
    assert abs(shifted) < 0.031, "noise has a grain"


def test_keys_that_are_near_have_noise_that_is_as_near() -> None:
    one, two = (page_latents("prompt", "a dog", page).astype(np.float32) for page in (1, 2))
    near = 0.995 * one + 0.1 * two
    distance = float(np.linalg.norm(near - one))
    assert float(np.linalg.norm(noise(near, 1) - noise(one, 1))) == pytest.approx(distance, rel=1e-6)
