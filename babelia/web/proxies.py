"""What a proxy in front of the site says of the visitor's request, and the path of its host below which the site lies.

X-Forwarded-Proto, -For, -Host, -Port and -Prefix are believed from the addresses in BABELIA_PROXIES and from nobody
else. The first two are uvicorn's own work; it leaves the others alone. What follows sees a request as the visitor sent
it: its host, its scheme, and a path that begins with `root_path`, as the ASGI specification asks, whether the proxy has
taken that path off or not.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, cast

from django.conf import settings
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from babelia.environment import URL_PATH
from babelia.processes.network import as_seen

if TYPE_CHECKING:
    from asgiref.typing import ASGI3Application, ASGIReceiveCallable, ASGISendCallable, HTTPScope, Scope

_HOST = re.compile(r"[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]", re.ASCII)
_USUAL_PORTS = {"http": "80", "https": "443"}


def believe_proxies(application: ASGI3Application) -> ASGI3Application:
    """Return an ASGI application that is asked as the visitor has asked the proxies of BABELIA_PROXIES."""
    uvicorns = ProxyHeadersMiddleware(application, as_seen(settings.PROXIES, settings.LISTEN))  # type: ignore[arg-type]

    async def believe(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        if scope["type"] != "http":
            await application(scope, receive, send)
            return
        client = scope.get("client")
        prefix = settings.PREFIX or scope.get("root_path", "").rstrip("/")
        if client is None or client[0] not in uvicorns.trusted_hosts:
            await application(_below(scope, prefix), receive, send)
            return
        said = _Said(scope)
        scope["scheme"] = said.scheme
        forwarded = said.prefix() if not settings.PREFIX else None
        await uvicorns(said.on_to(_below(scope, forwarded or prefix)), receive, send)  # type: ignore[arg-type]

    return cast("ASGI3Application", believe)


class _Said:
    """The headers with which a proxy speaks of the request that it was sent."""

    def __init__(self, scope: HTTPScope) -> None:
        self._headers = list(scope["headers"])
        self.scheme = scope["scheme"]  # uvicorn reads what one proxy has said of it, and not what several have
        spoken = self.header(b"x-forwarded-proto").lower()
        if spoken in _USUAL_PORTS:
            self.scheme = spoken
        elif settings.HTTPS:
            self.scheme = "https"  # the site is reached so; a redirect there would come back for ever

    def header(self, name: bytes) -> str:
        """A header's first value, where proxies in a row have written several; empty where there is none."""
        found = next((value for key, value in self._headers if key == name), b"")
        return found.decode("latin-1").partition(",")[0].strip()

    def prefix(self) -> str | None:
        """The path that X-Forwarded-Prefix names; None where it is none."""
        found = self.header(b"x-forwarded-prefix").rstrip("/")
        return found if URL_PATH.fullmatch(found) else None

    def host(self) -> bytes | None:
        """What the visitor's Host was: X-Forwarded-Host, else Host, with X-Forwarded-Port where they name no port."""
        port = self.header(b"x-forwarded-port")
        given = self.header(b"x-forwarded-host") or self.header(b"host")
        if port.isascii() and port.isdigit() and port != _USUAL_PORTS.get(self.scheme) and _HOST.fullmatch(given):
            given = f"{given}:{port[:5]}"
        return given.encode("latin-1") or None

    def on_to(self, scope: HTTPScope) -> HTTPScope:
        """The request with the visitor's host. Whether it is one of ours, Django asks (BABELIA_HOSTS)."""
        host = self.host()
        if host is not None:
            scope["headers"] = [pair for pair in self._headers if pair[0] != b"host"] + [(b"host", host)]
        return scope


def _below(scope: HTTPScope, prefix: str) -> HTTPScope:
    """The request with its path below `prefix`, once, and `prefix` as its root_path."""
    below = cast("HTTPScope", dict(scope))
    raw = scope.get("raw_path")
    below["root_path"] = prefix
    below["path"] = prefix + _without(scope["path"], prefix)
    if raw is not None:
        below["raw_path"] = prefix.encode() + _without(raw.decode("latin-1"), prefix).encode("latin-1")
    return below


def _without(path: str, prefix: str) -> str:
    """The path inside the site, with its first slash."""
    inside = path.removeprefix(prefix)
    return inside if inside.startswith("/") and path.startswith(prefix) else path if path != prefix else "/"


def path_inside(scope: HTTPScope) -> str:
    """Return the path of a request inside the site, whatever path of its host the site lies below."""
    return scope["path"].removeprefix(scope.get("root_path", ""))
