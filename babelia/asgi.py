"""The site as an ASGI application: bodies are counted while they arrive, static files served, the rest is Django's.

What proxies say comes first (babelia.web.proxies), and every answer leaves by one rule (babelia.web.content).
"""

from __future__ import annotations

import json
import os
from importlib import import_module
from typing import TYPE_CHECKING, cast

from django.conf import settings
from django.core.asgi import get_asgi_application

from babelia import ALIVE, READY
from babelia.web.content import fit_answers
from babelia.web.headers import plain_headers
from babelia.web.proxies import believe_proxies, path_inside
from babelia.web.refusals import refuse
from babelia.web.threads import lend_threads
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
    await refuse(scope, send, 413, "too_large", message, hint)


def answer_probes(application: ASGI3Application) -> ASGI3Application:
    """Return an ASGI application that answers `ALIVE` and `READY`, whatever the host, and hands the rest on."""

    async def answer(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        path = path_inside(scope) if scope["type"] == "http" else ""
        if scope["type"] != "http" or path not in (ALIVE, READY):
            await application(scope, receive, send)
            return
        if path == ALIVE:
            status, kind, body = 200, b"text/plain", b"alive\n"
        else:
            lacks = await missing()
            status, kind = 503 if lacks else 200, b"application/json"
            body = json.dumps({"ready": not lacks, "missing": lacks}).encode() + b"\n"
        length = str(len(body)).encode()
        headers = [(b"content-type", kind), (b"content-length", length), (b"cache-control", b"no-store")]
        await send({"type": "http.response.start", "status": status, "headers": headers, "trailers": False})
        await send({"type": "http.response.body", "body": body, "more_body": False})

    return answer


_django = lend_threads(cast("ASGI3Application", get_asgi_application()))

from babelia.static import serve_static  # noqa: E402
from babelia.web.readiness import missing  # noqa: E402  (Django has to be set up first)

# Django reads the views when they are first asked for. That takes a second, on the loop that serves everybody.
import_module(settings.ROOT_URLCONF)

application = believe_proxies(fit_answers(answer_probes(limit_bodies(serve_static(plain_headers(_django))))))
