"""Expansions: the vectors of latents and stacks, the draw of a short key, and what resolves to what."""

import hashlib
import json
from typing import Any

import numpy as np
import pytest

from tests import ROOT
from worker.catalogue.address import Address
from worker.catalogue.expansion import Lexicon, gaussian_table, mix, page_latents, resolve, stacks_key, volume_phrases
from worker.catalogue.key import CONSTANTS, Key, snap_embedding

VECTORS = json.loads((ROOT / "tests" / "vectors" / "keys.json").read_text())
LEXICON = Lexicon(
    subjects=tuple(f"subject {i}" for i in range(120)),
    settings=("", "in the snow", "on a beach"),
    styles=("", "at night"),
)


def embed(prompt: str) -> np.ndarray[Any, Any]:
    """An embedding that depends on the prompt alone, without a text encoder: enough to see what goes where."""
    seed = int.from_bytes(hashlib.sha256(prompt.encode()).digest()[:8], "big")
    draw = np.random.Generator(np.random.PCG64(seed))
    return snap_embedding(draw.normal(size=(77, 768))).astype(np.float64)


def key_of_mark(mark: str) -> Key:
    key = stacks_key("borges", 1)
    assert mark == key.mark
    return key


def test_the_table_of_the_normal_distribution_is_that_of_the_vector() -> None:
    digest = hashlib.sha256(gaussian_table().astype("<u2").tobytes()).hexdigest()
    assert digest == VECTORS["gaussian_table_sha256"]


@pytest.mark.parametrize("vector", VECTORS["latents"], ids=lambda v: f"{v['kind']}-{v['name']}")
def test_the_latents_of_a_page_meet_the_vector(vector: dict[str, Any]) -> None:
    latents = page_latents(vector["kind"], vector["name"], vector["page"])
    assert latents.shape == (4, 52, 80)
    assert latents.ravel()[:6].tolist() == vector["first"]
    assert hashlib.sha256(latents.astype("<f2").tobytes()).hexdigest() == vector["float16_sha256"]


def test_a_short_key_draws_the_phrases_and_the_weight_of_its_vector() -> None:
    """These values are this project's own, and links depend on them: they may never change."""
    assert volume_phrases("borges", LEXICON) == VOLUME_BORGES
    assert volume_phrases("tlon", LEXICON) == VOLUME_TLON


def test_the_weight_lies_between_a_quarter_and_three_quarters() -> None:
    weights = [volume_phrases(str(i), LEXICON)[2] for i in range(500)]
    assert 0.25 <= min(weights) < 0.26 and 0.74 < max(weights) < 0.75


def test_every_entry_of_a_lexicon_is_drawn_about_equally_often() -> None:
    drawn = [volume_phrases(str(i), LEXICON)[0] for i in range(3000)]
    nights = sum("at night" in phrase for phrase in drawn)
    assert 1350 < nights < 1650  # 3,000 halves; five standard deviations are 137


def test_a_mixture_is_computed_in_float64_and_keeps_the_constants() -> None:
    first, second = embed("a"), embed("b")
    mixed = mix(first, second, 0.3)
    assert np.array_equal(mixed, snap_embedding(0.3 * first + 0.7 * second))
    assert {place: float(mixed.flat[place]) for place in CONSTANTS} == CONSTANTS
    assert np.array_equal(mix(first, second, 1.0), first.astype(np.float16))


def test_the_key_of_a_prompt_holds_its_embedding_its_own_latents_and_the_edition_s_steps() -> None:
    key = resolve(Address.parse("prompt/a dog/2"), LEXICON, 16, embed, key_of_mark)
    assert key.steps == 16
    assert np.array_equal(key.embedding, embed("a dog").astype(np.float16))
    assert np.array_equal(key.latents, page_latents("prompt", "a dog", 2))


def test_the_pages_of_a_volume_share_one_embedding_and_differ_in_their_latents() -> None:
    first, second = (resolve(Address.parse(f"key/borges/{p}"), LEXICON, 16, embed, key_of_mark) for p in (1, 2))
    phrase_a, phrase_b, weight = VOLUME_BORGES
    assert np.array_equal(first.embedding, mix(embed(phrase_a), embed(phrase_b), weight))
    assert np.array_equal(first.embedding, second.embedding)
    assert not np.array_equal(first.latents, second.latents)
    assert first == resolve(Address.parse("key/borges/1"), LEXICON, 16, embed, key_of_mark)


def test_stacks_and_marks_ask_no_text_encoder() -> None:
    def never(prompt: str) -> np.ndarray[Any, Any]:
        raise AssertionError(prompt)

    key = resolve(Address.parse("stacks/borges/1"), LEXICON, 16, never, key_of_mark)
    assert key.mark == VECTORS["keys"][0]["mark"]
    assert resolve(Address.parse(f"mark/{key.mark}"), LEXICON, 16, never, key_of_mark) == key


VOLUME_BORGES = ("subject 102 on a beach", "subject 80 in the snow", 0.511387456703754)
VOLUME_TLON = ("subject 50", "subject 40 on a beach at night", 0.28346753176645895)
