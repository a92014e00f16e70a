"""worker.store.store: files whole or absent, verified when read, evicted by last opening, scrubbed."""

import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from worker.catalogue.address import Address
from worker.catalogue.expansion import stacks_key
from worker.catalogue.key import Key
from worker.catalogue.png import encode_page
from worker.errors import StoreUnavailable
from worker.store.store import Damage, Facts, Store

EDITION = "tiny"


def stacks(page: int, name: str = "store") -> Address:
    return Address(EDITION, "stacks", name, page)


def key_of(address: Address) -> Key:
    assert address.page is not None
    return stacks_key(address.name, address.page)


def keep(store: Store, address: Address, shade: int = 0, key: Key | None = None, rendition: str = "r") -> Facts:
    """Keep a page of one colour, with a picture of some size."""
    key = key or key_of(address)
    pixels = np.random.Generator(np.random.PCG64(shade)).integers(0, 256, (416, 640, 3), dtype=np.uint8)
    png = encode_page(pixels, address=address.format(), mark=key.mark, edition=EDITION, rendition=rendition)
    return store.keep(address, key, png, pixels, rendition=rendition, steps=key.steps, seconds=1.5)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path, reserve=0)


def only(folder: Path, pattern: str) -> Path:
    (path,) = folder.rglob(pattern)
    return path


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
    assert store.facts(EDITION, key.mark) == facts
    assert store.key(key.mark) == key
    assert store.origin(key.mark) == address
    assert store.knows(key.mark)
    assert store.find(stacks(2)) is None


def test_a_prompt_with_slashes_and_other_scripts_is_found_again(store: Store) -> None:
    address = Address(EDITION, "prompt", "夜/?#% é 🐙/x", 7)
    keep(store, address, key=key_of(stacks(7)))
    assert store.find(address) is not None
    assert store.origin(key_of(stacks(7)).mark) == address
    for path in store.data.rglob("*"):
        assert path.name.isascii()


def test_a_thumbnail_is_made_anew_where_it_is_damaged(store: Store) -> None:
    facts = keep(store, stacks(1))
    path = only(store.data, "*.webp")
    whole = path.read_bytes()
    assert store.thumbnail(EDITION, facts.mark) == whole
    path.write_bytes(whole[:-1])
    assert store.thumbnail(EDITION, facts.mark) == whole
    assert path.read_bytes() == whole
    assert len(list((store.data / "set-aside").iterdir())) == 1


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
    store.hold(key)
    path = only(store.data, "*.key")
    path.write_bytes(path.read_bytes()[:-1] + b"\x00")
    assert store.key(key.mark) is None
    assert not path.exists()


def test_a_link_to_another_address_counts_as_none(store: Store) -> None:
    keep(store, stacks(1))
    link = only(store.data / "links", "[0-9a-f]" * 64)
    link.write_text(link.read_text(encoding="utf-8").replace("/1\n", "/2\n"), encoding="utf-8")
    assert store.find(stacks(1)) is None


def test_what_a_print_that_died_left_half_written_is_not_a_page(store: Store) -> None:
    address = stacks(1)
    keep(store, address)
    only(store.data, "*.json").unlink()  # the picture was renamed, its facts were not
    assert store.find(address) is None
    assert store.picture(address) is None
    leftover = only(store.data, "*.png").with_name(".x.png.0123.partial")
    leftover.write_bytes(b"half")
    assert list(store.scrub()) != []
    assert leftover.exists()  # a print may still be at it
    long_ago = time.time() - 7200
    os.utime(leftover, (long_ago, long_ago))
    os.utime(only(store.data, "*.png"), (long_ago, long_ago))
    os.utime(only(store.data, "*.webp"), (long_ago, long_ago))
    damages = [found for found in store.scrub() if isinstance(found, Damage)]
    assert {damage.reason for damage in damages} == {"has no facts beside it"}
    assert not leftover.exists()


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
    assert len(named) == 6  # key, picture, thumbnail, facts, origin, link
    for path in named:
        assert events.index(f"sync {path}") < events.index(f"name {path}")
        assert f"sync {Path(path).parent}" in events[events.index(f"name {path}") :]


def test_many_processes_keeping_one_page_at_once_leave_it_whole(store: Store) -> None:
    address = stacks(1)
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(lambda _: keep(store, address).file_digest, range(16)))) == 1
    assert store.picture(address) is not None
    assert [found for found in store.scrub() if isinstance(found, Damage)] == []


def test_over_its_budget_the_least_recently_opened_pictures_go_first(tmp_path: Path) -> None:
    store = Store(tmp_path, budget=5_000_000, reserve=0)
    for page in range(1, 7):  # each takes about 0.97 MB: 800 kB of noise, the key, the thumbnail
        keep(store, stacks(page), shade=page)
        old = time.time() - 1000 + page
        os.utime(only(tmp_path, f"{key_of(stacks(page)).mark}.png"), (old, old))
    assert store.picture(stacks(1)) is not None  # opened just now
    freed = store.trim()
    assert freed >= 1_000_000
    kept = [page for page in range(1, 7) if store.find(stacks(page)) is not None]
    assert kept == [1, 4, 5, 6]
    assert sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()) < 0.9 * 5_000_000
    gone = key_of(stacks(2))
    assert store.key(gone.mark) is None
    assert store.origin(gone.mark) == stacks(2)  # the mark still leads somewhere
    assert store.knows(gone.mark)
    facts = store.facts(EDITION, gone.mark)
    assert facts is not None  # what was printed is known still
    assert store.trim() == 0


def test_a_key_that_no_address_leads_to_never_goes(tmp_path: Path) -> None:
    store = Store(tmp_path, budget=1, reserve=0)
    pasted = key_of(stacks(1))
    store.hold(pasted)
    keep(store, Address(EDITION, "mark", pasted.mark, None), key=pasted)
    keep(store, stacks(2))
    store.trim()
    assert store.find(Address(EDITION, "mark", pasted.mark, None)) is None
    assert store.key(pasted.mark) == pasted


def test_room_is_made_when_a_hundredth_of_the_budget_was_kept(tmp_path: Path) -> None:
    store = Store(tmp_path, budget=200_000_000, reserve=0)
    keep(store, stacks(1))
    assert store.make_room() == 0
    assert store._unweighed == 0
    keep(store, stacks(2))
    store.make_room()
    assert 0 < store._unweighed < 2_000_000  # not weighed again


def test_nothing_new_is_printed_when_the_disk_runs_short(tmp_path: Path) -> None:
    Store(tmp_path, reserve=0).require_room()
    with pytest.raises(StoreUnavailable, match="are to stay free, so nothing new is printed"):
        Store(tmp_path, reserve=1 << 60).require_room()


def test_other_pixels_on_the_same_rendition_raise_an_alarm(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    keep(store, stacks(1), shade=1)
    keep(store, stacks(1), shade=1)
    keep(store, stacks(1), shade=2, rendition="another")
    assert caplog.records == []
    keep(store, stacks(1), shade=3, rendition="another")
    assert "printed other pixels than before" in caplog.text


def test_a_scrub_finds_every_kind_of_damage_and_nothing_else(store: Store) -> None:
    for page in range(1, 4):
        keep(store, stacks(page))
    assert [found for found in store.scrub() if isinstance(found, Damage)] == []
    assert len(list(store.scrub())) == 18
    mark = key_of(stacks(1)).mark
    damaged = {only(store.data, f"{mark}{suffix}") for suffix in (".png", ".webp", ".key", ".origin")}
    damaged.add(only(store.data, f"{key_of(stacks(2)).mark}.json"))
    damaged.add(store._link_path(stacks(3)))
    for path in damaged:
        path.write_bytes(path.read_bytes()[1:])
    found = {found.path for found in store.scrub() if isinstance(found, Damage)}
    assert found == damaged
    assert [store.find(stacks(page)) is not None for page in (1, 2, 3)] == [False, False, False]


def test_facts_are_json_that_anybody_can_read(store: Store) -> None:
    facts = keep(store, stacks(1))
    found = json.loads(only(store.data, "*.json").read_text(encoding="utf-8"))
    assert found["mark"] == facts.mark
    assert found["address"] == "tiny/stacks/store/1"
