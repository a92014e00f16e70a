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
from worker.editions.repertoire import Reading, Repertoire
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


def _read(edition: Edition, prompt: str) -> list[tuple[Reading, bool]] | None:
    """Return the words with what they name, or is near to them, and whether they are known."""
    known = known_of(edition)
    if known.repertoire is None or not known.fits:
        return None
    table = _table(edition.folder / tables.FILE)
    if table is None or table.weights == known.repertoire.weights:
        return [(reading, reading.name is not None) for reading in known.repertoire.read(prompt, table)]
    readings = known.repertoire.read(prompt)
    return [(each, True) if each.entry else (_near(table, known.repertoire, each), False) for each in readings]


def _word(slug: str, reading: Reading, known: bool) -> WordOut:
    entry = reading.entry
    prompt = entry.prompt if entry else None
    page = path_of(Address(slug, "prompt", entry.prompt, 1)) if entry else None
    return WordOut(text=reading.text, known=known, kind=reading.kind, name=reading.name, prompt=prompt, page=page)


def _near(table: tables.Words, repertoire: Repertoire, unknown: Reading) -> Reading:
    """Return an unknown word's reading with the entry that is nearest in meaning, where the table names one."""
    entry = next((each.entry for each in repertoire.read(unknown.text, table) if each.entry is not None), None)
    return unknown if entry is None else Reading(unknown.text, entry, entry.kind, entry.name)


def _table(path: Path) -> tables.Words | None:
    try:
        return _table_at(path)
    except OSError:
        return None


@when_changed(4)
def _table_at(path: Path) -> tables.Words | None:
    """Read a table, which takes some tenths of a second: when the first prompt is spoken of."""
    try:
        return tables.Words(path)
    except WeightsRefused as error:
        _log.warning("No words are suggested: %s", error)
        return None
