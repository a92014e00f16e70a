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
            return f"{_words_of(address.name, unread)}, picture {address.page} of {PAGES}"
        case "key":
            return f"Picture {address.page} of {PAGES} in “{address.name}”{mostly}"
        case "stacks":
            return f"Random picture {address.page} of {PAGES} in “{address.name}”: almost always noise{mostly}"
        case _:
            return f"The picture with the short name {address.name}"


def _words_of(prompt: str, unread: str | None) -> str:
    """Return the words that a picture was drawn for, and no others."""
    if unread and prompt.endswith(unread):
        return f"“{prompt.removesuffix(unread).rstrip()}”, without the rest of its words"
    if unread is None and len(prompt.lower().encode()) > ALWAYS_READ:
        return f"“{prompt[:_BEGINNING].rstrip()}…”"
    return f"“{prompt}”"


def sentence_of(progress: Progress) -> str:
    """Return the status of a page as a sentence for the person who waits."""
    about = "" if progress.seconds is None else f" About {duration(progress.seconds)} to go."
    match progress.state:
        case "kept":
            return "The picture is drawn."
        case "queued" if progress.place == 1:
            return f"You are next.{about}"
        case "queued" if progress.place is not None:
            before = "1 picture" if progress.place == 2 else f"{progress.place - 1} pictures"
            return f"{before} before yours.{about}"
        case "queued":
            return f"Waiting to be drawn.{about}"
        case "printing" if progress.step == 0:
            return f"Starting to draw.{about}"
        case "printing":
            return f"Step {progress.step} of {progress.of}.{about}"
        case "failed":
            return progress.sentence or "Drawing this picture failed three times."
        case "busy":
            return "Too many pictures wait to be drawn. Please try again in a minute."
        case _:
            return "This picture has not been drawn yet."


def notice_of(record: PageRecord | None, former: PageRecord | None) -> str | None:
    """Return what is to be said of a page that was printed with other weights; None where there is nothing to say.

    `record`: of the picture that is kept; `former`: where none is, of an earlier print with weights that are not here.
    """
    if former is not None:
        return (
            f"This picture was drawn here on {day_of(former.printed_at)} by another version of its model "
            f"({former.known_weights}…), and is gone. Drawn by the version of now, the same address will show another "
            "picture."
        )
    if record is not None and record.former_weights is not None:
        return (
            f"Another version of its model ({record.former_weights}…) drew this address here before, and it was "
            "another picture."
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
