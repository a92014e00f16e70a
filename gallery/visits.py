"""Visitors: whether a request may start a print, who asks, and for how long. Imports Django and gallery.bounds.

How link previews are kept from starting prints by the hundred. A link pasted into a chat is fetched by the program of
everybody who sees it, and a crawler follows "next page" without end. So a print is started only by a GET that a person
may be waiting for:

1. HEAD never starts one: it is answered from what is known.
2. A request that names itself a fetcher (bot, crawler, link preview: `_MACHINES`) or a prefetch (Sec-Purpose) gets the
   page around an empty frame and, for its picture, the card of an unprinted page, which is drawn at once.
3. What is missed here costs little: a visitor who does not ask again within PATIENCE seconds no longer counts, and a
   page that nobody watches is dropped before its print starts; the queue itself is bounded.
4. robots.txt keeps crawlers off all addresses, and links to neighbours say nofollow.

This is a guess, and all that it may do is to save prints. Browsers inside apps name the app (`Twitter for iPhone`,
`[LinkedInApp]`), and the people in them want their picture: so what browsers say of themselves when a person has
pressed something (Sec-Fetch-User, over HTTPS) counts for more than any name, and the empty frame has a button whose
form is heeded whoever sends it.
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

CARD_PROGRAMS: Final = (
    *("Twitterbot", "LinkedInBot", "facebookexternalhit", "Facebot", "meta-externalfetcher", "WhatsApp", "TelegramBot"),
    *("Slackbot", "Slackbot-LinkExpanding", "Slack-ImgProxy", "Discordbot", "Pinterest", "Pinterestbot", "redditbot"),
    *("SkypeUriPreview", "vkShare", "Viber", "kakaotalk-scrap", "line-poker", "Cardyb", "Mastodon", "Pleroma"),
    *("Misskey", "Akkoma", "Lemmy", "Synapse", "Iframely", "Embedly", "ZoomBot", "ZulipURLPreview", "Mattermost-Bot"),
)
"""The programs that make the cards beside links, by the names that they look for in robots.txt. None starts a print."""

_VISITOR = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_MACHINES = re.compile(
    # "+http" is how programs say where one can complain of them; no browser does. A Cubot is a telephone.
    r"\+\s?https?:|(?<!cu)bot\b|crawl|spider|slurp|scrap(?:er|y|e)?\b|externalhit|externalagent|externalfetcher"
    r"|facebookcatalog|cardyb|line-poker|url ?preview|uripreview|link ?preview|bingpreview|unfurl|embedly|iframely"
    r"|slack-imgproxy|vkshare|skype-url|ms-office|valve/steam http|archiver|feedfetcher|favicon|validator\b|validator\."
    # The apps of these are no browsers: what fetches is named first of all, what a person holds is named in brackets.
    r"|^(?:whatsapp|viber|pinterest|mastodon|pleroma|misskey|akkoma|lemmy|synapse|friendica|peertube|pixelfed)/"
    r"|\((?:mastodon|pleroma|misskey|akkoma|lemmy)/"
    r"|mediapartners-google|apis-google|googleother|googleimageproxy|chrome-lighthouse"
    r"|google-(?:inspection|read-aloud|site|safety|extended|pagerenderer|structured|cloud|ads|adwords|other|proxy)",
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
    if "prefetch" in purpose:
        return False
    pressed = request.headers.get("Sec-Fetch-User") == "?1"  # a person has just followed a link or sent a form
    return pressed or not is_machine(request)


def is_named(request: HttpRequest) -> bool:
    """Say whether the request names its visitor: it comes from a page of ours that was sent to somebody who waits."""
    return _VISITOR.fullmatch(request.GET.get("visitor", "")) is not None


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
    return AWAY_PATIENCE if is_away(request) else PATIENCE


def is_away(request: HttpRequest) -> bool:
    """Say whether a tab asks that nobody sees: one that is left becomes that, too, and may ask once it has left."""
    return "away" in request.GET
