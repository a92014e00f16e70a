"""What an edition can draw: its page, the pictures that come with it, and what completes a prompt."""

import asyncio
import hashlib

from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.views.decorators.http import require_safe

from gallery.answers import A_DAY, refusal, render_page, send_kept
from gallery.editions import default_edition, edition_of
from gallery.pages.repertoire import completions_of, picture_of, repertoire_context
from worker.errors import BabeliaError


@require_safe
async def show(request: HttpRequest, edition: str) -> HttpResponse:
    """Everything that an edition draws by name, each a link to its volume."""
    try:
        context = await repertoire_context(edition_of(edition))
    except BabeliaError as error:
        return refusal(request, error)
    return render_page(request, "subjects.html", context)


@require_safe
async def picture(request: HttpRequest, edition: str, file: str) -> HttpResponseBase:
    """The small picture of one of them, as it came with the edition."""
    try:
        body = await picture_of(edition_of(edition), file)
    except BabeliaError as error:
        return refusal(request, error, ".webp")
    return send_kept(body, "image/webp", hashlib.sha256(body).hexdigest()[:16], f"babelia-{file}.webp")


@require_safe
async def completions(request: HttpRequest) -> HttpResponse:
    """What the search box completes a prompt with, for its script: asked for once, and kept for a day."""
    try:
        found = await asyncio.to_thread(completions_of, edition_of(request.GET.get("edition") or default_edition()))
    except BabeliaError as error:
        return refusal(request, error, ".json")
    return JsonResponse(found, headers={"Cache-Control": A_DAY})
