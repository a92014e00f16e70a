"""`manage.py inspect_key`: numbers, a drawing and arrays of any key, from a file or an address."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.management import call_command
from PIL import Image

from tests import ROOT
from worker.catalogue.expansion import resolve, stacks_key
from worker.catalogue.key import Key
from worker.catalogue.png import PIXELS_SHAPE, encode_page
from worker.editions.edition import Edition
from worker.store.store import Store

KEY = stacks_key("borges", 1)

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(
    tmp_path: Path, tiny_data: Path, settings: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Run:
    """Run the command in this process and in an empty folder: exit code, standard output, standard error."""
    settings.DATA_DIR = tiny_data
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")

    def run(*arguments: str) -> tuple[int, str, str]:
        code = 0
        try:
            call_command("inspect_key", *arguments)
        except SystemExit as ended:
            code = int(ended.code or 0)
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "key.txt"
    path.write_text(KEY.format(), encoding="ascii")
    return path


def test_a_keys_text_and_a_png_that_carries_it_say_the_same(run: Run, key_file: Path, tmp_path: Path) -> None:
    texts = {"address": "a", "mark": KEY.mark, "edition": "tiny", "rendition": "r"}
    (tmp_path / "page.png").write_bytes(encode_page(np.zeros(PIXELS_SHAPE, np.uint8), **texts, key=KEY))
    code, printed, _ = run(str(key_file))
    assert code == 0
    assert KEY.mark in printed
    assert run(str(tmp_path / "page.png"))[1] == printed


def test_an_address_is_expanded_with_the_editions_text_encoder(run: Run, tiny_edition: Edition) -> None:
    from worker.catalogue.address import Address
    from worker.engine.networks.text_encoder import TextEncoder

    encoder = TextEncoder(tiny_edition.weights)
    for text in ("tiny/key/borges/1", "tiny/prompt/a dog/410", "/tiny/prompt/a%20dog/410/"):
        code, printed, said = run(text, "--json")
        assert code == 0, said
        address = Address.parse_path(text)
        key = resolve(address, tiny_edition.lexicon, 4, encoder.embed, lambda mark: KEY)
        assert json.loads(printed)["mark"] == key.mark
    assert json.loads(run("prompt/a dog/410", "--edition", "tiny", "--json")[1])["mark"] == key.mark


def test_the_stacks_and_a_held_mark_need_no_model(run: Run, tiny_data: Path) -> None:
    assert json.loads(run("tiny/stacks/borges/1", "--json")[1])["mark"] == KEY.mark
    mark = Store(tiny_data).keep_key(KEY)
    assert json.loads(run(f"tiny/mark/{mark}", "--json")[1])["steps"] == KEY.steps


def test_arrays_go_out_and_come_back_as_the_same_key(run: Run, key_file: Path) -> None:
    assert run(str(key_file), "--npz", "key.npz")[0] == 0
    code, printed, _ = run("--from-npz", "key.npz", "--output", "again.txt", "--json")
    assert code == 0
    assert json.loads(printed)["mark"] == KEY.mark
    assert Key.parse(Path("again.txt").read_text(encoding="ascii")) == KEY


def test_the_drawing_is_a_picture(run: Run, key_file: Path) -> None:
    code, _, said = run(str(key_file), "--plot", "out.png")
    assert code == 0
    assert "Written: out.png" in said
    with Image.open("out.png") as image:
        assert image.size == (1400, 1000)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "Give either a file or an address, or --from-npz FILE."),
        (["nowhere.txt"], "There is no file nowhere.txt, and it is no address either."),
        (["no/where"], "There is no file no/where, and it is no address either."),
        (["stacks/borges/1", "--plot", "p.txt"], "A drawing is a PNG file; p.txt does not end in .png."),
        (["key/borges/411"], "The pages have the numbers 1 to 410; 411 is not among them."),
        (["/"], "/ is a folder; a file was expected."),
        (
            ["tiny/mark/aaaaaaaaaaaaaaaaaaaaaaaaaa"],
            "This library holds no key with the mark aaaaaaaaaaaaaaaaaaaaaaaaaa.",
        ),
        (["nowhere-1/key/borges/1"], "There is no edition 'nowhere-1'."),
        (["tiny/stacks/borges/1", "--plot", "nowhere/out.png"], "The output folder nowhere does not exist."),
        (["tiny/stacks/borges/1", "--plot", "/"], "/ is a folder; give the name of a file."),
        (["--from-npz", "nowhere.npz"], "nowhere.npz cannot be read as an .npz file: No such file or directory."),
    ],
)
def test_bad_input_is_one_sentence_and_code_2(arguments: list[str], sentence: str, run: Run) -> None:
    code, printed, said = run(*arguments)
    assert (code, printed) == (2, "")
    assert said.splitlines()[0] == sentence
    assert list(Path.cwd().iterdir()) == []


def test_a_file_that_holds_no_key_is_refused_with_the_place(run: Run, key_file: Path) -> None:
    key_file.write_text(KEY.format()[:-1], encoding="ascii")
    code, _, said = run(str(key_file))
    assert code == 2
    assert "this one has 189,435, 1 too few" in said


def test_a_file_is_inspected_without_a_model_library(key_file: Path, tiny_data: Path) -> None:
    script = (
        "import sys; sys.argv = ['manage.py', 'inspect_key', sys.argv[1], '--npz', '/dev/null/x']\n"
        "import manage\n"
        "try: manage.main()\n"
        "finally: print('torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(key_file)],
        cwd=ROOT,
        env=os.environ | {"BABELIA_DATA": str(tiny_data)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout.strip()) == (2, "False")
    assert done.stderr == "The output folder /dev/null is no folder.\n"
