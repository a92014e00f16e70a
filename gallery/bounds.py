"""Who a visitor is, and how much one may bring to a process of the site in a minute. Imports Django and worker.errors.

A visitor is an address, of IPv6 its /64, as the trusted proxies name it (babelia.web.proxies): who has more has to be
stopped in front of the site. Two settings bound what one may ask for. BABELIA_VISITOR_LIMIT a minute counts the pages
that are put into the queue, for the whole library (worker/jobs/jobs.lua, which has BABELIA_VISITOR_WAITING too), and
here, for each process, what has no queue: keys that are brought, which are kept for good, pages that are to be tried
again or printed for a card, and what is written down: reports, words kept off the wall.
"""

import ipaddress
import time
from dataclasses import dataclass
from math import ceil
from typing import Final

from cachetools import TTLCache
from django.conf import settings
from django.http import HttpRequest
from django.utils.crypto import salted_hmac

from worker.errors import TooMany

MINUTE: Final = 60.0


@dataclass
class _Count:
    began: float  # time.monotonic()
    number: int = 0


_counts: TTLCache[str, _Count] = TTLCache(maxsize=10_000, ttl=MINUTE)


def require_patience(request: HttpRequest, cost: int = 1) -> None:
    """Count a request of a visitor; raise TooMany, with the seconds to wait, beyond BABELIA_VISITOR_LIMIT a minute.

    `cost`: as how many it counts. Whoever has asked for nothing yet may ask for anything once.
    """
    limit: int = settings.VISITOR_LIMIT
    if limit == 0:
        return
    name = visitor_address(request.META.get("REMOTE_ADDR", ""))
    count = _counts.get(name)
    if count is None:
        count = _counts[name] = _Count(time.monotonic())
    if count.number >= limit:
        error = TooMany(
            f"One visitor may bring keys, or have pictures tried again, {limit:,} times a minute; a report counts ten."
        )
        error.retry_after = max(1, ceil(count.began + MINUTE - time.monotonic()))
        raise error
    count.number += cost


def visitor_name(request: HttpRequest) -> str:
    """Return the name by which Redis knows a visitor, for an hour: a hash under SECRET_KEY, which tells no address."""
    address = visitor_address(request.META.get("REMOTE_ADDR", ""))
    return salted_hmac("babelia.visitor", address, algorithm="sha256").hexdigest()[:24]


def visitor_address(text: str) -> str:
    """Return what a visitor is counted by: the address, of IPv6 its /64; what is no address counts as one visitor."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return ""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.IPv6Network((int(address) >> 64 << 64, 64)))
    return str(address)
