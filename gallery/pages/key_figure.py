"""What a key is made of, to be shown: its three parts, to scale, as pictures. NumPy and Pillow; no HTTP, no model.

Imports `worker`, the ledger and babelia.services. The embedding of a prompt takes the text encoder, which the site has
not got; before a page's key is known, the other two parts are, for they follow from the address alone.
"""

import asyncio
import base64
import io
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from gallery import ledger
from gallery.addresses import path_of
from gallery.editions import edition_of
from gallery.pages.status import held_key, kept_record
from worker.catalogue.address import Address, canonical_prompt
from worker.catalogue.expansion import page_latents
from worker.catalogue.inspection import picture_of_latents
from worker.catalogue.key import BITS, CODE_BITS, EMBEDDING_CODES, LATENTS_CODES, Key

COLUMNS: Final = 96
"""Columns of the heat map: eight values of a token are one of them."""
BEGINNING: Final = 60
"""Characters of a key that are shown."""


@dataclass(frozen=True)
class KeyFigure:
    """What the figure shows of one key. `embedding`, `mark` and `beginning` are None before the key is known."""

    address: Address
    page: str
    steps: int
    latents: str
    """The initial latents as a picture, a `data:` URL; so is `embedding`."""
    embedding: str | None
    mark: str | None
    beginning: str | None
    kept: bool

    @property
    def shares(self) -> dict[str, str]:
        """The thousandths of a key that say what to draw, and those of the noise; what is left are the steps."""
        parts = {"told": EMBEDDING_CODES, "noise": LATENTS_CODES}
        return {part: f"{1000 * CODE_BITS * codes / BITS:.2f}" for part, codes in parts.items()}

    @property
    def thumbnail(self) -> str | None:
        """The path of its small picture, where that is kept."""
        return path_of(self.address, "/thumbnail.webp") if self.kept else None


def address_of_figure(edition: str, words: str, stacks: str) -> Address | None:
    """Return the page whose key is asked for, by words or by a name in the stacks; None for neither.

    Raises AddressRefused for what names none.
    """
    if words.strip():
        return Address(edition, "prompt", canonical_prompt(words), 1)
    return Address(edition, "stacks", stacks, 1) if stacks else None


async def key_figure(address: Address) -> KeyFigure:
    """Return the figure of a page's key. Prints nothing. Raises PageHidden, StoreUnavailable."""
    await ledger.require_shown(address)
    key = await asyncio.to_thread(held_key, address)
    record = await kept_record(address)
    if key is not None:
        await ledger.require_shown(address, key.mark)
    kept = record is not None and not record.flagged
    return await asyncio.to_thread(_figure, address, path_of(address), key, kept)


def _figure(address: Address, page: str, key: Key | None, kept: bool) -> KeyFigure:
    latents = page_latents(address.kind, address.name, address.page or 1) if key is None else key.latents
    return KeyFigure(
        address,
        page,
        steps=edition_of(address.edition).default_steps if key is None else key.steps,
        latents=_data_url(picture_of_latents(latents)),
        embedding=None if key is None else _data_url(heat_map(key.embedding)),
        mark=None if key is None else key.mark,
        beginning=None if key is None else key.format()[:BEGINNING],
        kept=kept,
    )


def heat_map(embedding: npt.NDArray[np.floating]) -> npt.NDArray[np.uint8]:
    """An embedding (77, 768) as a picture (77, 96, 3): of eight values the one that is farthest from nothing.

    Blue is below nothing, red above, white nothing; as strong as a hundredth of the values are at least.
    """
    parts = embedding.astype(np.float64).reshape(len(embedding), COLUMNS, -1)  # (77, 96, 8)
    farthest = np.take_along_axis(parts, np.abs(parts).argmax(axis=2, keepdims=True), axis=2)[..., 0]  # (77, 96)
    strong = float(np.percentile(np.abs(farthest), 99)) or 1.0
    share = np.clip(farthest / strong, -1.0, 1.0)[..., np.newaxis]  # (77, 96, 1)
    red, blue = np.array([178.0, 24.0, 43.0]), np.array([33.0, 102.0, 172.0])
    coloured = 247.0 + np.abs(share) * (np.where(share > 0, red, blue) - 247.0)
    return coloured.round().astype(np.uint8)


def _data_url(pixels: npt.NDArray[np.uint8]) -> str:
    """Return pixels (height, width, 3) as a `data:` URL: they are small, and this saves a request."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "WEBP", quality=80, method=4)
    return "data:image/webp;base64," + base64.b64encode(file.getvalue()).decode("ascii")
