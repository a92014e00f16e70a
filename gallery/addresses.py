"""Addresses as the site sees them: URL converters, canonical paths, neighbours.

The grammar itself is `worker.catalogue.address`; this module only joins it to Django's URLs. Imports that, Django and
`gallery.editions`.
"""

from typing import Final
from urllib.parse import quote, unquote_to_bytes, urlsplit

from django.http import HttpRequest
from django.urls import Resolver404, ResolverMatch, get_script_prefix, resolve

from gallery.editions import default_edition, editions
from worker.catalogue.address import NAME_LIMIT, PAGES, Address, Kind, is_slug
from worker.errors import AddressRefused

ALPHABET: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
VOLUMES: Final[tuple[Kind, ...]] = ("key", "prompt")
"""The kinds that have volumes: pages that share an embedding. Those of `stacks` share nothing but a name."""


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


class VolumeConverter:
    """A volume, `edition/kind/name` without a page number, as the address of its first page (see `volume_meant`)."""

    regex = r"(?s:[a-z0-9.-]+/(?:key|prompt)/.+)"

    def to_python(self, value: str) -> Address:
        """Parse a volume; ValueError tells Django that this route does not match."""
        volume = volume_meant(value)
        if volume is None:
            raise ValueError(f"“{value[:60]}” names no volume.")
        return volume

    def to_url(self, value: Address) -> str:
        """Return the volume unquoted, as Django asks. Links to volumes are made by `path_of_volume`."""
        return text_of_volume(value)


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


class RoomConverter(EditionConverter):
    """The slug of an edition that is here, for the one route that has the form of every path of a single part."""

    def to_python(self, value: str) -> str:
        """Return the slug; ValueError for every other word."""
        if value not in editions():
            raise ValueError(f"There is no edition “{value}” here.")
        return value


def path_of(address: Address, form: str = "/") -> str:
    """Return the canonical URL path of an address in one of its forms: "/", ".png", ".txt", ".json", "/events" …

    Every link to a page is made here. Django's `reverse` leaves `/ \' ( ) : @` and others as they are, while one page
    has one spelling, in which all of them are percent-encoded. The path starts with the site's script prefix.
    """
    prefix: str = get_script_prefix()
    return prefix + address.path()[1:-1] + form


def text_of_volume(address: Address) -> str:
    """Return the text of a page's volume, `edition/kind/name`."""
    return f"{address.edition}/{address.kind}/{address.name}"


def path_of_volume(address: Address) -> str | None:
    """Return the canonical URL path of the sheet of a page's volume; None for stacks and marks, which have none.

    Servers decode `%2F`, so that `prompt/24%2F7/` comes in as page 7 of the prompt “24”. The few prompts that cannot be
    told from a page or from a page's forms have their sheet at a form of their first page.
    """
    if address.kind not in VOLUMES:
        return None
    first = address.with_page(1)
    if "/" in address.name and volume_meant(text_of_volume(address)) != first:
        return path_of(first, "/volume")
    return path_of(first)[: -len("1/")]


def volume_meant(text: str) -> Address | None:
    """Return the first page of the volume that a decoded text names, or nearly; None where it names a page or nothing.

    A volume is what stays the same when the number of its first page is put behind it: `prompt/a dog` does,
    `prompt/a dog/01` does not.
    """
    try:
        first = Address.parse_meant(text, default_edition())
        numbered = Address.parse_meant(f"{text.strip('/')}/1", default_edition())
    except AddressRefused:
        return None
    return first if first == numbered and first.kind in VOLUMES else None


def address_in_link(link: str) -> Address | None:
    """Return the page that a link of this or another Babelia names in one of its forms (`/`, `.png`, `/events` …).

    `link` is a URL or its percent-encoded path. Another Babelia may lie below any path of its host, so the address is
    looked for after each slash. None for any other link.
    """
    try:
        return address_in_path(unquote_to_bytes(urlsplit(link).path if "://" in link else link).decode("utf-8"))
    except ValueError:  # brackets that do not match, or no UTF-8
        return None


def address_in_path(path: str) -> Address | None:
    """Return the page that a decoded path names, or nearly, after an edition that is here; None where there is none."""
    segments = path.strip("/").split("/")
    for start, segment in enumerate(segments):
        if segment not in editions():
            continue
        tail = "/".join(segments[start:])
        match = _resolved(f"/{tail}")
        if match is not None and "address" in match.kwargs:
            found: Address = match.kwargs["address"]
            return found
        try:
            return Address.parse_meant(tail)
        except AddressRefused:
            continue
    return None


def path_meant(path: str, form: str) -> str | None:
    """Return the path of what a path that leads nowhere was meant to open, None where that cannot be told.

    `path` is decoded, without the site's script prefix; `form` is the form of a page that it asks for. Meant are the
    site's own pages with a slash too few or too many, or with capitals, also those of an edition that is here; and what
    `volume_meant` and `Address.parse_meant` read. Nothing is returned that would lead to `path` again, or nowhere.
    """
    bare = path.strip("/")
    for spelled in (f"/{bare}/", f"/{bare}", f"/{bare.lower()}/", f"/{bare.lower()}"):
        match = _resolved(spelled)
        named = None if match is None else match.kwargs.get("edition")
        own = match is not None and not {"address", "volume"} & match.kwargs.keys()
        if own and (named is None or named in editions()):
            return None if spelled == path else _below_prefix(spelled)
    volume = volume_meant(path) if form == "/" else None
    if volume is not None:
        leads_on = volume.edition in editions() and f"/{text_of_volume(volume)}/" != path
        return path_of_volume(volume) if leads_on else None
    try:
        address = Address.parse_meant(path.removesuffix(form), default_edition())
    except AddressRefused:
        return None
    meant = path_of(address, form)
    found = _resolved(f"/{address.format()}{form}")
    is_page = found is not None and found.kwargs.get("address") == address
    return meant if is_page and address.edition in editions() and f"/{address.format()}{form}" != path else None


def _resolved(path: str) -> ResolverMatch | None:
    """Return what a decoded path of this site leads to; None where that is nothing."""
    try:
        return resolve(path)
    except Resolver404:
        return None


def _below_prefix(path: str) -> str:
    """Return the URL of a decoded path, which begins with one slash."""
    return f"{get_script_prefix()}{quote(path[1:])}"


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
