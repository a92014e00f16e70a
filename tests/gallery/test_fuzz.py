"""Damaged keys and pictures: whatever is brought is opened or refused with a sentence, and never breaks the site.

`make test` tries 500 of them, `make chaos` 10,000 (FUZZ_CASES), within FUZZ_SECONDS. A case is made from its
number alone, so that one that failed can be made again.
"""

import os
import random
import struct
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.test import Client

from gallery.keys import with_key
from worker.catalogue.expansion import stacks_key
from worker.catalogue.png import PIXELS_SHAPE, encode_page

pytestmark = pytest.mark.django_db(transaction=True)  # it is asked what is hidden
CASES = int(os.environ.get("FUZZ_CASES", "500"))
SECONDS = float(os.environ.get("FUZZ_SECONDS", "300"))
KEY = stacks_key("borges", 1)
TEXT = KEY.format().encode()
NAMES = [b"Babelia-Address", b"Babelia-Mark", b"Babelia-Edition", b"Babelia-Key", b"Babelia-Path", b"Babelia-Rendition"]
SAID = [
    b"",
    b"../../x",
    b"../../../../etc/passwd",
    "夜".encode(),
    b"\xff\xfe",
    b"\0",
    b"A" * 26,
    b"a" * 26,
    KEY.mark.upper().encode(),
    b"pocket-1",
    b"nowhere",
    b"..",
    b"pocket-1/prompt/" + b"a" * 100_000 + b"/1",
    b"pocket-1/key/" + b"a" * 65 + b"/1",
    b"pocket-1/key/a/" + b"9" * 5000,
    b"pocket-1/mark/../../x",
    b"pocket-1/prompt/\xed\xa0\x80/1",
    b"http://[/prompt/a/1",
    b"://[",
    b"pocket-1/prompt/a%/1",
    b"/pocket-1/prompt/%ff/1/",
    b"off the catalogue: 7 steps from pocket-1/key/a/1",
    TEXT[:1000],
    TEXT + b"A",
]

PACKED = {said: zlib.compress(said) for said in SAID}
BOMB = zlib.compress(b"A" * 3_000_000)

PLAIN = encode_page(
    np.zeros(PIXELS_SHAPE, np.uint8), address="pocket-1/prompt/犬/1", mark=KEY.mark, edition="pocket-1", rendition="r"
)
WHOLE = [PLAIN, with_key(PLAIN, KEY), TEXT, b"\xef\xbb\xbf" + TEXT, KEY.format().encode("utf-16")]


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def flip(chance: random.Random, data: bytes) -> bytes:
    """Some bits changed, most of them near the beginning, where the texts stand."""
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 8, 100))):
        changed[min(int(chance.expovariate(1 / 300)), len(changed) - 1)] ^= 1 << chance.randrange(8)
    return bytes(changed)


def cut(chance: random.Random, data: bytes) -> bytes:
    """A piece left out."""
    first, last = sorted(chance.randrange(len(data) + 1) for _ in "ab")
    return data[:first] + chance.choice((b"", data[last:]))


def doubled(chance: random.Random, data: bytes) -> bytes:
    """A piece put in again somewhere else."""
    first, last = sorted(chance.randrange(min(len(data), 2000) + 1) for _ in "ab")
    where = chance.randrange(min(len(data), 2000) + 1)
    return data[:where] + data[first:last] + data[where:]


def says(chance: random.Random, data: bytes) -> bytes:
    """A picture that says hostile things of itself in chunks that are whole, or nearly."""
    texts = []
    for _ in range(chance.randrange(1, 5)):
        name, said = chance.choice(NAMES), chance.choice(SAID)
        kind, content = chance.choice(
            (
                (b"tEXt", said),
                (b"zTXt", b"\0" + PACKED[said]),
                (b"zTXt", b"\0" + PACKED[said][:-3]),
                (b"zTXt", b"\0" + BOMB),
                (b"iTXt", b"\0\0\0\0" + said),
                (b"iTXt", b"\1\0\0\0" + PACKED[said]),
                (b"iTXt", said),
            )
        )
        made = chunk(kind, name + chance.choice((b"\0", b"\0", b"\0", b"")) + content)
        texts.append(flip(chance, made) if chance.random() < 0.1 else made)
    return PLAIN[:33] + b"".join(texts) + chance.choice((PLAIN[33:], b"", chunk(b"IEND", b"")))


def spelled(chance: random.Random, data: bytes) -> bytes:
    """A key's text with something in it that does not belong there."""
    where = chance.randrange(len(TEXT))
    what = chance.choice((b"?", b"\0", "é".encode(), b"\xff", b" \r\n", b"=", "\u2028".encode(), b"\xef\xbb\xbf"))
    return TEXT[:where] + what + TEXT[where + chance.randrange(3) :]


def begun(chance: random.Random, data: bytes) -> bytes:
    """A file of any kind, by its first bytes."""
    beginnings = (
        b"\xff\xd8\xff",
        b"GIF89a",
        b"RIFF____WEBP",
        b"%PDF-",
        b"PK\x03\x04",
        b"\xff\xfe",
        b"\xfe\xff",
        b"BM",
        b"",
    )
    return chance.choice(beginnings) + chance.randbytes(chance.choice((0, 1, 13, 500)))


DAMAGES: list[Callable[[random.Random, bytes], bytes]] = [flip, cut, doubled, says, says, says, spelled, begun]


def case(number: int) -> bytes:
    chance = random.Random(number)
    return chance.choice(DAMAGES)(chance, chance.choice(WHOLE))


def test_whatever_is_brought_is_opened_or_refused_with_a_sentence(tmp_path: Path, settings: Any) -> None:
    settings.DATA_DIR, settings.VISITOR_LIMIT, settings.DISK_RESERVE = tmp_path, 0, 0
    client = Client(raise_request_exception=False)
    began, statuses = time.monotonic(), dict[int, int]()
    for number in range(CASES):
        if time.monotonic() - began > SECONDS:
            break
        answer = client.post("/api/key", case(number), content_type="application/octet-stream")
        assert answer.status_code in (201, 400, 404), (
            f"case {number} is answered {answer.status_code}: {answer.content!r}"
        )
        if answer.status_code != 201:
            assert answer.json().keys() == {"code", "message", "hint"}, number
            assert len(answer.json()["message"]) < 500, number
        statuses[answer.status_code] = statuses.get(answer.status_code, 0) + 1
    assert sum(statuses.values()) == CASES, f"the machine is too slow for what a run should try in {SECONDS:.0f} s"
    assert min(statuses.get(201, 0), statuses.get(400, 0)) > sum(statuses.values()) / 20, statuses
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and path.suffix not in (".key", "")], "only keys"


@pytest.mark.parametrize("mark", ["../../x", "", "夜", "A" * 26, "a" * 10_000])
def test_a_mark_that_is_none_is_passed_over(mark: str, tmp_path: Path, settings: Any) -> None:
    settings.DATA_DIR, settings.DISK_RESERVE = tmp_path, 0
    facts = {"address": "pocket-1/stacks/borges/1", "edition": "pocket-1", "rendition": "r"}
    data = encode_page(np.zeros(PIXELS_SHAPE, np.uint8), mark=mark, **facts)
    answer = Client().post("/api/key", data, content_type="image/png")
    assert answer.json()["address"] == "pocket-1/stacks/borges/1"
