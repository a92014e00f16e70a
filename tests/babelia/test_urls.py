"""babelia.urls: the API's paths are the API's, whatever an edition is named; the site has the rest and the errors."""

import asyncio

from django.http import HttpResponse
from django.test import AsyncClient
from django.urls import resolve
from django.utils.module_loading import import_string

from babelia import urls


def test_the_api_comes_before_the_site() -> None:
    assert resolve("/api/openapi.json").namespace == "api"
    assert resolve("/").namespace == ""


def test_a_path_that_leads_nowhere_is_answered_by_the_site() -> None:
    async def get() -> HttpResponse:
        return await AsyncClient().get("/nothing/is/here/at/all")

    assert import_string(urls.handler404) and import_string(urls.handler500)
    answer = asyncio.run(get())
    assert answer.status_code == 404
    assert "text/html" in answer["Content-Type"]
