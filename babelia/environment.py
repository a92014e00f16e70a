"""Readers of environment variables that refuse nonsense at start-up. Imports only Django's ImproperlyConfigured.

Every setting of the library is read by one of these, and each reading is written down in `SETTINGS`, from which the
table in docs/operating.md is checked.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from django.core.exceptions import ImproperlyConfigured

_UNITS = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([kmgt]?b?)", re.IGNORECASE | re.ASCII)
_YES, _NO = ("1", "true", "yes", "on"), ("0", "false", "no", "off")


@dataclass(frozen=True)
class Setting:
    """One line of the settings table: the variable, its default as a person would write it, what it is for."""

    name: str
    default: str
    meaning: str


SETTINGS: dict[str, Setting] = {}
"""Every setting that was read, in the order of reading."""


def text(name: str, default: str, meaning: str, *, shown: str | None = None) -> str:
    """One line of text, stripped. `shown`: what the table says where the default is worked out."""
    value = _read(name, default if shown is None else shown, meaning)
    if value is None:
        return default
    if not value.isprintable():
        raise _refused(name, "one line of text", value)
    return value


def names(name: str, default: list[str], meaning: str, *, shown: str | None = None) -> list[str]:
    """Several names with commas between them; white space around them does not count."""
    value = text(name, ",".join(default), meaning, shown=shown)
    found = [part.strip() for part in value.split(",") if part.strip()]
    if any(re.search(r"\s", part) for part in found):
        raise _refused(name, "names with commas between them", value)
    return found


def choice(name: str, default: str, among: tuple[str, ...], meaning: str) -> str:
    """One of a few words."""
    value = text(name, default, meaning)
    if value not in among:
        raise _refused(name, f"one of {', '.join(among)}", value)
    return value


def flag(name: str, default: bool, meaning: str) -> bool:
    """Yes or no."""
    value = _read(name, "true" if default else "false", meaning)
    if value is None:
        return default
    if value.lower() in _YES:
        return True
    if value.lower() in _NO:
        return False
    raise _refused(name, "true or false", value)


def integer(name: str, default: int, low: int, high: int, meaning: str, *, shown: str | None = None) -> int:
    """A whole number from `low` to `high`."""
    value = _read(name, str(default) if shown is None else shown, meaning)
    if value is None:
        return default
    if not re.fullmatch(r"-?[0-9]{1,15}", value, re.ASCII) or not low <= int(value) <= high:
        raise _refused(name, f"a whole number from {low:,} to {high:,}", value)
    return int(value)


def size(name: str, default: str, meaning: str) -> int:
    """A number of bytes, as `750 MB` or `2.5 GB` (powers of ten); 0 means none, or no limit, as the setting says."""
    value = _read(name, default, meaning)
    found = _SIZE.fullmatch(value if value is not None else default)
    if found is None:
        raise _refused(name, "a size like 750 MB or 20 GB", value or default)
    unit = found[2].lower()
    return int(float(found[1]) * _UNITS[unit if unit in _UNITS else unit + "b"])


def _read(name: str, default: str, meaning: str) -> str | None:
    """The variable's value, stripped; None where it is unset or empty."""
    assert name not in SETTINGS or SETTINGS[name] == Setting(name, default, meaning), f"{name} is read twice"
    SETTINGS[name] = Setting(name, default, meaning)
    return os.environ.get(name, "").strip() or None


def _refused(name: str, expected: str, found: str) -> ImproperlyConfigured:
    return ImproperlyConfigured(f"The environment variable {name} should be {expected}, and is {found!r}.")
