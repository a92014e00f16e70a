"""Addresses as the site sees them: URL converters, canonical paths, neighbours.

The grammar itself is `worker.catalogue.address`; this module only joins it to Django's URLs. Imports that and Django.
"""

from typing import Final

from django.http import HttpRequest

from worker.catalogue.address import NAME_LIMIT, PAGES, Address, is_slug
from worker.errors import AddressRefused

ALPHABET: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


class AddressConverter:
    """Everything up to a form's suffix, as an Address. What `worker.catalogue.address` refuses is no URL of this site.

    A prompt may hold slashes (uvicorn hands `%2F` over as `/`), so the converter takes all it can get and the page is
    what follows the last slash. The suffix (`/`, `.png`, `/events` …) stands in the route.
    """

    regex = r"(?s:[^/]+/.+)"

    def to_python(self, value: str) -> Address:
        """Parse an address; ValueError tells Django that this route does not match."""
        try:
            return Address.parse(value)
        except AddressRefused as error:
            raise ValueError(str(error)) from error

    def to_url(self, value: Address) -> str:
        """Return the address unquoted, as Django asks; links to pages are made by `path_of`, which is canonical."""
        return value.format()


class EditionConverter:
    """An edition's slug, as `worker.catalogue.address` knows it."""

    regex = r"[a-z0-9.-]+"

    def to_python(self, value: str) -> str:
        """Return the slug; ValueError tells Django that this route does not match."""
        if not is_slug(value):
            raise ValueError(f"“{value}” cannot name an edition.")
        return value

    def to_url(self, value: str) -> str:
        """Return the slug."""
        return value


def path_of(address: Address, form: str = "/") -> str:
    """Return the canonical URL path of an address in one of its forms: "/", ".png", ".txt", ".json", "/events" …"""
    return address.path()[:-1] + form


def is_canonical(request: HttpRequest, address: Address, form: str) -> bool:
    """Say whether a request spells an address the one canonical way, byte for byte.

    The percent-encoded path stands in the ASGI scope; a server that leaves it out (Django's test client) is compared
    by the decoded path. A proxy in front must hand the path on as it came.
    """
    raw = getattr(request, "scope", {}).get("raw_path")
    if raw is None:
        return bool(request.path == f"/{address.format()}{form}")
    return bool(raw.split(b"?")[0] == path_of(address, form).encode("ascii"))


def neighbour_page(address: Address, by: int) -> Address | None:
    """Return the next (`by` = 1) or previous (−1) page of the same volume, None beyond its covers and for marks."""
    if address.page is None or not 1 <= address.page + by <= PAGES:
        return None
    return address.with_page(address.page + by)


def neighbour_volume(address: Address, by: int) -> Address | None:
    """Return the same page of the next (`by` = 1) or previous (−1) volume of `key` or `stacks`.

    Names stand on the shelf by length, then in the order A–Z a–z 0–9 - _ (bijective numeration in base 64):
    A, B, … _, AA, AB, … so each name but the first and the last has two neighbours, for ever. Prompts have no such
    order (their neighbours are those that were opened here, `gallery.ledger`), marks neither: None.
    """
    if address.kind not in ("key", "stacks"):
        return None
    digits = [ALPHABET.index(character) for character in address.name]
    place = len(digits) - 1
    while place >= 0 and not 0 <= digits[place] + by < len(ALPHABET):
        digits[place] = 0 if by > 0 else len(ALPHABET) - 1
        place -= 1
    if place >= 0:
        digits[place] += by
    elif by > 0:
        digits.insert(0, 0)
    else:
        digits.pop()
    if not 1 <= len(digits) <= NAME_LIMIT:
        return None
    name = "".join(ALPHABET[digit] for digit in digits)
    return Address(address.edition, address.kind, name, address.page)
