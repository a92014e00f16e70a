"""Checks of settings that are each fine and contradict each other together; `manage.py check` runs them."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register

from babelia import strays

_LOOPBACK = {"127.0.0.1", "localhost", "::1"}
_OWN_PATHS = {"-", "about", "api", "card.png", "key", "mark", "prompt", "random", "search", "stacks", "static"}
"""What a path of the site's own may begin with: below such a prefix nobody could tell whether a proxy took it off."""


@register(deploy=True)
def reached_over_https(**_: Any) -> list[CheckMessage]:
    """Return a warning where `check --deploy` is asked of a site that does not know of HTTPS.

    Django's own warnings of that look for its own name of the middleware and find ours (babelia.middleware).
    """
    if settings.HTTPS:
        return []
    hint = "Set BABELIA_HTTPS=true once a proxy in front of the site speaks HTTPS: docs/operating.md has how."
    return [Warning("BABELIA_HTTPS is off: what visitors see and send can be read.", hint=hint, id="babelia.W005")]


@register()
def settings_agree(**_: Any) -> list[CheckMessage]:
    """Return what contradicts, each with a hint that says which variable to set."""
    found: list[CheckMessage] = []
    if settings.DEBUG and settings.LISTEN not in _LOOPBACK:
        found.append(
            Error(
                f"BABELIA_DEBUG shows source code to everybody who reaches {settings.LISTEN}.",
                hint="Unset BABELIA_DEBUG, or set BABELIA_LISTEN to 127.0.0.1.",
                id="babelia.E001",
            )
        )
    if "*" in settings.PROXIES:
        found.append(
            Error(
                "BABELIA_PROXIES believes every visitor who claims to be a proxy.",
                hint="Name the addresses of your proxies.",
                id="babelia.E002",
            )
        )
    if settings.LEASE >= settings.PRINT_LIMIT:
        found.append(
            Warning(
                f"BABELIA_LEASE ({settings.LEASE} s) is not shorter than BABELIA_PRINT_LIMIT "
                f"({settings.PRINT_LIMIT} s): a page of a machine that died waits for longer than any print takes.",
                hint="The lease is the longest silence between two steps; 45 s fits most machines.",
                id="babelia.W005",
            )
        )
    first = settings.PREFIX.split("/")[1] if settings.PREFIX else ""
    if first in _OWN_PATHS:
        found.append(
            Error(
                f"BABELIA_PREFIX is {settings.PREFIX}, and /{first} is a path of the site's own.",
                hint="Take another name, such as /library.",
                id="babelia.E004",
            )
        )
    if settings.HTTPS and set(settings.ALLOWED_HOSTS) <= _LOOPBACK | {"[::1]"}:
        found.append(
            Warning(
                "BABELIA_HTTPS is set, but the site answers only to names of this machine itself.",
                hint="Set BABELIA_HOSTS to the name that visitors type, as library.example.org.",
                id="babelia.W001",
            )
        )
    if 0 < settings.DISK_BUDGET < 100_000_000:
        found.append(
            Warning(
                f"BABELIA_DISK_BUDGET of {settings.DISK_BUDGET:,} bytes holds fewer than 200 pages.",
                hint="A page takes about 500 kB: its picture, its key and its thumbnail.",
                id="babelia.W002",
            )
        )
    if settings.THREADS and settings.DEVICE not in ("auto", "cpu"):
        found.append(
            Warning(
                f"BABELIA_THREADS has no effect on {settings.DEVICE}.",
                hint="Unset it, or set BABELIA_DEVICE to cpu.",
                id="babelia.W003",
            )
        )
    return found


@register()
def no_strays(**_: Any) -> list[CheckMessage]:
    """Return the variables of the libraries underneath that are set and do not count."""
    hint = "Unset it where the library starts, or set what decides."
    return [Warning(sentence, hint=hint, id="babelia.W006") for sentence in strays.sentences()]
