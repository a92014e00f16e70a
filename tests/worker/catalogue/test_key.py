"""The key codec: the vectors, both directions, strict input, neighbours, speed."""

import hashlib
import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import ROOT
from worker.catalogue.expansion import stacks_key
from worker.catalogue.key import BITS, BYTES, CHARACTERS, CONSTANTS, Key, is_mark, snap_embedding
from worker.errors import KeyRefused

VECTORS = json.loads((ROOT / "tests" / "vectors" / "keys.json").read_text())["keys"]
KEY = stacks_key("borges", 1)
TEXT = KEY.format()

any_key = st.builds(
    lambda seed, edge: Key(edge * BYTES if edge else hashlib.shake_256(seed).digest(BYTES)),
    st.binary(max_size=8),
    st.sampled_from([b"", b"\0", b"\xff"]),
)


def digest(array: np.ndarray[Any, Any]) -> str:
    return hashlib.sha256(array.astype("<f2").tobytes()).hexdigest()


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: v["stacks"])
def test_it_meets_the_vector(vector: dict[str, Any]) -> None:
    key = stacks_key(vector["stacks"], vector["page"])
    text = key.format()
    assert text[:80] == vector["first_80_characters"]
    assert text[-20:] == vector["last_20_characters"]
    assert hashlib.sha256(text.encode()).hexdigest() == vector["text_sha256"]
    assert key.mark == vector["mark"]
    assert key.steps == vector["steps"]
    assert digest(key.embedding) == vector["embedding_float16_sha256"]
    assert digest(key.latents) == vector["latents_float16_sha256"]
    assert key.embedding.ravel()[[0, 1, 2, 3, 18, 19, 20]].tolist() == vector["embedding_first"]  # around a constant
    assert key.latents.ravel()[:4].tolist() == vector["latents_first"]


def test_the_sizes_are_those_of_the_design() -> None:
    assert (BITS, BYTES, CHARACTERS) == (1_136_616, 142_077, 189_436)


@settings(max_examples=30, deadline=None)
@given(any_key)
def test_every_key_comes_back_from_its_text_and_from_its_arrays(key: Key) -> None:
    assert Key.parse(key.format()) == key
    assert Key.pack(key.steps, key.embedding, key.latents) == key


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 63), st.integers(0, 2**32 - 1))
def test_every_array_comes_back_from_its_key(level: int, seed: int) -> None:
    draw = np.random.Generator(np.random.PCG64(seed))
    embedding = snap_embedding(draw.normal(size=(77, 768)) * 4.0 ** draw.integers(-6, 3))
    latents = stacks_key("x", 1).latents * np.float16(0.5) if seed % 2 else KEY.latents
    key = Key.pack(2 * (level + 1), embedding, latents)
    assert key.steps == 2 * (level + 1)
    assert np.array_equal(key.embedding, embedding)
    assert np.abs(key.latents).min() >= 2.0**-14


def test_the_worked_example_of_the_docstring_holds() -> None:
    key = Key(bytes(BYTES))
    assert key.format() == "A" * CHARACTERS
    assert key.steps == 2
    assert set(key.embedding.ravel().tolist()) == {2.0**-12, *CONSTANTS.values()}
    assert set(key.latents.ravel().tolist()) == {2.0**-14}
    assert key.next().format() == "A" * (CHARACTERS - 1) + "B"
    assert key.previous().format() == "_" * CHARACTERS


@settings(max_examples=20, deadline=None)
@given(any_key)
def test_next_and_previous_undo_each_other(key: Key) -> None:
    assert key.next().previous() == key == key.previous().next()
    assert key.next() != key


def test_a_carry_runs_through_the_whole_key() -> None:
    first_bit_only = Key(b"\x80" + bytes(BYTES - 1))
    assert first_bit_only.previous().data == b"\x7f" + b"\xff" * (BYTES - 1)
    assert first_bit_only.previous().next() == first_bit_only


def test_white_space_is_skipped_and_plus_and_slash_are_read() -> None:
    broken = "\r\n ".join(TEXT[i : i + 76] for i in range(0, len(TEXT), 76))
    assert Key.parse(f"\t{broken}\u00a0\n") == KEY
    assert Key.parse(TEXT.replace("-", "+").replace("_", "/")) == KEY


@pytest.mark.parametrize("length", [0, 1, CHARACTERS - 1, CHARACTERS + 1, 2 * CHARACTERS])
def test_it_refuses_a_key_of_another_length(length: int) -> None:
    with pytest.raises(KeyRefused) as caught:
        Key.parse((TEXT * 3)[:length])
    assert caught.value.length == length
    assert f"{length:,}" in str(caught.value)


@pytest.mark.parametrize("foreign", [*"=[]\\^`@:;,.!~{}", "\0", "é", "А", "１", "\ud800", "😀"])
@pytest.mark.parametrize("position", [1, 100_001, CHARACTERS])
def test_it_names_the_first_foreign_character(foreign: str, position: int) -> None:
    text = TEXT[: position - 1] + foreign + TEXT[position:-1] + "="
    with pytest.raises(KeyRefused) as caught:
        Key.parse(text)
    assert caught.value.position == position
    assert f"U+{ord(foreign):04X}" in str(caught.value)


def test_the_position_counts_the_text_as_given() -> None:
    with pytest.raises(KeyRefused) as caught:
        Key.parse("  \n" + TEXT[:10] + "?" + TEXT[11:])
    assert caught.value.position == 14


@pytest.mark.parametrize("steps", [0, 1, 3, 129, 130, -2])
def test_it_refuses_steps_that_no_key_holds(steps: int) -> None:
    with pytest.raises(KeyRefused, match="even number of steps"):
        Key.pack(steps, KEY.embedding, KEY.latents)


def test_it_refuses_arrays_of_another_shape_infinite_ones_and_other_constants() -> None:
    with pytest.raises(KeyRefused, match=r"\(77, 768\)"):
        Key.pack(2, KEY.embedding.T, KEY.latents)
    with pytest.raises(KeyRefused, match=r"\(4, 52, 80\)"):
        Key.pack(2, KEY.embedding, KEY.latents[:, :, :-1])
    with pytest.raises(KeyRefused, match="finite"):
        Key.pack(2, KEY.embedding, np.full((4, 52, 80), np.inf))
    other = KEY.embedding.copy()
    other[0, 19] = 1
    with pytest.raises(KeyRefused, match="position 19"):
        Key.pack(2, other, KEY.latents)


def test_it_refuses_bytes_of_another_length() -> None:
    with pytest.raises(KeyRefused, match="142,076"):
        Key(KEY.data[:-1])


def test_the_arrays_cannot_be_written_to() -> None:
    for array in (KEY.embedding, KEY.latents):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


@settings(max_examples=20, deadline=None)
@given(any_key)
def test_a_mark_is_26_characters_that_stand_for_16_bytes(key: Key) -> None:
    assert is_mark(key.mark)
    assert not is_mark(key.mark.upper()) and not is_mark(key.mark[:-1] + "b") and not is_mark(key.mark + "a")


def test_reading_and_writing_a_key_take_at_most_five_milliseconds_each() -> None:
    """Of one thread's processor time, in the best of 45: all beyond that is what other processes cost it."""

    def read() -> None:
        key = Key.parse(TEXT)
        assert key.steps and key.embedding.size and key.latents.size

    def write() -> None:
        Key.pack(KEY.steps, KEY.embedding, KEY.latents).format()

    for act in (read, write):
        assert min(processor_seconds(act) for _ in range(45)) <= 0.005


def processor_seconds(act: Callable[[], None]) -> float:
    start = time.thread_time()
    act()
    return time.thread_time() - start
