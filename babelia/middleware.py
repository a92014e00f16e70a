"""Django's own middleware, run on the event loop instead of in a thread.

Why there is any middleware of our own: under ASGI, Django hands each hook of its (synchronous) middleware to a thread,
twice for each request and class. None of the hooks used here waits for anything, so these subclasses call them
directly; measured, that is the greater part of what a kept page costs. They add nothing else, but for `Methods` and
`Reading`.

Sessions, accounts and messages are for the keeper's desk alone, and run as Django has them, in threads, below its path:
visitors have none of these, and no cookie.
"""

from __future__ import annotations

from collections.abc import Awaitable
from functools import cached_property
from typing import Any, cast

from csp.constants import HEADER
from csp.middleware import CSPMiddleware
from csp.utils import build_policy
from django.conf import settings
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.http.request import split_domain_port
from django.middleware.clickjacking import XFrameOptionsMiddleware
from django.middleware.common import CommonMiddleware
from django.middleware.csrf import CsrfViewMiddleware
from django.middleware.security import SecurityMiddleware
from django.urls import reverse
from django.utils.cache import patch_vary_headers
from django.utils.deprecation import MiddlewareMixin

from babelia.web.reading import METHODS, permitted, told


class _OnTheLoop(MiddlewareMixin):
    """Calls `process_request` and `process_response` without a thread; placed before a class of Django's."""

    async def __acall__(self, request: HttpRequest) -> HttpResponseBase:
        response: HttpResponseBase | None = None
        if hasattr(self, "process_request"):
            response = self.process_request(request)
        if response is None:
            response = await cast(Awaitable[HttpResponseBase], self.get_response(request))
        if hasattr(self, "process_response"):
            response = self.process_response(request, response)
        assert response is not None, "every view answers"
        return response


class Security(_OnTheLoop, SecurityMiddleware):
    """HTTPS redirect, HSTS, nosniff, referrer and opener policies."""


class Policy(_OnTheLoop, CSPMiddleware):
    """Content-Security-Policy. The library writes it anew for each answer; most change nothing of it."""

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        """Set the header: of the settings, unless the view or its template has changed it for this answer."""
        if hasattr(request, "_csp_nonce") or any(name.startswith("_csp") for name in vars(response)):
            return super().process_response(request, response)
        response.headers.setdefault(HEADER, self._unchanged)
        return response

    @cached_property
    def _unchanged(self) -> str:
        return build_policy()


class Common(_OnTheLoop, CommonMiddleware):
    """Refuses hosts that are not in ALLOWED_HOSTS."""


class Frames(_OnTheLoop, XFrameOptionsMiddleware):
    """X-Frame-Options."""


def is_keepers(request: HttpRequest) -> bool:
    """Say whether a request is for the keeper's desk."""
    return request.path_info.startswith(f"/{settings.KEEPER_PATH}")


class _ForTheKeeper(MiddlewareMixin):
    """Runs for the keeper's desk alone, as Django has it; placed before a class of Django's."""

    async def __acall__(self, request: HttpRequest) -> HttpResponseBase:
        answer = super().__acall__ if is_keepers(request) else self.get_response
        return await cast(Awaitable[HttpResponseBase], answer(request))


class Sessions(_ForTheKeeper, SessionMiddleware):
    """The keeper's session."""


class Accounts(_ForTheKeeper, AuthenticationMiddleware):
    """Who the keeper is."""


class Messages(_ForTheKeeper, MessageMiddleware):
    """What the desk says after a button was pressed."""


class Csrf(_OnTheLoop, CsrfViewMiddleware):
    """Refuses forms that were sent from other sites."""

    def _get_secret(self, request: HttpRequest) -> str | None:
        """None, but at the desk: the site hands out no token, and Django would read all of a form to look for it."""
        return super()._get_secret(request) if is_keepers(request) else None  # type: ignore[misc]  # has no types

    async def process_view(  # type: ignore[override]  # Django asks only whether it is a coroutine
        self, request: HttpRequest, callback: Any, callback_args: Any, callback_kwargs: Any
    ) -> HttpResponseBase | None:
        """As Django's, but a coroutine, which Django awaits instead of handing it to a thread."""
        return super().process_view(request, callback, callback_args, callback_kwargs)


class Reading(_OnTheLoop):
    """Lets scripts of other sites read what is no page, and answers browsers that ask beforehand (babelia.web.reading).

    The usual library for this, django-cors-headers, knows lists of sites, and not whose network a host is in.
    """

    def process_request(self, request: HttpRequest) -> HttpResponse | None:
        """Answer a browser that asks whether its script may read; who asks to write goes on, and is refused."""
        wanted = request.headers.get("Access-Control-Request-Method", "")
        if request.method != "OPTIONS" or wanted not in METHODS.split(", ") or is_keepers(request):
            return None
        return HttpResponse(status=204, headers=permitted(_host_of(request), request.headers.get("Origin")))

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        """Say of an answer that it may be read."""
        is_page = response.headers.get("Content-Type", "").startswith("text/html")
        if request.method not in ("GET", "HEAD") or is_page or is_keepers(request):
            return response
        for name, value in told(_host_of(request), request.headers.get("Origin")).items():
            if name == "Vary":
                patch_vary_headers(response, [value])
            else:
                response[name] = value
        return response


def _host_of(request: HttpRequest) -> str:
    """Return the host as which this site is asked, without its port; of one that is not ours, nothing is read."""
    try:
        return split_domain_port(request.get_host())[0]
    except DisallowedHost:
        return ""


class Methods(_OnTheLoop):
    """Lets the API answer HEAD as GET, as the site does, and gives its error shape to a 405.

    Ninja knows HEAD of no operation, and answers a wrong method in plain text before any handler of ours. The body is
    taken off behind us (babelia.web.content); META keeps the method, so that HEAD starts no print.
    """

    def process_request(self, request: HttpRequest) -> None:
        """Hand HEAD to the API as GET."""
        if request.method == "HEAD" and request.path_info.startswith("/api/"):
            request.method = "GET"

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        """Return a 405 of the API in the shape of every other error, and everything else as it is."""
        if response.status_code != 405 or not request.path_info.startswith("/api/"):
            return response
        allowed = response.headers.get("Allow", "").replace("GET", "GET, HEAD")
        message = f"{request.META['REQUEST_METHOD']} is not among what this path takes."
        shape = {
            "code": "method_refused",
            "message": message,
            "hint": f"It takes {allowed}. See {reverse('api:openapi-view')}.",
        }
        return JsonResponse(shape, status=405, headers={"Allow": allowed})
