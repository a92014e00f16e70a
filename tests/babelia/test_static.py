"""babelia.static: stamped URLs, and what is answered under them."""

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.templatetags.static import static

from babelia import asgi
from babelia.static import _load, _where
from tests.babelia.requests import request


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


@pytest.mark.parametrize("tags", ["W/{}", '"other", {}', 'W/"other" , W/{}', "*", " {} "])
def test_a_static_file_knows_its_tag_in_every_form_that_pages_know(files: Path, tags: str) -> None:
    _, headers, _, _ = request(asgi.application, "/static/look.css")
    given = tags.format(headers[b"etag"].decode()).encode()
    status, headers, body, _ = request(asgi.application, "/static/look.css", if_none_match=given)
    assert (status, body) == (304, b"")
    assert b"content-length" not in headers


@pytest.mark.parametrize("tags", [b'"other"', b'W/"other", "another"', b"", b"nonsense", b"\xff"])
def test_a_static_file_is_sent_to_who_has_another_one(files: Path, tags: bytes) -> None:
    assert request(asgi.application, "/static/look.css", if_none_match=tags)[0] == 200
