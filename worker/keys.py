"""The key of an address, whoever asks for it: the press, the site, a command. One place, so that all answer alike.

May import worker.catalogue, worker.editions, worker.store and worker.errors. torch is loaded by `derive_key` alone, and
only where a prompt has to be embedded; never imports Django.
"""

from collections.abc import Callable
from pathlib import Path

from worker.catalogue.address import Address
from worker.catalogue.expansion import resolve, stacks_key
from worker.catalogue.key import Key
from worker.editions.edition import load_edition
from worker.errors import EditionRefused, InputRefused, PrintFailed
from worker.store.store import Store

Derive = Callable[[Address], Key | None]
"""Derives the key of an address that is no mark; None where that takes a text encoder and none is at hand."""


def find_key(store: Store, address: Address, derive: Derive) -> Key | None:
    """Return the key of an address; None where it can neither be derived nor is stored.

    A mark whose key has made room for others, as the disk budget asks, is derived again from the address that it came
    from. Raises PrintFailed where that address has another key by now.
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
    key = store.key(mark)
    if key is not None:
        return key
    origin = store.origin(mark)
    if origin is None:
        return None
    key = derive(origin)
    if key is not None and key.mark != mark:
        raise PrintFailed(f"{origin.format()} does not lead to the mark {mark} any more, but to {key.mark}.")
    return key


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
