"""gallery.views.anatomy, asked over HTTP: a real site process, a real press, a real Valkey."""

import html
import io
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest
from PIL import Image

from tests.conftest import RunningPress, wait_until
from tests.gallery.views.conftest import manage
from tests.visitor import ask, fresh, post, printed
from worker.catalogue.address import Address
from worker.catalogue.inspection import from_npz
from worker.catalogue.key import Key


def form(address: Address, suffix: str) -> str:
    return address.path()[:-1] + suffix


def test_the_numbers_of_a_page_are_shown_and_its_arrays_are_its_key(site: str, kept: Address, tmp_path: Path) -> None:
    seen = ask(site, form(kept, "/anatomy/"))
    assert seen.status == 200
    key = Key.parse(ask(site, form(kept, ".txt")).text)
    assert f"{key.steps} steps" in seen.text and "guidance 5" in seen.text
    for part, size in (("latents", (162, 106)), ("embedding", (768, 77))):
        drawn = ask(site, form(kept, f"/anatomy/{part}.png"))
        assert ask(site, form(kept, f"/anatomy/{part}.png"), If_None_Match=drawn.headers["etag"]).status == 304
        with Image.open(io.BytesIO(drawn.body)) as image:
            assert image.size == size
    (tmp_path / "page.npz").write_bytes(ask(site, form(kept, ".npz")).body)
    with np.load(tmp_path / "page.npz", allow_pickle=False) as arrays:
        assert {name: (array.dtype.name, array.shape) for name, array in arrays.items() if array.ndim} == {
            "embedding": ("float32", (77, 768)),
            "latents": ("float32", (4, 52, 80)),
        }
        assert (str(arrays["address"]), str(arrays["edition"]), int(arrays["steps"])) == (
            kept.format(),
            "tiny",
            key.steps,
        )
    assert from_npz(tmp_path / "page.npz") == key


def test_a_page_whose_key_is_not_here_has_no_anatomy_yet_and_nothing_is_started(site: str) -> None:
    address = fresh("prompt")
    for suffix in ("/anatomy/", "/anatomy/latents.png", ".npz", "/postcard.png"):
        answer = ask(site, form(address, suffix))
        assert (answer.status, "Open the page first" in answer.text) == (400, True), suffix
    assert ask(site, form(address, ".json")).json["state"] == "absent"
    assert ask(site, form(fresh("stacks"), "/anatomy/")).status == 200, "the stacks need no press for their keys"


def test_the_python_and_curl_of_a_page_run_as_they_stand(site: str, tmp_path: Path) -> None:
    address = fresh("prompt")
    address = Address("tiny", "prompt", f'{address.name} & it\'s a "dog"/$home', 1)
    picture = printed(site, address).body
    shown = dict(
        re.findall(r'<code id="code-(\w+)">(.*?)</code>', ask(site, form(address, "/anatomy/")).text, re.DOTALL)
    )
    (tmp_path / "page.py").write_text(html.unescape(shown["python"]), encoding="utf-8")
    said = subprocess.run([sys.executable, "page.py"], cwd=tmp_path, check=True, capture_output=True, text=True).stdout
    assert said.startswith(address.format()) and "(77, 768) (4, 52, 80)" in said
    (saved,) = tmp_path.glob("*.png")
    assert saved.read_bytes() == picture
    saved.unlink()
    subprocess.run(["sh", "-e", "-c", html.unescape(shown["sh"])], cwd=tmp_path, check=True)
    assert saved.read_bytes() == picture
    assert len(list(tmp_path.glob("babelia-*"))) == 3


def test_a_page_is_drawn_again_and_compared_and_nothing_of_it_changes(site: str, kept: Address) -> None:
    before = ask(site, form(kept, ".json")).json
    assert ask(site, form(kept, "/anatomy/events")).status == 404, "looking at it starts nothing"
    pressed = post(site, form(kept, "/anatomy/again"), {"visitor": "somebody"})
    assert (pressed.status, pressed.headers["location"]) == (303, form(kept, "/anatomy/?visitor=somebody#again"))
    told = ask(site, form(kept, "/anatomy/events?visitor=somebody")).text
    assert '"state": "kept"' in told and "event: done" in told
    seen = ask(site, form(kept, "/anatomy/")).text
    assert "Identical: every pixel is the same." in seen
    assert seen.count(str(before["pixel_digest"])) == 2, "the digest of each print"
    assert ask(site, form(kept, ".json")).json == before
    assert ask(site, form(kept, "/anatomy/difference.png")).status == 200
    post(site, form(kept, "/anatomy/again"), {"visitor": "somebody"})
    assert "Identical" in ask(site, form(kept, "/anatomy/")).text, "made a moment ago, it is not made anew"


def test_two_pages_are_compared_by_whatever_names_them(site: str, kept: Address) -> None:
    other = fresh()
    printed(site, other)
    a, b = quote(kept.format(), safe=""), quote(site + other.path(), safe="")
    seen = ask(site, f"/compare/?a={a}&b={b}").text
    assert re.search(r"PSNR [0-9.]+ dB", seen)
    (picture,) = re.findall(r'src="(/compare/difference[^"]*)"', seen)
    drawn = ask(site, html.unescape(picture))
    assert ask(site, html.unescape(picture), If_None_Match=drawn.headers["etag"]).status == 304
    with Image.open(io.BytesIO(drawn.body)) as image:
        assert image.size == (640, 416)
    assert "Identical" in ask(site, f"/compare/?a={a}&b={a}").text
    assert ask(site, f"/compare/?a={a}").status == 200, "the other is asked for"
    assert ask(site, "/compare/?a=%2Ftiny%2Fmark%2Fnumxaqqioe4lpfc6qxh46pi5yy%2F").status == 404
    assert ask(site, f"/compare/difference.webp?a={a}").status == 400


def test_what_is_not_drawn_yet_is_drawn_for_a_comparison_when_asked(site: str, kept: Address) -> None:
    other = fresh("prompt")
    query = f"/compare/?a={quote(kept.format(), safe='')}&b={quote(other.format(), safe='')}"
    assert "What is not drawn yet is drawn when you ask." in ask(site, query).text
    assert ask(site, form(other, ".json")).json["state"] == "absent"
    pressed = post(site, "/compare/draw", {"a": kept.format(), "b": other.format()})
    assert pressed.status == 303
    wait_until(lambda: "PSNR" in ask(site, pressed.headers["location"]).text, 30, "both are there")


@pytest.mark.parametrize("hidden_by", ["address", "mark"])
def test_a_hidden_page_is_compared_with_nothing(site: str, press: RunningPress, kept: Address, hidden_by: str) -> None:
    other = fresh("prompt")
    printed(site, other)
    mark = Address("tiny", "mark", str(ask(site, form(other, ".json")).json["mark"]), None)
    manage(press, "hide", (other if hidden_by == "address" else mark).format())
    a = quote(kept.format(), safe="")
    for named in (other, mark):
        b = quote(named.format(), safe="")
        assert ask(site, f"/compare/?a={a}&b={b}").status == 410
        assert ask(site, f"/compare/difference.webp?a={b}&b={a}").status == 410
        assert post(site, "/compare/draw", {"a": kept.format(), "b": named.format()}).status == 410
