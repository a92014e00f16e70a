"""The key codec against the same codec written as a Python loop over the values. May import worker.catalogue.key."""

import hashlib
import string

import numpy as np
import numpy.typing as npt

from bench.timing import Line, Times, clock
from worker.catalogue.key import CONSTANTS, EMBEDDING_SHAPE, LATENTS_SHAPE, Key

ALPHABET = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"
CODES = EMBEDDING_SHAPE[0] * EMBEDDING_SHAPE[1] - len(CONSTANTS) + int(np.prod(LATENTS_SHAPE))
OF_A_LOOP = 0.01
MILLISECONDS = 5.0

Arrays = tuple[int, npt.NDArray[np.float16], npt.NDArray[np.float16]]


def parse_by_loop(text: str) -> Arrays:
    """Steps, embedding and latents of a key's text, one value after another."""
    values = {character: value for value, character in enumerate(ALPHABET)}
    bits = "".join(f"{values[character]:06b}" for character in text)
    numbers = []
    for place in range(CODES):
        code = int(bits[6 + 15 * place : 21 + 15 * place], 2)
        e_min = -12 if place < EMBEDDING_SHAPE[0] * EMBEDDING_SHAPE[1] - len(CONSTANTS) else -14
        sign, exponent, fraction = code >> 14, code >> 10 & 15, code & 1023
        numbers.append((-1.0 if sign else 1.0) * (1 + fraction / 1024) * 2.0 ** (exponent + e_min))
    for place in sorted(CONSTANTS):
        numbers.insert(place, CONSTANTS[place])
    split = EMBEDDING_SHAPE[0] * EMBEDDING_SHAPE[1]
    embedding = np.array(numbers[:split], np.float16).reshape(EMBEDDING_SHAPE)
    return 2 * (int(bits[:6], 2) + 1), embedding, np.array(numbers[split:], np.float16).reshape(LATENTS_SHAPE)


def format_by_loop(steps: int, embedding: npt.NDArray[np.float16], latents: npt.NDArray[np.float16]) -> str:
    """The key's text of values that lie on its grid already, one value after another."""
    bits = [f"{steps // 2 - 1:06b}"]
    for array, e_min, left_out in ((embedding, -12, CONSTANTS), (latents, -14, {})):
        for place, value in enumerate(array.ravel().tolist()):
            if place in left_out:
                continue
            sign, magnitude, exponent = int(value < 0), abs(value), 0
            while magnitude >= 2.0 ** (exponent + e_min + 1):
                exponent += 1
            fraction = round((magnitude / 2.0 ** (exponent + e_min) - 1) * 1024)
            bits.append(f"{sign << 14 | exponent << 10 | fraction:015b}")
    text = "".join(bits)
    return "".join(ALPHABET[int(text[start : start + 6], 2)] for start in range(0, len(text), 6))


def parse(text: str) -> Arrays:
    """Steps, embedding and latents of a key's text, by the press's codec."""
    key = Key.parse(text)
    return key.steps, key.embedding, key.latents


def measure(repetitions: int = 15) -> list[Line]:
    """Time text → arrays and arrays → text on a random key; both codecs must agree to the bit."""
    text = Key(hashlib.shake_256(b"babelia bench").digest(142_077)).format()
    steps, embedding, latents = parse(text)
    found = parse_by_loop(text)
    assert found[0] == steps and np.array_equal(found[1], embedding) and np.array_equal(found[2], latents)
    assert format_by_loop(steps, embedding, latents) == text == Key.pack(steps, embedding, latents).format()
    ours = [Times(tuple(clock(call) for _ in range(repetitions))) for call in (
        lambda: parse(text),
        lambda: Key.pack(steps, embedding, latents).format(),
    )]  # fmt: skip
    loops = [Times(tuple(clock(call) for _ in range(3))) for call in (
        lambda: parse_by_loop(text),
        lambda: format_by_loop(steps, embedding, latents),
    )]  # fmt: skip
    return [
        Line(
            what,
            mine.format(),
            f"a loop, {loop.format()}",
            f"{mine.median / loop.median:.4f}",
            f"≤ {OF_A_LOOP}, ≤ {MILLISECONDS:.0f} ms",
            mine.median <= min(OF_A_LOOP * loop.median, MILLISECONDS / 1e3),
        )
        for what, mine, loop in zip(("key: text → arrays", "key: arrays → text"), ours, loops, strict=True)
    ]
