"""worker.store.store: files complete or absent, verified when they are read."""

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import mounted_disk
from tests.worker.store import EDITION, keep, key_of, only, stacks
from worker.catalogue.address import Address
from worker.catalogue.png import encode_page
from worker.errors import StoreUnavailable
from worker.store.records import PageRecord, seal
from worker.store.store import Store
from worker.store.upkeep import Damage, scrub


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path, reserve=0)


def test_a_kept_page_is_found_by_its_address_and_by_its_mark(store: Store) -> None:
    address = stacks(1)
    assert store.find(address) is None
    assert store.picture(address) is None
    facts = keep(store, address)
    key = key_of(address)
    assert store.find(address) == key.mark
    by_mark = Address(EDITION, "mark", key.mark, None)
    assert store.find(by_mark) == key.mark
    picture = store.picture(by_mark)
    assert picture is not None
    assert picture == store.picture(address)
    assert picture.digest == facts.file_digest
    assert store.record(EDITION, key.mark) == facts
    assert store.key(key.mark) == key
    assert store.origin(key.mark) == address
    assert store.can_resolve(key.mark)
    assert store.find(stacks(2)) is None


def test_a_prompt_with_slashes_and_other_scripts_is_found_again(store: Store) -> None:
    address = Address(EDITION, "prompt", "夜/?#% é 🐙/x", 7)
    keep(store, address, key=key_of(stacks(7)))
    assert store.find(address) is not None
    assert store.origin(key_of(stacks(7)).mark) == address
    for path in store.data.rglob("*"):
        assert path.name.isascii()


def test_a_thumbnail_is_made_again_where_it_is_damaged(store: Store) -> None:
    facts = keep(store, stacks(1))
    path = only(store.data, "*[!0].webp")
    intact = path.read_bytes()
    assert store.thumbnail(EDITION, facts.mark) == intact
    path.write_bytes(intact[:-1])
    assert store.thumbnail(EDITION, facts.mark) == intact
    assert path.read_bytes() == intact
    assert len(list((store.data / "set-aside").iterdir())) == 1


@pytest.mark.parametrize("damage", ["a wrong bit", "missing", "of a record from before"])
def test_the_webp_of_a_page_is_made_again_where_it_is_damaged_or_was_never_made(store: Store, damage: str) -> None:
    record = keep(store, stacks(1))
    path, facts = only(store.data, "*.640.webp"), only(store.data, "*.json")
    intact = path.read_bytes()
    assert store.webp(EDITION, record.mark) == intact
    assert record.webp_digest == hashlib.sha256(intact).hexdigest()
    if damage == "a wrong bit":
        path.write_bytes(bytes([*intact[:-1], intact[-1] ^ 1]))
    else:
        path.unlink()
    if damage == "of a record from before":
        facts.write_bytes(seal(replace(record, webp_digest=None)))
    assert store.webp(EDITION, record.mark) == intact
    assert path.read_bytes() == intact
    assert store.record(EDITION, record.mark) == record


def test_showing_the_webp_counts_as_an_opening_of_the_picture(store: Store) -> None:
    record = keep(store, stacks(1))
    png = only(store.data, "*.png")
    os.utime(png, (1, 1))
    assert store.webp(EDITION, record.mark)
    assert png.stat().st_mtime > 1
    png.unlink()
    only(store.data, "*.640.webp").unlink()
    assert store.webp(EDITION, record.mark) is None


@pytest.mark.parametrize("suffix", [".png", ".json"])
def test_one_wrong_bit_is_never_served_but_set_aside_and_printed_again(store: Store, suffix: str) -> None:
    address = stacks(1)
    keep(store, address)
    path = only(store.data, f"*{suffix}")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert store.picture(address) is None
    assert store.find(address) is None
    (aside,) = (store.data / "set-aside").iterdir()
    assert aside.read_bytes() == data
    keep(store, address)
    assert store.picture(address) is not None


def test_a_damaged_key_is_set_aside(store: Store) -> None:
    key = key_of(stacks(1))
    store.keep_key(key)
    path = only(store.data, "*.key")
    path.write_bytes(path.read_bytes()[:-1] + b"\x00")
    assert store.key(key.mark) is None
    assert not path.exists()


def test_a_link_to_another_address_counts_as_none(store: Store) -> None:
    keep(store, stacks(1))
    link = only(store.data / "links", "[0-9a-f]" * 64)
    link.write_text(link.read_text(encoding="utf-8").replace("/1\n", "/2\n"), encoding="utf-8")
    assert store.find(stacks(1)) is None


def test_a_write_that_fails_leaves_nothing_behind(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(StoreUnavailable, match="The disk is full"):
        keep(store, stacks(1))
    assert [path for path in store.data.rglob("*") if path.is_file()] == []


def test_files_are_synced_before_they_take_their_names(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def noting_fsync(descriptor: int) -> None:
        events.append("sync " + str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        fsync(descriptor)

    def noting_replace(path: Path, target: Path) -> Path:
        events.append(f"name {path}")
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", noting_fsync)
    monkeypatch.setattr(Path, "replace", noting_replace)
    keep(store, stacks(1))
    named = [event.removeprefix("name ") for event in events if event.startswith("name ")]
    assert len(named) == 7  # key, picture, its WebP, thumbnail, facts, origin, link
    for path in named:
        assert events.index(f"sync {path}") < events.index(f"name {path}")
        assert f"sync {Path(path).parent}" in events[events.index(f"name {path}") :]


def test_many_processes_keeping_one_page_at_once_leave_it_intact(store: Store) -> None:
    address = stacks(1)
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(lambda _: keep(store, address).file_digest, range(16)))) == 1
    assert store.picture(address) is not None
    assert [found for found in scrub(store) if isinstance(found, Damage)] == []


def test_nothing_new_is_printed_when_the_disk_runs_short(tmp_path: Path) -> None:
    Store(tmp_path, reserve=0).require_room()
    with pytest.raises(StoreUnavailable, match="are to stay free, so nothing new is drawn"):
        Store(tmp_path, reserve=1 << 60).require_room()


def test_nothing_new_is_printed_when_the_disk_has_no_room_for_files(tmp_path: Path) -> None:
    with mounted_disk(tmp_path / "disk", 10_000, files=40) as disk:
        store = Store(disk, reserve=0)
        with pytest.raises(StoreUnavailable, match=r"has room for \d+ more files"):
            store.require_room()


def test_other_pixels_on_the_same_rendition_raise_an_alarm(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    keep(store, stacks(1), shade=1)
    keep(store, stacks(1), shade=1)
    keep(store, stacks(1), shade=2, rendition="another")
    assert caplog.records == []
    keep(store, stacks(1), shade=3, rendition="another")
    assert "printed other pixels than before" in caplog.text


@pytest.mark.parametrize(
    "pattern", ["*.png", "*.640.webp", "*[!0].webp", "*.json", "*.key", "*.origin", "[0-9a-f]" * 64]
)
def test_a_folder_in_the_place_of_a_file_is_set_aside_and_the_page_kept_again(store: Store, pattern: str) -> None:
    keep(store, stacks(1))
    mark = key_of(stacks(1)).mark
    path = only(store.data, pattern)
    path.unlink()
    (path / "inside").mkdir(parents=True)
    for look in (store.picture, store.find, lambda _: store.thumbnail(EDITION, mark), lambda _: store.key(mark)):
        look(stacks(1))
    keep(store, stacks(1))
    assert path.is_file()
    assert store.picture(stacks(1)) is not None
    assert store.key(mark) is not None
    assert [found for found in scrub(store) if isinstance(found, Damage)] == []


@pytest.mark.parametrize("home", ["pages", "keys", "links"])
def test_a_file_in_the_place_of_a_folder_is_set_aside_and_the_page_kept_again(store: Store, home: str) -> None:
    keep(store, stacks(1))
    (store.data / home).rename(store.data / "elsewhere")
    (store.data / home).write_bytes(b"a file")
    store.picture(stacks(1))
    keep(store, stacks(1))
    assert store.picture(stacks(1)) is not None


def test_a_disk_that_fails_is_said_without_a_path(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    keep(store, stacks(1))

    def refuse(path: Path) -> bytes:
        raise OSError(5, "Input/output error", str(path))

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(StoreUnavailable, match="Input/output error") as refused:
        store.key(key_of(stacks(1)).mark)
    assert str(store.data) not in f"{refused.value} {refused.value.hint}"


def test_a_print_with_other_weights_names_those_of_the_one_before(store: Store) -> None:
    def print_with(weights: str | None, shade: int) -> PageRecord:
        pixels = np.full((416, 640, 3), shade, np.uint8)
        key = key_of(stacks(1))
        png = encode_page(pixels, address="a", mark=key.mark, edition=EDITION, rendition="r")
        return store.keep(stacks(1), key, png, pixels, rendition=f"r{shade}", steps=4, seconds=1.0, weights=weights)

    first, second = print_with("a" * 64, 1), print_with("b" * 64, 2)
    assert (first.weights, first.former_weights) == ("a" * 64, None)
    assert (second.weights, second.former_weights) == ("b" * 64, "a" * 16)
    assert second.former_pixel_digest == first.pixel_digest
    third = print_with("b" * 64, 2)
    assert third.former_weights == "a" * 16, "it is not forgotten"
    assert store.record(EDITION, third.mark) == third


def test_the_parent_of_a_new_shard_folder_is_synced(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    fsync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda fd: (synced.append(str(Path(f"/proc/self/fd/{fd}").readlink())), fsync(fd)))
    keep(store, stacks(1))
    shards = {path.parent for path in store.data.rglob("*") if path.is_file()}
    assert len(shards) == 3
    for shard in shards:
        assert {str(shard), str(shard.parent)} <= set(synced)


def test_a_disk_is_tried_by_writing_and_nothing_of_it_stays(tmp_path: Path) -> None:
    store = Store(tmp_path, reserve=0)
    store.try_writing("tiny")
    assert list((tmp_path / "pages" / "tiny").iterdir()) == []
    (tmp_path / "pages" / "tiny").rmdir()
    (tmp_path / "pages" / "tiny").symlink_to(tmp_path / "unmounted")
    with pytest.raises(StoreUnavailable):
        store.try_writing("tiny")
