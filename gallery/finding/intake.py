"""What is brought to be found: fitted to a page, looked for among the kept pages, put ready for a search. No HTTP.

Nothing of a picture is written to a disk or a log. Imports `worker.finding` (without torch) and babelia.services.
"""

import asyncio
import io
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from babelia.services import job_client, store
from gallery import ledger
from gallery.addresses import path_of
from gallery.pages.sentences import alt_text
from worker.catalogue.address import Address
from worker.catalogue.comparison import pixels_of
from worker.catalogue.png import pixel_digest
from worker.finding.copies import Copies
from worker.finding.fitting import WAYS, Fitted, How, fit_picture
from worker.jobs.progress import Search

COPIES_SHOWN: Final = 4
WAYS_SAID: Final[dict[How, tuple[str, str]]] = {
    "fill": ("Fill the page", "what stands over its edges is cut off"),
    "fit": ("Fit into the page", "all of it is kept, with white beside it"),
    "stretch": ("Stretch to the page", "all of it is kept, out of shape"),
}
"""The ways to fit a picture, as a visitor chooses among them: a name and what it does."""


@dataclass(frozen=True)
class Found:
    """A kept page that shows the same picture as the one that was brought."""

    address: Address
    page: str
    thumbnail: str | None  # None: flagged, so that its page veils it
    words: str
    decibels: float | None  # how far it is off; None: every pixel is the same


def way_of(text: str) -> How:
    """Return how a picture is to be fitted; to fill the page where that is not said."""
    return next((way for way in WAYS if way == text), "fill")


async def bring(data: bytes, how: How, edition: str) -> Search:
    """Fit a picture file and put it ready to be searched for. Raises InputRefused, StoreUnavailable."""
    fitted = await asyncio.to_thread(fit_picture, data, how)
    return await park(fitted, edition)


async def park(fitted: Fitted, edition: str) -> Search:
    """Put a fitted picture ready for a search, and return the search that it would be. Raises StoreUnavailable."""
    picture, digest = await asyncio.to_thread(lambda: (to_png(fitted.pixels), pixel_digest(fitted.pixels)))
    search = Search(edition, digest)
    await job_client().park(search, picture, fitted.sentence)
    return search


def to_png(pixels: npt.NDArray[np.uint8]) -> bytes:
    """Return the PNG of pixels (416, 640, 3), with nothing else in it."""
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(file, "PNG", compress_level=3)
    return file.getvalue()


async def copies_of(picture: bytes) -> list[Found]:
    """Return the kept pages that show the picture of a PNG of a page's size, the nearest first; none that is hidden.

    Raises StoreUnavailable where it cannot be told what is hidden.
    """
    copies = await asyncio.to_thread(lambda: Copies(store()).find(pixels_of(picture), COPIES_SHOWN))
    found = []
    for copy in copies:
        address, mark = copy.address, copy.address.name
        record = await asyncio.to_thread(store().record, copy.edition, mark)
        if record is None or await ledger.is_hidden(address, mark):
            continue
        own = Address.parse_kept(record.address)
        if own.is_current and ledger.known_mark(own) == mark:
            if await ledger.is_hidden(own, mark):
                continue
            address = own
        thumbnail = None if record.flagged else path_of(address, "/thumbnail.webp")
        decibels = None if copy.exact else copy.decibels
        found.append(Found(address, path_of(address), thumbnail, alt_text(address), decibels))
    return found
