"""babelia.logs: what visitors wrote stands in no line of the log, unless the keeper asks for it."""

import os
import subprocess
import sys

import pytest

from tests import ROOT

REQUESTS = """
import os, sys; os.environ["DJANGO_SETTINGS_MODULE"] = "babelia.settings"
import django; django.setup()
from django.test import Client, RequestFactory
from django.core.handlers.exception import response_for_exception
from django.utils.log import log_response
from django.http import HttpResponse
client = Client(SERVER_NAME="localhost", raise_request_exception=False, enforce_csrf_checks=True)
client.post("/pocket-1/prompt/a secret dog/1/", {"a": "b"}, headers={"origin": "http://elsewhere"})
client.post("/search/?prompt=a+secret+dog", {"a": "b"}, headers={"origin": "http://elsewhere"})
request = RequestFactory(SERVER_NAME="localhost").get("/pocket-1/prompt/a secret dog/1.png")
log_response("%s: %s", "Service Unavailable", request.path, response=HttpResponse(status=503), request=request)
log_response("%s: %s", "Service Unavailable", request.path, response=HttpResponse(status=503),
             request=RequestFactory().get("/api/page/picture", {"address": "prompt/a secret dog/1"}))
try:
    raise ValueError("of prompt/a secret dog/1: a secret dog/1.png")
except ValueError as error:
    response_for_exception(request, error)
client.get("/search/?" + "&".join(["prompt=a+secret+dog"] * 1001))
asked, torn = (
    RequestFactory(SERVER_NAME="localhost").post("/api/page", body, content_type="application/json")
    for body in ('{"address": "prompt/a secret dog/1"}', '{"address": "prompt/a secret dog\\\\ud800/1"}')
)
linked = RequestFactory(SERVER_NAME="localhost").post("/key/open", {"link": "/pocket-1/prompt/a%20secret%20dog/1/"})
for request in (asked, torn, linked):
    request.body, request.POST
    try:
        raise KeyError(*(["a secret dog\\ud800"] if request is torn else ["A secret dog", "a%20secret%20dog"]))
    except KeyError as error:
        response_for_exception(request, error)
log_response("%s: %s", "Short", "an apple of a tree", response=HttpResponse(status=503),
             request=RequestFactory().get("/pocket-1/prompt/a/1/"))
"""


def said(tmp_path: object, **settings: str) -> str:
    own = {"BABELIA_DATA": str(tmp_path), "REDIS_URL": "redis://127.0.0.1:1/0"}
    environment = {name: value for name, value in os.environ.items() if name != "BABELIA_LOG_PROMPTS"} | own | settings
    done = subprocess.run(
        [sys.executable, "-c", REQUESTS], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    return done.stderr


@pytest.mark.parametrize("asked_for", [False, True])
def test_prompts_stand_in_the_log_only_where_that_is_asked_for(asked_for: bool, tmp_path: object) -> None:
    log = said(tmp_path, **({"BABELIA_LOG_PROMPTS": "true"} if asked_for else {}))
    assert "Service Unavailable: /pocket-1/prompt/" in log, log
    assert "Internal Server Error: /pocket-1/prompt/" in log
    assert "Forbidden" in log
    assert "number of GET/POST parameters exceeded" in log
    assert "Logging error" not in log
    assert log.count("KeyError") == 3
    assert ("Short: an apple of a tree" in log) is asked_for, "a prompt of one letter is found where it stands alone"
    assert "Short: an apple of " in log, "and nowhere else"
    assert ("secret" in log) is asked_for
