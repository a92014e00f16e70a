"""What a request's headers may be before anything of a framework reads them: bounded, and a Content-Type of one form.

`BoundedHeaders` counts them while they arrive, for httptools and uvicorn hold whatever is sent; `plain_headers` is for
Django and ninja, whose parsers look up any codec that a header names. Imports uvicorn and babelia.web.refusals.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from babelia.web.refusals import refuse

if TYPE_CHECKING:
    from asgiref.typing import ASGI3Application, ASGIReceiveCallable, ASGISendCallable, Scope

HEAD_LIMIT: Final = 64 * 1024
"""Bytes of a request's line and headers together; browsers send 2 kB, and proxies let 8 to 64 kB through."""
_TYPE = re.compile(rb"\s*([\w.+-]{1,64}/[\w.+*-]{1,100})\s*(?:;|$)", re.ASCII)
_BOUNDARY = re.compile(rb";\s*boundary=(?:\"([^\"]{1,70})\"|([^\s;\"]{1,70})(?=[\s;]|$))", re.IGNORECASE)
_CHARSET = re.compile(rb";\s*charset\*?=\s*\"?([^\s;\"]*)", re.IGNORECASE)
_BOUNDARY_BYTES = re.compile(rb"[A-Za-z0-9'()+_,./:=? -]+")
_FORMS = (b"multipart/form-data", b"application/x-www-form-urlencoded")
_PLAIN = (b"utf-8", b"utf8", b"us-ascii", b"ascii")
_TOO_LARGE = f"The line and headers of a request may have {HEAD_LIMIT:,} bytes together.\n".encode()
_OTHER_CHARSET = "A form is sent in UTF-8; this one names another encoding, which is not read here."


class BoundedHeaders(HttpToolsProtocol):
    """uvicorn's protocol, which answers 431 to what is longer than `HEAD_LIMIT` and closes the connection.

    What follows a body (trailers, extensions of its pieces) is counted as well: httptools would collect it.
    """

    _head = 0
    _in_head = True
    _moved = False
    _refused = False

    def data_received(self, data: bytes) -> None:
        """Count what belongs to no body, and hand the bytes on while that is within the limit."""
        if self._refused:
            return
        self._moved = False
        self._head += len(data)
        super().data_received(data)
        if self._moved and not self._in_head:
            self._head = 0
        elif self._head > HEAD_LIMIT:
            self._refuse_head()

    def on_message_begin(self) -> None:
        """A request begins: its head is counted from here."""
        self._in_head = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Start the application, unless a head came in one piece that is too long."""
        length = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        self._in_head, self._moved = False, True
        if length > HEAD_LIMIT:
            self._refuse_head()
        if not self._refused:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A piece of a body; other limits count these."""
        self._moved = True
        if not self._refused:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """A request's end."""
        self._moved = True
        if not self._refused:
            super().on_message_complete()

    def _refuse_head(self) -> None:
        if self._refused or self.transport.is_closing():
            return
        self._refused = True
        head = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-type: text/plain; charset=utf-8\r\n"
        length = str(len(_TOO_LARGE)).encode()
        self.transport.write(head + b"connection: close\r\ncontent-length: " + length + b"\r\n\r\n" + _TOO_LARGE)
        self.transport.close()


def plain_headers(application: ASGI3Application) -> ASGI3Application:
    """Return an ASGI application that hands on a Content-Type without parameters, but for the boundary of a form.

    A form in another encoding than UTF-8 is answered 415. Of a body that is no form nobody asks for the encoding.
    """

    async def plain(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        if scope["type"] != "http":
            await application(scope, receive, send)
            return
        given = [value for name, value in scope["headers"] if name == b"content-type"]
        if not given:
            await application(scope, receive, send)
            return
        kind = content_type(given[-1])
        if kind is None:
            await refuse(scope, send, 415, "input_refused", _OTHER_CHARSET, "Send it again in UTF-8.")
            return
        others = [header for header in scope["headers"] if header[0] != b"content-type"]
        await application({**scope, "headers": [*others, (b"content-type", kind)]}, receive, send)

    return plain


def content_type(value: bytes) -> bytes | None:
    """Return a Content-Type that every parser can read; None for a form in another encoding than UTF-8."""
    found = _TYPE.match(value)
    kind = found[1].lower() if found else b"application/octet-stream"
    if kind not in _FORMS:
        return kind
    if any(charset.lower() not in _PLAIN for charset in _CHARSET.findall(value)):
        return None
    boundary = _BOUNDARY.search(value)
    name = (boundary[1] or boundary[2]) if boundary else b""
    if kind == _FORMS[0] and _BOUNDARY_BYTES.fullmatch(name):
        return kind + b'; boundary="' + name.rstrip() + b'"'
    return kind
