"""What is said of a page in words: its status, its alt text, its day. Plain functions; imports `worker` only."""

from datetime import datetime

from worker.catalogue.address import PAGES, Address
from worker.jobs.progress import Progress


def alt_text(address: Address) -> str:
    """Return the picture in words, for alt texts and link previews."""
    match address.kind:
        case "prompt":
            return f"A picture printed for the words “{address.name}”, page {address.page} of {PAGES}"
        case "key":
            return f"Page {address.page} of {PAGES} of the volume {address.name}"
        case "stacks":
            return (
                f"Page {address.page} of {PAGES} of the volume {address.name} in the stacks, where any bits are a key"
            )
        case _:
            return f"The page with the mark {address.name}"


def sentence_of(progress: Progress) -> str:
    """Return the status of a page as a sentence for the person who waits."""
    about = "" if progress.seconds is None else f" About {_duration(progress.seconds)} to go."
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
            return "Nobody waits for this page."


def day_of(printed_at: str) -> str:
    """Return an ISO 8601 time in UTC as a person writes it: 25 November 2026, 09:47 UTC."""
    time = datetime.fromisoformat(printed_at)
    return f"{time.day} {time:%B %Y, %H:%M} UTC"


def _duration(seconds: float) -> str:
    """Return a span in words, rounded as a person would."""
    if seconds < 1.5:
        return "a second"
    if seconds < 90:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes"
