"""What is refused before Django sees it, in the form that was asked for: the API's shape, or a line of text.

Imports asgiref's types alone, and babelia.web.proxies.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from babelia.web.proxies import path_inside

if TYPE_CHECKING:
    from asgiref.typing import ASGISendCallable, HTTPScope


async def refuse(scope: HTTPScope, send: ASGISendCallable, status: int, code: str, message: str, hint: str) -> None:
    """Answer a request whose body nobody reads, and close its connection. `code` is for programs, `hint` what to do."""
    asks_json = any(b"application/json" in value for name, value in scope["headers"] if name == b"accept")
    if asks_json or path_inside(scope).startswith("/api/"):  # its errors have one shape (gallery.answers)
        kind, body = b"application/json", json.dumps({"code": code, "message": message, "hint": hint}).encode()
    else:
        kind, body = b"text/plain; charset=utf-8", f"{message} {hint}\n".encode()
    length = str(len(body)).encode()
    headers = [(b"content-type", kind), (b"content-length", length), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": status, "headers": headers, "trailers": False})
    await send({"type": "http.response.body", "body": body, "more_body": False})
