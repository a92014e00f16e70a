"""worker.catalogue.walks: neighbours and frames, to the last bit; their lines; the places of frames."""

import hashlib
import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.catalogue import walks
from worker.catalogue.expansion import page_latents, stacks_key
from worker.catalogue.key import CONSTANTS, EMBEDDING_SHAPE, Key, snap_embedding
from worker.catalogue.walks import WHOLE, Between, Nearby, derive, key_between, nearby_key, parse_derivation
from worker.errors import InputRefused


def volume_key(name: str, steps: int = 20) -> Key:
    """A key like those of volumes: latents are noise, and its embedding is as numbers without a model can be."""
    drawn = hashlib.shake_256(name.encode()).digest(2 * math.prod(EMBEDDING_SHAPE))
    embedding = (np.frombuffer(drawn, ">i2").astype(np.float64) / 2**14).reshape(EMBEDDING_SHAPE)
    return Key.pack(steps, snap_embedding(embedding), page_latents("key", name, 1))


ONE, OTHER = volume_key("one"), volume_key("other", 30)


def cosine(one: np.ndarray, other: np.ndarray) -> float:
    one, other = one.astype(np.float64).ravel(), other.astype(np.float64).ravel()
    return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))


def length(values: np.ndarray) -> float:
    return float(np.linalg.norm(values.astype(np.float64)))


# -- to the last bit: these are links


@pytest.mark.parametrize(
    ("derivation", "mark"),
    [
        (Nearby(ONE.mark, "latents", "hardly", 1), "hq6eq4q2t6xdfxv5un3ehefley"),
        (Nearby(ONE.mark, "latents", "far", 8), "5qry6zlhga73dja74seid62a6u"),
        (Nearby(ONE.mark, "words", "little", 1), "qesyvgskg5jbl3eckifnezqp3a"),
        (Nearby(ONE.mark, "words", "clearly", 5), "oeoknvwzixea6jt3e7zrd3yy7m"),
        (Between(ONE.mark, OTHER.mark, 1), "o6q62zvg7dgdwqzxdggqkzobp4"),
        (Between(ONE.mark, OTHER.mark, 21845), "5xncrxma6ar62bdrz6s6o7hkgu"),
        (Between(OTHER.mark, ONE.mark, 21845), "k7wjhx5pfy4je2kxhmlp4cy35m"),
        (Between(ONE.mark, OTHER.mark, WHOLE - 1), "xpli36gprhkshmitubuausksza"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.format(),
)
def test_a_derivation_gives_the_same_key_for_ever(derivation: walks.Derivation, mark: str) -> None:
    keys = {ONE.mark: ONE, OTHER.mark: OTHER}
    assert derive(derivation, [keys[parent] for parent in derivation.parents]).mark == mark


def test_the_arc_is_halved_to_where_sines_put_it() -> None:
    for angle, place in itertools.product((1e-9, 0.3, 1.5, 2.5), (1, 100, 21845, 32768, 65535)):
        share = place / WHOLE
        expected = math.sin((1 - share) * angle) / math.sin(angle), math.sin(share * angle) / math.sin(angle)
        # The cosine of a small angle says little of it: the weights are as exact as that.
        assert walks._arc(math.cos(angle), place) == pytest.approx(expected, abs=1e-8)


# -- near a key


@pytest.mark.parametrize("strength", walks.STRENGTHS)
@pytest.mark.parametrize("of", walks.OFS)
def test_a_neighbour_is_turned_by_its_angle_and_keeps_its_length(of: walks.Of, strength: walks.Strength) -> None:
    near = nearby_key(ONE, of, strength, 3)
    moved, kept = ("latents", "embedding") if of == "latents" else ("embedding", "latents")
    before, after = getattr(ONE, moved).copy(), getattr(near, moved).copy()
    if of == "words":
        for place in CONSTANTS:
            before.flat[place] = after.flat[place] = 0
    sine = walks.SINES[of][strength]
    assert cosine(before, after) == pytest.approx(math.sqrt(1 - sine**2), abs=1e-4)  # rounded to the grid
    assert length(after) == pytest.approx(length(before), rel=1e-3)  # no latent is larger than 4
    assert (getattr(near, kept) == getattr(ONE, kept)).all()
    assert near.steps == ONE.steps


@pytest.mark.parametrize("of", walks.OFS)
def test_the_eight_neighbours_lie_in_different_directions(of: walks.Of) -> None:
    keys = [nearby_key(ONE, of, "far", direction) for direction in range(1, 9)]
    assert len({key.mark for key in keys}) == 8
    moved = [(key.latents if of == "latents" else key.embedding[1:]).astype(np.float64) for key in keys]
    home = (ONE.latents if of == "latents" else ONE.embedding[1:]).astype(np.float64)
    assert max(abs(cosine(one - home, other - home)) for one, other in itertools.combinations(moved, 2)) < 0.35


def test_neighbours_of_any_bits_are_keys() -> None:
    """Of the stacks too, and of keys all of whose values are alike."""
    alike = Key(bytes(len(ONE.data)))
    for key in (stacks_key("borges", 1), alike):
        for of in walks.OFS:
            assert nearby_key(key, of, "far", 1).steps == key.steps


# -- between two keys


def test_a_corridor_begins_and_ends_with_the_very_keys() -> None:
    assert key_between(ONE, OTHER, 0) is ONE
    assert key_between(ONE, OTHER, WHOLE) is OTHER


def test_what_lies_between_is_mixed_evenly_and_takes_the_steps_of_the_first() -> None:
    quarter = key_between(ONE, OTHER, WHOLE // 4)
    mixed = 0.75 * ONE.embedding.astype(np.float64) + 0.25 * OTHER.embedding.astype(np.float64)
    assert (quarter.embedding == snap_embedding(mixed)).all()
    angle = math.acos(cosine(ONE.latents, OTHER.latents))
    assert cosine(quarter.latents, ONE.latents) == pytest.approx(math.cos(angle / 4), abs=1e-5)
    assert cosine(quarter.latents, OTHER.latents) == pytest.approx(math.cos(3 * angle / 4), abs=1e-5)
    expected = 0.75 * length(ONE.latents) + 0.25 * length(OTHER.latents)
    assert length(quarter.latents) == pytest.approx(expected, rel=1e-4)
    assert quarter.steps == ONE.steps


@pytest.mark.parametrize("place", [1, 3, 1000, 21845, 40000])
def test_the_way_back_leads_over_the_same_keys(place: int) -> None:
    other = volume_key("other")
    assert key_between(ONE, other, place) == key_between(other, ONE, WHOLE - place)


def test_there_is_no_way_to_itself_nor_to_opposite_latents() -> None:
    opposite = Key.pack(20, OTHER.embedding, -ONE.latents)
    for last, said in ((ONE, "the same picture"), (opposite, "opposites")):
        with pytest.raises(InputRefused, match=said):
            walks.require_way(ONE, last)
    walks.require_way(ONE, OTHER)
    walks.require_way(ONE, Key.pack(30, OTHER.embedding, ONE.latents))


# -- places


@pytest.mark.parametrize("frames", range(walks.FRAMES_LEAST, walks.FRAMES_MOST + 1))
def test_places_are_at_equal_steps_from_end_to_end(frames: int) -> None:
    found = walks.places(frames)
    assert (found[0], found[-1], len(set(found))) == (0, WHOLE, frames)
    assert {b - a for a, b in itertools.pairwise(found)} <= {WHOLE // (frames - 1), WHOLE // (frames - 1) + 1}


def test_even_places_crowd_where_pictures_change() -> None:
    drawn = walks.places(5)
    assert walks.even_places(drawn, [1, 1, 1, 1], 5) == drawn
    assert walks.even_places(drawn, [0, 0, 0, 0], 5) == drawn
    assert walks.even_places(drawn, [0, 8, 0, 0], 5) == (0, 20480, 24576, 28672, WHOLE)


@given(st.lists(st.floats(0, 100), min_size=2, max_size=59))
def test_even_places_are_in_order_and_each_another(differences: list[float]) -> None:
    frames = len(differences) + 1
    found = walks.even_places(walks.places(frames), differences, frames)
    assert (found[0], found[-1], len(found)) == (0, WHOLE, frames)
    assert all(a < b for a, b in itertools.pairwise(found))


# -- lines


@pytest.mark.parametrize(
    "derivation", [Nearby(ONE.mark, "words", "far", 8), Between(ONE.mark, OTHER.mark, 65535)], ids=repr
)
def test_a_line_comes_back(derivation: walks.Derivation) -> None:
    assert parse_derivation(derivation.format()) == derivation


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nearby",
        "pocket-1/key/borges/1",
        f"nearby {ONE.mark} latents far 0",
        f"nearby {ONE.mark} latents far 9",
        f"nearby {ONE.mark} latents far 01",
        f"nearby {ONE.mark} latents wild 1",
        f"nearby {ONE.mark} pixels far 1",
        f"nearby {ONE.mark.upper()} latents far 1",
        f"nearby {ONE.mark} latents far 1 ",
        f"between {ONE.mark} {OTHER.mark} 0",
        f"between {ONE.mark} {OTHER.mark} 65536",
        f"between {ONE.mark} {OTHER.mark} 007",
        f"between {ONE.mark} {OTHER.mark} ٣",
        f"between {ONE.mark} {ONE.mark} 7",
    ],
)
def test_what_is_no_line_is_none(text: str) -> None:
    assert parse_derivation(text) is None
