"""Addresses: the names of pages, as text and as URL paths. Imports neither Django nor torch.

An address is written edition/kind/name/page, or edition/mark/name: `pocket-1/key/borges/1`, `pocket-1/prompt/a dog/1`,
`pocket-1/stacks/borges/410`, `pocket-1/mark/numxaqqioe4lpfc6qxh46pi5yy`. One page has one spelling: `Address.parse`
takes a second spelling (a prompt with capitals, other white space or Unicode form, a mark in capitals) to the canonical
one and refuses everything else with a sentence. A prompt may hold slashes: the page is what follows the last one.

Prompts have no capitals because telephones write them unasked, and no text encoder of CLIP's kind reads them: its
tokenizer makes everything lower case. Only the latents depended on them, so that one wish had two volumes. What was
kept under a prompt with capitals before (`Address.parse_kept`) keeps its key, and is reached by its mark.
"""

import base64
import hashlib
import re
import secrets
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, get_args
from urllib.parse import quote, unquote_to_bytes, urlsplit

from worker.catalogue.key import is_mark
from worker.errors import AddressRefused

Kind = Literal["key", "prompt", "stacks", "mark"]

PAGES = 410
PROMPT_LIMIT = 500
NAME_LIMIT = 64
DEFAULT_EDITION = "pocket-1"

KINDS: tuple[Kind, ...] = get_args(Kind)
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_SLUG = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,30}[a-z0-9])?", re.ASCII)
_PADDED_PAGE = re.compile(r"0+[1-9][0-9]{0,2}", re.ASCII)
_PAGE = re.compile(r"[1-9][0-9]{0,2}", re.ASCII)
_NUMBER = re.compile(r"0*[1-9][0-9]{0,2}", re.ASCII)
_WHITE = "\t\n\v\f\r"
_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_RESERVED = frozenset(KINDS) | {"random", "api", "static"}


def is_slug(text: str) -> bool:
    """Say whether `text` may name an edition: 1–32 of a–z 0–9 . -, no kind of address, nothing the site itself uses."""
    return _SLUG.fullmatch(text) is not None and ".." not in text and text not in _RESERVED


def canonical_prompt(text: str) -> str:
    """Return the one spelling of a prompt: lower case, NFC, white space collapsed to single spaces, 1–500 characters.

    Lower case is Unicode's full mapping, as in `str.lower`: İ becomes two characters, a Σ that ends a word ς.
    Refuses control characters (white space apart), bidirectional controls, lone surrogates, non-characters, U+FFFD
    (what broken UTF-8 leaves behind), U+FEFF, and `.` or `..` between slashes, which browsers take out of a URL.
    """
    return _sound_prompt(text, text.lower())


def _sound_prompt(text: str, spelled: str) -> str:
    """Return how a prompt is spelled, NFC and with single spaces; refusals speak of `text`, as it was given."""
    for position, character in enumerate(text, start=1):
        why = _hostile(character)
        if why:
            raise AddressRefused(
                f"Character {position} of this prompt is {why} (U+{ord(character):04X}), which no prompt may hold."
            )
    prompt = " ".join(unicodedata.normalize("NFC", spelled).split())
    if not 1 <= len(prompt) <= PROMPT_LIMIT:
        raise AddressRefused(f"A prompt has 1 to {PROMPT_LIMIT} characters; this one has {len(prompt):,}.")
    if any(segment in (".", "..") for segment in prompt.split("/")):
        raise AddressRefused("Please leave out . and .. alone between slashes: web addresses cannot hold them.")
    return prompt


@dataclass(frozen=True)
class Address:
    """One page's name, canonically spelled but for what `parse_kept` says. `page` is 1 … 410, or None for a mark."""

    edition: str
    kind: Kind
    name: str
    page: int | None

    def __post_init__(self) -> None:
        if not is_slug(self.edition):
            raise AddressRefused(f"“{_shown(self.edition)}” cannot name a model: 1–32 of a–z 0–9 . - are allowed.")
        if self.kind not in KINDS:
            raise AddressRefused(f"“{_shown(self.kind)}” is no kind of address; {', '.join(KINDS)} are.")
        if self.kind == "mark":
            if self.page is not None:
                raise AddressRefused("The short name of a key names one picture already; no number follows it.")
            if not is_mark(self.name):
                raise AddressRefused(
                    f"“{_shown(self.name)}” is no short name of a key: that is 26 characters of a–z 2–7, for 16 bytes."
                )
            return
        if self.page is None or not 1 <= self.page <= PAGES:
            raise AddressRefused(f"The pages have the numbers 1 to {PAGES}; {self.page} is not among them.")
        if self.kind == "prompt":
            if _sound_prompt(self.name, self.name) != self.name:
                raise AddressRefused("This prompt is not in its canonical spelling.")
        elif not _NAME.fullmatch(self.name):
            raise AddressRefused(
                f"“{_shown(self.name)}” cannot be a name: 1–{NAME_LIMIT} of A–Z a–z 0–9 - _ are allowed."
            )

    @classmethod
    def parse(cls, text: str, default_edition: str = DEFAULT_EDITION) -> "Address":
        """Read an address, with or without its edition and its outer slashes; nothing in it is percent-encoded.

        A second spelling comes out canonical: compare `format()` to find out. Raises AddressRefused.
        """
        return cls._read(text, default_edition, canonical_prompt)

    @classmethod
    def parse_kept(cls, text: str) -> "Address":
        """Read an address out of a file, the queue or the database: prompts may have the capitals that they once had.

        Such an address still leads to its key, but no URL leads to it (`is_current`). Raises AddressRefused.
        """
        return cls._read(text, DEFAULT_EDITION, lambda prompt: _sound_prompt(prompt, prompt))

    @classmethod
    def _read(cls, text: str, default_edition: str, spell: Callable[[str], str]) -> "Address":
        text = text.removeprefix("/")  # nor is it named: what stands before it in a URL may be more
        first, slash, rest = text.partition("/")
        edition, kind = default_edition, first
        if first not in KINDS:
            edition = first
            kind, slash, rest = rest.partition("/")
        if not slash or kind not in KINDS:
            raise AddressRefused(f"“{_shown(text)}” is no address.")
        if kind == "mark":
            return cls(edition, "mark", rest.removesuffix("/").lower(), None)
        name, slash, page = rest.removesuffix("/").rpartition("/")
        if not slash:
            raise AddressRefused(f"“{_shown(text)}” names no page: its number, 1 to {PAGES}, comes last.")
        if _PADDED_PAGE.fullmatch(page):
            raise AddressRefused(f"“{_shown(page)}” is no page: its number is written with no zero in front.")
        if not _PAGE.fullmatch(page):
            raise AddressRefused(f"“{_shown(page)}” is no page: they have the numbers 1 to {PAGES}.")
        if kind == "prompt":
            name = spell(name)
        return cls(edition, kind, name, int(page))

    @classmethod
    def parse_meant(cls, text: str, default_edition: str = DEFAULT_EDITION) -> "Address":
        """Read what is not quite an address: a volume without a page, zeros before a number, capitals before the name.

        A volume opens at its first page. Where a number stands inside of what would be a prompt, as in
        `prompt/a dog/1/something`, more was meant than can be told: AddressRefused, as for everything else.
        """
        edition, slash, rest = text.strip("/").partition("/")
        if edition.lower() in KINDS:
            edition, rest = default_edition, f"{edition}{slash}{rest}"
        kind, _, rest = rest.partition("/")
        name, slash, page = rest.rpartition("/")
        if kind.lower() == "mark" or not rest:
            name = rest
        elif slash and page.isascii() and page.isdigit():
            name = f"{name}/{page.lstrip('0') or page}"
        elif any(_NUMBER.fullmatch(part) for part in rest.split("/")[1:]):
            raise AddressRefused(f"“{_shown(text)}” is no address.")
        else:
            name = f"{rest}/1"
        return cls.parse(f"{edition.lower()}/{kind.lower()}/{name}", default_edition)

    @classmethod
    def parse_path(cls, path: str, default_edition: str = DEFAULT_EDITION) -> "Address":
        """Read an address from a URL or its percent-encoded path, strictly UTF-8. Raises AddressRefused."""
        try:
            if "://" in path:
                path = urlsplit(path).path
            text = unquote_to_bytes(path).decode("utf-8")
        except UnicodeError as error:
            raise AddressRefused("This path is not UTF-8, so it names nothing.") from error
        except ValueError as error:  # urlsplit's, of brackets that do not match
            raise AddressRefused(f"“{_shown(path)}” is no address.") from error
        return cls.parse(text, default_edition)

    @classmethod
    def parse_typed(cls, text: str, default_edition: str = DEFAULT_EDITION) -> "Address":
        """Read an address as somebody types it, or copies it out of a browser (with a slash or a scheme in front).

        Only what was copied may be percent-encoded. Raises AddressRefused.
        """
        if text.startswith("/") or "://" in text:
            return cls.parse_path(text, default_edition)
        return cls.parse(text, default_edition)

    @property
    def is_current(self) -> bool:
        """Whether a URL can name it: a prompt has no capitals any more."""
        return self.kind != "prompt" or canonical_prompt(self.name) == self.name

    def format(self) -> str:
        """Return the address's text, `edition/kind/name/page`: what PNGs, the database and Redis keep."""
        tail = "" if self.page is None else f"/{self.page}"
        return f"{self.edition}/{self.kind}/{self.name}{tail}"

    def path(self) -> str:
        """Return the address's URL path, percent-encoded, with both outer slashes."""
        tail = "" if self.page is None else f"/{self.page}"
        return f"/{self.edition}/{self.kind}/{quote(self.name, safe='')}{tail}/"

    def with_page(self, page: int) -> "Address":
        """Return another page of the same volume."""
        if self.page is None or not 1 <= page <= PAGES:
            return replace(self, page=page)  # refuses it
        other = object.__new__(Address)  # the name was looked at before: that takes 0.7 ms for one of 500 characters
        other.__dict__.update(edition=self.edition, kind=self.kind, name=self.name, page=page)
        return other

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the address's text in hexadecimal: its name in Redis and on disk."""
        return hashlib.sha256(self.format().encode()).hexdigest()


def random_address(edition: str, seed: str | None = None, index: int = 0) -> Address:
    """Return a page of a `key` volume: any 16 characters, any page; with a seed, the same for the same seed and index.

    With a seed the 14 bytes (12 for the name, 2 for the page) are SHAKE-256 of "babelia/1/seed", seed and index, joined
    by NUL.
    """
    if seed is None:
        drawn = secrets.token_bytes(12) + secrets.randbelow(PAGES).to_bytes(2, "big")
    else:
        drawn = hashlib.shake_256(f"babelia/1/seed\0{seed}\0{index}".encode()).digest(14)
    name = base64.urlsafe_b64encode(drawn[:12]).decode("ascii")
    return Address(edition, "key", name, 1 + int.from_bytes(drawn[12:], "big") % PAGES)


def _hostile(character: str) -> str:
    """Say what makes a character unfit for a prompt; an empty text where nothing does."""
    if character in _WHITE:
        return ""
    point = ord(character)
    if character in _BIDI:
        return "a bidirectional control"
    match unicodedata.category(character):
        case "Cc":
            return "a control character"
        case "Cs":
            return "half of a surrogate pair"
    if point in (0xFFFD, 0xFEFF):
        return "what broken text leaves behind"
    if point & 0xFFFE == 0xFFFE or 0xFDD0 <= point <= 0xFDEF:
        return "no character at all"
    return ""


def _shown(text: str) -> str:
    """Return a text fit for a sentence: short, and with what cannot be seen escaped."""
    escaped = "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text[:61])
    return escaped[:60] + "…" if len(escaped) > 60 else escaped
