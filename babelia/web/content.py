"""One rule for the bytes of every answer, be it a static file, a page, a picture or the API's: HEAD, tags, parts, gzip.

* HEAD has the headers of GET and no body.
* What may be kept at all, and names no ETag, is named by the first digits of its SHA-256.
* Whoever names the answer's ETag in If-None-Match, weakly, strongly, in a list or by `*`, is told 304.
* Text of 512 bytes and more goes as gzip to whoever takes that; up to 128 kB, for a larger one (a key, of which gzip
  saves a quarter) would hold up everybody else. Larger static files come squeezed already.
* One range of bytes of an answer with an ETag is 206, one that cannot be is 416; If-Range is heeded. Several ranges at
  once are answered with the whole, as the standard allows (RFC 9110, 14.2).

Streams, whose length nobody knows, pass through. Every answer gets the headers of `EVERYWHERE`. Imports Django's
reader of tags.
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

_UNUSED = (
    *("accelerometer", "autoplay", "camera", "display-capture", "encrypted-media", "geolocation", "gyroscope", "hid"),
    *("magnetometer", "microphone", "midi", "payment", "screen-wake-lock", "serial", "usb", "xr-spatial-tracking"),
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
_ASKED = (b"if-none-match", b"if-range", b"range", b"accept-encoding")
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

        async def fit(message: ASGISendEvent) -> None:
            if message["type"] == "http.response.start":
                started.append(dict(message))
                return
            if message["type"] != "http.response.body" or not started:
                await send(message)
                return
            start, body, more = started.pop(), message.get("body", b""), message.get("more_body", False)
            pairs = [(name.lower(), value) for name, value in cast("Iterable[tuple[bytes, bytes]]", start["headers"])]
            headers = dict(pairs)
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


def _fitted(
    method: str, status: int, pairs: list[tuple[bytes, bytes]], body: bytes, asked: dict[bytes, str]
) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """Return status, headers and body of an answer that is whole, as its visitor takes it."""
    headers = dict(pairs)
    changed: Headers = {}
    tag = headers.get(b"etag", b"").decode("latin-1")
    if (
        not tag
        and status == 200
        and method in ("GET", "HEAD")
        and b"no-store" not in headers.get(b"cache-control", b"")
    ):
        tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
        pairs = [*pairs, (b"etag", tag.encode("ascii"))]
    kind = headers.get(b"content-type", b"")
    if status == 200 and tag and is_known(asked[b"if-none-match"], tag):
        gone = (b"content-length", b"content-encoding", b"content-disposition")
        return 304, [pair for pair in pairs if pair[0] not in gone], b""
    if status == 200 and tag and b"content-encoding" not in headers:
        changed[b"accept-ranges"] = b"bytes"
        part = _part(asked, tag, len(body)) if method == "GET" else None
        if part is not None:
            first, last = part
            status = 206 if first <= last else 416
            where = f"{first}-{last}" if status == 206 else "*"
            changed[b"content-range"] = f"bytes {where}/{len(body)}".encode()
            body = body[first : last + 1] if status == 206 else b""
    if is_text(kind) and b"content-encoding" not in headers and status not in (206, 416):
        changed[b"vary"] = _also(headers.get(b"vary", b""), b"Accept-Encoding")
        smaller = squeezed(body) if SMALLEST <= len(body) <= LARGEST and takes_gzip(asked[b"accept-encoding"]) else None
        if smaller is not None:
            body, changed[b"content-encoding"] = smaller, b"gzip"
            if tag:  # other bytes: the strong tag is not theirs
                changed[b"etag"] = b"W/" + tag.removeprefix("W/").encode("latin-1")
            changed[b"accept-ranges"] = b"none"
    changed[b"content-length"] = str(len(body)).encode()
    kept = [pair for pair in pairs if pair[0] not in changed]
    return status, kept + list(changed.items()), b"" if method == "HEAD" else body


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
