"""babelia.middleware: the headers of every answer, and whom it turns away."""

import asyncio
from typing import Any

import pytest
from asgiref.sync import SyncToAsync
from csp.utils import build_policy
from django.http import HttpResponse
from django.test import AsyncClient, override_settings
from django.urls import path
from django.views.decorators.http import require_GET

from babelia.urls import urlpatterns as site_urls


async def nothing(request: Any) -> HttpResponse:
    return HttpResponse("ok")


@require_GET
async def strict(request: Any) -> HttpResponse:
    return HttpResponse("ok")


urlpatterns = [
    path("ok/", nothing),
    path("strict/", strict),
    path("api/strict/", strict),
    *site_urls,
]  # a refusal links to pages of the site


@override_settings(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["testserver"], DEBUG=False)
def test_every_answer_has_the_headers_that_the_silenced_checks_ask_for() -> None:
    async def get(**headers: str) -> HttpResponse:
        return await AsyncClient().get("/ok/", **headers)

    answer = asyncio.run(get())
    assert answer.status_code == 200
    assert answer["X-Frame-Options"] == "DENY"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Referrer-Policy"] == "same-origin"
    assert answer["Cross-Origin-Opener-Policy"] == "same-origin"
    policy = answer["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert sorted(policy.split("; ")) == sorted(build_policy().split("; "))  # as the library writes it


@override_settings(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["testserver"])
def test_a_form_from_another_site_and_a_host_that_is_not_ours_are_refused() -> None:
    async def post() -> list[int]:
        client = AsyncClient(enforce_csrf_checks=True)
        foreign = await client.post("/ok/", {}, headers={"Origin": "https://elsewhere.example"})
        other = await AsyncClient().get("/ok/", headers={"Host": "elsewhere.example"})
        return [foreign.status_code, other.status_code]

    assert asyncio.run(post()) == [403, 400]


@override_settings(
    ROOT_URLCONF=__name__, ALLOWED_HOSTS=["testserver"], SECURE_SSL_REDIRECT=True, SECURE_HSTS_SECONDS=60
)
def test_behind_https_plain_requests_are_sent_there() -> None:
    async def get() -> list[HttpResponse]:
        return [await AsyncClient().get("/ok/"), await AsyncClient().get("/ok/", secure=True)]

    plain, secure = asyncio.run(get())
    assert (plain.status_code, plain["Location"]) == (301, "https://testserver/ok/")
    assert secure["Strict-Transport-Security"] == "max-age=60"


@override_settings(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["testserver"])
def test_a_method_that_the_api_does_not_take_is_refused_in_the_api_s_shape() -> None:
    async def ask() -> list[HttpResponse]:
        return [await AsyncClient().delete("/api/strict/"), await AsyncClient().delete("/strict/")]

    api, page = asyncio.run(ask())
    assert (api.status_code, api["Allow"], page.status_code) == (405, "GET, HEAD", 405)
    assert api.json() == {
        "code": "method_refused",
        "message": "DELETE is not among what this path takes.",
        "hint": "It takes GET, HEAD. See /api/docs.",
    }
    assert page.content == b""


@override_settings(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["testserver"])
def test_no_hook_of_a_request_runs_in_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    handed: list[str] = []
    before = SyncToAsync.__call__

    async def note(self: Any, *arguments: Any, **options: Any) -> Any:
        handed.append(f"{getattr(self.func, '__module__', '')}.{getattr(self.func, '__qualname__', self.func)}")
        return await before(self, *arguments, **options)

    monkeypatch.setattr(SyncToAsync, "__call__", note)

    async def get() -> HttpResponse:
        return await AsyncClient().get("/ok/")

    assert asyncio.run(get()).status_code == 200
    assert handed  # Django's own signals are
    assert [name for name in handed if "middleware" in name.lower()] == []


@override_settings(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["library.example.org"], USE_X_FORWARDED_HOST=True)
def test_scripts_of_other_sites_read_what_is_no_page_and_write_nothing() -> None:
    origin = {"X-Forwarded-Host": "library.example.org", "Origin": "https://elsewhere.example"}
    asks = {"Access-Control-Request-Headers": "content-type"}

    async def send(method: str, path: str, **headers: str) -> HttpResponse:
        client = AsyncClient(enforce_csrf_checks=True)
        answer: HttpResponse = await client.generic(method, path, headers=origin | headers)
        return answer

    def allowed(method: str, path: str, **headers: str) -> tuple[int, str | None]:
        answer = asyncio.run(send(method, path, **headers))
        assert "Access-Control-Allow-Credentials" not in answer
        return answer.status_code, answer.get("Access-Control-Allow-Origin")

    assert allowed("GET", "/api/editions") == allowed("HEAD", "/api/editions") == (200, "*")
    assert allowed("GET", "/api/page?address=shelf") == (404, "*"), "why it was refused can be read too"
    assert allowed("GET", "/ok/") == (200, None), "a page of the site is no answer to a program"
    assert allowed("POST", "/api/page") == (403, None)
    assert allowed("OPTIONS", "/api/page", **asks, **{"Access-Control-Request-Method": "GET"}) == (204, "*")
    assert allowed("OPTIONS", "/api/page", **asks, **{"Access-Control-Request-Method": "POST"})[1] is None
    assert allowed("OPTIONS", "/-/keeper/", **{"Access-Control-Request-Method": "GET"})[1] is None
