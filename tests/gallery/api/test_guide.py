"""gallery.api.guide: the API's own page tells of every operation, and its examples run as they stand there."""

import html
import re
import subprocess
import sys
from pathlib import Path

import pytest

from gallery.api.routes import api
from tests.conftest import RunningPress, run_site
from tests.visitor import ask
from worker.catalogue.png import is_png


def examples(site: str) -> dict[str, str]:
    """The examples of the page, of the edition that the press prints, as somebody copies them."""
    found = re.findall(r'<code id="([a-z-]+)">(.*?)</code>', ask(site, "/api/?edition=tiny").text, re.DOTALL)
    assert len(found) == 6
    return {name: html.unescape(text) for name, text in found}


def test_every_operation_is_listed_with_what_has_to_be_named(site: str) -> None:
    text = html.unescape(re.sub(r"<[^>]+>", "", ask(site, "/api/").text))
    for path, methods in api.get_openapi_schema()["paths"].items():
        for method, operation in methods.items():
            assert re.search(rf"{method.upper()} {re.escape(path)}(?![/a-z])", text), f"{method} {path}"
            assert operation["summary"] in text
    assert "/api/volume?volume=…" in text
    assert "/api/find/{name}" in text and "{name}?" not in text, "what stands in the path is no part of the query"


def test_the_examples_for_a_shell_and_for_python_run_as_they_stand(site: str, tmp_path: Path) -> None:
    found = examples(site)
    (tmp_path / "babelia.py").write_bytes(ask(site, "/static/clients/babelia.py").body)
    for name in ("draw-python", "list-python"):
        (tmp_path / f"{name}.py").write_text(found[name], encoding="utf-8")
    commands = {
        "draw-curl": ["bash", "-euc", found["draw-curl"]],
        "list-curl": ["bash", "-euc", found["list-curl"]],
        "draw-python": [sys.executable, "draw-python.py"],
        "list-python": [sys.executable, "list-python.py"],
    }
    for name, command in commands.items():
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, f"{name}: {done.stderr}"
        if name.startswith("draw"):
            picture = tmp_path / "dog.png"
            assert is_png(picture.read_bytes()), name
            picture.unlink()
    assert '"next"' in subprocess.run(commands["list-curl"], cwd=tmp_path, capture_output=True, text=True).stdout


def test_an_edition_that_is_not_here_has_no_examples(site: str) -> None:
    assert ask(site, "/api/?edition=atlantis").status == 404
    assert "tiny/prompt/a dog/1" in ask(site, "/api/?edition=tiny").text


@pytest.mark.parametrize(
    ("settings", "said", "unsaid"),
    [
        ({"BABELIA_VISITOR_LIMIT": "7", "BABELIA_VISITOR_WAITING": "3"}, "7 a minute for one visitor, of which 3", "∞"),
        ({"BABELIA_VISITOR_LIMIT": "0", "BABELIA_VISITOR_WAITING": "3"}, "3 of one visitor may wait", "a minute for"),
    ],
)
def test_the_limits_are_those_of_this_library(
    press: RunningPress, settings: dict[str, str], said: str, unsaid: str
) -> None:
    with run_site(press, **settings) as site:
        text = ask(site, "/api/").text
    assert said in text and unsaid not in text
