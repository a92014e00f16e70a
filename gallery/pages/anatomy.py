"""What a page is made of, for its anatomy; a second print of it; and two pages beside one another. No HTTP.

Imports babelia.services, `worker`, the drawings and the modules beside it.
"""

from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from babelia.services import job_client
from gallery import ledger
from gallery.description import PageLinks, links_of
from gallery.editions import edition_of
from gallery.pages.drawings import numbers
from gallery.pages.drawings.studio import drawn
from gallery.pages.sentences import alt_text, day_of, sentence_of
from gallery.pages.status import kept_record, require_printable, sentence_for
from worker.catalogue import comparison
from worker.catalogue.address import Address
from worker.catalogue.comparison import Difference
from worker.catalogue.key import Key
from worker.catalogue.png import HEIGHT, WIDTH
from worker.errors import StoreUnavailable
from worker.jobs.progress import Progress, Reprint, Visitor
from worker.store.records import PageRecord, Picture

REST_SECONDS: Final = 10
"""Seconds for which a second print is not made anew: until then the queue believes that it is there."""
WAITS: Final = ("queued", "printing")


@dataclass(frozen=True)
class Proof:
    """Where the second print of a page stands, and what came of it."""

    progress: Progress
    sentence: str = ""
    difference: Difference | None = None
    facts: dict[str, Any] | None = None  # rendition, pixel_digest, seconds, printed_at; `first`: the file digest

    @property
    def rests(self) -> bool:
        """Whether it was made so lately that another is not made yet."""
        if self.facts is None:
            return False
        printed = datetime.fromisoformat(self.facts["printed_at"])
        return (datetime.now(UTC) - printed).total_seconds() < REST_SECONDS


async def proof_of(address: Address, record: PageRecord | None) -> Proof:
    """Return where the second print of a kept page stands. Starts nothing. A Redis that is away knows of none."""
    if record is None:
        return Proof(Progress("absent"))
    again = Reprint(address)
    try:
        found = await job_client().reprint(again)
        if found is not None:
            with suppress(ValueError, KeyError):
                difference, facts = comparison.from_json(found)
                if facts["first"] == record.file_digest:
                    return Proof(Progress("kept"), "", difference, facts | {"day": day_of(facts["printed_at"])})
        progress = await job_client().look(again)
    except StoreUnavailable:
        return Proof(Progress("absent"))
    if progress.state == "kept":  # nothing is known of it any more
        progress = Progress("absent")
    return Proof(progress, await sentence_for(address, progress) if progress.state in WAITS else sentence_of(progress))


async def print_again(address: Address, visitor: Visitor) -> None:
    """Have a kept page printed a second time, unless that has just been done. Raises as `page_status` does."""
    record = await kept_record(address)
    proof = await proof_of(address, record)
    if record is None or proof.rests:
        return
    await require_printable(address)
    if proof.difference is not None:
        await job_client().forget_reprint(Reprint(address))
    await job_client().ask(Reprint(address), visitor, patience=REST_SECONDS, again=True)


def anatomy_context(
    address: Address, key: Key, record: PageRecord | None, proof: Proof, base: str, tab: str
) -> dict[str, Any]:
    """Return what the anatomy of a page shows. `base`: the absolute URL of the page, without its final slash."""
    links, edition = links_of(address), edition_of(address.edition)
    progress = proof.progress
    return {
        "address": address,
        "links": links,
        "name": address.name,
        "words": alt_text(address),
        "kept": record is not None,
        "record": record,
        "mark": key.mark,
        "steps": key.steps,
        "edition_title": edition.title,
        "guidance": edition.guidance,
        "early_guidance": edition.early_guidance if edition.early_guidance != edition.guidance else None,
        "early_above": edition.early_above,
        "solver": edition.solver,
        "latents": numbers.latents_histogram(key),
        "embedding": numbers.embedding_histogram(key),
        "embedding_limit": numbers.embedding_limit(key),
        "latents_limit": numbers.LATENTS_LIMIT,
        "signed": numbers.css(numbers.SIGNED),
        "curve": numbers.CURVE,
        "proof": proof,
        "proof_waits": progress.state in WAITS,
        "percent": round(100 * progress.step / progress.of) if progress.of else 0,
        "differing": None if proof.difference is None else share(proof.difference),
        "visitor": tab,
        "code": code_of(base, key.mark),
    }


def share(difference: Difference) -> str:
    """Return how many of the pixels differ, in per cent."""
    part = 100 * difference.differing / (WIDTH * HEIGHT)
    return f"{part:.1f} %" if part >= 0.1 else "less than 0.1 %"


def code_of(base: str, mark: str) -> list[tuple[str, str, str]]:
    """Return how a program takes the page whose URL is `base` and a slash: (name, language, text) for each language.

    Paths are percent-encoded, quotes too, so that they stand in quotes in every language.
    """
    curl = "".join(f"curl -fsSo babelia-{mark}{form} '{base}{form}'\n" for form in (".png", ".npz", ".json"))
    python = f'''\
import io
import urllib.request

import numpy as np  # the only thing to install

page = "{base}"
with urllib.request.urlopen(page + ".npz") as answer:
    arrays = np.load(io.BytesIO(answer.read()), allow_pickle=False)
print(arrays["address"], arrays["steps"], arrays["embedding"].shape, arrays["latents"].shape)
with urllib.request.urlopen(page + ".png") as answer, open("babelia-{mark}.png", "wb") as file:
    file.write(answer.read())
'''
    script = f'''\
const answer = await fetch("{base}.json");
if (!answer.ok) throw new Error((await answer.json()).message);
const page = await answer.json();
console.log(page.address, page.state, page.pixel_digest, new URL(page.links.picture, answer.url).href);
'''
    return [("curl", "sh", curl), ("Python", "python", python), ("JavaScript", "js", script)]


# -- two pages


@dataclass(frozen=True)
class Side:
    """One of two pages that are compared."""

    address: Address
    links: PageLinks
    words: str
    picture: Picture | None
    progress: Progress
    sentence: str
    veiled: bool  # flagged by the edition's safety checker, and shown on its own page when its visitor asks


async def side_of(address: Address, picture: Picture | None) -> Side:
    """Return one side, with where its print stands while it is not kept. Raises PageHidden, StoreUnavailable."""
    progress, sentence = Progress("kept"), ""
    record = await kept_record(address)
    if picture is None:
        progress = await job_client().look(address)
        await ledger.require_shown(address, progress.mark)
        sentence = await sentence_for(address, progress)
    veiled = bool(record and record.flagged)
    return Side(address, links_of(address), alt_text(address), picture, progress, sentence, veiled)


async def difference_of(first: Picture, second: Picture) -> Difference:
    """Return the difference of two kept pictures, worked out once."""

    def work() -> bytes:
        return comparison.to_json(comparison.compare(*map(comparison.pixels_of, (first.png, second.png))))

    found, _ = comparison.from_json(await drawn(f"{first.digest}-{second.digest}-numbers", work))
    return found


async def difference_drawn(first: Picture, second: Picture) -> tuple[str, bytes]:
    """Return where two kept pictures differ: the tag, and the WebP."""
    tag = f"{first.digest[:32]}-{second.digest[:32]}-difference-{numbers.DESIGN}"

    def draw() -> bytes:
        return numbers.difference_picture(*map(comparison.pixels_of, (first.png, second.png)))

    return tag, await drawn(tag, draw)


def compare_context(sides: list[Side], difference: Difference | None, query: str) -> dict[str, Any]:
    """Return what the comparison of two pages shows; `query`: theirs, of the picture of the difference."""
    return {
        "sides": sides,
        "difference": difference,
        "differing": None if difference is None else share(difference),
        "query": query,
        "veiled": any(side.veiled for side in sides),
        "waits": any(side.progress.state in WAITS for side in sides),
        "may_draw": any(side.picture is None and side.progress.state not in WAITS for side in sides),
    }
