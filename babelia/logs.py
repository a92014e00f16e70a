"""Lines of the log without what visitors wrote: a prompt stands there by a digest. Imports Django for types alone."""

from __future__ import annotations

import contextlib
import hashlib
import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

if TYPE_CHECKING:
    from django.http import HttpRequest


class Discreet(logging.Formatter):
    """Puts digests in the place of prompts wherever a line, or the traceback below it, belongs to a request."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line as Python formats it, without the prompts of its request."""
        text = super().format(record)
        request = getattr(record, "request", None)
        if request is None or not hasattr(request, "path"):
            return text
        for said, shown in sorted(_prompts(request), key=lambda pair: -len(pair[0])):
            text = text.replace(said, shown)
        return text


def _prompts(request: HttpRequest) -> Iterator[tuple[str, str]]:
    """What a request's path and query say of prompts, in each spelling that a log may have, and what is shown."""
    _, is_there, after = request.path.partition("/prompt/")
    said = [after] if is_there else []
    address = getattr(getattr(request, "resolver_match", None), "kwargs", {}).get("address")
    if address is not None and address.kind == "prompt":
        said.append(address.name)
    with contextlib.suppress(LookupError, ValueError):  # a query that nobody else understood either
        said += [value for name in ("prompt", "address") for value in request.GET.getlist(name)]
    for text in said:
        if text.strip("/"):
            shown = f"({hashlib.sha256(text.encode(errors='replace')).hexdigest()[:16]})"
            for spelling in {text, quote(text), quote(text, safe=""), quote_plus(text), repr(text)[1:-1]}:
                yield spelling, shown
