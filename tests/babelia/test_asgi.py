"""babelia.asgi, babelia.static and babelia.middleware: bodies counted while they arrive, static files, headers."""

import asyncio
import gzip
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from django.http import HttpResponse
from django.templatetags.static import static
from django.test import AsyncClient, override_settings
from django.urls import path

from babelia import asgi
from babelia.static import _load, _where
from babelia.urls import urlpatterns as site_urls

FORM = b"application/x-www-form-urlencoded"


async def nothing(request: Any) -> HttpResponse:
    return HttpResponse("ok")


urlpatterns = [path("ok/", nothing), *site_urls]  # a refusal links to pages of the site


def request(
    application: Any,
    route: str,
    body: Sequence[bytes] = (b"",),
    method: str = "GET",
    **headers: bytes,
) -> tuple[int, dict[bytes, bytes], bytes, int]:
    """One request; status, headers, body and how many parts of the sent body were read."""
    target, _, query = route.partition("?")
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": target,
        "raw_path": target.encode(),
        "query_string": query.encode(),
        "headers": [(name.replace("_", "-").encode(), value) for name, value in headers.items()],
        "server": ("localhost", 80),
        "client": ("127.0.0.1", 5),
    }
    parts, sent = list(body), []
    read = 0

    async def receive() -> dict[str, Any]:
        nonlocal read
        if read == len(parts):
            await asyncio.sleep(3600)
        read += 1
        return {"type": "http.request", "body": parts[read - 1], "more_body": read < len(parts)}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    async def whole() -> None:
        await asyncio.wait_for(application(scope, receive, send), 10)

    asyncio.run(whole())
    return sent[0]["status"], dict(sent[0]["headers"]), b"".join(part.get("body", b"") for part in sent[1:]), read


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Reads the whole body and says how long it was."""
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        size, more = size + len(message["body"]), message["more_body"]
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(size).encode()})


@pytest.mark.parametrize(
    ("kind", "limit"), [(FORM, asgi.TEXT_LIMIT), (b"multipart/form-data; boundary=x", asgi.FILE_LIMIT)]
)
def test_a_body_is_refused_as_soon_as_it_is_too_large(kind: bytes, limit: int) -> None:
    limited = asgi.limit_bodies(echo)
    part = limit // 4
    fits = [bytes(part)] * 4
    assert request(limited, "/", fits, "POST", content_type=kind)[::2] == (200, str(part * 4).encode())
    status, headers, body, read = request(limited, "/", fits + [b"12345678"] * 9, "POST", content_type=kind)
    assert status == 413
    assert f"larger than {limit:,} bytes" in body.decode()
    assert headers[b"connection"] == b"close"
    assert read <= 6  # the rest was never asked for


def test_a_body_that_admits_to_be_too_large_is_not_read_at_all() -> None:
    claimed = str(asgi.TEXT_LIMIT + 1).encode()
    status, _, _, read = request(
        asgi.limit_bodies(echo), "/", [b"x"], "POST", content_type=FORM, content_length=claimed
    )
    assert (status, read) == (413, 0)


def test_a_process_says_that_it_is_alive_whatever_the_host() -> None:
    assert request(asgi.application, "/-/alive", host=b"anything.example")[::2] == (200, b"alive\n")


@pytest.fixture
def files(tmp_path: Path, settings: Any) -> Iterator[Path]:
    """A folder of static files of our own."""
    settings.STATICFILES_DIRS = [tmp_path, *settings.STATICFILES_DIRS]
    from django.contrib.staticfiles.finders import get_finder

    for cache in (get_finder, _where, _load):
        cache.cache_clear()
    (tmp_path / "look.css").write_text("body { color: black }\n" * 100, encoding="utf-8")
    (tmp_path / "dot.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    yield tmp_path
    for cache in (get_finder, _where, _load):
        cache.cache_clear()


def test_a_stamped_static_file_is_cached_for_ever_and_changes_its_url_with_its_content(files: Path) -> None:
    url = static("look.css")
    assert url.startswith("/static/look.css?v=")
    status, headers, body, _ = request(asgi.application, url)
    assert (status, body) == (200, (files / "look.css").read_bytes())
    assert headers[b"cache-control"] == b"public, max-age=31536000, immutable"
    assert headers[b"content-type"] == b"text/css; charset=utf-8"
    (files / "look.css").write_text("body { color: white }\n" * 101, encoding="utf-8")
    assert static("look.css") != url
    _, headers, _, _ = request(asgi.application, url)
    assert headers[b"cache-control"] == b"public, max-age=86400"  # an old stamp promises nothing


def test_static_files_are_squeezed_revalidated_and_never_lead_out_of_their_folder(files: Path) -> None:
    _, headers, body, _ = request(asgi.application, "/static/look.css", accept_encoding=b"br, gzip")
    assert headers[b"content-encoding"] == b"gzip"
    assert gzip.decompress(body) == (files / "look.css").read_bytes()
    status, _, body, _ = request(asgi.application, "/static/look.css", if_none_match=headers[b"etag"])
    assert (status, body) == (304, b"")
    _, headers, body, _ = request(asgi.application, "/static/dot.png", accept_encoding=b"gzip", method="HEAD")
    assert (headers[b"content-length"], body) == (b"8", b"")
    (files.parent / "secret").write_text("no", encoding="utf-8")
    for escape in ("/static/../secret", "/static/%2e%2e/secret", "/static//etc/passwd", "/static/\0", "/static/none"):
        assert request(asgi.application, escape, host=b"localhost")[0] == 404


def test_a_static_file_that_is_not_there_is_a_programmers_mistake(files: Path) -> None:
    with pytest.raises(ValueError, match=r"There is no static file 'none\.css'"):
        static("none.css")


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
