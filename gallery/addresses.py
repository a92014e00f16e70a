"""Addresses as the site sees them: URL converters, canonical paths, neighbours.

The grammar itself is `worker.catalogue.address`; this module only joins it to Django's URLs. Imports that and Django.
"""

from typing import Final
from urllib.parse import unquote

from django.http import HttpRequest
from django.urls import Resolver404, get_script_prefix, resolve

from worker.catalogue.address import NAME_LIMIT, PAGES, Address, is_slug
from worker.errors import AddressRefused

ALPHABET: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


class AddressConverter:
    """Everything up to a form's suffix, as an Address. What `worker.catalogue.address` refuses is no URL of this site.

    A prompt may hold slashes (uvicorn hands `%2F` over as `/`), so the converter takes all it can get and the page is
    what follows the last slash. The suffix (`/`, `.png`, `/events` …) is part of the route.
    """

    regex = r"(?s:[^/]+/.+)"

    def to_python(self, value: str) -> Address:
        """Parse an address; ValueError tells Django that this route does not match."""
        try:
            return Address.parse(value)
        except AddressRefused as error:
            raise ValueError(str(error)) from error

    def to_url(self, value: Address) -> str:
        """Return the address unquoted, as Django asks. Links to pages are made by `path_of`, not by `reverse`."""
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
    """Return the canonical URL path of an address in one of its forms: "/", ".png", ".txt", ".json", "/events" …

    Every link to a page is made here. Django's `reverse` leaves `/ \' ( ) : @` and others as they are, while one page
    has one spelling, in which all of them are percent-encoded. The path starts with the site's script prefix.
    """
    prefix: str = get_script_prefix()
    return prefix + address.path()[1:-1] + form


def address_of_link(path: str) -> Address:
    """Return the page that a link of this site names in one of its forms (`/`, `.png`, `/thumbnail.webp` …).

    `path` is the link's percent-encoded path, with the site's script prefix. Raises AddressRefused for any other link.
    """
    text = unquote(path).removeprefix(get_script_prefix()[:-1])
    try:
        found = resolve(text).kwargs.get("address")
    except Resolver404:
        found = None
    if not isinstance(found, Address):
        raise AddressRefused("This link leads to no page of the library.", hint="The link of a page has its address.")
    return found


def raw_path(request: HttpRequest) -> str | None:
    """Return the percent-encoded path of a request, without the site's script prefix; None where it is not known.

    It stands in the ASGI scope; Django's test client leaves it out. A proxy may have encoded it anew.
    """
    raw: bytes | None = getattr(request, "scope", {}).get("raw_path")
    if raw is None:
        return None
    prefix: str = get_script_prefix()
    return raw.split(b"?")[0].decode("ascii", errors="replace").removeprefix(prefix[:-1])


def is_canonical(request: HttpRequest, address: Address, form: str) -> bool:
    """Say whether a request names an address the one canonical way; how its path was percent-encoded does not count.

    Some proxies decode a path and encode it anew, by rules of their own: sent to our own encoding, they would come back
    with theirs for ever. Which encoding is the canonical one, the page itself says (`rel="canonical"`).
    """
    return bool(request.path_info == f"/{address.format()}{form}")


def neighbour_page(address: Address, by: int) -> Address | None:
    """Return the next (`by` = 1) or previous (−1) page of the same volume, None beyond its covers and for marks."""
    if address.page is None or not 1 <= address.page + by <= PAGES:
        return None
    return address.with_page(address.page + by)


def neighbour_volume(address: Address, by: int) -> Address | None:
    """Return the same page of the next (`by` = 1) or previous (−1) volume of `key` or `stacks`.

    Names stand on the shelf by length, then in the order A–Z a–z 0–9 - _ (bijective numeration in base 64):
    A, B, … _, AA, AB, … so each name but the first and the last has two neighbours. Prompts have no such
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
