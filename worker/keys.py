"""The key of an address, whoever asks for it: the press, the site, a command. One place, so that all answer alike.

A key that was derived from others (worker.catalogue.walks) says from which, by their marks, and those may say so too. A
chain is bounded where it is written (`note_derived`): a key that would take more than `CHAIN` derivations to make again
is kept for good instead, as one that somebody brought, and the next chain begins at it.

May import worker.catalogue, worker.editions, worker.store and worker.errors. torch is loaded by `derive_key` alone, and
only where a prompt has to be embedded; never imports Django.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from worker.catalogue import walks
from worker.catalogue.address import Address
from worker.catalogue.expansion import resolve, stacks_key
from worker.catalogue.key import Key
from worker.editions.edition import load_edition
from worker.errors import EditionRefused, InputRefused, PrintFailed
from worker.store.store import Store

CHAIN: Final = 32
"""Derivations that making a key again may take, one of 5 to 20 ms: less than a step of a page."""

Derive = Callable[[Address], Key | None]
"""Derives the key of an address that is no mark; None where that takes a text encoder and none is at hand."""


def find_key(store: Store, address: Address, derive: Derive) -> Key | None:
    """Return the key of an address; None where it can neither be derived nor is stored.

    A mark whose key has made room for others, as the disk budget asks, is derived again from the address or the keys
    that it came from. Raises PrintFailed where these lead to another key by now.
    """
    if address.kind == "mark":
        mark = address.name
    else:
        key = derive(address)
        if key is not None:
            return key
        printed = store.find(address)
        if printed is None:
            return None
        mark = printed
    return _key_of_mark(store, mark, derive, {})


def _key_of_mark(store: Store, mark: str, derive: Derive, seen: dict[str, Key | None]) -> Key | None:
    """The key of a mark; `seen`: those looked for already, and None for those that are being looked for."""
    if mark in seen:
        return seen[mark]
    seen[mark] = key = store.key(mark)
    if key is not None:
        return key
    origin = store.origin(mark)
    if origin is None or len(seen) > 2 * CHAIN + 1:  # more than any chain that was written here
        return None
    if isinstance(origin, Address):
        key = derive(origin)
    else:
        parents = [_key_of_mark(store, parent, derive, seen) for parent in origin.parents]
        known = [parent for parent in parents if parent is not None]
        key = walks.derive(origin, known) if len(known) == len(parents) else None
    if key is not None and key.mark != mark:
        raise PrintFailed(f"{origin.format()} does not lead to the mark {mark} any more, but to {key.mark}.")
    seen[mark] = key
    return key


def note_derived(store: Store, derived: Mapping[walks.Derivation, Key]) -> None:
    """Have keys that were derived from others found by their marks from now on, also when their bits have made room.

    The keys that they are derived from can be resolved here already. Raises StoreUnavailable.
    """
    unknown = {key: derivation for derivation, key in derived.items() if not store.can_resolve(key.mark)}
    costs: dict[str, int] = {}
    for key, derivation in unknown.items():
        if 1 + sum(_cost(store, parent, costs) for parent in derivation.parents) > CHAIN:
            store.keep_key(key)
    store.note_derivations({key.mark: how for key, how in unknown.items() if not store.can_resolve(key.mark)})


def _cost(store: Store, mark: str, costs: dict[str, int]) -> int:
    """How many derivations the key of a mark takes where none of its chain is stored."""
    if mark not in costs:
        costs[mark] = CHAIN + 1  # until it is known: a circle, which nothing here writes, has no end
        origin = store.origin(mark)
        parents = () if origin is None or isinstance(origin, Address) else origin.parents
        costs[mark] = sum(_cost(store, parent, costs) for parent in parents) + bool(parents)
    return costs[mark]


def require_key(store: Store, address: Address, derive: Derive) -> Key:
    """`find_key` for a command. Raises InputRefused where there is none."""
    key = find_key(store, address, derive)
    if key is None:
        raise no_key_of(address)
    return key


def no_key_of(address: Address) -> InputRefused:
    """What a command raises for a mark without a key."""
    return InputRefused(f"This library holds no key with the mark {address.name}.")


def derive_without_model(address: Address) -> Key | None:
    """The key of a page of the stacks; None for a prompt or a short key, which take a text encoder."""
    if address.kind != "stacks" or address.page is None:
        return None
    return stacks_key(address.name, address.page)


def derive_key(address: Address, data_dir: Path) -> Key:
    """The key of a page of any edition; its text encoder is loaded where a prompt has to be embedded.

    Raises EditionRefused or WeightsRefused where that cannot be.
    """
    edition = load_edition(address.edition, data_dir)
    key = derive_without_model(address)
    if key is not None:
        return key
    parameters = edition.check().parameters
    from worker.engine import memory
    from worker.engine.networks.text_encoder import TextEncoder

    needed = memory.bytes_of_weights({"text_encoder": parameters["text_encoder"]})
    with memory.explained(EditionRefused, edition.slug, needed):
        embed = TextEncoder(edition.weights).embed
        return resolve(address, edition.lexicon, edition.default_steps, embed, _not_asked_for)


def _not_asked_for(mark: str) -> Key:
    raise AssertionError(f"a key is derived from an address, and {mark} is a mark")
