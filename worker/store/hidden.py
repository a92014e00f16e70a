"""Which pages are hidden, as files: what site and press go by, with or without the database.

The database is the record of it, and these files are its copy, under `hidden/` of the data folder; a page is hidden
where either says so. That a file is there is all that counts, so that no damage inside one shows a page again:

    hidden/addresses/<digest of address>      this address
    hidden/keys/<mark>                        this key, in every edition
    hidden/editions/<edition>/<mark>          this key, in one edition
    hidden/complete                           everything that the database knew of has been copied at least once

May import worker.catalogue, worker.errors and worker.files.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path

from worker.catalogue.address import Address
from worker.errors import PageHidden, StoreUnavailable
from worker.files import write_atomically

_FOLDER = "hidden"
_HOMES = ("addresses", "keys", "editions")
_COMPLETE = "complete"

log = logging.getLogger(__name__)


def name_of_address(address: Address) -> str:
    """The name under which an address is hidden."""
    return f"addresses/{address.digest}"


def name_of_key(mark: str, edition: str | None = None) -> str:
    """The name under which a key is hidden: in one edition, or in all of them."""
    return f"keys/{mark}" if edition is None else f"editions/{edition}/{mark}"


def names_of_page(address: Address, mark: str | None) -> set[str]:
    """Every name under which a page may be hidden; without its mark, if that is not known, the address's alone."""
    names = {name_of_address(address)}
    return names | {name_of_key(mark), name_of_key(mark, address.edition)} if mark else names


def is_hidden(data: Path, address: Address, mark: str | None) -> bool:
    """Whether the files say that a page is hidden. Raises StoreUnavailable where that cannot be told."""
    return bool(found_among(data, names_of_page(address, mark)))


def found_among(data: Path, names: Iterable[str]) -> set[str]:
    """Those of the names that are hidden. Raises StoreUnavailable where that cannot be told."""
    return {name for name in names if _is_there(data / _FOLDER / name)}


def all_of_edition(data: Path, edition: str) -> set[str]:
    """Every name that may hide a page of an edition, in three listings: for many pages at once.

    Raises StoreUnavailable where that cannot be told.
    """
    names: set[str] = set()
    for home in ("addresses", "keys", f"editions/{edition}"):
        try:
            names |= {f"{home}/{path.name}" for path in (data / _FOLDER / home).iterdir()}
        except FileNotFoundError:
            continue
        except OSError as error:
            raise _uncheckable(error) from error
    return names


def require_shown(data: Path, address: Address, mark: str) -> None:
    """Raise PageHidden for a page that is hidden, StoreUnavailable where that cannot be told."""
    if is_hidden(data, address, mark):
        raise PageHidden


def hide(data: Path, names: Iterable[str], said: str = "") -> None:
    """Write the names down; `said` stands in the files for whoever looks at them. Raises StoreUnavailable."""
    _write({data / _FOLDER / name: f"{said}\n".encode() for name in names})


def show(data: Path, names: Iterable[str]) -> set[str]:
    """Take names off again; those that were there. Raises StoreUnavailable."""
    shown = set()
    for name in names:
        try:
            (data / _FOLDER / name).unlink()
        except FileNotFoundError:
            continue
        except OSError as error:
            raise _uncheckable(error) from error
        shown.add(name)
    return shown


def names_of_key_in_editions(data: Path, mark: str) -> set[str]:
    """The names under which a key is hidden in single editions. Raises StoreUnavailable."""
    try:
        return {f"editions/{path.parent.name}/{mark}" for path in (data / _FOLDER / "editions").glob(f"*/{mark}")}
    except OSError as error:
        raise _uncheckable(error) from error


def is_complete(data: Path) -> bool:
    """Whether what the database knew of has been copied, so that the files alone will do while it is away.

    A folder that a damaged disk has lost, with all that was hidden in it, makes the list incomplete again.
    """
    return all(_is_there(data / _FOLDER / name) for name in (_COMPLETE, *_HOMES))


def set_complete(data: Path) -> None:
    """Write down that everything has been copied. Raises StoreUnavailable."""
    try:
        for home in _HOMES:
            (data / _FOLDER / home).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _uncheckable(error) from error
    _write({data / _FOLDER / _COMPLETE: b""})


def _is_there(path: Path) -> bool:
    try:
        path.stat()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise _uncheckable(error) from error
    return True


def _write(files: dict[Path, bytes]) -> None:
    try:
        write_atomically(files)
    except OSError as error:
        raise _uncheckable(error) from error


def _uncheckable(error: OSError) -> StoreUnavailable:
    log.error("The list of hidden pages: %s", error)  # it names a path, and the sentence below is for visitors
    return StoreUnavailable(
        f"Which pages are hidden cannot be read or written at the moment ({error.strerror}), so none is shown.",
        hint="Try again in a moment. The library's keepers find more in its log.",
    )
