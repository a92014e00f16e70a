"""The site as an ASGI application: bodies are counted while they arrive, static files served, the rest is Django's."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, cast

from django.core.asgi import get_asgi_application

from babelia import ALIVE
from worker.catalogue.limits import KEY_TEXT_BYTES, PICTURE_FILE_BYTES

if TYPE_CHECKING:
    from asgiref.typing import (
        ASGI3Application,
        ASGIReceiveCallable,
        ASGIReceiveEvent,
        ASGISendCallable,
        ASGISendEvent,
        HTTPScope,
        Scope,
    )

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "babelia.settings")

TEXT_LIMIT = KEY_TEXT_BYTES
"""Bytes of a body that is no file: a pasted key (189,436 characters) and a little more."""
FILE_LIMIT = PICTURE_FILE_BYTES + 64 * 1024
"""Bytes of a body that carries a file: a PNG of 16 MB, and what a form wraps around it."""
_FILE_TYPES = ("multipart/form-data", "image/", "application/octet-stream")


def limit_bodies(application: ASGI3Application) -> ASGI3Application:
    """Return an ASGI application that answers 413 as soon as a body exceeds its limit, whatever its headers claimed."""

    async def limited(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        if scope["type"] != "http":
            await application(scope, receive, send)
            return
        headers = dict(scope["headers"])
        carries_file = headers.get(b"content-type", b"").decode("latin-1").lower().startswith(_FILE_TYPES)
        limit = FILE_LIMIT if carries_file else TEXT_LIMIT
        claimed = headers.get(b"content-length", b"0")
        if claimed.isdigit() and int(claimed) > limit:
            await _refuse(send, limit, scope)
            return
        arrived = 0
        answered = False

        async def count() -> ASGIReceiveEvent:
            nonlocal arrived
            message = await receive()
            if message["type"] == "http.request":
                arrived += len(message.get("body", b""))
            # To the application it is as if the visitor had gone: it lets go of what it has read, and says nothing.
            return message if arrived <= limit else {"type": "http.disconnect"}

        async def note(message: ASGISendEvent) -> None:
            nonlocal answered
            answered = True
            await send(message)

        await application(scope, count, note)
        if arrived > limit and not answered:
            await _refuse(send, limit, scope)

    return limited


async def _refuse(send: ASGISendCallable, limit: int, scope: HTTPScope) -> None:
    message = f"What was sent is larger than {limit:,} bytes."
    hint = "A key has 189,436 characters; a picture file may have 16 MB, sent as image/png or by the form."
    if scope["path"].startswith("/api/"):  # its errors have one shape (gallery.answers)
        kind, body = b"application/json", json.dumps({"code": "too_large", "message": message, "hint": hint}).encode()
    else:
        kind, body = b"text/plain; charset=utf-8", f"{message} {hint}\n".encode()
    await send(
        {
            "type": "http.response.start",
            "status": 413,
            "headers": [
                (b"content-type", kind),
                (b"content-length", str(len(body)).encode()),
                (b"x-content-type-options", b"nosniff"),
                (b"connection", b"close"),
            ],
            "trailers": False,
        }
    )
    await send({"type": "http.response.body", "body": body, "more_body": False})


def answer_alive(application: ASGI3Application) -> ASGI3Application:
    """Return an ASGI application that answers `ALIVE`, whatever the host, and hands the rest on."""

    async def answer(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        if scope["type"] != "http" or scope["path"] != ALIVE:
            await application(scope, receive, send)
            return
        headers = [(b"content-type", b"text/plain"), (b"content-length", b"6"), (b"cache-control", b"no-store")]
        await send({"type": "http.response.start", "status": 200, "headers": headers, "trailers": False})
        await send({"type": "http.response.body", "body": b"alive\n", "more_body": False})

    return answer


_django = cast("ASGI3Application", get_asgi_application())

from babelia.static import serve_static  # noqa: E402  (Django has to be set up first)

application = answer_alive(limit_bodies(serve_static(_django)))
