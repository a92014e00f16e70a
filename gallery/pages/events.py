"""Server-sent events of a page being printed, for the site and the API alike.

Each event is complete, so that a follower who comes back or comes late has lost nothing; its id is the page's version,
and a browser that reconnects and names the version it knows is not told it again. The stream ends with the first final
event; a comment every 15 s keeps proxies from closing it. Imports Django's responses and `gallery.pages.status`.
"""

import base64
import json
import re
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any, Final

from django.http import HttpRequest, StreamingHttpResponse

from babelia.services import job_client
from gallery import ledger
from gallery.description import progress_fields
from gallery.pages.status import note_printed, require_printable, sentence_for
from gallery.visits import visitor_of
from worker.catalogue.address import Address
from worker.errors import PageHidden, StoreUnavailable, TooMany
from worker.jobs.preview import CONTENT_TYPE
from worker.jobs.progress import Progress, Reprint, Visitor

RETRY_MS: Final = 2000
FEW: Final = 3
"""Pages of one visitor that wait at a time, in whatever tabs, while sheets and strips of theirs are drawn."""
RETRY: Final = f"retry: {RETRY_MS}\n\n"
"""The first part of a stream: when a browser that lost it should come back."""
_VERSION: Final = re.compile(r"[0-9]{1,20}", re.ASCII)
"""A Last-Event-ID of ours. Python refuses to read a number of some thousand digits."""


async def event_stream(
    request: HttpRequest, address: Address | Reprint, *, few: bool = False, noted: bool = True
) -> StreamingHttpResponse:
    """Return the answer that follows a page; `few`: one of a sheet, of which only a few of a visitor wait at once.

    `noted`: lists name it as soon as it is printed.

    Raises AddressRefused or EditionRefused for one that cannot be printed, TooMany where the visitor has asked for as
    many as one may.
    """
    await require_printable(page_of(address))
    stream = events(address, visitor_of(request), known_version(request), few=few, noted=noted)
    return streamed(begun(await anext(stream), stream))


def streamed(body: AsyncIterator[str]) -> StreamingHttpResponse:
    """Return the answer that sends events as they come."""
    response = StreamingHttpResponse(body, content_type="text/event-stream; charset=utf-8")
    response["Cache-Control"] = "no-store"
    response["X-Accel-Buffering"] = "no"
    return response


def known_version(request: HttpRequest) -> int | None:
    """Return the version that a follower who reconnects has seen (Last-Event-ID); None where it names none of ours."""
    last = request.headers.get("Last-Event-ID", "")
    return int(last) if _VERSION.fullmatch(last) else None


async def events(
    address: Address | Reprint, visitor: Visitor, known: int | None = None, *, few: bool = False, noted: bool = True
) -> AsyncGenerator[str]:
    """Ask for a page and yield the text of server-sent events until it is kept or cannot be.

    `known`: the version that a follower who reconnects has seen. `few`: the page is one of a sheet or a strip, and
    waits only where fewer than `FEW` of the visitor's do. Not `noted`, no list names it before somebody opens it. Ends
    early when the store stops answering or the site shuts down; the browser then reconnects. Raises TooMany before the
    first part, where the visitor has asked for as many pages as one may.
    """
    client, page = job_client(), page_of(address)
    preview_of_step = 0
    begun = False
    try:
        async with aclosing(client.follow(address, visitor, few=FEW if few else 0)) as news:  # type: ignore[type-var]
            async for progress in news:
                if not begun:
                    begun = True
                    yield RETRY
                if progress.version == known and not progress.final:
                    yield ": still here\n\n"
                    continue
                known = progress.version
                if await ledger.is_hidden(page, progress.mark):
                    hidden = Progress("failed", version=progress.version, sentence=str(PageHidden()))
                    yield event_text(hidden, str(hidden.sentence), None)
                    return
                preview = None
                if progress.preview > preview_of_step and (found := await client.preview(address)) is not None:
                    preview_of_step, preview = found
                if progress.state == "kept" and noted:
                    await note_printed(page)
                yield event_text(progress, await sentence_for(page, progress), preview)
    except StoreUnavailable:
        if not begun:
            yield RETRY
        yield ": the store does not answer\n\n"
    except TooMany as error:
        if not begun:
            raise
        yield event_text(Progress("busy", sentence=str(error), retry_after=error.retry_after), str(error), None)


def page_of(wanted: Address | Reprint) -> Address:
    """Return the page that is printed, or printed a second time."""
    return wanted.address if isinstance(wanted, Reprint) else wanted


async def begun(first: str, rest: AsyncGenerator[str]) -> AsyncIterator[str]:
    """Yield the first part of a stream, which is there already, and then the others."""
    async with aclosing(rest):
        yield first
        async for part in rest:
            yield part


def event_text(progress: Progress, sentence: str, preview: bytes | None) -> str:
    """Return one event: its id, its kind (`progress`, or `done` for the last) and its data as one line of JSON."""
    data: dict[str, Any] = {**progress_fields(progress, sentence), "preview": None}
    if preview is not None:
        data["preview"] = f"data:{CONTENT_TYPE};base64," + base64.b64encode(preview).decode("ascii")
    kind = "done" if progress.final else "progress"
    return f"id: {progress.version}\nevent: {kind}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n"
