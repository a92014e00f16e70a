"""What is here: the editions, pages that nobody chose, the pages printed last. Imports ninja."""

from typing import Annotated, Any, Final

from django.http import HttpRequest, HttpResponse
from ninja import Field, Query, Router, Schema

from gallery import ledger
from gallery.addresses import path_of
from gallery.answers import uncached
from gallery.api.openapi import ASKED_WRONGLY, LIST_ERRORS, TAGGED
from gallery.description import RecentOut, describe_recent
from gallery.editions import default_edition, edition_of, editions
from worker.catalogue.address import random_address

AT_ONCE: Final = 100
"""Addresses that are drawn, and rows that are listed, for one request."""

router = Router(tags=["library"])


class EditionOut(Schema):
    """One edition."""

    slug: str
    title: str
    summary: str
    licence: str
    default_steps: int
    step_limit: int
    installed: bool


class DrawnOut(Schema):
    """An address that nobody chose."""

    address: str = Field(examples=["pocket-1/key/mZ0pO3n6a9Qf2_xd/17"])
    page: str = Field(description="The path of its page")
    picture: str = Field(description="The path of its picture, which is printed when it is first asked for")


@router.get("/random", response={200: list[DrawnOut], **LIST_ERRORS}, summary="Pages by chance")
async def draw(
    request: HttpRequest,
    response: HttpResponse,
    edition: str | None = None,
    n: Annotated[int, Query(ge=1, le=AT_ONCE, description="How many")] = 1,
) -> list[dict[str, str]]:
    """Draw addresses that nobody chose, each a page of a volume with a short name. Nothing is printed."""
    uncached(response)
    slug = edition_of(edition or default_edition()).slug
    drawn = [random_address(slug) for _ in range(n)]
    return [{"address": each.format(), "page": path_of(each), "picture": path_of(each, ".png")} for each in drawn]


@router.get("/editions", response=list[EditionOut], openapi_extra=TAGGED, summary="The editions here")
async def list_editions(request: HttpRequest) -> list[dict[str, Any]]:
    """List the editions, the default first."""
    fields = EditionOut.model_fields
    return [{field: getattr(edition, field) for field in fields} for edition in editions().values()]


@router.get(
    "/recent",
    response={200: list[RecentOut], **ASKED_WRONGLY},
    openapi_extra=TAGGED,
    summary="Pictures drawn last",
)
async def list_recent(request: HttpRequest, limit: int = 24) -> list[RecentOut]:
    """List the pages printed last that somebody has looked at or followed, newest first, 1 to 100; none unlisted.

    For more than the last ones, see `/opened`.
    """
    return [describe_recent(row) for row in await ledger.recent(max(1, min(limit, AT_ONCE)))]
