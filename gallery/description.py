"""The one description of a page, from which HTML, `.json`, the API, events, recent lists and the ledger are made.

A field is named here once: three functions give the fields that come from an address, from a print's progress and from
the record beside a kept picture, and everything that is said of a page takes its fields from them. The names and the
order of PageOut and RecentOut are public (`.json`, /api/openapi.json): changing them breaks other people's programs.
Imports pydantic, `worker`, `gallery.addresses` and the model; no HTTP.
"""

from typing import Any, TypedDict

from pydantic import BaseModel, Field

from gallery.addresses import neighbour_page, neighbour_volume, path_of
from gallery.models import Page
from worker.catalogue.address import PAGES, Address
from worker.jobs.progress import Progress
from worker.store.records import PageRecord


class LinksOut(BaseModel):
    """Paths on this site."""

    page: str
    picture: str
    key: str
    json_: str = Field(alias="json")
    events: str
    next_page: str | None
    previous_page: str | None
    next_volume: str | None
    previous_volume: str | None


class PageLinks(LinksOut):
    """The public links of a page, and those that only the site's own pages follow. None where there is nothing."""

    picture_with_key: str
    webp: str
    tensors: str
    postcard: str
    preview: str
    card: str
    thumbnail: str
    leave: str
    again: str
    ahead: str
    report: str
    anatomy: str
    latents: str
    embedding: str
    reprint_difference: str
    draw_again: str
    anatomy_events: str
    nearby: str
    next_key: str | None
    previous_key: str | None


class WordOut(BaseModel):
    """Some words of a prompt, and what the edition makes of them."""

    text: str = Field(description="As they stand in the prompt", examples=["hound"])
    known: bool = Field(description="Whether they mean something that the edition draws")
    kind: str | None = Field(description="thing, place, sky, weather, colour, count, size, side, depth or relation")
    name: str | None = Field(
        description="What is drawn for them; of unknown words the name nearest in meaning, null where none is near",
        examples=["dog"],
    )
    prompt: str | None = Field(description="A prompt that asks for that name alone", examples=["a dog"])
    page: str | None = Field(description="The path of the first page of that prompt")


class PageOut(BaseModel):
    """What is known of a page."""

    address: str = Field(examples=["pocket-1/prompt/a dog/1"])
    edition: str
    kind: str = Field(description="key, prompt, stacks or mark")
    name: str
    page: int | None = Field(description=f"1 … {PAGES}; null for a mark")
    state: str = Field(description="kept, queued, printing, failed, busy or absent (nobody asked for it)")
    sentence: str
    place: int | None = Field(description="In the queue; 1 is next")
    step: int
    of: int
    seconds_left: float | None
    mark: str | None
    rendition: str | None
    pixel_digest: str | None = Field(description="SHA-256 of the pixel bytes, hexadecimal")
    file_digest: str | None = Field(description="SHA-256 of the PNG, hexadecimal; its ETag")
    steps: int | None
    seconds: float | None = Field(description="What the print took")
    printed_at: str | None = Field(description="ISO 8601, UTC")
    flagged: bool | None = Field(description="The verdict of the edition's safety checker; null where it has none")
    weights: str | None = Field(description="SHA-256 of the weights it was printed with; null where it is not known")
    former_weights: str | None = Field(description="The first 16 digits, where an earlier print had other weights")
    former_pixel_digest: str | None = Field(description="Of that earlier print, which showed other pixels")
    notice: str | None = Field(description="What is to be said of prints with other weights; null where there are none")
    unread: str | None = Field(
        description="The end of the prompt that the text encoder has no room for, so that it decides nothing of the "
        "picture; empty where all of it was read; null where no prompt names the page, or before it is printed"
    )
    words: list[WordOut] | None = Field(
        description="What the edition makes of the prompt's words, as far as they are read, in their order; null where "
        "no prompt names the page, or the edition has no list of what it draws that is true of its weights here"
    )
    links: LinksOut


class RecentOut(BaseModel):
    """One page that was printed here."""

    address: str
    mark: str
    edition: str
    steps: int
    pixel_digest: str
    printed_at: str
    page: str
    picture: str
    thumbnail: str


class AddressFields(TypedDict):
    """What the address alone decides."""

    address: str
    edition: str
    kind: str
    name: str
    page: int | None


class ProgressFields(TypedDict):
    """How far a print is."""

    state: str
    sentence: str
    place: int | None
    step: int
    of: int
    seconds_left: float | None


class RecordFields(TypedDict):
    """What the record beside a kept picture says."""

    mark: str
    rendition: str
    pixel_digest: str
    file_digest: str
    steps: int
    seconds: float
    printed_at: str
    flagged: bool | None
    weights: str | None
    former_weights: str | None
    former_pixel_digest: str | None
    unread: str | None


def address_fields(address: Address) -> AddressFields:
    """Return the fields that an address alone decides."""
    return {
        "address": address.format(),
        "edition": address.edition,
        "kind": address.kind,
        "name": address.name,
        "page": address.page,
    }


def progress_fields(progress: Progress, sentence: str) -> ProgressFields:
    """Return the fields that change while a page is printed; `sentence` says them to a person."""
    return {
        "state": progress.state,
        "sentence": sentence,
        "place": progress.place,
        "step": progress.step,
        "of": progress.of,
        "seconds_left": progress.seconds,
    }


def record_fields(record: PageRecord) -> RecordFields:
    """Return the fields of a kept page."""
    return {
        "mark": record.mark,
        "rendition": record.rendition,
        "pixel_digest": record.pixel_digest,
        "file_digest": record.file_digest,
        "steps": record.steps,
        "seconds": record.seconds,
        "printed_at": record.printed_at,
        "flagged": record.flagged,
        "weights": record.weights,
        "former_weights": record.former_weights,
        "former_pixel_digest": record.former_pixel_digest,
        "unread": record.unread,
    }


def describe(
    address: Address,
    progress: Progress,
    sentence: str,
    record: PageRecord | None,
    *,
    former: PageRecord | None = None,
    notice: str | None = None,
    words: list[WordOut] | None = None,
) -> PageOut:
    """Return the description of a page; without a record, what only a print decides is None.

    `former`: the record of an earlier print with other weights, whose picture is gone; `notice` says it in words.
    `words`: of a prompt, where it is known what the edition draws.
    """
    printed: dict[str, Any] = dict.fromkeys(RecordFields.__annotations__) | {"mark": progress.mark}
    if record is not None:
        printed |= record_fields(record)
    elif former is not None:
        printed |= {"former_weights": former.known_weights, "former_pixel_digest": former.pixel_digest}
    said = {**address_fields(address), **progress_fields(progress, sentence), **printed}
    return PageOut(**said, notice=notice, words=words, links=links_of(address))


def describe_recent(row: Page) -> RecentOut:
    """Return the description of a page on the list of those printed last, from its row in the ledger."""
    address = address_of_row(row)
    links = links_of(address)
    return RecentOut(
        address=address.format(),
        mark=row.mark,
        edition=row.edition,
        steps=row.steps,
        pixel_digest=row.pixel_digest,
        printed_at=row.printed_at.isoformat(),
        page=links.page,
        picture=links.picture,
        thumbnail=links.thumbnail,
    )


def address_of_row(row: Page) -> Address:
    """Return the address that opens the page of a row: its own, or its mark where its prompt has capitals."""
    address = Address.parse_kept(row.address)
    return address if address.is_current else Address(row.edition, "mark", row.mark, None)


def links_of(address: Address) -> PageLinks:
    """Return the links of a page. The neighbours of a prompt's volume are looked up when they are followed."""

    base = path_of(address, "")

    def form(suffix: str) -> str:
        return base + suffix

    def volume(by: int, lookup: str) -> str | None:
        if address.kind == "prompt":
            return form(lookup)
        neighbour = neighbour_volume(address, by)
        return None if neighbour is None else path_of(neighbour)

    def turned(by: int) -> str | None:
        neighbour = neighbour_page(address, by)
        return None if neighbour is None else path_of(neighbour)

    is_mark = address.kind == "mark"
    return PageLinks(
        page=form("/"),
        picture=form(".png"),
        picture_with_key=form("/with-key.png"),
        webp=form(".webp"),
        tensors=form(".npz"),
        postcard=form("/postcard.png"),
        key=form(".txt"),
        json=form(".json"),
        events=form("/events"),
        preview=form("/preview.webp"),
        card=form("/card.png"),
        thumbnail=form("/thumbnail.webp"),
        leave=form("/leave"),
        again=form("/again"),
        ahead=form("/ahead"),
        report=form("/report"),
        anatomy=form("/anatomy/"),
        latents=form("/anatomy/latents.png"),
        embedding=form("/anatomy/embedding.png"),
        reprint_difference=form("/anatomy/difference.png"),
        draw_again=form("/anatomy/again"),
        anatomy_events=form("/anatomy/events"),
        nearby=form("/nearby/"),
        next_page=turned(1),
        previous_page=turned(-1),
        next_volume=volume(1, "/next-volume"),
        previous_volume=volume(-1, "/previous-volume"),
        next_key=form("/next-key") if is_mark else None,
        previous_key=form("/previous-key") if is_mark else None,
    )
