"""Readers of environment variables that refuse nonsense at start-up. Imports Django's configuration alone.

Every setting of the library is read by one of these, and each reading is written down in `SETTINGS`, from which the
table in docs/operating.md is checked.
"""

from __future__ import annotations

import ipaddress
import os
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass

from django.core.exceptions import ImproperlyConfigured

REFUSED = 2
"""The exit code of every process whose settings make no sense."""

_UNITS = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}
_SIZE = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,15})?)\s*([kmgt]?b?)", re.IGNORECASE | re.ASCII)
URL_PATH = re.compile(r"(?:/(?!\.+(?:/|$))[A-Za-z0-9._~-]+)+", re.ASCII)
"""A path that means the same whether it is percent-encoded or not, and never leads to another host (`//elsewhere`)."""
_YES, _NO = ("1", "true", "yes", "on"), ("0", "false", "no", "off")


@dataclass(frozen=True)
class Setting:
    """One line of the settings table: the variable, its default as a person would write it, what it is for."""

    name: str
    default: str
    meaning: str


SETTINGS: dict[str, Setting] = {}
"""Every setting that was read, in the order of reading."""


def read_settings() -> None:
    """Read all settings now, for a process that begins; what is wrong with them is one sentence and exit code 2."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "babelia.settings")
    from django.conf import settings

    try:
        settings.DATA_DIR  # noqa: B018  (Django reads them when the first one is asked for)
    except ImproperlyConfigured as error:
        print(error, file=sys.stderr)
        sys.exit(REFUSED)


def text(
    name: str,
    default: str,
    meaning: str,
    *,
    shown: str | None = None,
    form: str = "one line of text",
    valid: Callable[[str], object] = bool,
    secret: bool = False,
) -> str:
    """One line of text, stripped, for which `valid` holds.

    `shown`: what the table says where the default is worked out; `form`: what a value looks like; `secret`: a refusal
    does not show it.
    """
    value = _read(name, default if shown is None else shown, meaning)
    if value is None:
        return default
    if not value.isprintable():
        raise refused(name, "one line of text", None if secret else value)
    if not valid(value):
        raise refused(name, form, None if secret else value)
    return value


def names(
    name: str,
    default: list[str],
    meaning: str,
    *,
    shown: str | None = None,
    form: str = "names with commas between them",
    valid: Callable[[str], object] = bool,
) -> list[str]:
    """Several names with commas between them, for each of which `valid` holds; white space around them is dropped."""
    value = text(name, ",".join(default), meaning, shown=shown)
    found = [part.strip() for part in value.split(",") if part.strip()]
    if any(re.search(r"\s", part) for part in found) or not all(valid(part) for part in found if part not in default):
        raise refused(name, form, value)
    return found


def is_listening_address(value: str) -> bool:
    """Whether a site could listen there: an IP address, or `localhost`."""
    return value == "localhost" or _is_address(value, ipaddress.ip_address)


def is_proxy(value: str) -> bool:
    """Whether proxies can be named so: an IP address or network; `*` is refused by a check that says why."""
    return value == "*" or _is_address(value, lambda text: ipaddress.ip_network(text, strict=False))


def is_host(value: str) -> bool:
    """Whether a site can be reached under this name, without scheme, port and path; `.example.org`: all below it."""
    if value.startswith("[") and value.endswith("]"):
        return _is_address(value[1:-1], ipaddress.IPv6Address)
    return value == "*" or re.fullmatch(r"\.?[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?", value) is not None


def _is_address(value: str, reader: Callable[[str], object]) -> bool:
    try:
        reader(value)
    except ValueError:
        return False
    return True


def choice(name: str, default: str, among: tuple[str, ...], meaning: str) -> str:
    """One of a few words."""
    value = text(name, default, meaning)
    if value not in among:
        raise refused(name, f"one of {', '.join(among)}", value)
    return value


def path(name: str, meaning: str, *, shown: str) -> str:
    """A path of a URL, with its first slash and without its last; empty where it is unset or `/`."""
    value = text(name, "", meaning, shown=shown).rstrip("/")
    if value and not URL_PATH.fullmatch(value):
        raise refused(name, "a path like /library, of letters, digits and - . _ ~", value)
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
    raise refused(name, "true or false", value)


def integer(name: str, default: int, low: int, high: int, meaning: str, *, shown: str | None = None) -> int:
    """A whole number from `low` to `high`."""
    value = _read(name, str(default) if shown is None else shown, meaning)
    if value is None:
        return default
    if not re.fullmatch(r"-?[0-9]{1,15}", value, re.ASCII) or not low <= int(value) <= high:
        raise refused(name, f"a whole number from {low:,} to {high:,}", value)
    return int(value)


def size(name: str, default: str, meaning: str) -> int:
    """A number of bytes, as `750 MB` or `2.5 GB` (powers of ten); 0 means none, or no limit, as the setting says."""
    value = _read(name, default, meaning)
    found = _SIZE.fullmatch(value if value is not None else default)
    if found is None:
        raise refused(name, "a size like 750 MB or 20 GB", value or default)
    unit = found[2].lower()
    return int(float(found[1]) * _UNITS[unit if unit in _UNITS else unit + "b"])


def _read(name: str, default: str, meaning: str) -> str | None:
    """The variable's value, stripped; None where it is unset or empty."""
    assert name not in SETTINGS or SETTINGS[name] == Setting(name, default, meaning), f"{name} is read twice"
    SETTINGS[name] = Setting(name, default, meaning)
    return os.environ.get(name, "").strip() or None


def refused(name: str, expected: str, found: str | None) -> ImproperlyConfigured:
    """The sentence with which a value is refused; None for one that may hold a password."""
    end = "." if found is None else f", and is {found!r}."
    return ImproperlyConfigured(f"The environment variable {name} should be {expected}{end}")
