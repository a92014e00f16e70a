"""gallery.pages.drawings.studio: drawn once however many ask, and what fails is drawn again."""

import asyncio
import secrets

import pytest

from gallery.pages.drawings.studio import drawn


def test_what_many_ask_for_is_drawn_once_and_kept() -> None:
    tag, times = secrets.token_hex(8), []

    def draw() -> bytes:
        times.append(1)
        return b"drawing"

    async def ask_at_once() -> list[bytes]:
        return await asyncio.gather(*(drawn(tag, draw) for _ in range(5)))

    assert asyncio.run(ask_at_once()) == 5 * [b"drawing"]
    assert asyncio.run(drawn(tag, draw)) == b"drawing"
    assert len(times) == 1


def test_what_could_not_be_drawn_is_tried_again() -> None:
    tag = secrets.token_hex(8)

    def fail() -> bytes:
        raise OSError("no paint")

    with pytest.raises(OSError, match="no paint"):
        asyncio.run(drawn(tag, fail))
    assert asyncio.run(drawn(tag, lambda: b"later")) == b"later"
