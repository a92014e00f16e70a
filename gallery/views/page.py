"""A page in its forms: HTML, picture, its WebP, picture with its key, postcard, key, tensors, JSON, thumbnail, card."""

import asyncio
import hashlib

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.views.decorators.http import require_safe

from babelia.services import store
from gallery import ledger
from gallery.addresses import path_of
from gallery.answers import (
    A_MINUTE,
    KEY_TYPE,
    at_address,
    of_unknown_length,
    render_page,
    send_kept,
    uncached,
)
from gallery.bounds import require_patience
from gallery.keys import with_key
from gallery.pages.card_requests import card_of
from gallery.pages.context import page_context
from gallery.pages.drawings.cards import DESIGN, card
from gallery.pages.drawings.postcards import DESIGN as DESIGN_OF_POSTCARD
from gallery.pages.drawings.postcards import LINK_LIMIT, postcard
from gallery.pages.drawings.studio import drawn
from gallery.pages.status import (
    held_key,
    is_awaited,
    kept_picture,
    kept_record,
    not_printed,
    page_status,
    require_key,
    require_known,
    require_picture,
)
from gallery.visits import asks_head, is_away, is_named, may_start_print, patience_of, visitor_of
from worker.catalogue import webp
from worker.catalogue.address import Address
from worker.catalogue.inspection import to_tensors
from worker.errors import AddressRefused, InputRefused, TooMany
from worker.jobs.progress import Progress


@require_safe
@at_address("/")
async def show(request: HttpRequest, address: Address) -> HttpResponse:
    """The page: its picture where it is kept, else an empty frame that fills while the press works."""
    visitor = visitor_of(request)
    # Who has pressed "Draw it" goes on waiting under that name, whatever the browser calls itself.
    goes_on = request.method == "GET" and is_named(request)
    starts = may_start_print(request) or (goes_on and await is_awaited(address))
    patience, follows = patience_of(request), is_away(request)
    status = await page_status(address, visitor, starts=starts, patience=patience, follows=follows)
    if status.record:
        ledger.note_opening(address, status.record)
    unveiled = request.GET.get("show") == "1"
    absolute = request.build_absolute_uri
    context = page_context(status, visitor.tab, unveiled=unveiled, absolute=absolute, ahead=settings.PRINT_AHEAD)
    response = render_page(
        request, "page.html", context, status=503 if status.progress.state in ("busy", "failed") else 200
    )
    if status.progress.retry_after is not None:
        response["Retry-After"] = str(status.progress.retry_after)
    response["Cache-Control"] = "no-cache" if status.kept else "no-store"
    return response


@require_safe
@at_address(".png")
async def picture(request: HttpRequest, address: Address) -> HttpResponseBase:
    """The picture: at once where it is kept, else asked for and waited for, up to BABELIA_PICTURE_WAIT seconds."""
    found = await kept_picture(address)
    if found is None and may_start_print(request):
        found = await require_picture(address, visitor_of(request), settings.PICTURE_WAIT)
    if found is not None:
        return send_kept(found.png, "image/png", found.digest, f"babelia-{found.mark}.png")
    if request.method == "HEAD":
        await require_known(address)
        return of_unknown_length("image/png")
    return uncached(HttpResponse(await asyncio.to_thread(card, address), content_type="image/png"))


@require_safe
@at_address(".webp")
async def webp_picture(request: HttpRequest, address: Address) -> HttpResponseBase:
    """The picture as its page shows it, small and lossy. Starts nothing: the PNG of a page does."""
    record = await kept_record(address)
    found = None if record is None else await asyncio.to_thread(store().webp, address.edition, record.mark)
    await ledger.require_shown(address, None if record is None else record.mark)
    if record is None or found is None:
        raise AddressRefused("This picture is not kept at the moment.", hint="Open its page to have it drawn.")
    return send_kept(found, webp.CONTENT_TYPE, hashlib.sha256(found).hexdigest(), f"babelia-{record.mark}.webp")


@require_safe
@at_address("/with-key.png")
async def picture_with_key(request: HttpRequest, address: Address) -> HttpResponseBase:
    """The picture with its whole key inside, for those who take it elsewhere. Starts nothing: the page offers it."""
    found = await kept_picture(address)
    key = None if found is None else await asyncio.to_thread(held_key, address)
    if found is None or key is None:
        raise InputRefused("The picture or its key is not here yet.", hint="Open the page first.")
    body = await asyncio.to_thread(with_key, found.png, key)
    return send_kept(body, "image/png", f"{found.digest}-key", f"babelia-{found.mark}-with-key.png")


@require_safe
@at_address(".txt")
async def key_text(request: HttpRequest, address: Address) -> HttpResponseBase:
    """The key as text; of a page whose key needs the text encoder, as soon as the press has made it."""
    await require_known(address)
    key = await asyncio.to_thread(held_key, address)
    await ledger.require_shown(address, key.mark if key is not None else None)
    if key is None and request.method == "HEAD":
        return of_unknown_length(KEY_TYPE)
    if key is None and not may_start_print(request):
        raise await not_printed(address, Progress("absent"))
    if key is None:
        key = await require_key(address, visitor_of(request), settings.PICTURE_WAIT)
    return send_kept(key.format().encode(), KEY_TYPE, key.mark, f"babelia-{key.mark}.txt")


@require_safe
@at_address(".npz")
async def tensors(request: HttpRequest, address: Address) -> HttpResponseBase:
    """The key as arrays for NumPy. Starts nothing: the key is here already, or the page was never opened."""
    await require_known(address)
    key = await asyncio.to_thread(held_key, address)
    await ledger.require_shown(address, key.mark if key is not None else None)
    if key is None:
        raise InputRefused("The key of this page is not here yet.", hint="Open the page first.")
    tag = f"{address.digest[:16]}-{key.mark}-npz"
    body = await drawn(tag, lambda: to_tensors(key, address.format(), address.edition))
    return send_kept(body, "application/zip", tag, f"babelia-{key.mark}.npz")


@require_safe
@at_address("/postcard.png")
async def postcard_picture(request: HttpRequest, address: Address) -> HttpResponseBase:
    """The postcard: picture, words, the short link and its QR code. Starts nothing: the page offers it."""
    found = await kept_picture(address)
    if found is None:
        raise InputRefused("The picture is not here yet.", hint="Open the page first.")
    link = request.build_absolute_uri(path_of(Address(address.edition, "mark", found.mark, None)))
    if len(link) > LINK_LIMIT:
        raise InputRefused(
            "The link of this page is too long for a postcard.", hint="It is as long as its host’s name."
        )
    digest = hashlib.sha256(link.encode()).hexdigest()[:16]
    tag = f"{address.digest[:16]}-{found.digest[:32]}-{digest}-postcard-{DESIGN_OF_POSTCARD}"
    body = await drawn(tag, lambda: postcard(address, found.png, link))
    return send_kept(body, "image/png", tag, f"babelia-{found.mark}-postcard.png")


@require_safe
@at_address(".json")
async def page_json(request: HttpRequest, address: Address) -> HttpResponseBase:
    """What is known of a page. Starts nothing."""
    status = await page_status(address, "", starts=False)
    description = status.describe().model_dump(by_alias=True)
    return uncached(JsonResponse(description, json_dumps_params={"ensure_ascii": False}))


@require_safe
@at_address("/thumbnail.webp")
async def thumbnail(request: HttpRequest, address: Address) -> HttpResponseBase:
    """The small picture of a kept page, for walls, sheets and shelves. A flagged one has none: its page veils it."""
    mark = address.name if address.kind == "mark" else await asyncio.to_thread(store().find, address)
    small = None if mark is None else await asyncio.to_thread(_small_picture, address.edition, mark)
    if mark is None or small is None:
        raise AddressRefused("There is no small picture of this page at the moment.", hint="Open the page itself.")
    await ledger.require_shown(address, mark)
    return send_kept(small, "image/webp", f"{mark}-thumbnail", f"babelia-{mark}-small.webp")


def _small_picture(edition: str, mark: str) -> bytes | None:
    record = store().record(edition, mark)
    return None if record is None or record.flagged else store().thumbnail(edition, mark)


@require_safe
@at_address("/card.png")
async def card_picture(request: HttpRequest, address: Address) -> HttpResponseBase:
    """The card, for link previews: with the picture where it may be shown; an idle press prints it within 2 seconds."""
    found = await card_of(address, may_print=lambda: _may_print_card(request))
    if found.picture is None and asks_head(request):
        return of_unknown_length("image/png")
    if found.picture is None:  # for a moment only: the picture may be here soon
        return HttpResponse(found.png, content_type="image/png", headers={"Cache-Control": A_MINUTE})
    tag = f"{address.digest[:16]}-{found.picture[:32]}-card-{DESIGN}"
    return send_kept(found.png, "image/png", tag, f"babelia-{address.digest[:16]}-card.png")


def _may_print_card(request: HttpRequest) -> bool:
    """Say whether this request may have a page printed for its card, and count it as one of its visitor's."""
    if asks_head(request):
        return False
    try:
        require_patience(request)
    except TooMany:
        return False
    return True
