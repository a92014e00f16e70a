"""Walks: the eight pictures near a page, and the corridor from one page to another. Imports ninja."""

from math import ceil
from typing import Annotated

from django.http import HttpRequest
from ninja import Field, Query, Router, Schema

from gallery import ledger
from gallery.addresses import path_of
from gallery.api.openapi import PRINTS, TAGGED
from gallery.bounds import require_patience
from gallery.editions import default_edition, edition_of
from gallery.pages.walks import FRAMES, Tile, corridor_between, sheet_near
from gallery.visits import asks_head
from worker.catalogue.address import Address
from worker.catalogue.walks import DIRECTIONS, FRAMES_LEAST, FRAMES_MOST, Of, Strength

router = Router(tags=["walk"])


class TileOut(Schema):
    """One picture of a walk; without an address it is hidden, or what it follows from is not drawn yet."""

    address: str | None = Field(description="Of a mark, which opens in this library from now on")
    hidden: bool = Field(description="Whether the keeper has taken it down")
    kept: bool = Field(description="Whether its picture has been printed and can be fetched at once")
    page: str | None = Field(description="The path of its page")
    picture: str | None = Field(description="The path of its picture, which is printed when it is first asked for")


class SheetOut(Schema):
    """What lies around a page."""

    middle: TileOut
    around: list[TileOut] = Field(description=f"{DIRECTIONS}; none before the page in the middle has been drawn once")


class CorridorOut(Schema):
    """The way from a page to another."""

    settled: bool = Field(description="Whether its frames have their places; if not, draw both ends and ask again")
    frames: list[TileOut] = Field(description="In order, with both ends")


@router.get("/nearby", response={200: SheetOut, **PRINTS}, openapi_extra=TAGGED, summary="The pictures near a page")
async def nearby(request: HttpRequest, address: str, of: Of = "latents", strength: Strength = "little") -> SheetOut:
    """Say which pages lie a small step away from one. Starts no print."""
    middle = Address.parse(address, default_edition())
    edition_of(middle.edition)
    await ledger.require_shown(middle)
    sheet = await sheet_near(middle, of, strength, opens=_opens(request, DIRECTIONS))
    return SheetOut(middle=_told(sheet.middle), around=[_told(tile) for tile in sheet.around])


class Ends(Schema):
    """Which corridor."""

    first: str = Field(max_length=4000, description="The address of one end", examples=["prompt/a boat/1"])
    last: str = Field(max_length=4000, description="The address of the other, in the same edition")
    frames: int = Field(FRAMES, ge=FRAMES_LEAST, le=FRAMES_MOST, description="How many pictures, with both ends")


@router.get("/corridor", response={200: CorridorOut, **PRINTS}, openapi_extra=TAGGED, summary="From a page to another")
async def corridor(request: HttpRequest, ends: Annotated[Ends, Query()]) -> CorridorOut:
    """Say which pages lie between two of one edition, at equal steps. Starts no print."""
    one, other = (Address.parse(text, default_edition()) for text in (ends.first, ends.last))
    edition_of(one.edition)
    edition_of(other.edition)
    for end in (one, other):
        await ledger.require_shown(end)
    found = await corridor_between(one, other, ends.frames, opens=_opens(request, ends.frames))
    return CorridorOut(settled=found.settled, frames=[_told(tile) for tile in found.tiles])


def _opens(request: HttpRequest, pictures: int) -> bool:
    """Say whether so many keys may be written down, and count them as the site does. Raises TooMany."""
    if asks_head(request):
        return False
    require_patience(request, ceil(pictures / DIRECTIONS))
    return True


def _told(tile: Tile) -> TileOut:
    shown = tile.address is not None and not tile.hidden
    return TileOut(
        address=tile.address.format() if tile.address is not None and shown else None,
        hidden=tile.hidden,
        kept=tile.kept,
        page=path_of(tile.address) if tile.address is not None and shown else None,
        picture=path_of(tile.address, ".png") if tile.address is not None and shown else None,
    )
