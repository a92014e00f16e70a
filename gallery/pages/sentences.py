"""What is said of a page in words: its status, its alt text, its day. Plain functions; imports `worker` only."""

from datetime import datetime
from typing import Final

from worker.catalogue.address import PAGES, Address
from worker.jobs.progress import Progress
from worker.store.records import PageRecord

ALWAYS_READ: Final = 75
"""Bytes of a prompt that every text encoder has room for: it reads 75 tokens, and a token is a byte or more."""
_BEGINNING: Final = 60


def alt_text(address: Address, unread: str | None = None, colours: str = "") -> str:
    """Return the picture in words, for alt texts and link previews. `unread`: as in the page's record.

    `colours`: the picture's dominant ones, where they are known: the name of a volume says nothing of its pictures.
    Where it is not known what was read, a long prompt is named by its beginning: its end may not have been.
    """
    mostly = f", mostly {colours}" if colours else ""
    match address.kind:
        case "prompt":
            return f"A picture printed for {_words_of(address.name, unread)}, page {address.page} of {PAGES}"
        case "key":
            return f"Page {address.page} of {PAGES} of the volume {address.name}{mostly}"
        case "stacks":
            stacks = f"the volume {address.name} in the stacks, where any bits are a key"
            return f"Page {address.page} of {PAGES} of {stacks}{mostly}"
        case _:
            return f"The page with the mark {address.name}"


def _words_of(prompt: str, unread: str | None) -> str:
    """Return the words that a picture was printed for, and no others."""
    if unread and prompt.endswith(unread):
        return f"the words “{prompt.removesuffix(unread).rstrip()}”, and not for the rest of its prompt"
    if unread is None and len(prompt.lower().encode()) > ALWAYS_READ:
        return f"words that begin “{prompt[:_BEGINNING].rstrip()}…”"
    return f"the words “{prompt}”"


def sentence_of(progress: Progress) -> str:
    """Return the status of a page as a sentence for the person who waits."""
    about = "" if progress.seconds is None else f" About {duration(progress.seconds)} to go."
    match progress.state:
        case "kept":
            return "The page is printed."
        case "queued" if progress.place == 1:
            return f"Next at the press.{about}"
        case "queued" if progress.place is not None:
            return f"Number {progress.place} in the queue.{about}"
        case "queued":
            return f"In the queue.{about}"
        case "printing" if progress.step == 0:
            return f"The press takes up this page.{about}"
        case "printing":
            return f"Step {progress.step} of {progress.of}.{about}"
        case "failed":
            return progress.sentence or "The press tried three times to print this page and could not."
        case "busy":
            return "So many pages wait already that no more are taken right now."
        case _:
            return "This picture has not been drawn yet."


def notice_of(record: PageRecord | None, former: PageRecord | None) -> str | None:
    """Return what is to be said of a page that was printed with other weights; None where there is nothing to say.

    `record`: of the picture that is kept; `former`: where none is, of an earlier print with weights that are not here.
    """
    if former is not None:
        return (
            f"This page was printed here on {day_of(former.printed_at)} with other weights of this edition "
            f"({former.known_weights}…), and that picture is gone. Printed with the weights of now, the same address "
            "will show another picture."
        )
    if record is not None and record.former_weights is not None:
        return (
            f"An earlier print of this page was made with other weights of this edition ({record.former_weights}…), "
            "and showed another picture."
        )
    return None


def day_of(printed_at: str) -> str:
    """Return an ISO 8601 time in UTC as a person writes it: 25 November 2026, 09:47 UTC."""
    time = datetime.fromisoformat(printed_at)
    return f"{time.day} {time:%B %Y, %H:%M} UTC"


def duration(seconds: float) -> str:
    """Return a span in words, rounded as a person would."""
    if seconds < 1.5:
        return "a second"
    if seconds < 90:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes"
