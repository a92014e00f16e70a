"""The neighbours that have to be looked up: the volumes beside a prompt, the keys beside a mark.

The neighbours of other pages follow from their address, so pages link to them directly (`gallery.addresses`).
"""

import asyncio
from typing import Final, Literal

from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.views.decorators.http import require_safe

from babelia.services import store
from gallery import ledger
from gallery.addresses import path_of
from gallery.answers import View, at_address, require_own_post, see_other, uncached
from gallery.bounds import require_patience
from gallery.pages.status import held_key, require_known
from worker.catalogue.address import Address
from worker.errors import AddressRefused, InputRefused

Direction = Literal["next", "previous"]
_STEP: Final[dict[Direction, int]] = {"next": 1, "previous": -1}


class Alone(AddressRefused):
    """A prompt beside which no other was opened here."""

    heading = "No other words yet"

    def __init__(self) -> None:
        super().__init__(
            "These are the only words that were opened here so far, so none stand beside them.",
            hint="Search for others: they will be neighbours.",
        )


def _volume_view(direction: Direction) -> View:
    """Return the view that leads to the next or previous prompt that was opened here."""

    @at_address(f"/{direction}-volume")
    async def view(request: HttpRequest, address: Address) -> HttpResponseBase:
        if address.kind != "prompt":
            raise AddressRefused(
                "Only the neighbours of prompts are looked up; the links of other pages are their own."
            )
        found = await ledger.neighbour_prompt(address, _STEP[direction])
        if found is None:
            raise Alone
        return uncached(HttpResponseRedirect(path_of(found)))

    safe: View = require_safe(view)
    return safe


def _key_view(direction: Direction) -> View:
    """Return the view that leads to the key one above or below in numeric order, which is held from now on."""

    @require_own_post
    @at_address(f"/{direction}-key")
    async def view(request: HttpRequest, address: Address) -> HttpResponseBase:
        require_patience(request)
        await require_known(address)
        key = await asyncio.to_thread(held_key, address)
        if key is None or address.kind != "mark":
            raise InputRefused(
                "The key of this picture is not here, so its neighbours are not known.", hint="Open it first."
            )
        neighbour = key.next() if direction == "next" else key.previous()
        mark = await asyncio.to_thread(store().keep_key, neighbour)
        return see_other(path_of(Address(address.edition, "mark", mark, None)))

    return view


next_volume, previous_volume = _volume_view("next"), _volume_view("previous")
next_key, previous_key = _key_view("next"), _key_view("previous")
