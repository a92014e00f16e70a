"""worker.store.records: what stands in the store's files, sealed, and readable since the first of them was written."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.worker.store import EDITION, keep, key_of, only, stacks
from worker.catalogue.address import Address
from worker.catalogue.walks import parse_derivation
from worker.store.records import (
    Link,
    PageRecord,
    format_link,
    format_origin,
    parse_link,
    parse_origin,
    seal,
    unseal,
)
from worker.store.store import Store

MARK = "numxaqqioe4lpfc6qxh46pi5yy"
RECORD = PageRecord(
    mark=MARK,
    edition="tiny",
    address="tiny/prompt/夜 é/7",
    rendition="tiny float32",
    pixel_digest="a" * 64,
    file_digest="b" * 64,
    thumbnail_digest="c" * 64,
    size=123456,
    steps=20,
    seconds=1.5,
    printed_at="2026-11-25T09:47:00.123+00:00",
    flagged=True,
)
OLD = """{
 "address": "tiny/prompt/夜 é/7",
 "edition": "tiny",
 "file_digest": "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",
 "flagged": true,
 "mark": "numxaqqioe4lpfc6qxh46pi5yy",
 "pixel_digest": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
 "rendition": "tiny float32",
 "seal": "32ad0e8ddec1003fee3de73cb0ed14af7eee12dbc545da78c0183b6661e0b9b8",
 "seconds": 1.5,
 "size": 123456,
 "steps": 20,
 "thumbnail_digest": "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc",
 "when": "2026-11-25T09:47:00.123+00:00"
}
"""
"""As the store wrote this record while its last field was named `when`."""


def test_a_record_of_before_says_nothing_of_words_that_were_not_read() -> None:
    old = unseal(OLD.encode())
    assert old is not None
    assert old.unread is None


def test_a_record_comes_back_from_its_sealed_form() -> None:
    assert unseal(seal(replace(RECORD, unread="the end 犬"))) == replace(RECORD, unread="the end 犬")
    assert unseal(seal(RECORD)) == RECORD
    assert unseal(seal(replace(RECORD, flagged=None))) == replace(RECORD, flagged=None)


def test_a_record_is_json_that_anybody_can_read(tmp_path: Path) -> None:
    record = keep(Store(tmp_path, reserve=0), stacks(1))
    found = json.loads(only(tmp_path, "*.json").read_text(encoding="utf-8"))
    assert found["mark"] == record.mark
    assert found["address"] == "tiny/stacks/store/1"
    assert found["printed_at"] == record.printed_at


def test_a_record_of_the_old_form_is_read_as_it_was_sealed(tmp_path: Path) -> None:
    assert unseal(OLD.encode()) == RECORD
    store = Store(tmp_path, reserve=0)
    path = store.data / "pages" / EDITION / MARK[:2] / f"{MARK}.json"
    path.parent.mkdir(parents=True)
    path.write_bytes(OLD.encode())
    assert store.record(EDITION, MARK) == RECORD
    assert path.exists()


@pytest.mark.parametrize(
    "damaged",
    [
        b"",
        b"[]",
        b"{}",
        b"\xff",
        OLD.replace("09:47", "09:48").encode(),
        OLD.replace('"when"', '"printed_at"').encode(),
        OLD.replace('"steps": 20', '"steps": 21').encode(),
    ],
)
def test_a_record_that_does_not_match_its_seal_is_none(damaged: bytes) -> None:
    assert unseal(damaged) is None


@pytest.mark.parametrize(
    "address",
    [
        stacks(1),
        Address(EDITION, "prompt", "夜/?#% é 🐙/x", 7),
        Address(EDITION, "prompt", "A Dog", 7),  # as prompts were kept while they had capitals
    ],
)
def test_an_origin_and_a_link_come_back(address: Address) -> None:
    assert parse_origin(format_origin(address)) == address
    assert parse_link(format_link(address, MARK)) == Link(MARK, address, sealed=True)
    assert format_origin(address) == f"{address.digest}\n{address.format()}\n".encode()
    digest = hashlib.sha256(f"{MARK}\n{address.format()}".encode()).hexdigest()
    assert format_link(address, MARK) == f"{MARK} {digest}\n{address.format()}\n".encode()


def test_an_origin_of_other_keys_comes_back() -> None:
    for line in (f"nearby {MARK} latents far 3", f"between {MARK} {key_of(stacks(2)).mark} 21845"):
        derivation = parse_derivation(line)
        assert derivation is not None
        data = format_origin(derivation)
        assert data == f"{hashlib.sha256(line.encode()).hexdigest()}\n{line}\n".encode()
        assert parse_origin(data) == derivation
        for bit in range(8 * (len(data) - 1)):
            damaged = bytearray(data)
            damaged[bit // 8] ^= 1 << bit % 8
            assert parse_origin(bytes(damaged)) is None, bit


def test_a_link_of_release_0_1_0_is_read_and_known_for_one() -> None:
    assert parse_link(f"{MARK}\n{stacks(1).format()}\n".encode()) == Link(MARK, stacks(1), sealed=False)


def test_every_single_bit_of_a_link_is_covered() -> None:
    link = format_link(stacks(11), MARK)
    for bit in range(8 * len(link)):
        damaged = bytearray(link)
        damaged[bit // 8] ^= 1 << bit % 8
        assert parse_link(bytes(damaged)) is None, bit


def test_the_weights_of_an_old_record_are_known_by_its_rendition() -> None:
    assert RECORD.known_weights is None
    assert replace(RECORD, weights="d" * 64).known_weights == "d" * 16
    assert replace(RECORD, rendition=f"pocket-1 {'e' * 16} float32 batch 1, torch").known_weights == "e" * 16


@pytest.mark.parametrize("damage", [lambda data: data[1:], lambda data: data[:-2], lambda data: data + b"\n"])
def test_an_origin_or_a_link_that_is_damaged_is_none(damage: object) -> None:
    assert callable(damage)
    assert parse_origin(damage(format_origin(stacks(11)))) is None
    link = parse_link(damage(format_link(stacks(11), MARK)))
    assert link is None or link.address != stacks(11)
