"""What an edition makes of a prompt's words: which are names that it draws, which it does not know. No HTTP.

Words are claimed only where the edition has a repertoire that is true of its weights here. So it is with the edition's
table of other words: where it is of other weights, it only suggests the name that is nearest in meaning to an unknown
word. Imports worker.editions and the modules of `gallery` on which pages stand.
"""

import asyncio
import logging
from pathlib import Path

from gallery.addresses import path_of
from gallery.description import WordOut
from gallery.editions import edition_of, known_of
from gallery.pages.sentences import ALWAYS_READ
from worker.catalogue.address import Address
from worker.editions import words as tables
from worker.editions.edition import Edition
from worker.editions.repertoire import Entry, Repertoire
from worker.editions.rereading import when_changed
from worker.errors import WeightsRefused

_log = logging.getLogger(__name__)


async def words_of(address: Address, unread: str | None) -> list[WordOut] | None:
    """Return what is made of the words of a page's prompt; None where no prompt names it, or nothing is known.

    `unread`: as in the page's record.
    """
    if address.kind != "prompt":
        return None
    read = await asyncio.to_thread(_read, edition_of(address.edition), _part_read(address.name, unread))
    # Paths are made here: the path below which the site lies is known to a request, and not to other threads.
    return None if read is None else [_word(address.edition, *each) for each in read]


def _part_read(prompt: str, unread: str | None) -> str:
    """Return the beginning of a prompt that the text encoder reads; where nobody knows, what it certainly does."""
    if unread is not None:
        return prompt.removesuffix(unread) if unread else prompt
    if len(prompt.lower().encode()) <= ALWAYS_READ:
        return prompt
    words = prompt.split(" ")
    while len(" ".join(words).lower().encode()) > ALWAYS_READ:
        words.pop()
    return " ".join(words)


def _read(edition: Edition, prompt: str) -> list[tuple[str, bool, Entry | None]] | None:
    """Return the words, whether each is known, and the entry that it names or that is near."""
    known = known_of(edition)
    if known.repertoire is None or not known.fits:
        return None
    table = _table(edition.folder / tables.FILE)
    if table is None or table.weights == known.repertoire.weights:
        return [(text, entry is not None, entry) for text, entry in known.repertoire.read(prompt, table)]
    readings = known.repertoire.read(prompt)
    near = {text: _near(table, known.repertoire, text) for text, entry in readings if entry is None}
    return [(text, entry is not None, entry or near[text]) for text, entry in readings]


def _word(slug: str, text: str, known: bool, entry: Entry | None) -> WordOut:
    if entry is None:
        return WordOut(text=text, known=known, kind=None, name=None, prompt=None, page=None)
    page = path_of(Address(slug, "prompt", entry.prompt, 1))
    return WordOut(text=text, known=known, kind=entry.kind, name=entry.name, prompt=entry.prompt, page=page)


def _near(table: tables.Words, repertoire: Repertoire, text: str) -> Entry | None:
    """Return the entry that is nearest to an unknown word in meaning, None where the table names none."""
    return next((entry for _, entry in repertoire.read(text, table) if entry is not None), None)


def _table(path: Path) -> tables.Words | None:
    try:
        return _table_at(path)
    except OSError:
        return None


@when_changed(4)
def _table_at(path: Path) -> tables.Words | None:
    """Read a table, which takes a tenth of a second: when the first unknown word is met."""
    try:
        return tables.Words(path)
    except WeightsRefused as error:
        _log.warning("No words are suggested: %s", error)
        return None
