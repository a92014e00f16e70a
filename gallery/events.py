"""Server-sent events of a page being printed. Imports `gallery.pages` and babelia.services.

Each event is whole in itself, so that a follower who comes back or comes late has lost nothing; its id is the page's
version, and a browser that reconnects and names the version it knows is not told it again. The stream ends with the
first final event; a comment every 15 s keeps proxies from closing it.
"""

import base64
import json
from collections.abc import AsyncIterator
from contextlib import aclosing

from babelia.services import job_client
from gallery.pages import note_printed, sentence_for
from worker.catalogue.address import Address
from worker.errors import StoreUnavailable
from worker.jobs.progress import Progress

RETRY_MS = 2000


async def events(address: Address, visitor: str, known_version: int | None = None) -> AsyncIterator[str]:
    """Ask for a page and yield the text of server-sent events until it is kept or cannot be.

    `known_version`: the Last-Event-ID of a follower who reconnects. Ends early when the store stops answering or the
    site shuts down; the browser then comes back by itself.
    """
    yield f"retry: {RETRY_MS}\n\n"
    client = job_client()
    preview_of_step = 0
    try:
        async with aclosing(client.follow(address, visitor)) as news:  # type: ignore[type-var]
            async for progress in news:
                if progress.version == known_version and not progress.final:
                    yield ": still here\n\n"
                    continue
                known_version = progress.version
                preview = None
                if progress.preview > preview_of_step and (found := await client.preview(address)) is not None:
                    preview_of_step, preview = found
                if progress.state == "kept":
                    await note_printed(address)
                yield written(progress, await sentence_for(address, progress), preview)
    except StoreUnavailable:
        yield ": the store does not answer\n\n"


def written(progress: Progress, sentence: str, preview: bytes | None) -> str:
    """Return one event: its id, its kind (`progress`, or `done` for the last) and its data as one line of JSON."""
    data = {
        "state": progress.state,
        "sentence": sentence,
        "place": progress.place,
        "step": progress.step,
        "of": progress.of,
        "seconds_left": progress.seconds,
        "preview": None if preview is None else "data:image/webp;base64," + base64.b64encode(preview).decode("ascii"),
    }
    kind = "done" if progress.final else "progress"
    return f"id: {progress.version}\nevent: {kind}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n"
