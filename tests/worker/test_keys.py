"""worker.keys: the key of a mark is the same for whoever asks, also when the disk budget has taken its bits."""

import contextlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from gallery.pages.status import held_key
from tests.conftest import write_edition
from tests.worker.store import keep, stacks
from worker.catalogue import walks
from worker.catalogue.address import Address
from worker.catalogue.expansion import stacks_key
from worker.catalogue.key import Key
from worker.catalogue.walks import WHOLE, Between, Derivation, Nearby, derive
from worker.engine.engine import Engine
from worker.errors import InputRefused, PrintFailed, StoreUnavailable
from worker.jobs.consumer import JobConsumer
from worker.keys import CHAIN, derive_key, derive_without_model, find_key, note_derived, require_key
from worker.press import PrintingPress
from worker.store.store import Store
from worker.store.upkeep import trim

STACKS = stacks(1, "keys")
PROMPT = Address("tiny", "prompt", "a dog", 7)
CAPITALS = Address("tiny", "prompt", "A Dog", 7)
UNKNOWN = Address("tiny", "mark", "aaaaaaaaaaaaaaaaaaaaaaaaaa", None)


@pytest.fixture
def store(tiny_weights: Path, tmp_path: Path) -> Store:
    write_edition(tmp_path, "tiny", str(tiny_weights))
    return Store(tmp_path, budget=1, reserve=0)


@pytest.fixture
def trimmed(store: Store, tiny_engine: Engine) -> Callable[[Address], tuple[Address, Key]]:
    """Keeps a page and lets the disk budget take it, with its key: its address by mark, and the key that it had."""

    def keep_and_trim(address: Address) -> tuple[Address, Key]:
        key = tiny_engine.resolve(address)
        keep(store, address, key=key)
        keep(store, stacks(2, "keys"))  # the last one opened always stays
        for path in store.data.rglob(f"{key.mark}.png"):
            os.utime(path, (0, 0))
        trim(store)
        assert store.key(key.mark) is None
        assert store.origin(key.mark) == address
        return Address("tiny", "mark", key.mark, None), key

    return keep_and_trim


@pytest.fixture
def commands(
    store: Store, settings: Any, capsys: pytest.CaptureFixture[str]
) -> Callable[[Address], tuple[dict[str, Any], dict[str, Any]]]:
    """What `inspect_key` and `key_to_image` say of an address."""
    settings.DATA_DIR = store.data

    def run(address: Address) -> tuple[dict[str, Any], dict[str, Any]]:
        call_command("inspect_key", address.format(), "--json")
        inspected = json.loads(capsys.readouterr().out)
        # Off the catalogue, with one step, so that a random key's 128 do not have to be waited for.
        call_command("key_to_image", address.format(), "--json", "--digest-only", "--num-inference-steps", "1")
        (printed,) = json.loads(capsys.readouterr().out)["pages"]
        return inspected, printed

    return run


@pytest.fixture
def press(store: Store, redis_url: str, tiny_engine: Engine) -> Iterator[PrintingPress]:
    with contextlib.closing(JobConsumer(redis_url)) as jobs:
        press = PrintingPress(store, jobs, ["tiny"])
        press._engines["tiny"] = tiny_engine
        yield press


@pytest.mark.parametrize("address", [STACKS, PROMPT, CAPITALS], ids=["stacks", "prompt", "capitals"])
def test_press_site_and_commands_agree_on_a_mark_whose_key_was_trimmed(
    address: Address, trimmed: Any, press: PrintingPress, commands: Any
) -> None:
    by_mark, key = trimmed(address)
    inspected, printed = commands(by_mark)
    assert press.key_of(by_mark) == key
    assert (inspected["mark"], printed["mark"]) == (key.mark, key.mark)
    assert held_key(by_mark) == (key if address is STACKS else None)  # the site has no text encoder


def test_press_site_and_commands_agree_on_a_mark_without_a_key(
    press: PrintingPress, settings: Any, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.DATA_DIR = store.data
    with pytest.raises(InputRefused, match="does not hold the key of the mark"):
        press.key_of(UNKNOWN)
    assert held_key(UNKNOWN) is None
    for command in ("inspect_key", "key_to_image"):
        with pytest.raises(SystemExit) as ended:
            call_command(command, UNKNOWN.format())
        assert ended.value.code == 2
        assert capsys.readouterr().err == f"This library holds no key with the mark {UNKNOWN.name}.\n"


def test_a_mark_from_another_edition_is_derived_with_that_editions_text_encoder(
    store: Store, tiny_weights: Path, trimmed: Any, commands: Any
) -> None:
    write_edition(
        store.data, "other", str(tiny_weights), lambda text: text.replace("default_steps = 4", "default_steps = 6")
    )
    by_mark, key = trimmed(PROMPT)
    inspected, printed = commands(Address("other", "mark", by_mark.name, None))
    assert (inspected["mark"], printed["mark"]) == (key.mark, key.mark)


def test_the_site_finds_the_key_of_a_page_that_was_printed_and_no_other(store: Store, settings: Any) -> None:
    settings.DATA_DIR = store.data
    assert held_key(PROMPT) is None
    key = stacks_key("stands for a prompt's", 1)
    keep(store, PROMPT, key=key)
    assert held_key(PROMPT) == key
    assert held_key(STACKS) == stacks_key("keys", 1)


def test_an_origin_that_leads_elsewhere_by_now_is_refused(store: Store) -> None:
    key = stacks_key("before a change of the edition", 1)
    store.link(PROMPT, key)
    by_mark = Address("tiny", "mark", key.mark, None)
    with pytest.raises(PrintFailed, match=f"does not lead to the mark {key.mark} any more"):
        find_key(store, by_mark, lambda _: stacks_key("after it", 1))
    assert find_key(store, by_mark, derive_without_model) is None
    with pytest.raises(InputRefused, match="holds no key with the mark"):
        require_key(store, by_mark, derive_without_model)


def test_a_key_is_derived_as_the_engine_does_it(store: Store, tiny_engine: Engine) -> None:
    for address in (STACKS, PROMPT, Address("tiny", "key", "borges", 3)):
        assert derive_key(address, store.data) == tiny_engine.resolve(address)


# -- keys that were derived from others


def mark_of(key: Key) -> Address:
    return Address("tiny", "mark", key.mark, None)


def near(key: Key, direction: int = 1) -> tuple[Derivation, Key]:
    how = Nearby(key.mark, "latents", "hardly", direction)
    return how, derive(how, [key])


def test_a_derived_key_is_made_again_after_it_has_made_room(store: Store, press: PrintingPress, settings: Any) -> None:
    settings.DATA_DIR = store.data
    first, last = stacks_key("keys", 1), stacks_key("keys", 3)
    store.link(STACKS, first)
    store.keep_key(last)
    how = Between(first.mark, last.mark, WHOLE // 3)
    key = derive(how, [first, last])
    note_derived(store, {how: key})
    assert store.origin(key.mark) == how
    assert store.key(key.mark) is None
    assert held_key(mark_of(key)) == press.key_of(mark_of(key)) == key
    keep(store, mark_of(key), key=key)
    keep(store, stacks(2, "keys"))  # the last one opened always stays
    for path in store.data.rglob(f"{key.mark}.png"):
        os.utime(path, (0, 0))
    trim(store)
    assert (store.key(key.mark), store.has("tiny", key.mark)) == (None, False)
    assert store.key(last.mark) == last, "it was brought, and never makes room"
    assert held_key(mark_of(key)) == press.key_of(mark_of(key)) == key


def test_a_key_near_a_prompt_that_made_room_is_made_again_by_the_press_alone(
    store: Store, press: PrintingPress, settings: Any, trimmed: Any
) -> None:
    settings.DATA_DIR = store.data
    _, key = trimmed(PROMPT)
    how, neighbour = near(key)
    note_derived(store, {how: neighbour})
    assert held_key(mark_of(neighbour)) is None
    assert press.key_of(mark_of(neighbour)) == neighbour


def test_a_chain_is_bounded_and_holds_for_ever(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    root = stacks_key("root", 1)
    store.link(stacks(1, "root"), root)
    made, kept, key = [], [], root
    for _ in range(2 * CHAIN + 3):
        how, key = near(key)
        note_derived(store, {how: key})
        made.append(key)
        if store.key(key.mark) is not None:
            kept.append(len(made))
    assert kept == [CHAIN + 1, 2 * CHAIN + 2], "one key in so many never makes room"
    counted: list[Derivation] = []
    monkeypatch.setattr(walks, "derive", lambda how, keys: counted.append(how) or derive(how, keys))
    for number in (1, CHAIN, CHAIN + 1, CHAIN + 2, 2 * CHAIN + 1, 2 * CHAIN + 3):
        counted.clear()
        assert find_key(store, mark_of(made[number - 1]), derive_without_model) == made[number - 1]
        assert len(counted) <= CHAIN, number


def test_what_takes_two_long_chains_is_kept_for_good(store: Store) -> None:
    ends = []
    for name in ("one", "other"):
        key = stacks_key(name, 1)
        store.link(stacks(1, name), key)
        for _ in range(CHAIN // 2):
            how, key = near(key)
            note_derived(store, {how: key})
        ends.append(key)
    how = Between(ends[0].mark, ends[1].mark, 1)
    key = derive(how, ends)
    note_derived(store, {how: key})
    assert (store.key(key.mark), store.origin(key.mark)) == (key, None)


def test_nothing_is_derived_from_what_is_gone_or_from_itself(store: Store) -> None:
    key = stacks_key("gone", 1)
    how, neighbour = near(key)
    store.note_derivations({neighbour.mark: how})
    assert find_key(store, mark_of(neighbour), derive_without_model) is None
    # A circle, which nobody but a person with an editor can have written.
    store.note_derivations({key.mark: Nearby(neighbour.mark, "latents", "hardly", 1)})
    assert find_key(store, mark_of(neighbour), derive_without_model) is None
    note_derived(store, dict([near(neighbour)]))
    store.note_derivations({key.mark: near(stacks_key("gone", 2))[0]})
    store.keep_key(stacks_key("gone", 2))
    with pytest.raises(PrintFailed, match=r"nearby .* does not lead to the mark"):
        find_key(store, mark_of(key), derive_without_model)


def test_a_derivation_leaves_the_disk_its_reserve(store: Store) -> None:
    how, neighbour = near(stacks_key("keys", 1))
    store.reserve = 1 << 60
    with pytest.raises(StoreUnavailable, match="are to stay free"):
        note_derived(store, {how: neighbour})
    assert store.origin(neighbour.mark) is None
