"""From a picture to its page, for programs: copies among the kept pages, a search, what it found. Imports ninja."""

import asyncio
from typing import Any, Final, Literal

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.urls import reverse
from ninja import Field, File, Form, Router, Schema, Status
from ninja.files import UploadedFile
from pydantic import ConfigDict

from babelia.services import job_client
from gallery.addresses import path_of
from gallery.answers import moved, of_unknown_length, require_size
from gallery.api.openapi import BODY_ERRORS, COUNTED_ERRORS, ERRORS, PRINTS, sends
from gallery.bounds import require_patience
from gallery.editions import default_edition, edition_of
from gallery.finding.intake import bring, copies_of
from gallery.finding.searches import SearchStatus, search_named, search_status, start
from gallery.finding.stream import search_stream
from gallery.keys import place_to_read
from gallery.visits import asks_head, visitor_of
from worker.errors import BabeliaError, LibraryBusy, PrintFailed
from worker.finding.fitting import How
from worker.jobs.progress import Progress, Search

router = Router(tags=["find"])
BECAME: Final[dict[int, Any]] = {302: {"description": "Its picture is searched for in another way by now: that search"}}


class Wanted(Schema):
    """What is to be found, and how."""

    fit: Literal["fill", "fit", "stretch"] = Field("fill", description="How another shape is brought to a page's size")
    depth: Literal["quick", "good", "best"] = Field("good", description="How long is searched")
    prompt: str = Field("", max_length=4000, description="Search near these words")
    edition: str = Field("", max_length=32, description="In this edition; else in the default one")
    anyway: bool = Field(False, description="Search although pages that are kept show the picture")
    visitor: str = Field(
        "", pattern=r"^[A-Za-z0-9_-]{0,64}$", description="Any name for whoever waits; needed to leave the queue"
    )


class LeaveSearch(Schema):
    """Who no longer waits for a search."""

    model_config = ConfigDict(strict=True)

    visitor: str = Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")


class CopyOut(Schema):
    """A kept page that shows the same picture."""

    address: str
    page: str = Field(description="The path of its page")
    decibels: float | None = Field(description="How near it is (PSNR); null where every pixel is the same")


class FoundOut(Schema):
    """What a search has found: a page that is kept, and stands on no list."""

    address: str
    mark: str
    page: str = Field(description="The path of its page")
    decibels: float | None = Field(description="How near it is (PSNR); null where every pixel is the same")
    bound: float | None = Field(description="How near the autoencoder alone comes, in dB")
    likeness: float | None = Field(description="How like ordinary noise its latents are, 0 to 1")
    seconds: float = Field(description="What the search took")


class FindOut(Schema):
    """Where a search stands."""

    id: str
    edition: str
    depth: str
    prompt: str
    state: str = Field(description="kept (found), queued, printing (a press is at it), failed, busy or absent")
    sentence: str
    place: int | None = Field(description="In the queue; 1 is next")
    step: int
    of: int
    seconds_left: float | None
    decibels: float | None = Field(description="How near it is by now")
    copies: list[CopyOut] = Field(description="Kept pages that show the same picture; looked for as it is sent")
    found: FoundOut | None
    page: str = Field(description="The path of the search's own page, for people")


@router.post("/find", response={200: FindOut, 202: FindOut, **COUNTED_ERRORS}, summary="Find a picture")
async def find(request: HttpRequest, file: File[UploadedFile], wanted: Form[Wanted]) -> Status[dict[str, Any]]:
    """Send a picture: 200 with the kept pages that show it, or what a search for it has found; 202 where one is made.

    The picture is held in memory for its search and ten minutes longer, and is never kept. Programs search after all
    pages that anybody waits for.
    """
    require_patience(request)
    edition = edition_of(wanted.edition or default_edition()).slug
    parked = await _parked(file, wanted.fit, edition)
    picture = await job_client().picture_of(parked)
    copies = [] if picture is None else await copies_of(picture)
    if copies and not wanted.anyway:
        return Status(200, _described(await search_status(parked)) | {"copies": copies_out(copies)})
    visitor = visitor_of(request, wanted.visitor or None)
    search, progress = await start(parked, visitor, depth=wanted.depth, prompt=wanted.prompt, patience=60.0)
    status = await search_status(search)
    require_taken(status.sentence, progress)
    return Status(200 if status.result else 202, _described(status) | {"copies": copies_out(copies)})


async def _parked(file: UploadedFile, fit: How, edition: str) -> Search:
    """Return the search for a picture file, put ready. Raises InputRefused, LibraryBusy, StoreUnavailable."""
    require_size(file.size or 0)
    async with place_to_read():
        try:
            return await bring(await asyncio.to_thread(file.read), fit, edition)
        except BabeliaError as error:  # the frames of its traceback would hold the file until a garbage collection
            raise error.with_traceback(None) from None


def require_taken(sentence: str, progress: Progress) -> None:
    """Raise LibraryBusy or PrintFailed where a search that was asked for does not wait."""
    if progress.state in ("busy", "failed"):
        refused = (LibraryBusy if progress.state == "busy" else PrintFailed)(sentence)
        refused.retry_after = progress.retry_after
        raise refused


@router.get(
    "/find/{name}",
    response={200: FindOut, **ERRORS},
    openapi_extra={"responses": BECAME},
    summary="Where a search stands",
)
async def search_facts(request: HttpRequest, name: str) -> dict[str, Any] | HttpResponse:
    """Say where a search stands and what it found. Starts nothing; what was found is told for an hour."""
    search = await search_named(name)
    return _described(await search_status(search)) if search.id == name else moved(request, name, search.id)


@router.get(
    "/find/{name}/events",
    response=PRINTS,
    openapi_extra={"responses": sends("text/event-stream", "Events, until the last")["responses"] | BECAME},
    summary="Follow a search",
)
async def follow_search(request: HttpRequest, name: str, visitor: str | None = None) -> HttpResponseBase:
    """Follow a search by server-sent events: `progress`, and `done` as the last. Starts none."""
    search = await search_named(name)
    if search.id != name:
        return moved(request, name, search.id)
    return of_unknown_length("text/event-stream") if asks_head(request) else await search_stream(request, search)


@router.post("/find/{name}/leave", response={200: FindOut, **BODY_ERRORS}, summary="Leave a search")
async def leave_search(request: HttpRequest, name: str, payload: LeaveSearch) -> dict[str, Any]:
    """No longer wait for a search. Where nobody else does, it is given up, and its picture is gone."""
    search = await search_named(name)
    await job_client().leave(search, payload.visitor)
    status = await search_status(search)
    await job_client().forget(search)
    return _described(status)


def copies_out(copies: list[Any]) -> list[dict[str, Any]]:
    """Return copies as they are told."""
    return [{"address": each.address.format(), "page": each.page, "decibels": each.decibels} for each in copies]


def _described(status: SearchStatus) -> dict[str, Any]:
    search, progress, result = status.search, status.progress, status.result
    found = None
    if result is not None:
        found = {"address": result.address.format(), "mark": result.address.name, "page": path_of(result.address)}
        found |= {name: getattr(result, name) for name in ("decibels", "bound", "likeness", "seconds")}
    return {
        "id": search.id,
        "edition": search.edition,
        "depth": search.depth,
        "prompt": search.prompt,
        "state": progress.state,
        "sentence": status.sentence,
        "place": progress.place,
        "step": progress.step,
        "of": progress.of,
        "seconds_left": progress.seconds,
        "decibels": status.decibels,
        "copies": [],
        "found": found,
        "page": reverse("find-search", args=[search.id]),
    }
