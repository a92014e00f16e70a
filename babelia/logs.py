"""Lines of the log without what visitors wrote: a prompt stands there by a digest. Imports Django, no settings.

A formatter that raises would print the line it was given, arguments and all: nothing in here may.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus, unquote

from django.core.exceptions import SuspiciousOperation

if TYPE_CHECKING:
    from django.http import HttpRequest

_SHORT = 4
"""Characters below which a prompt is only looked for as a word of its own: “a” stands in every line."""


class Discreet(logging.Formatter):
    """Puts digests in the place of prompts wherever a line, or the traceback below it, belongs to a request."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line as Python formats it, without the prompts of its request."""
        text = super().format(record)
        request = getattr(record, "request", None)
        if request is None or not hasattr(request, "path"):
            return text
        shown = {
            spelling.lower(): f"({hashlib.sha256(said.encode(errors='replace')).hexdigest()[:16]})"
            for said in _prompts(request)
            for spelling in _spellings(said)
        }
        if not shown:
            return text
        # In one go, the longest first: what was put in place of one is not looked at again.
        patterns = (_pattern(spelling) for spelling in sorted(shown, key=len, reverse=True))
        return re.sub("|".join(patterns), lambda found: shown.get(found[0].lower(), "(…)"), text, flags=re.IGNORECASE)


def _prompts(request: HttpRequest) -> Iterator[str]:
    """What a request says of prompts, in its path, its query and what has been read of its body."""
    said: list[Any] = []
    with contextlib.suppress(LookupError, ValueError, SuspiciousOperation):  # a query that cannot be read
        said += [value for name in ("prompt", "address") for value in request.GET.getlist(name)]
    form, body = (vars(request).get(name) for name in ("_post", "_body"))  # only what has been read already
    said += map(unquote, form.getlist("link")) if form else []
    with contextlib.suppress(LookupError, TypeError, ValueError, RecursionError):  # no JSON, or no address in it
        said.append(json.loads(body or b"")["address"])
    said += [text.partition("prompt/")[2] for text in [request.path, *said] if isinstance(text, str)]
    address = getattr(getattr(request, "resolver_match", None), "kwargs", {}).get("address")
    if address is not None and address.kind == "prompt":
        said.append(address.name)
    for text in said:
        if isinstance(text, str):
            # As `name/1`, `name/1.png` or `name/1/events`: the name is what is left without one piece or two.
            whole = text.strip("/")
            yield from {whole, whole.rpartition("/")[0], whole.rpartition("/")[0].rpartition("/")[0]} - {""}


def _spellings(text: str) -> set[str]:
    """The ways in which a log may write a text: as it is, encoded for a URL, as Python's or JSON's literal."""
    encoded = {quote(text, safe, errors="replace") for safe in ("/", "")} | {quote_plus(text, errors="replace")}
    return {text, repr(text)[1:-1], json.dumps(text)[1:-1]} | encoded


def _pattern(spelling: str) -> str:
    return re.escape(spelling) if len(spelling) >= _SHORT else rf"(?<!\w){re.escape(spelling)}(?!\w)"
