"""The places of a volume, and which of them are kept. Imports ninja."""

import asyncio
from typing import Annotated, Final

from django.http import HttpRequest
from django.urls import reverse
from django.utils.http import urlencode
from ninja import Field, Query, Router, Schema

from babelia.services import store
from gallery import ledger
from gallery.addresses import path_of
from gallery.api.openapi import LIST_ERRORS, TAGGED
from gallery.editions import default_edition, edition_of
from worker.catalogue.address import PAGES, Address

PLACES: Final = 50
"""Places that are told of where nobody says how many."""

router = Router(tags=["volume"])


class Places(Schema):
    """Which places of which volume."""

    volume: str = Field(
        max_length=4000, description="An address without its page", examples=["prompt/a dog", "key/borges"]
    )
    first: int = Field(1, ge=1, le=PAGES, description="The number of the first place")
    limit: int = Field(PLACES, ge=1, le=PAGES, description="So many at most")


class PlaceOut(Schema):
    """One of the places of a volume."""

    number: int = Field(description=f"1 … {PAGES}")
    address: str
    kept: bool = Field(description="Whether its picture has been printed and can be fetched at once")
    page: str = Field(description="The path of its page")
    picture: str = Field(description="The path of its picture, which is printed when it is first asked for")
    thumbnail: str | None = Field(description="The path of a small picture; null where it is not kept")


class VolumeOut(Schema):
    """A volume: pages that share one embedding and differ in their latents."""

    volume: str = Field(examples=["pocket-1/prompt/a dog"])
    edition: str
    kind: str = Field(description="key, prompt or stacks")
    name: str
    pages: int = Field(description="How many places it has")
    kept: list[int] = Field(description="The numbers of all that are kept")
    places: list[PlaceOut] = Field(description="From the one that was asked for on")
    next: str | None = Field(description="The path at which the places go on; null after the last")


@router.get("/volume", response={200: VolumeOut, **LIST_ERRORS}, openapi_extra=TAGGED, summary="The places of a volume")
async def places(request: HttpRequest, which: Annotated[Places, Query()]) -> VolumeOut:
    """Say which pages of a volume are kept, and where each is. Starts nothing; what is hidden looks unprinted."""
    opening = volume_of(which.volume, default_edition())
    edition_of(opening.edition)
    kept = await kept_places(opening)
    last = min(which.first + which.limit - 1, PAGES)
    name = opening.format().rpartition("/")[0]
    query: dict[str, str | int] = {"volume": name, "first": last + 1, "limit": which.limit}
    return VolumeOut(
        volume=name,
        edition=opening.edition,
        kind=opening.kind,
        name=opening.name,
        pages=PAGES,
        kept=sorted(kept),
        places=[_place(opening.with_page(number), number, number in kept) for number in range(which.first, last + 1)],
        next=f"{reverse('api:places')}?{urlencode(query)}" if last < PAGES else None,
    )


def volume_of(text: str, default_edition: str) -> Address:
    """Return the first page of the volume that a text names, an address without its page. Raises AddressRefused."""
    return Address.parse(f"{text.removesuffix('/')}/1", default_edition)


async def kept_places(volume: Address) -> set[int]:
    """Return the numbers of the pages of a volume, given by any of them, that are kept and not hidden.

    Asks the disk twice or so for each of its places: about 20 ms. Raises StoreUnavailable where it cannot be told what
    is hidden.
    """

    def look() -> list[tuple[Address, str | None]]:
        pages = [volume.with_page(number) for number in range(1, PAGES + 1)]
        return [(page, mark) for page in pages if (mark := store().find(page)) is not None]

    kept = await asyncio.to_thread(look)
    hidden = await ledger.hidden_among(kept)
    return {page.page for page, _ in kept if page not in hidden and page.page is not None}


def _place(address: Address, number: int, kept: bool) -> PlaceOut:
    return PlaceOut(
        number=number,
        address=address.format(),
        kept=kept,
        page=path_of(address),
        picture=path_of(address, ".png"),
        thumbnail=path_of(address, "/thumbnail.webp") if kept else None,
    )
