"""One rule for the bytes of every answer, be it a static file, a page, a picture or the API's: HEAD, tags, parts, gzip.

* HEAD has the headers of GET and no body.
* What may be kept at all, and names no ETag, is named by the first digits of its SHA-256.
* Whoever names the answer's ETag in If-None-Match, weakly, strongly, in a list or by `*`, is told 304; whoever wants
  another one by If-Match, 412.
* Text of 512 bytes and more goes as gzip to whoever takes that; up to 128 kB, for a larger one (a key, of which gzip
  saves a quarter) would hold up everybody else. Larger static files come squeezed already.
* One range of bytes of an answer with an ETag is 206, one that cannot be is 416; If-Range is heeded. Several ranges at
  once are answered with the whole, as the standard allows (RFC 9110, 14.2).

An answer that names its length is gathered first, for Django hands it over in pieces of 64 kB; it has it in memory all
the same. Streams, whose length nobody knows, pass through. Every answer gets the headers of `EVERYWHERE`. Imports
Django's reader of tags.
"""

from __future__ import annotations

import gzip
import hashlib
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, cast

from django.utils.http import parse_etags

if TYPE_CHECKING:
    from asgiref.typing import ASGI3Application, ASGIReceiveCallable, ASGISendCallable, ASGISendEvent, Scope

Headers = dict[bytes, bytes]
Pairs = list[tuple[bytes, bytes]]

_UNUSED = (
    *("accelerometer", "autoplay", "camera", "display-capture", "encrypted-media", "geolocation", "gyroscope", "hid"),
    *("magnetometer", "microphone", "midi", "payment", "serial", "usb", "xr-spatial-tracking"),
)
EVERYWHERE: Headers = {
    b"x-content-type-options": b"nosniff",
    b"permissions-policy": ", ".join(f"{name}=()" for name in _UNUSED).encode(),
    b"cross-origin-resource-policy": b"same-origin",
}
"""Headers of every answer that does not set them itself. Pictures, though, may be shown on other sites."""
SMALLEST, LARGEST = 512, 128 * 1024
"""Bytes of a text that is squeezed while its visitor waits."""

_TEXT = (b"text/", b"image/svg+xml", b"application/json", b"application/manifest+json")
_STREAM = b"text/event-stream"
_ASKED = (b"if-match", b"if-none-match", b"if-range", b"range", b"accept-encoding")
_OF_BODY = (b"content-length", b"content-encoding", b"content-disposition")
_REFUSED: Headers = {b"content-length": b"0", b"cache-control": b"no-store"}  # or it may be kept in the answer's place
_RANGE = re.compile(r"bytes=(?:([0-9]{1,15})-([0-9]{0,15})|-([0-9]{1,15}))", re.ASCII)


def takes_gzip(accept_encoding: str) -> bool:
    """Say whether Accept-Encoding allows gzip: by its name, else by `*`, and not with a weight of 0."""
    weights: dict[str, bool] = {}
    for part in accept_encoding.lower().split(","):
        name, *options = (piece.strip() for piece in part.split(";"))
        weights[name] = not any(re.fullmatch(r"q\s*=\s*0(\.0*)?", option) for option in options)
    return weights.get("gzip", weights.get("x-gzip", weights.get("*", False)))


def is_known(if_none_match: str, tag: str) -> bool:
    """Say whether a client has what a tag names: anything (`*`), or this one among its tags, weak or strong."""
    tags = parse_etags(if_none_match)
    return tags == ["*"] or tag.removeprefix("W/") in {given.removeprefix("W/") for given in tags}


def is_wanted(if_match: str, tag: str) -> bool:
    """Say whether a tag is one that a client insists on (RFC 9110, 13.1.1): a weak one never is."""
    tags = parse_etags(if_match)
    return tags == ["*"] or (tag in tags and not tag.startswith("W/"))


def squeezed(body: bytes, level: int = 6) -> bytes | None:
    """Return a body as gzip, None where that does not save a tenth; `level` 1 … 9, the last one for what is kept."""
    smaller = gzip.compress(body, level, mtime=0)
    return smaller if len(smaller) < 0.9 * len(body) else None


def is_text(kind: bytes) -> bool:
    """Say whether a content type is one that gzip makes smaller."""
    return kind.startswith(_TEXT) and not kind.startswith(_STREAM)


def fit_answers(application: ASGI3Application) -> ASGI3Application:
    """Return an ASGI application whose every answer follows the rule above."""

    async def fitted(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        if scope["type"] != "http":
            await application(scope, receive, send)
            return
        asked = {name: b", ".join(value for key, value in scope["headers"] if key == name) for name in _ASKED}
        texts = {name: value.decode("latin-1") for name, value in asked.items()}
        started: list[dict[str, object]] = []
        gathered: list[bytes] = []

        async def fit(message: ASGISendEvent) -> None:
            if message["type"] == "http.response.start":
                started.append(dict(message))
                return
            if message["type"] != "http.response.body" or not started:
                await send(message)
                return
            gathered.append(message.get("body", b""))
            more = message.get("more_body", False)
            given = cast("Iterable[tuple[bytes, bytes]]", started[0]["headers"])
            pairs = [(name.lower(), value) for name, value in given]
            headers = dict(pairs)
            if more and b"content-length" in headers:
                return
            start, body = started.pop(), b"".join(gathered)
            gathered.clear()
            if headers.get(b"content-type", b"").startswith(b"image/"):
                pairs.append((b"cross-origin-resource-policy", b"cross-origin"))
            pairs += [(name, value) for name, value in EVERYWHERE.items() if name not in dict(pairs)]
            if not more and (body or b"content-length" in headers):
                start["status"], pairs, body = _fitted(
                    scope["method"], cast("int", start["status"]), pairs, body, texts
                )
            await send(cast("ASGISendEvent", start | {"headers": pairs}))
            await send({"type": "http.response.body", "body": body, "more_body": more})

        await application(scope, receive, cast("ASGISendCallable", fit))

    return cast("ASGI3Application", fitted)


def _fitted(method: str, status: int, pairs: Pairs, body: bytes, asked: dict[bytes, str]) -> tuple[int, Pairs, bytes]:
    """Return status, headers and body of an answer that is whole, as its visitor takes it."""
    headers = dict(pairs)
    changed: Headers = {}
    tag = headers.get(b"etag", b"").decode("latin-1")
    may_be_kept = status == 200 and method in ("GET", "HEAD")
    if not tag and may_be_kept and b"no-store" not in headers.get(b"cache-control", b""):
        tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
        changed[b"etag"] = tag.encode("ascii")
    is_squeezable = is_text(headers.get(b"content-type", b"")) and b"content-encoding" not in headers
    if is_squeezable:
        changed[b"vary"] = _also(headers.get(b"vary", b""), b"Accept-Encoding")
    if status == 200 and tag:
        if asked[b"if-match"] and not is_wanted(asked[b"if-match"], tag):
            return 412, _without_body(pairs, changed | _REFUSED), b""
        if is_known(asked[b"if-none-match"], tag):
            return 304, _without_body(pairs, changed), b""
        if b"content-encoding" not in headers:
            changed[b"accept-ranges"] = b"bytes"
            part = _part(asked, tag, len(body)) if method == "GET" else None
            if part is not None and part[0] > part[1]:
                changed[b"content-range"] = f"bytes */{len(body)}".encode()
                return 416, _without_body(pairs, changed | _REFUSED), b""
            if part is not None:
                changed[b"content-range"] = f"bytes {part[0]}-{part[1]}/{len(body)}".encode()
                status, body = 206, body[part[0] : part[1] + 1]
    if is_squeezable and status != 206 and SMALLEST <= len(body) <= LARGEST and takes_gzip(asked[b"accept-encoding"]):
        smaller = squeezed(body)
        if smaller is not None:
            body, changed[b"content-encoding"] = smaller, b"gzip"
            if tag:  # other bytes: the strong tag is not theirs
                changed[b"etag"] = b"W/" + tag.removeprefix("W/").encode("latin-1")
            changed[b"accept-ranges"] = b"none"
    changed[b"content-length"] = str(len(body)).encode()
    return status, _with(pairs, changed), b"" if method == "HEAD" else body


def _with(pairs: Pairs, changed: Headers) -> Pairs:
    """Return headers of which some are others."""
    return [pair for pair in pairs if pair[0] not in changed] + list(changed.items())


def _without_body(pairs: Pairs, changed: Headers) -> Pairs:
    """Return the headers of an answer whose body is not sent."""
    return [pair for pair in _with(pairs, changed) if pair[0] not in _OF_BODY or pair[0] in changed]


def _part(asked: dict[bytes, str], tag: str, length: int) -> tuple[int, int] | None:
    """Return the first and last byte of the one range that is asked for; last before first where it cannot be."""
    found = _RANGE.fullmatch(asked[b"range"].strip())
    condition = asked[b"if-range"].strip()
    if found is None or (condition and (condition != tag or tag.startswith("W/"))):
        return None
    if found[3] is not None:
        return (max(length - int(found[3]), 0), length - 1) if int(found[3]) and length else (1, 0)
    first, last = int(found[1]), min(int(found[2] or length), length - 1)
    if found[2] and int(found[2]) < first:
        return None  # no range at all, and so not heeded
    return (first, last) if first < length else (1, 0)


def _also(vary: bytes, name: bytes) -> bytes:
    """Return the header Vary with one more name."""
    names = [each.strip() for each in vary.split(b",") if each.strip()]
    return b", ".join(names if name.lower() in {each.lower() for each in names} else [*names, name])
