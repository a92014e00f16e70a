"""What a page is made of: its numbers as pictures, a second print of it, code; and two pages beside one another."""

import asyncio
from collections.abc import Callable
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.urls import reverse
from django.views.decorators.http import require_safe

from gallery import ledger
from gallery.addresses import path_of
from gallery.answers import (
    at_address,
    of_unknown_length,
    refusal,
    render_page,
    require_own_post,
    see_other,
    send_kept,
    uncached,
)
from gallery.bounds import require_patience
from gallery.editions import default_edition, edition_of
from gallery.keys import address_of_typed, is_meant_as_key
from gallery.pages.anatomy import (
    anatomy_context,
    compare_context,
    difference_drawn,
    difference_of,
    print_again,
    proof_of,
    side_of,
)
from gallery.pages.drawings import numbers
from gallery.pages.drawings.studio import drawn
from gallery.pages.events import event_stream
from gallery.pages.status import held_key, kept_picture, kept_record, page_status, require_known
from gallery.visits import asks_head, visitor_of
from worker.catalogue.address import Address
from worker.catalogue.key import Key
from worker.errors import AddressRefused, BabeliaError, InputRefused
from worker.jobs.progress import Reprint


@require_safe
@at_address("/anatomy/")
async def show(request: HttpRequest, address: Address) -> HttpResponse:
    """The numbers of a page's key, how it was printed, and how a program takes it. Starts nothing."""
    key, record = await _key_here(address), await kept_record(address)
    proof = await proof_of(address, record)
    base = request.build_absolute_uri(path_of(address, ""))
    context = anatomy_context(address, key, record, proof, base, visitor_of(request).tab)
    return uncached(render_page(request, "anatomy.html", context | {"edition": address.edition}))


@require_safe
@at_address("/anatomy/latents.png")
async def latents(request: HttpRequest, address: Address) -> HttpResponseBase:
    """The initial latents as a picture."""
    return await _drawn_of_key(address, "latents", numbers.latents_picture)


@require_safe
@at_address("/anatomy/embedding.png")
async def embedding(request: HttpRequest, address: Address) -> HttpResponseBase:
    """The embedding as a heat map."""
    return await _drawn_of_key(address, "embedding", numbers.embedding_picture)


@require_safe
@at_address("/anatomy/difference.png")
async def reprint_difference(request: HttpRequest, address: Address) -> HttpResponseBase:
    """Where a second print differed from the first."""
    record = await kept_record(address)
    await ledger.require_shown(address, None if record is None else record.mark)
    proof = await proof_of(address, record)
    if proof.difference is None:
        raise AddressRefused("This picture has not been drawn again yet.", hint="Draw it again on its anatomy.")
    return uncached(HttpResponse(numbers.map_picture(proof.difference), content_type="image/png"))


@require_own_post
@at_address("/anatomy/again")
async def draw_again(request: HttpRequest, address: Address) -> HttpResponseBase:
    """A second print of a kept page, to be compared with the first, which stays."""
    require_patience(request)
    await _key_here(address)
    visitor = visitor_of(request)
    await print_again(address, visitor)
    return see_other(path_of(address, "/anatomy/") + f"?visitor={visitor.tab}#again")


@require_safe
@at_address("/anatomy/events")
async def follow(request: HttpRequest, address: Address) -> HttpResponseBase:
    """Server-sent events of a second print that somebody has asked for: starts none."""
    record = await kept_record(address)
    await ledger.require_shown(address, None if record is None else record.mark)
    if asks_head(request):
        return of_unknown_length("text/event-stream")
    proof = await proof_of(address, record)
    if proof.progress.state == "absent":
        raise AddressRefused("This page is not being drawn again.", hint="Its anatomy has a button for that.")
    return await event_stream(request, Reprint(address))


async def _key_here(address: Address) -> Key:
    """Return the key of a page that is shown. Raises InputRefused where it is not here yet, PageHidden."""
    await require_known(address)
    key = await asyncio.to_thread(held_key, address)
    await ledger.require_shown(address, key.mark if key is not None else None)
    if key is None:
        raise InputRefused("The key of this page is not here yet.", hint="Open the page first.")
    return key


async def _drawn_of_key(address: Address, part: str, draw: Callable[[Key], bytes]) -> HttpResponse:
    """Answer with a picture of a key, which never changes."""
    key = await _key_here(address)
    tag = f"{key.mark}-{part}-{numbers.DESIGN}"
    return send_kept(await drawn(tag, lambda: draw(key)), "image/png", tag, f"babelia-{key.mark}-{part}.png")


# -- two pages


@require_safe
async def compare(request: HttpRequest) -> HttpResponse:
    """Two pages under one slider, and how far they are from each other. Starts nothing; asks for what is missing."""
    given = {name: request.GET.get(name, "").strip() for name in ("a", "b")}
    try:
        addresses = [await _address_of(text) for text in given.values() if text]
        sides = [await side_of(address, await kept_picture(address)) for address in addresses]
    except BabeliaError as error:
        if isinstance(error, (AddressRefused, InputRefused)):
            return uncached(render_page(request, "compare.html", given | {"error": error}, status=404))
        return refusal(request, error)
    pictures = [side.picture for side in sides if side.picture is not None]
    difference = await difference_of(pictures[0], pictures[1]) if len(pictures) == 2 else None
    query = urlencode({name: side.address.format() for name, side in zip("ab", sides, strict=False)})
    context = given | compare_context(sides, difference, query) | {"visitor": visitor_of(request).tab}
    return uncached(render_page(request, "compare.html", context))


@require_safe
async def difference(request: HttpRequest) -> HttpResponseBase:
    """Where two kept pages differ, as a picture."""
    try:
        addresses = [await _address_of(request.GET.get(name, "")) for name in ("a", "b")]
        first, second = [await kept_picture(address) for address in addresses]
    except BabeliaError as error:
        return refusal(request, error, ".webp")
    if first is None or second is None:
        return refusal(request, InputRefused("These pages are not both here.", hint="Open them first."), ".webp")
    tag, body = await difference_drawn(first, second)
    return send_kept(body, "image/webp", tag, "babelia-difference.webp")


@require_own_post
async def draw_missing(request: HttpRequest) -> HttpResponseBase:
    """Have those of two pages drawn that are not kept, because somebody pressed the button for it."""
    try:
        addresses = [await _address_of(request.POST.get(name, "")) for name in ("a", "b")]
        visitor = visitor_of(request)
        for address in addresses:
            require_patience(request)
            await page_status(address, visitor, starts=True, again=True)
    except BabeliaError as error:
        return refusal(request, error)
    query = {name: address.format() for name, address in zip("ab", addresses, strict=True)}
    return see_other(f"{reverse('compare')}?{urlencode(query | {'visitor': visitor.tab})}")


async def _address_of(text: str) -> Address:
    """Return the page that a text names, as the search box reads it, in an edition that is here and not hidden."""
    if not text.strip():
        raise InputRefused("Two pages are compared; one is missing.", hint="Paste a link, an address or words.")
    if is_meant_as_key(text):  # to open one keeps it, which is another form's business
        raise InputRefused("This is a whole key.", hint="Open it first, and take the short name of its page.")
    address = await asyncio.to_thread(address_of_typed, text, default_edition())
    edition_of(address.edition)
    await ledger.require_shown(address)
    await require_known(address)
    return address
