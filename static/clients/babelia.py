"""A client of Babelia, the library of all pictures: one file, Python 3.9 or newer, nothing else.

    library = Library("https://library.example.org/")
    address = library.random()[0]["address"]
    pathlib.Path("page.png").write_bytes(library.picture(address))

Methods return what the API answers, as dictionaries; `/api/` of any library says what is in them. What is refused is
raised as `Refused`; where the library says that it may be asked for again in a moment, it is.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode, urljoin
from urllib.request import Request, urlopen


class Refused(Exception):
    """A refusal: `status` of HTTP, `code` for programs, a sentence as the text, and a `hint`."""

    def __init__(self, status: int, code: str, message: str, hint: str) -> None:
        super().__init__(message)
        self.status, self.code, self.hint = status, code, hint


class Library:
    """One library, by the URL of its entrance. `patience`: seconds for which a picture is waited for, turns and all."""

    def __init__(self, url: str, patience: float = 600) -> None:
        self.url = url if url.endswith("/") else url + "/"
        self.patience = patience

    def page(self, address: str) -> dict[str, Any]:
        """What is known of a page: whether it is kept, its mark, digest, links. Starts nothing."""
        return self._json("api/page", address=address)

    def ask(self, address: str) -> dict[str, Any]:
        """Have a page drawn, and return at once; `state` says where it stands."""
        return json.loads(self._send("api/page", json.dumps({"address": address})))

    def picture(self, address: str) -> bytes:
        """The PNG of a page; drawn first, and waited for, where it is not kept."""
        return self._send("api/page/picture?" + urlencode({"address": address}))

    def key(self, address: str) -> str:
        """The key of a page: 189,436 characters that decide its picture."""
        return self._send("api/page/key?" + urlencode({"address": address})).decode("ascii")

    def open_key(self, key: str, edition: str | None = None) -> dict[str, Any]:
        """Bring a full key, which the library keeps; returns its `address`."""
        query = "?" + urlencode({"edition": edition}) if edition else ""
        return json.loads(self._send("api/key" + query, key, "text/plain"))

    def volume(self, volume: str, first: int = 1, limit: int = 50) -> dict[str, Any]:
        """The places of a volume (`prompt/a dog`) from a number on, and the numbers of all that are kept."""
        return self._json("api/volume", volume=volume, first=first, limit=limit)

    def random(self, n: int = 1, edition: str | None = None) -> list[dict[str, Any]]:
        """Addresses that nobody chose. Draws no picture."""
        return self._json("api/random", n=n, edition=edition)

    def opened(self, words: str | None = None, **which: Any) -> Iterator[dict[str, Any]]:
        """All pages that were opened there, newest first, or those with some words; also by `edition` and `kind`."""
        part = self._json("api/search" if words else "api/opened", words=words, **{"limit": 100, **which})
        yield from part["pages"]
        while part["next"] is not None:
            part = json.loads(self._send(part["next"]))
            yield from part["pages"]

    def _json(self, path: str, **query: Any) -> Any:
        return json.loads(self._send(path + "?" + urlencode({k: v for k, v in query.items() if v is not None})))

    def _send(self, path: str, body: str | None = None, kind: str = "application/json") -> bytes:
        data = None if body is None else body.encode()
        request = Request(urljoin(self.url, path), data, {"Content-Type": kind})
        began = time.monotonic()
        while True:
            try:
                with urlopen(request, timeout=self.patience + 60) as answer:
                    return answer.read()
            except HTTPError as error:
                refused, pause = _read(error)
            if pause is None or time.monotonic() - began + pause > self.patience:
                raise refused
            time.sleep(pause)


def _read(error: HTTPError) -> tuple[Refused, float | None]:
    """What the library refused, and the seconds after which to ask again, where it says so."""
    pause = error.headers.get("Retry-After")
    try:
        refused = Refused(error.code, **json.loads(error.read()))
    except (ValueError, TypeError):  # a proxy's own page
        refused = Refused(error.code, "unknown", f"HTTP {error.code} {error.reason}", "")
    return refused, float(pause) if pause and pause.isdigit() else None
