"""Walks: the eight pictures near a page, and the corridor between two as a strip and as a film."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any, Final, TypeVar
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_safe

from gallery import ledger
from gallery.addresses import path_of
from gallery.answers import (
    at_address,
    back_to,
    of_unknown_length,
    refusal,
    render_page,
    require_own_post,
    see_other,
    send_kept,
    status_of,
    uncached,
    waiting,
)
from gallery.bounds import require_patience
from gallery.description import links_of
from gallery.editions import default_edition, edition_of
from gallery.keys import address_of_typed, place_to_read
from gallery.pages.events import FEW
from gallery.pages.sentences import alt_text
from gallery.pages.walks import FRAMES, Corridor, Sheet, Tile, corridor_between, film_of, sheet_near
from gallery.visits import asks_head, may_start_print, visitor_of
from worker.catalogue.address import Address
from worker.catalogue.walks import DIRECTIONS, FRAMES_LEAST, FRAMES_MOST, OFS, STRENGTHS
from worker.errors import BabeliaError, InputRefused, PageHidden
from worker.films import KINDS, PACE

Chosen = TypeVar("Chosen", bound=str)

_LOOKED: Final = {"at_once": FEW, "few": "walk", "rest": 0, "wait": 4}
"""How tiles are drawn (templates/looked.html): so many at once, without a rest, refused ones again after a while."""
_OF_WORDS: Final = {"latents": "the drawing", "words": "the words"}
_STRENGTH_WORDS: Final = {"hardly": "hardly", "little": "a little", "clearly": "clearly", "far": "far"}


# -- near a page


@require_safe
@at_address("/nearby/")
async def nearby(request: HttpRequest, address: Address) -> HttpResponseBase:
    """A sheet of nine: the page, and eight pictures that are small steps away from it."""
    of = _chosen(request, "of", OFS, OFS[0])
    strength = _chosen(request, "strength", STRENGTHS, STRENGTHS[1])
    opens = _opens(request)
    sheet = await sheet_near(address, of, strength, opens=opens)
    context = _near(request, address, sheet, of, strength)
    drawable = opens or not any(not tile.address and not tile.hidden for tile in sheet.around)
    return uncached(render_page(request, "nearby.html", context | {"drawable": drawable}))


def _near(request: HttpRequest, address: Address, sheet: Sheet, of: str, strength: str) -> dict[str, object]:
    """What the template of a sheet of nine is given: the tiles in their order, and the choices that lead to others."""
    tab = visitor_of(request).tab
    around = [_tile(tile, f"Picture {n} near it") for n, tile in enumerate(sheet.around, start=1)]
    middle = _tile(sheet.middle, alt_text(address))
    return {
        "edition": address.edition,
        "title": f"Near {address.name}",
        "on_card": "The picture in the middle",
        "name": address.name,
        "page": path_of(address),
        "tiles": [*around[:4], middle, *around[4:]] if around else [middle],
        "settled": bool(around),
        "checked": edition_of(address.edition).safety_checker,
        "strengths": [(_STRENGTH_WORDS[each], f"?strength={each}&of={of}", each == strength) for each in STRENGTHS],
        "ofs": [(_OF_WORDS[each], f"?strength={strength}&of={each}", each == of) for each in OFS],
        "again": f"?strength={strength}&of={of}&visitor={tab}",
        **_LOOKED,
        "visitor": tab,
        "url": request.build_absolute_uri(path_of(address, "/nearby/")),
        "card": request.build_absolute_uri(links_of(address).card),
    }


def _chosen(request: HttpRequest, name: str, allowed: tuple[Chosen, ...], otherwise: Chosen) -> Chosen:
    asked = request.GET.get(name, otherwise)
    found = next((each for each in allowed if each == asked), None)
    if found is None:
        raise InputRefused(f"“{asked[:40]}” is no {name} of this sheet; there are {', '.join(allowed)}.")
    return found


def _opens(request: HttpRequest, pictures: int = DIRECTIONS) -> bool:
    """Say whether so many new keys may be written down for this request, and count it: a sheet's eight as one."""
    named = request.method == "GET" and "visitor" in request.GET
    if not (may_start_print(request) or named):
        return False
    require_patience(request, ceil(pictures / DIRECTIONS))
    return True


# -- from a page to another


@dataclass(frozen=True)
class Asked:
    """A corridor as its link names it."""

    first: Address
    last: Address
    frames: int
    closed: bool
    even: bool

    @property
    def query(self) -> str:
        """The one spelling of its link, behind the question mark."""
        named = {"from": self.first.format(), "to": self.last.format(), "frames": str(self.frames)}
        return urlencode(named | {name: "1" for name in ("closed", "even") if getattr(self, name)})


def read_corridor(sent: Mapping[str, str]) -> Asked:
    """Return the corridor of a form or a link; each end is whatever the one box takes. Raises what that refuses.

    What names no edition is of that of the other end.
    """
    edition = edition_of(sent.get("edition") or default_edition()).slug
    ends: list[Address] = []
    for name, which in (("from", "first"), ("to", "second")):
        typed = sent.get(name, "")
        if not typed.strip():
            raise InputRefused(f"The {which} picture is missing.", hint="Give words, a link or an address.")
        ends.append(address_of_typed(typed, ends[0].edition if ends else edition))
        edition_of(ends[-1].edition)
    frames = sent.get("frames") or str(FRAMES)
    if not (frames.isascii() and frames.isdigit() and len(frames) < 4):
        raise InputRefused(f"A corridor has {FRAMES_LEAST} to {FRAMES_MOST} pictures, and “{frames[:20]}” is none.")
    if not FRAMES_LEAST <= int(frames) <= FRAMES_MOST:
        raise InputRefused(f"A corridor has {FRAMES_LEAST} to {FRAMES_MOST} pictures; {int(frames)} were asked for.")
    return Asked(ends[0], ends[1], int(frames), bool(sent.get("closed")), bool(sent.get("even")))


@require_safe
async def corridor(request: HttpRequest) -> HttpResponseBase:
    """The strip of a corridor, which fills as its pictures are drawn; without both ends, a form that asks for them."""
    if not (request.GET.get("from") and request.GET.get("to")):
        return render_page(request, "corridor_form.html", _form(request.GET))
    try:
        asked = await asyncio.to_thread(read_corridor, request.GET)
        spelled = {**request.GET.dict()}
        spelled.pop("visitor", None)
        if urlencode(spelled) != asked.query:
            return uncached(HttpResponseRedirect(f"{reverse('corridor')}?{asked.query}"))
        found = await _found(asked, opens=_opens(request, asked.frames))
        context = _strip(request, asked, found)
    except BabeliaError as error:
        return _refused(request, request.GET, error)
    return uncached(render_page(request, "corridor.html", context))


@back_to("corridor")
@require_own_post
async def open_corridor(request: HttpRequest) -> HttpResponseBase:
    """From the form to the strip: each end may be a whole key, which is held from now on."""
    try:
        require_patience(request)
        asked = await asyncio.to_thread(read_corridor, request.POST)
    except BabeliaError as error:
        return _refused(request, request.POST, error)
    return see_other(f"{reverse('corridor')}?{asked.query}")


@require_safe
async def film(request: HttpRequest, kind: str) -> HttpResponseBase:
    """The film of a corridor that is drawn, as animated WebP or MP4. Starts nothing."""
    try:
        asked = await asyncio.to_thread(read_corridor, request.GET)
        found = await _found(asked, opens=False)
        if asks_head(request):
            return of_unknown_length(KINDS[kind])
        async with place_to_read():
            body, digest = await film_of(found, kind, closed=asked.closed)
    except BabeliaError as error:
        return refusal(request, error, kind)
    return send_kept(body, KINDS[kind], f"{digest}-{PACE}", f"babelia-corridor-{digest[:8]}{kind}")


async def _found(asked: Asked, *, opens: bool) -> Corridor:
    for end in (asked.first, asked.last):
        await ledger.require_shown(end)
    return await corridor_between(asked.first, asked.last, asked.frames, even=asked.even, opens=opens)


def _refused(request: HttpRequest, sent: Mapping[str, str], error: BabeliaError) -> HttpResponse:
    """The form again, with what is wrong; a page that is hidden is answered as everywhere."""
    if isinstance(error, PageHidden):
        return refusal(request, error)
    context = _form(sent) | {"error": error, "hint": vars(error).get("hint")}
    return uncached(waiting(render_page(request, "corridor_form.html", context, status=status_of(error)), error))


def _form(sent: Mapping[str, str]) -> dict[str, Any]:
    frames = sent.get("frames", "")
    return {
        "first": sent.get("from", ""),
        "last": sent.get("to", ""),
        "frames": frames if frames.isascii() and frames.isdigit() else FRAMES,
        "least": FRAMES_LEAST,
        "most": FRAMES_MOST,
        "closed": sent.get("closed"),
        "even": sent.get("even"),
    }


def _strip(request: HttpRequest, asked: Asked, found: Corridor) -> dict[str, Any]:
    """What the strip shows."""
    tab = visitor_of(request).tab
    labels = [f"Picture {n} of {len(found.tiles)}" for n in range(1, len(found.tiles) + 1)]
    labels[0], labels[-1] = alt_text(asked.first), alt_text(asked.last)
    return _form(request.GET) | {
        "edition": asked.first.edition,
        "title": f"From {asked.first.name} to {asked.last.name}",
        "on_card": "The picture at its beginning",
        "begins": asked.first,
        "ends": asked.last,
        "begins_page": path_of(asked.first),
        "ends_page": path_of(asked.last),
        "tiles": [_tile(tile, label) for tile, label in zip(found.tiles, labels, strict=True)],
        "settled": found.settled,
        "checked": edition_of(asked.first.edition).safety_checker,
        "complete": found.complete,
        "drawn": found.drawn,
        "all": len(found.shown),
        "hidden": len(found.tiles) - len(found.shown),
        "steps": found.steps,
        "asked": asked,
        "pace": PACE,
        "drawable": found.drawn < len(found.shown),
        "webp": f"{reverse('corridor-webp')}?{asked.query}",
        "mp4": f"{reverse('corridor-mp4')}?{asked.query}",
        "again": f"?{asked.query}&visitor={tab}",
        **_LOOKED,
        "visitor": tab,
        "link": f"{reverse('corridor')}?{asked.query}",
        "url": request.build_absolute_uri(f"{reverse('corridor')}?{asked.query}"),
        "card": request.build_absolute_uri(links_of(asked.first).card),
        "opened": all(tile.address or tile.hidden for tile in found.tiles),
    }


def _tile(tile: Tile, label: str) -> dict[str, Any]:
    """One place, as the template shows it."""
    if tile.address is None:
        return {"label": "Taken down" if tile.hidden else label, "hidden": tile.hidden}
    links = links_of(tile.address)
    return {
        "label": label,
        "page": links.page,
        "thumbnail": links.thumbnail,
        "picture": links.picture,
        "kept": tile.kept,
        "flagged": tile.record is not None and tile.record.flagged,
        "waits": tile.record is None,
    }
