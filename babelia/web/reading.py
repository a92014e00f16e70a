"""Who may read from a page of another site (CORS): everybody, and nobody by somebody else's credentials.

Answers to GET and HEAD that are no HTML (pictures, keys, JSON, events) say so; nothing else does, so that what writes,
what forms do and the keeper's desk stay with this site's own pages (gallery.answers.require_own_site).

A library that is reached on loopback or in a home network is another matter: any site that its owner happens to visit
could read in his browser what he has typed into his own library. There, only pages of such hosts may read. Whether a
host is one is told from its name alone. Imports nothing of the project.
"""

from __future__ import annotations

import functools
import ipaddress
from typing import Final
from urllib.parse import urlsplit

METHODS: Final = "GET, HEAD"
_TOLD: Final = "Content-Range, ETag, Retry-After"
"""Headers that scripts of other sites may see beside those that they always may."""
_SENT: Final = "If-Match, If-None-Match, If-Range, Last-Event-ID, Range"
_HOME: Final = (".local", ".localhost", ".lan", ".home", ".internal", ".home.arpa")


@functools.lru_cache(maxsize=256)
def is_at_home(host: str) -> bool:
    """Say whether a host, without its port, is one of this machine or of a network of its own."""
    name = host.strip("[]").rstrip(".").lower()
    try:
        return not ipaddress.ip_address(name.partition("%")[0]).is_global
    except ValueError:
        return "." not in name or name.endswith(_HOME)


def may_read(host: str, origin: str | None) -> str | None:
    """Return Access-Control-Allow-Origin for an answer, None where there is none.

    `host`: of this site as it is asked, without its port; `origin`: the header Origin of the request, if any.
    """
    if not is_at_home(host):
        return "*"
    try:
        named = urlsplit(origin or "").hostname
    except ValueError:  # brackets that do not match
        return None
    return origin if named and is_at_home(named) else None


def told(host: str, origin: str | None) -> dict[str, str]:
    """Return the headers of an answer that may be read."""
    allowed = may_read(host, origin)
    varies = {"Vary": "Origin"} if is_at_home(host) else {}
    if allowed is None:
        return varies
    return varies | {"Access-Control-Allow-Origin": allowed, "Access-Control-Expose-Headers": _TOLD}


def permitted(host: str, origin: str | None) -> dict[str, str]:
    """Return the headers with which a browser that asks beforehand is answered."""
    allowed = told(host, origin)
    if "Access-Control-Allow-Origin" not in allowed:
        return allowed
    sent = {"Access-Control-Allow-Methods": METHODS, "Access-Control-Allow-Headers": _SENT}
    return allowed | sent | {"Access-Control-Max-Age": "86400"}
