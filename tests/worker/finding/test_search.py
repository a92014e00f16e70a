"""A search with a tiny engine of random weights: what its steps say, that it resumes, what its key prints."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import groupby

import numpy as np
import numpy.typing as npt
import pytest

from worker.catalogue.address import Address
from worker.catalogue.expansion import page_latents
from worker.catalogue.key import Key, snap_embedding
from worker.engine.engine import Engine
from worker.finding import search as module
from worker.finding.search import DEPTHS, SearchStep, Wish, decibels_between, like_noise, search

Pixels = npt.NDArray[np.uint8]


@pytest.fixture(scope="module")
def page(tiny_engine: Engine) -> Pixels:
    return tiny_engine.print_page(tiny_engine.resolve(Address("tiny", "prompt", "a tower", 1)), steps=2).pixels


@pytest.fixture(autouse=True)
def short() -> Iterator[None]:
    """Every depth with a few steps."""
    with pytest.MonkeyPatch.context() as patch:
        for depth in DEPTHS:
            effort = module._EFFORTS[depth]
            few = replace(
                effort,
                steps=4,
                fitted_steps=4,
                goes=2,
                embedding_fit=3,
                latents_fit=min(effort.latents_fit, 2),
                strokes=min(effort.strokes, 4),
                few=4,
                enough=None,
            )
            patch.setitem(module._EFFORTS, depth, few)
        patch.setattr(module, "_SHORT", 100.0)  # no page of random weights comes near
        yield


def require_order(steps: list[SearchStep]) -> None:
    """What holds of the steps of every search."""
    assert [step.index for step in steps] == list(range(1, len(steps) + 1))
    assert all(step.index <= step.of for step in steps)
    assert steps[-1].index == steps[-1].of
    assert len({step.bound for step in steps}) == 1
    reached = [step.decibels for step in steps if step.decibels is not None]
    assert reached == sorted(reached)


def test_a_quick_search_ends_with_a_key_that_prints_what_it_said(tiny_engine: Engine, page: Pixels) -> None:
    steps = list(search(tiny_engine, page, Wish("tiny")))
    require_order(steps)
    phases = [(phase, len(list(group))) for phase, group in groupby(step.phase for step in steps)]
    assert phases[0] in (("encode", 2), ("encode", 3))
    assert phases[1] == ("invert", 4)
    assert phases[2][0] == "draw"
    first, last = steps[0], steps[-1]
    assert first.key is None
    assert first.pixels is not None
    assert first.bound == decibels_between(first.pixels, page)
    assert last.key is not None
    printed = tiny_engine.print_page(last.key).pixels
    assert decibels_between(printed, page) == last.decibels
    shown = [step.pixels for step in steps if step.pixels is not None]
    assert np.array_equal(shown[-1], printed)
    assert last.likeness == like_noise(last.key.latents)
    assert np.array_equal(last.key.embedding, snap_embedding(tiny_engine.embed("")))


def test_where_a_page_falls_short_an_embedding_is_fitted_and_the_nearer_page_is_found(
    tiny_engine: Engine, page: Pixels, monkeypatch: pytest.MonkeyPatch
) -> None:
    without = list(search(tiny_engine, page, Wish("tiny")))
    monkeypatch.setattr(module, "_SHORT", -100.0)
    steps = list(search(tiny_engine, page, Wish("tiny")))
    require_order(steps)
    phases = [phase for phase, _ in groupby(step.phase for step in steps)]
    assert phases == ["encode", "invert", "draw", "fit", "invert", "draw", "invert", "draw"]
    assert sum(step.phase == "fit" for step in steps) == 3
    assert steps[-1].decibels is not None
    assert without[-1].decibels is not None
    shown = [step.key for step in steps if step.key is not None]
    assert shown[0] in [step.key for step in without]  # the first page is drawn under the empty prompt's embedding
    empty = snap_embedding(tiny_engine.embed(""))
    fitted = [key for key in shown if not np.array_equal(key.embedding, empty)]
    assert fitted or steps[-1].key == shown[0]
    near = list(search(tiny_engine, page, Wish("tiny", "quick", "a tower")))
    assert "fit" not in {step.phase for step in near}  # the embedding is what was asked for


def test_a_deeper_search_goes_on_from_a_key_and_never_falls_back(tiny_engine: Engine, page: Pixels) -> None:
    *_, quick = search(tiny_engine, page, Wish("tiny"))
    assert quick.key is not None
    assert quick.decibels is not None
    steps = list(search(tiny_engine, page, Wish("tiny", "good"), begin=quick.key))
    require_order(steps)
    assert {step.phase for step in steps} == {"encode", "draw", "improve"}  # what was inverted is not inverted again
    found = next(step for step in steps if step.key is not None)
    assert (found.key, found.decibels) == (quick.key, quick.decibels)
    assert steps[-1].decibels is not None
    assert steps[-1].decibels > quick.decibels


def test_the_deepest_search_has_a_page_before_it_fits_latents_for_long(tiny_engine: Engine, page: Pixels) -> None:
    steps = list(search(tiny_engine, page, Wish("tiny", "best")))
    require_order(steps)
    phases = [phase for phase, _ in groupby(step.phase for step in steps)]
    assert phases[:6] == ["encode", "invert", "draw", "encode", "invert", "draw"]
    assert all(step.decibels is not None for step in steps[phases.index("draw") + 10 :])


def test_the_deepest_search_fits_an_embedding_before_and_after_latents_where_its_first_page_falls_short(
    tiny_engine: Engine, page: Pixels, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_SHORT", -1000.0)  # decibels
    steps = list(search(tiny_engine, page, Wish("tiny", "best")))
    require_order(steps)
    phases = [phase for phase, _ in groupby(step.phase for step in steps)]
    assert phases[:8] == ["encode", "invert", "draw", "fit", "encode", "fit", "invert", "draw"]


def test_a_search_near_a_prompt_has_its_embedding(tiny_engine: Engine, page: Pixels) -> None:
    steps = list(search(tiny_engine, page, Wish("tiny", "quick", "A  Tower")))
    require_order(steps)
    key = steps[-1].key
    assert key is not None
    assert np.array_equal(key.embedding, snap_embedding(tiny_engine.embed("a tower")))


def test_a_key_of_another_prompt_is_begun_from_and_only_kept_where_it_is_nearer(
    tiny_engine: Engine, page: Pixels
) -> None:
    far = tiny_engine.resolve(Address("tiny", "prompt", "a boat", 1))
    steps = list(search(tiny_engine, page, Wish("tiny"), begin=Key.pack(2, far.embedding, far.latents)))
    require_order(steps)
    assert "invert" in {step.phase for step in steps}


def test_ordinary_noise_is_like_noise_and_other_latents_are_less_so() -> None:
    latents = page_latents("key", "borges", 1)
    ordinary = like_noise(latents)
    assert 0.985 < ordinary <= 1
    assert like_noise(np.float16(0.5) * latents) < 0.8
    smooth = ((latents + np.roll(latents, 1, 2)) / np.float16(2**0.5)).astype(np.float16)  # of the same variance
    assert like_noise(smooth) < 0.95
    assert like_noise(np.zeros_like(latents)) < 0.01


def test_the_distance_of_a_picture_from_itself_is_a_number(page: Pixels) -> None:
    assert decibels_between(page, page) == 100
    other = page.copy()
    other[0, 0, 0] ^= 255
    assert decibels_between(page, other) < 100
