"""Backwards through the loop, and down the gradient: both end at keys whose pages are nearer to what is wanted."""

import numpy as np
import pytest
import torch

from worker.catalogue.address import Address
from worker.catalogue.float15 import LATENTS
from worker.catalogue.key import Floats, Key
from worker.engine.engine import Engine
from worker.engine.inversion import Course, Inversion, _mixed, decode, draw


@pytest.fixture(scope="module")
def key(tiny_engine: Engine) -> Key:
    """The key of a page without guidance, with six steps."""
    dog = tiny_engine.resolve(Address("tiny", "prompt", "a dog", 1))
    return Key.pack(6, tiny_engine.embed(""), dog.latents)


def drawn(engine: Engine, key: Key) -> Course:
    *_, course = draw(engine, key)
    return course


def begun(inversion: Inversion, rounds: int) -> Floats:
    *_, latents = inversion.backwards(rounds)
    assert latents is not None
    return latents


def apart(course: Course, other: Course) -> float:
    return float(np.sqrt(((course.end - other.end) ** 2).mean()))


def test_drawing_is_what_is_printed(tiny_engine: Engine, key: Key) -> None:
    course = drawn(tiny_engine, key)
    assert len(course.latents) == key.steps + 1
    assert len(course.predicted) == key.steps
    assert np.array_equal(decode(tiny_engine, course.end), tiny_engine.print_page(key).pixels)


def test_a_page_is_followed_back_and_a_correction_begins_where_that_ended(tiny_engine: Engine, key: Key) -> None:
    """Random weights bend every line, so that nothing is said here of how near a correction comes."""
    wanted = drawn(tiny_engine, key)
    inversion = Inversion(tiny_engine, key.steps, key.embedding, wanted.end)
    first = begun(inversion, 4)
    assert first.dtype == np.float16
    assert np.array_equal(LATENTS.snap(first), first)
    course = drawn(tiny_engine, Key.pack(key.steps, key.embedding, first))
    assert apart(course, wanted) < 0.2 * float(np.std(wanted.end))
    inversion.correct(course)
    second = begun(inversion, 4)
    assert not np.array_equal(second, first)
    assert np.corrcoef(second.ravel(), first.ravel())[0, 1] > 0.5


def test_inversion_and_drawing_go_on_after_the_engine_has_printed_something_else(tiny_engine: Engine, key: Key) -> None:
    cat = tiny_engine.resolve(Address("tiny", "prompt", "a cat", 1))
    wanted = drawn(tiny_engine, key)
    alone = begun(Inversion(tiny_engine, key.steps, key.embedding, wanted.end), 2)
    disturbed = Inversion(tiny_engine, key.steps, key.embedding, wanted.end).backwards(2)
    latents, course = None, None
    for so_far in disturbed:
        latents = so_far
        tiny_engine.print_page(cat, steps=1)
    assert latents is not None
    assert np.array_equal(latents, alone)
    for growing in draw(tiny_engine, key):
        course = growing
        tiny_engine.print_page(cat, steps=1)
    assert course is not None
    assert all(torch.equal(one, other) for one, other in zip(course.latents, wanted.latents, strict=True))


def test_mixing_finds_the_root_of_a_linear_function_in_as_many_points_as_it_has_directions() -> None:
    slope = torch.diag(torch.tensor([0.3, 1.9, 0.7]))
    wanted = torch.tensor([1.0, -2.0, 3.0])
    point = torch.zeros(3)
    tried: list[tuple[torch.Tensor, torch.Tensor]] = []
    for _ in range(4):
        tried.append((point, wanted - slope @ point))
        point = _mixed(tried)
    assert torch.allclose(slope @ point, wanted, atol=1e-3)
