"""Server-sent events of a search, as those of a page that is printed (gallery.pages.events): each complete in itself.

Imports Django's responses, the stream of a page and `gallery.finding.searches`.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from django.http import HttpRequest, StreamingHttpResponse

from babelia.services import job_client
from gallery.finding.searches import result_of, sentence_of_search
from gallery.pages.events import RETRY, begun, event_text, known_version, streamed
from gallery.visits import visitor_of
from worker.errors import AddressRefused, BabeliaError, StoreUnavailable, TooMany
from worker.jobs.progress import Progress, Search, Visitor


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
    client, preview_of_step, started = job_client(), 0, False
    try:
        async with aclosing(client.follow(search, visitor)) as news:  # type: ignore[type-var]
            async for progress in news:
                if not started:
                    started = True
                    yield RETRY
                if progress.version == known and not progress.final:
                    yield ": still here\n\n"
                    continue
                known, preview = progress.version, None
                if progress.preview > preview_of_step and (found := await client.preview(search)) is not None:
                    preview_of_step, preview = found
                if progress.state == "queued":
                    preview_of_step = 0  # it may be gone on with from an earlier step
                yield await _event(search, progress, preview)
    except StoreUnavailable:
        if not started:
            yield RETRY
        yield ": the store does not answer\n\n"
    except TooMany as error:
        if not started:
            raise
        yield event_text(Progress("busy", sentence=str(error), retry_after=error.retry_after), str(error), None)


async def _event(search: Search, progress: Progress, preview: bytes | None) -> str:
    """One event; of a search whose page is hidden it says so, and names no mark."""
    if progress.state == "kept":
        try:
            await result_of(search)
        except BabeliaError as error:
            return event_text(Progress("failed", version=progress.version), f"{error} {error.hint}".strip(), None)
    sentence = await sentence_of_search(search, progress, await job_client().sofar(search))
    return event_text(progress, sentence, preview)
