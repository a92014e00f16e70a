"""`manage.py corridor`: a film of the way between two pictures; every bad input is one sentence and leaves nothing."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import av
import pytest
from PIL import Image

from tests import ROOT
from tests.gallery.commands.conftest import Run, here
from worker.catalogue.address import Address
from worker.keys import derive_without_model, find_key
from worker.store.store import Store

COMMAND = "corridor"
ENDS = ("a dog", "key/borges/1")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([*ENDS], "required: --output"),
        ([*ENDS, "--output", "walk.gif"], ".mp4, .webp, .png, and 'walk.gif' ends in none of these"),
        ([*ENDS, "--output", "nowhere/walk.mp4"], "The output folder nowhere does not exist"),
        ([*ENDS, "--output", "a.mp4", "--frames", "2"], "the number of pictures is 3 to 60, and '2' was given"),
        ([*ENDS, "--output", "a.mp4", "--frames", "61"], "the number of pictures is 3 to 60, and '61' was given"),
        ([*ENDS, "--output", "a.mp4", "--pace", "0"], "the pace is 1 to 60, and '0' was given"),
        (["a dog", "key/borges/411", "--output", "a.mp4"], "411 is not among them"),
        (["a\0dog", "key/borges/1", "--output", "a.mp4"], "is a control character"),
        (["a" * 26, "a dog", "--output", "a.mp4"], "holds no key with the mark"),
        (["a dog", "pocket-1/key/borges/1", "--output", "a.mp4"], "names edition pocket-1, and --edition names tiny"),
        (["a dog", "A  DOG", "--output", "a.mp4"], "Both ends are the same picture"),
    ],
)
def test_bad_input_is_one_sentence_and_code_2_and_nothing_is_written(
    arguments: list[str], sentence: str, run: Run
) -> None:
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert sentence in err and "Traceback" not in err
    assert here() == []


def test_ends_of_two_editions_are_refused(run: Run) -> None:
    code, _, err = run("tiny/prompt/a dog/1", "pocket-1/prompt/a dog/1", "--output", "a.mp4", edition=None)
    assert code == 2
    assert "by different models, tiny and pocket-1" in err


def test_a_film_has_every_frame_and_their_marks_open_here(run: Run, tiny_data: Path) -> None:
    code, out, err = run("a dog", "key/borges/1", "--frames", "3", "--output", "walk.mp4", "--closed", "--json")
    assert code == 0, err
    found = json.loads(out)
    with av.open("walk.mp4") as container:
        assert len(list(container.decode(video=0))) == 4, "there and back, no end twice"
    assert [frame["place"] for frame in found["frames"]] == [0, 0.5, 1]
    assert [found["frames"][0]["address"], found["frames"][2]["address"]] == [
        "tiny/prompt/a dog/1",
        "tiny/key/borges/1",
    ]
    middle = found["frames"][1]
    store = Store(tiny_data)
    assert store.can_resolve(middle["mark"])
    assert find_key(store, Address.parse(middle["address"]), derive_without_model) is None, "its ends take the model"
    code, out, err = run(middle["address"], "a cat", "--frames", "3", "--output", "on.png", "--json")
    assert code == 0, err
    assert json.loads(out)["frames"][0]["pixel_digest"] == middle["pixel_digest"], "the same pixels by its mark"
    with Image.open("on.png") as strip:
        assert strip.format == "PNG"

    code, out, err = run("a dog", "a cat", "--frames", "3", "--even", "--pace", "2", "--output", "walk.webp")
    assert code == 0, err
    assert out == "walk.webp  3 pictures, 1.5 s\n"
    with Image.open("walk.webp") as moving:
        assert moving.n_frames <= 3
    code, _, err = run("a dog", "a cat", "--frames", "3", "--output", "walk.webp")
    assert code == 2 and "walk.webp is there already" in err
    assert here() == ["on.png", "walk.mp4", "walk.webp"]


def test_ctrl_c_leaves_nothing_behind(tmp_path: Path, tiny_data: Path) -> None:
    command = [sys.executable, str(ROOT / "manage.py"), "corridor", *ENDS, "--edition", "tiny", "--frames", "60"]
    environment = os.environ | {"BABELIA_DATA": str(tiny_data), "BABELIA_THREADS": "1"}
    with subprocess.Popen(
        [*command, "--output", str(tmp_path / "walk.mp4")], env=environment, stderr=subprocess.PIPE
    ) as process:
        assert process.stderr is not None
        said = b""
        while b"picture" not in said:  # the bar is there: it prints
            part = process.stderr.read1(200)  # type: ignore[attr-defined]
            assert part, said
            said += part
        process.send_signal(signal.SIGINT)
        said += process.stderr.read()
        assert process.wait(30) == 130
    assert b"Stopped; nothing was written." in said
    assert list(tmp_path.iterdir()) == []
