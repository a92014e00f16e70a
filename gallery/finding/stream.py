"""Server-sent events of a search, as those of a page that is printed (gallery.pages.events): each complete in itself.

What is said of a search depends on the presses too, which die and load without any news of it: so it is looked at again
every second.

Imports Django's responses, the stream of a page and `gallery.finding.searches`.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, suppress
from typing import Final

from django.http import HttpRequest, StreamingHttpResponse

from babelia.services import job_client
from gallery.finding.searches import result_of, sentence_of_search
from gallery.pages.events import RETRY, begun, event_text, known_version, streamed
from gallery.visits import visitor_of
from worker.errors import AddressRefused, BabeliaError, StoreUnavailable, TooMany
from worker.jobs.progress import Progress, Search, Visitor

LOOK_EVERY: Final = 1.0
"""Seconds without news after which is looked whether something else is to be said."""


async def search_stream(request: HttpRequest, search: Search) -> StreamingHttpResponse:
    """Return the answer that follows a search. Raises AddressRefused where nobody searches: it starts none."""
    if (await job_client().look(search)).state == "absent":
        raise AddressRefused("Nobody searches for this picture at the moment.", hint="Its page has a button for that.")
    stream = search_events(search, visitor_of(request), known_version(request))
    return streamed(begun(await anext(stream), stream))


async def search_events(search: Search, visitor: Visitor, known: int | None = None) -> AsyncGenerator[str]:
    """Follow a search and yield the text of its events, until it is over or given up.

    `known`: the version that a follower who reconnects has seen. Ends early when the store stops answering or the site
    shuts down; the browser then reconnects.
    """
    client, preview_of_step, started, told = job_client(), 0, False, ""
    try:
        async with aclosing(_attended(client.follow(search, visitor))) as news:
            async for progress, is_news in news:
                if not started:
                    started = True
                    yield RETRY
                if progress.version == known and not progress.final:
                    if is_news:
                        yield ": still here\n\n"
                        continue
                    before = told
                    with suppress(StoreUnavailable):  # who follows notices too, and bears it for a moment
                        told = await sentence_of_search(search, progress, await client.sofar(search))
                    if told != before:
                        yield event_text(progress, told, None)
                    continue
                known, preview = progress.version, None
                if progress.preview > preview_of_step and (found := await client.preview(search)) is not None:
                    preview_of_step, preview = found
                if progress.state == "queued":
                    preview_of_step = 0  # it may be gone on with from an earlier step
                told = await sentence_of_search(search, progress, await client.sofar(search))
                yield await _event(search, progress, told, preview)
    except StoreUnavailable:
        if not started:
            yield RETRY
        yield ": the store does not answer\n\n"
    except TooMany as error:
        if not started:
            raise
        yield event_text(Progress("busy", sentence=str(error), retry_after=error.retry_after), str(error), None)


async def _attended(news: AsyncIterator[Progress]) -> AsyncGenerator[tuple[Progress, bool]]:
    """Yield the news, and every second without any the last of it again: a Progress, and whether it is news."""
    async with aclosing(news):  # type: ignore[type-var]  # an async generator
        progress: Progress | None = None
        while True:
            coming = asyncio.ensure_future(anext(news, None))
            try:
                while not coming.done():
                    await asyncio.wait([coming], timeout=LOOK_EVERY)
                    if not coming.done() and progress is not None:
                        yield progress, False
                progress = coming.result()
            finally:
                if not coming.done():
                    coming.cancel()
                    await asyncio.wait([coming])
            if progress is None:
                return
            yield progress, True


async def _event(search: Search, progress: Progress, sentence: str, preview: bytes | None) -> str:
    """One event; of a search whose page is hidden it says so, and names no mark."""
    if progress.state == "kept":
        try:
            await result_of(search)
        except BabeliaError as error:
            return event_text(Progress("failed", version=progress.version), f"{error} {error.hint}".strip(), None)
    return event_text(progress, sentence, preview)
