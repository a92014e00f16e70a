"""What an edition can draw, as its page and the entrance show it: entries with links and pictures. No HTTP.

Pictures come with the edition and are shown only where its weights are those that printed them; else an entry has the
thumbnail of its page where that is kept here, or none. No picture of a hidden page is shown. Imports `worker`, what the
pages stand on, and the ledger.
"""

import asyncio
import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

from cachetools import TTLCache
from django.urls import reverse

from babelia.services import store
from gallery import ledger
from gallery.addresses import path_of
from gallery.description import links_of
from gallery.editions import edition_of, known_of
from worker.catalogue.address import Address, canonical_prompt
from worker.editions.edition import Edition
from worker.editions.repertoire import PICTURE, Entry
from worker.errors import AddressRefused, StoreUnavailable
from worker.store.store import THUMBNAIL_HEIGHT, THUMBNAIL_WIDTH

TILES: Final = 12
"""How many the entrance shows …"""
OTHERS: Final = 3
"""… and how many of these are no things: a place, a sky, a colour."""
_log = logging.getLogger(__name__)
_kept: TTLCache[tuple[Path, tuple[Address, ...]], dict[Address, str]] = TTLCache(maxsize=16, ttl=10.0)


@dataclass(frozen=True)
class Tile:
    """A prompt to click on, with or without a picture of its first page."""

    prompt: str
    page: str
    also: str = ""
    """Other words that mean the same, as a sentence's end: puppy, hound."""
    picture: str | None = None
    width: int = 0
    height: int = 0


@dataclass(frozen=True)
class _Wanted:
    """A prompt that is to be shown, and the entry of the repertoire that it comes from, if it does."""

    prompt: str
    entry: Entry | None = None

    def address(self, edition: Edition) -> Address:
        return Address(edition.slug, "prompt", canonical_prompt(self.prompt), 1)


async def repertoire_context(edition: Edition) -> dict[str, Any]:
    """Return what the page What it can draw shows of an edition: groups of tiles, and how true they are."""
    known = await asyncio.to_thread(known_of, edition)
    if known.repertoire is not None:
        wanted = {group.title: [_Wanted(e.prompt, e) for e in group.entries] for group in known.repertoire.groups}
    else:
        lexicon = edition.lexicon
        lists = {"Subjects": lexicon.subjects, "Settings": lexicon.settings, "Styles": lexicon.styles}
        wanted = {title: [_Wanted(phrase) for phrase in phrases if phrase] for title, phrases in lists.items()}
    tiles = iter(await _tiles(edition, [each for group in wanted.values() for each in group], known.fits))
    groups = [{"title": title, "tiles": [next(tiles) for _ in group]} for title, group in wanted.items() if group]
    entries = [] if known.repertoire is None else list(known.repertoire.entries)
    return {
        "edition": edition.slug,
        "edition_title": edition.title,
        "groups": groups,
        "listed": known.repertoire is not None,
        "fits": known.fits,
        "coloured": [entry.name for entry in entries if entry.coloured],
    }


async def tiles_of_day(slug: str, day: date) -> list[Tile]:
    """Return a dozen tiles for somebody who does not know what to type: others each day, the same all day long."""
    edition = edition_of(slug)
    known = await asyncio.to_thread(known_of, edition)
    if known.repertoire is None or not known.fits:
        return []
    drawn = sorted(known.repertoire.entries, key=lambda e: hashlib.sha256(f"{day}/{e.prompt}".encode()).digest())
    things = [_Wanted(entry.prompt, entry) for entry in drawn if entry.kind == "thing"][: 2 * TILES]
    others = [_Wanted(entry.prompt, entry) for entry in drawn if entry.kind != "thing"][: 2 * OTHERS]
    shown = [tile if tile.picture else None for tile in await _tiles(edition, things + others, known.fits)]
    parts = (shown[: len(things)], TILES - OTHERS), (shown[len(things) :], OTHERS)
    return [tile for part, most in parts for tile in list(filter(None, part))[:most]]


async def picture_of(edition: Edition, file: str) -> bytes:
    """Return the picture of an entry. Raises AddressRefused where there is none, PageHidden, StoreUnavailable."""
    known = await asyncio.to_thread(known_of, edition)
    repertoire = known.repertoire if known.fits else None
    path = None if repertoire is None else repertoire.picture(file)
    if repertoire is None or path is None:
        raise AddressRefused("No picture of this name comes with the edition.", hint="Open What it can draw again.")
    entry = next(entry for entry in repertoire.entries if entry.file == file)
    await ledger.require_shown(_Wanted(entry.prompt).address(edition), entry.mark)
    return await asyncio.to_thread(path.read_bytes)


def subject_volumes(edition: Edition) -> list[Address]:
    """Return the volumes of what an edition draws by name, whose sheets are for search engines. May block.

    There are none where what it draws is not known: of these alone it is sure that they show what they are called.
    """
    known = known_of(edition)
    if known.repertoire is None or not known.fits:
        return []
    return [_Wanted(entry.prompt).address(edition) for entry in known.repertoire.entries]


def completions_of(edition: Edition) -> dict[str, list[str]]:
    """Return what completes a prompt: whole ones, single words, and the phrases that may follow. May block."""
    known = known_of(edition)
    if known.repertoire is None or not known.fits:
        return {
            "prompts": list(edition.lexicon.subjects),
            "words": [],
            "places": [p for p in edition.lexicon.settings if p],
        }
    entries = list(known.repertoire.entries)
    things = [entry for entry in entries if entry.kind == "thing"]
    words = [word for entry in entries if entry.kind in ("thing", "colour", "count") for word in entry.words[:2]]
    return {
        "prompts": [entry.prompt for entry in things],
        "words": list(dict.fromkeys(words)),
        "places": [e.words[0] for e in entries if e.kind in ("place", "sky", "weather") and e.name != "plain"],
    }


async def _tiles(edition: Edition, wanted: Sequence[_Wanted], fits: bool) -> list[Tile]:
    """Return tiles in the same order, each with the picture that may be shown of it."""
    addresses = [each.address(edition) for each in wanted]
    kept = {} if fits else await asyncio.to_thread(_kept_among, edition, tuple(addresses))
    marks = [
        each.entry.mark if fits and each.entry else kept.get(address)
        for each, address in zip(wanted, addresses, strict=True)
    ]
    try:
        hidden = await ledger.hidden_among(list(zip(addresses, marks, strict=True)))
    except StoreUnavailable as error:
        _log.warning("No picture of what edition %s draws is shown: %s", edition.slug, error)
        hidden = set(addresses)
    return [
        _tile(edition, each, address, fits, shown=address not in hidden, kept=address in kept)
        for each, address in zip(wanted, addresses, strict=True)
    ]


def _tile(edition: Edition, wanted: _Wanted, address: Address, fits: bool, *, shown: bool, kept: bool) -> Tile:
    page, entry = path_of(address), wanted.entry
    also = ", ".join(_others(entry)) if entry is not None else ""
    if shown and fits and entry is not None:
        picture = reverse("subject-picture", args=[edition.slug, entry.file])
        return Tile(wanted.prompt, page, also, picture, *PICTURE)
    if shown and kept:
        return Tile(wanted.prompt, page, also, links_of(address).thumbnail, THUMBNAIL_WIDTH, THUMBNAIL_HEIGHT)
    return Tile(wanted.prompt, page, also)


def _others(entry: Entry) -> list[str]:
    """Other words for a thing than its name, without their plurals; of other entries the link says enough."""
    plurals = {plural for word in entry.words for plural in (word + "s", word + "es", word[:-1] + "ies")}
    return [word for word in entry.words if entry.kind == "thing" and word not in {entry.name, *plurals}]


def _kept_among(edition: Edition, addresses: tuple[Address, ...]) -> dict[Address, str]:
    """Return those pages of which a picture is kept that everybody may see, with their marks; as of ten seconds ago."""
    own = store()
    found = _kept.get((own.data, addresses))
    if found is None:
        found = {}
        for address in addresses:
            mark = own.find(address)
            record = None if mark is None else own.record(edition.slug, mark)
            if mark is not None and record is not None and not record.flagged:
                found[address] = mark
        _kept[own.data, addresses] = found
    return found
