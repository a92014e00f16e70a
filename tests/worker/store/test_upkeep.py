"""worker.store.upkeep: pictures make room by last opening, and a scrub finds every damaged file."""

import os
import time
from pathlib import Path

import pytest

from tests.worker.store import EDITION, keep, key_of, only, stacks
from worker.catalogue.address import Address
from worker.store.store import Store
from worker.store.upkeep import Damage, make_room, scrub, trim


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path, reserve=0)


def test_what_a_print_that_died_left_half_written_is_not_a_page(store: Store) -> None:
    address = stacks(1)
    keep(store, address)
    only(store.data, "*.json").unlink()  # the picture was renamed, its facts were not
    assert store.find(address) is None
    assert store.picture(address) is None
    leftover = only(store.data, "*.png").with_name(".x.png.0123.partial")
    leftover.write_bytes(b"half")
    assert list(scrub(store)) != []
    assert leftover.exists()  # a print may still be at it
    long_ago = time.time() - 7200
    os.utime(leftover, (long_ago, long_ago))
    os.utime(only(store.data, "*.png"), (long_ago, long_ago))
    for copy in store.data.rglob("*.webp"):
        os.utime(copy, (long_ago, long_ago))
    damages = [found for found in scrub(store) if isinstance(found, Damage)]
    assert {damage.reason for damage in damages} == {"has no facts beside it"}
    assert not leftover.exists()


def test_over_its_budget_the_least_recently_opened_pictures_go_first(tmp_path: Path) -> None:
    store = Store(tmp_path, budget=6_200_000, reserve=0)
    for page in range(1, 7):  # each takes about 1.2 MB: 800 kB of noise, its copies, the key
        keep(store, stacks(page), shade=page)
        old = time.time() - 1000 + page
        os.utime(only(tmp_path, f"{key_of(stacks(page)).mark}.png"), (old, old))
    assert store.picture(stacks(1)) is not None  # opened just now
    freed = trim(store)
    assert freed >= 1_000_000
    kept = [page for page in range(1, 7) if store.find(stacks(page)) is not None]
    assert kept == [1, 4, 5, 6]
    assert sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()) < 0.9 * 6_200_000
    gone = key_of(stacks(2))
    assert store.key(gone.mark) is None
    assert store.origin(gone.mark) == stacks(2)  # the mark still leads somewhere
    assert store.can_resolve(gone.mark)
    facts = store.record(EDITION, gone.mark)
    assert facts is not None  # what was printed is known still
    assert trim(store) == 0


def test_a_page_that_was_kept_under_a_prompt_with_capitals_is_whole(store: Store) -> None:
    address = Address(EDITION, "prompt", "A Dog", 1)
    record = keep(store, address, key=key_of(stacks(1)))
    assert not [found for found in scrub(store) if isinstance(found, Damage)]
    assert store.origin(record.mark) == address and store.can_resolve(record.mark)
    assert store.find(Address.parse(address.format())) is None, "the prompt of now is another page"


def test_a_key_that_no_address_leads_to_never_goes(tmp_path: Path) -> None:
    store = Store(tmp_path, budget=1, reserve=0)
    pasted = key_of(stacks(1))
    store.keep_key(pasted)
    keep(store, Address(EDITION, "mark", pasted.mark, None), key=pasted)
    keep(store, stacks(2))
    trim(store)
    assert store.find(Address(EDITION, "mark", pasted.mark, None)) is None
    assert store.key(pasted.mark) == pasted


def test_room_is_made_when_a_hundredth_of_the_budget_was_kept(tmp_path: Path) -> None:
    store = Store(tmp_path, budget=200_000_000, reserve=0)
    keep(store, stacks(1))
    assert make_room(store) == 0
    assert store.unweighed == 0
    keep(store, stacks(2))
    make_room(store)
    assert 0 < store.unweighed < 2_000_000  # not weighed again


def test_a_scrub_finds_every_kind_of_damage_and_nothing_else(store: Store) -> None:
    for page in range(1, 4):
        keep(store, stacks(page))
    assert [found for found in scrub(store) if isinstance(found, Damage)] == []
    assert len(list(scrub(store))) == 21
    mark = key_of(stacks(1)).mark
    damaged = {only(store.data, f"{mark}{suffix}") for suffix in (".png", ".webp", ".640.webp", ".key", ".origin")}
    damaged.add(only(store.data, f"{key_of(stacks(2)).mark}.json"))
    damaged.add(store._link_path(stacks(3)))
    for path in damaged:
        path.write_bytes(path.read_bytes()[1:])
    found = {found.path for found in scrub(store) if isinstance(found, Damage)}
    assert found == damaged
    assert [store.find(stacks(page)) is not None for page in (1, 2, 3)] == [False, False, False]


def test_a_scrub_notices_every_damaged_mark_of_a_link_of_0_1_0_too(store: Store) -> None:
    keep(store, stacks(1))
    path, mark = store._link_path(stacks(1)), key_of(stacks(1)).mark
    old = f"{mark}\n{stacks(1).format()}\n".encode()
    path.write_bytes(old)
    assert [found for found in scrub(store) if isinstance(found, Damage)] == []
    for bit in range(8 * len(old)):
        damaged = bytearray(old)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        assert [found.path for found in scrub(store) if isinstance(found, Damage)] == [path], bit
        assert store.find(stacks(1)) is None


def test_a_scrub_sets_a_folder_in_the_place_of_a_file_aside(store: Store) -> None:
    keep(store, stacks(1))
    for path in (only(store.data, "*.png"), only(store.data, "*.key"), store._link_path(stacks(1))):
        path.unlink()
        (path / "inside").mkdir(parents=True)
        assert [found.path for found in scrub(store) if isinstance(found, Damage)] == [path]
        assert not path.exists()
