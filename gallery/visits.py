"""Visitors: whether a request may start a print, who asks, and for how long. Imports Django and gallery.bounds.

How link previews are kept from starting prints by the hundred. A link pasted into a chat is fetched by the program of
everybody who sees it, and a crawler follows "next page" without end. So a print is started only by a GET that a person
may be waiting for:

1. HEAD never starts one: it is answered from what is known.
2. A request that names itself a bot, crawler, link preview or prefetch (User-Agent, Sec-Purpose) gets the page around
   an empty frame and, for its picture, the card of an unprinted page, which is drawn at once.
3. What is missed here costs little: a visitor who does not ask again within PATIENCE seconds no longer counts, and a
   page that nobody watches is dropped before its print starts; the queue itself is bounded.
4. robots.txt keeps crawlers off all addresses, and links to neighbours say nofollow.
"""

import re
import secrets
from typing import Final

from django.http import HttpRequest

from gallery.bounds import visitor_name
from worker.jobs.progress import Kind, Visitor

PATIENCE: Final = 10.0
"""Seconds a tab counts as waiting after the page was sent: scripts then follow, a page without them comes back."""
AWAY_PATIENCE: Final = 90.0
"""Seconds a tab that nobody sees counts as waiting: its browser lets it ask once a minute. It says when it leaves."""

_VISITOR = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_MACHINES = re.compile(
    r"bot\b|bot/|crawl|spider|slurp|preview|unfurl|embed|externalhit|facebookcatalog|whatsapp|telegram|discord|slack"
    r"|twitter|linkedin|pinterest|skype|vkshare|viber|mastodon|pleroma|misskey|akkoma|lemmy|synapse|matrix|signal"
    r"|redditbot|iframely|headlesschrome-lighthouse|google-|bingpreview|yandex|baidu|applebot|petal|validator",
    re.IGNORECASE,
)


def asks_head(request: HttpRequest) -> bool:
    """Say whether only the headers are asked for; to the API such a request looks like GET (babelia.middleware)."""
    return bool(request.META.get("REQUEST_METHOD") == "HEAD")


def may_start_print(request: HttpRequest) -> bool:
    """Say whether this request may ask the press for a page (see the module's docstring)."""
    if request.method != "GET":
        return False
    purpose = request.headers.get("Sec-Purpose", "") + request.headers.get("Purpose", "")
    return "prefetch" not in purpose and not is_machine(request)


def is_machine(request: HttpRequest) -> bool:
    """Say whether a request names itself a bot, crawler or link preview; some run scripts, and send what these send."""
    return _MACHINES.search(request.headers.get("User-Agent", "")) is not None


def visitor_of(request: HttpRequest, tab: str | None = None, *, ahead: bool = False) -> Visitor:
    """Return who asks: the tab by the name it was given with its page, or a fresh one, and whose it is.

    `ahead`: for a page that the visitor does not look at yet.
    """
    given = tab or (request.POST.get("visitor") if request.method == "POST" else request.GET.get("visitor"))
    name = given if given and _VISITOR.fullmatch(given) else secrets.token_urlsafe(12)
    return Visitor(name, visitor_name(request), "ahead" if ahead else _kind_of(request))


def _kind_of(request: HttpRequest) -> Kind:
    """Say whether a person asks or a program, whose pages come after theirs. Every browser calls itself Mozilla."""
    by_hand = request.headers.get("User-Agent", "").startswith("Mozilla/")
    return "person" if by_hand and not request.path_info.startswith("/api/") else "program"


def patience_of(request: HttpRequest) -> float:
    """Return the seconds for which a tab that opens a page counts as waiting."""
    return AWAY_PATIENCE if "away" in request.GET else PATIENCE
