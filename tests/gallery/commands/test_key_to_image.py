"""`manage.py key_to_image`: every form of it prints, every bad input is one sentence and leaves nothing behind."""

import io
import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest
from PIL import Image

from tests import ROOT
from tests.forked import commands
from tests.gallery.commands.conftest import Run, here
from worker.catalogue.expansion import page_latents, stacks_key
from worker.catalogue.key import Key
from worker.catalogue.limits import PICTURE_FILE_BYTES
from worker.catalogue.png import ADDRESS, EDITION, MARK, RENDITION, pixel_digest, read_chunks
from worker.catalogue.png import KEY as KEY_TEXT
from worker.engine.start_latents import blob, fixed_generator

KEY = stacks_key("borges", 1)

COMMAND = "key_to_image"


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "test-key.txt"
    path.write_text(KEY.format(), encoding="ascii")
    return path


TEXT = KEY.format()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--prompt", ""], "1 to 500 characters; this one has 0"),
        (["--prompt", " \n "], "1 to 500 characters; this one has 0"),
        (["--prompt", "x" * 501], "1 to 500 characters; this one has 501"),
        (["--prompt", "a\0b"], "Character 2 of this prompt is a control character"),
        (["--num-inference-steps", "0"], "the number of steps is 1 to 128, and '0' was given"),
        (["--num-inference-steps", "129"], "the number of steps is 1 to 128, and '129' was given"),
        (["--num-inference-steps", "ten"], "the number of steps is 1 to 128, and 'ten' was given"),
        (["--prompt", "a dog", "--page", "0"], "a volume has the pages 1 to 410, and '0' was given"),
        (["--prompt", "a dog", "--page", "411"], "a volume has the pages 1 to 410, and '411' was given"),
        (["key/borges/0"], "“0” is no page"),
        (["key/borges/411"], "411 is not among them"),
        (["--address", "key/borges/411"], "411 is not among them"),
        (["key/borges/409", "--nb-keys", "3"], "3 pages from page 409 on go to 411"),
        (["--nb-keys", "0"], "the number of keys is 1 to 410"),
        (["nonsense"], "“nonsense” is no address"),
        (["mark/short"], "is no short name of a key"),
        (["mark/aaaaaaaaaaaaaaaaaaaaaaaaaa"], "holds no key with the mark aaaaaaaaaaaaaaaaaaaaaaaaaa"),
        (["--key-file", "nowhere.txt"], "There is no file nowhere.txt"),
        (["--key-file", "/"], "/ is a folder"),
        (["--key-file", "../bytes"], "neither a key's text nor a PNG: its byte 129 is no text"),
        (["--key-file", "../long"], "has 4,000,000 bytes; a key has 189,436 characters"),
        (["--key-file", "../huge"], f"has more than {PICTURE_FILE_BYTES:,} bytes"),
        (["--prompt", "a dog", "--output", "nowhere/test"], "The output folder nowhere does not exist"),
        (["--output", ""], "--output is empty"),
        (["--latents-type", "noise"], "Invalid choice|invalid choice: 'noise'"),
        (["--latents-type", "image"], "go together"),
        (["--image", "x.png"], "go together"),
        (["--latents-type", "image", "--image", "nowhere.png"], "nowhere.png cannot be read: No such file"),
        (["--prompt", "a dog", "--seed", "x"], "not several"),
        (["key/borges/1", "--page", "2"], "--page goes with --prompt"),
        (["--seed", ""], "1 to 500 characters"),
        (["--steps", "4"], "Unrecognized arguments: --steps|unrecognized arguments: --steps"),
        (["pocket-1/key/borges/1"], "names edition pocket-1, and --edition names tiny"),
    ],
)
def test_bad_input_is_one_sentence_and_code_2_and_nothing_is_written(
    arguments: list[str], sentence: str, run: Run
) -> None:
    import re

    Path("../bytes").write_bytes(bytes(range(256)))
    for name, size in (("../long", 4_000_000), ("../huge", PICTURE_FILE_BYTES + 1)):
        with Path(name).open("wb") as file:
            file.truncate(size)
    code, printed, said = run(*arguments)
    assert (code, printed) == (2, "")
    first, *more = said.splitlines()
    assert re.search(sentence, first), said
    assert len(more) <= 1
    assert "Traceback" not in said
    assert here() == []


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (TEXT[:-1], "189,436 characters; this one has 189,435, 1 too few"),
        (TEXT + "A", "189,436 characters; this one has 189,437, 1 too many"),
        (TEXT[:77] + "*" + TEXT[78:], "Character 78 of this key is “*” (U+002A)"),
        ("", "is empty"),
    ],
)
def test_a_key_that_is_none_is_refused_with_the_place(text: str, sentence: str, run: Run, key_file: Path) -> None:
    key_file.write_text(text, encoding="utf-8")
    code, printed, said = run("--key-file", str(key_file))
    assert (code, printed) == (2, "")
    assert sentence in said.splitlines()[0]
    assert here() == []


def test_an_unknown_edition_is_refused_with_the_known_ones(run: Run) -> None:
    code, _, said = run("--prompt", "a dog", edition="sd-9")
    assert code == 2
    assert said.splitlines()[0] == "There is no edition 'sd-9'."
    assert "sd-1.5" in said.splitlines()[1]


def test_an_edition_without_its_weights_is_refused_with_the_command_that_fetches_them(run: Run) -> None:
    code, _, said = run("--prompt", "a dog", edition="sd-1.5")
    assert code == 2
    assert "is not installed" in said.splitlines()[0]
    assert said.splitlines()[1] == "Run `python manage.py fetch_edition sd-1.5`."
    assert here() == []


def test_a_refusal_loads_no_model_library() -> None:
    script = (
        "import os, sys; os.environ['DJANGO_SETTINGS_MODULE'] = 'babelia.settings'\n"
        "import django; django.setup()\n"
        "from django.core.management import call_command\n"
        "try: call_command('key_to_image', '--prompt', '')\n"
        "except SystemExit as ended: print(ended.code, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["2", "False"]


def test_a_prompt_prints_the_first_pages_of_its_volume(run: Run) -> None:
    code, printed, said = run("--prompt", "a dog", "--nb-keys", "2", "--json")
    assert code == 0, said
    report = json.loads(printed)
    assert here() == ["page-000.key.txt", "page-000.png", "page-001.key.txt", "page-001.png"]
    assert said.startswith("The press took cpu: tiny ")
    for number, entry in enumerate(report["pages"], start=1):
        key = Key.parse(Path(entry["key_file"]).read_text(encoding="ascii"))
        data = Path(entry["png"]).read_bytes()
        assert entry["address"] == f"tiny/prompt/a dog/{number}"
        assert (entry["mark"], entry["steps"], entry["catalogued"]) == (key.mark, 4, True)
        assert np.array_equal(key.latents, page_latents("prompt", "a dog", number))
        assert read_chunks(data) == {
            ADDRESS: entry["address"],
            MARK: key.mark,
            EDITION: "tiny",
            RENDITION: report["rendition"],
        }
        with Image.open(io.BytesIO(data)) as image:
            assert image.size == (640, 416)
            assert pixel_digest(np.asarray(image)) == entry["pixel_digest"]


def test_the_key_beside_a_page_prints_the_same_page_again(run: Run) -> None:
    _, printed, _ = run("key/borges/7", "--num-inference-steps", "2", "--output", "test3", "--json", "--with-key")
    first = json.loads(printed)["pages"][0]
    assert here() == ["test3-000.key.txt", "test3-000.png"]
    text = read_chunks(Path("test3-000.png").read_bytes())[KEY_TEXT]
    assert text == Path("test3-000.key.txt").read_text().strip()
    for source in ("test3-000.key.txt", "test3-000.png"):
        _, printed, _ = run("--key-file", source, "--digest-only", "--json")
        again = json.loads(printed)["pages"][0]
        assert (again["pixel_digest"], again["mark"]) == (first["pixel_digest"], first["mark"])
    assert here() == ["test3-000.key.txt", "test3-000.png"]


def test_other_steps_make_the_page_of_another_key_and_it_is_said(run: Run, key_file: Path) -> None:
    steps = 2 if KEY.steps != 2 else 4
    code, printed, said = run("--key-file", str(key_file), "--num-inference-steps", str(steps), "--json")
    assert code == 0
    entry = json.loads(printed)["pages"][0]
    key = Key.parse(Path(entry["key_file"]).read_text(encoding="ascii"))
    assert key.steps == steps
    assert key == Key.pack(steps, KEY.embedding, KEY.latents)
    assert f"With {steps} steps instead of {KEY.steps} this is the page of another key, mark {key.mark}." in said
    assert entry["address"] == f"tiny/mark/{key.mark}"


def test_steps_that_no_key_holds_are_printed_off_the_catalogue(run: Run, key_file: Path) -> None:
    code, printed, said = run("--key-file", str(key_file), "--num-inference-steps", "1", "--json", "--with-key")
    assert code == 0
    assert "Off the catalogue: 1 steps is odd" in said
    entry = json.loads(printed)["pages"][0]
    texts = read_chunks(Path(entry["png"]).read_bytes())
    assert not entry["catalogued"]
    assert texts[ADDRESS] == f"off the catalogue: 1 steps from tiny/mark/{KEY.mark}"
    assert texts[MARK] == ""
    assert KEY_TEXT not in texts
    assert Key.parse(Path(entry["key_file"]).read_text(encoding="ascii")) == KEY


@pytest.mark.parametrize("source", ["fixed-generator", "blob", "black", "colour", "image"])
def test_other_latents_make_a_key_that_prints_the_same_page(source: str, run: Run, tmp_path: Path) -> None:
    arguments = ["--prompt", "a dog", "--num-inference-steps", "2", "--latents-type", source, "--json"]
    if source == "image":
        Image.new("RGB", (900, 500), (200, 100, 0)).save(tmp_path / "picture.jpg")
        arguments += ["--image", str(tmp_path / "picture.jpg")]
    code, printed, said = run(*arguments)
    assert code == 0, said
    first = json.loads(printed)["pages"][0]
    key = Key.parse(Path(first["key_file"]).read_text(encoding="ascii"))
    assert first["address"] == f"tiny/mark/{key.mark}"
    if source == "fixed-generator":
        assert np.array_equal(key.latents, fixed_generator(0))
    elif source == "blob":
        assert np.array_equal(key.latents, blob(0))
    else:
        assert float(key.latents.std()) < 2
    _, printed, _ = run("--key-file", first["key_file"], "--digest-only", "--json")
    assert json.loads(printed)["pages"][0]["pixel_digest"] == first["pixel_digest"]


def test_a_bar_shows_how_far_it_is_unless_a_script_reads_along(run: Run) -> None:
    arguments = ("stacks/borges/1", "--num-inference-steps", "2", "--nb-keys", "2", "--digest-only")
    assert "page 1 of 2:" in run(*arguments)[2]
    assert "page 1 of 2:" not in run(*arguments, "--json")[2]


def test_a_seed_repeats_its_random_pages_and_nothing_does_not(run: Run) -> None:
    steps = ("--num-inference-steps", "2", "--json", "--digest-only")
    found = []
    for arguments in (["--seed", "borges", "--nb-keys", "2"], ["--seed", "borges", "--nb-keys", "2"], [], []):
        _, printed, _ = run(*arguments, *steps)
        found.append([page["pixel_digest"] for page in json.loads(printed)["pages"]])
    assert found[0] == found[1]
    assert len(set(found[0])) == 2
    assert found[2] != found[3]
    assert here() == []


def test_files_that_are_there_are_never_replaced_unasked(run: Run) -> None:
    Path("page-004.png").write_bytes(b"mine")
    run("stacks/borges/1", "--num-inference-steps", "2")
    assert here() == ["page-004.png", "page-005.key.txt", "page-005.png"]
    Path("page-000.png").write_bytes(b"mine")
    run("stacks/borges/1", "--num-inference-steps", "2", "--overwrite")
    assert Path("page-000.png").read_bytes().startswith(b"\x89PNG")
    assert Path("page-004.png").read_bytes() == b"mine"


def test_a_key_with_more_steps_than_the_edition_prints_is_refused_with_a_way_out(run: Run, key_file: Path) -> None:
    key_file.write_text(Key.pack(128, KEY.embedding, KEY.latents).format(), encoding="ascii")
    code, _, said = run("--key-file", str(key_file))
    assert code == 2
    assert "asks for 128 steps and edition tiny prints at most 64" in said
    assert "--num-inference-steps N" in said
    assert here() == []


def test_printing_asks_no_network(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> NoReturn:
        raise AssertionError("the network was asked")

    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    code, _, said = run("--prompt", "a dog", "--num-inference-steps", "1", "--digest-only")
    assert code == 0, said


def test_it_says_what_of_a_long_prompt_is_not_read(run: Run) -> None:
    code, _, said = run("--prompt", "a b c d " * 30, "--num-inference-steps", "1", "--digest-only")
    assert code == 0
    assert "does not read the end: “" in said
    assert "does not read" not in run("--prompt", "a dog", "--num-inference-steps", "1", "--digest-only")[2]


def test_the_check_of_determinism_prints_three_equal_digests(tmp_path: Path, tiny_data: Path, key_file: Path) -> None:
    """All of it as a person runs it: the command, and the fresh process that it starts, which is Python itself."""
    words = ["manage.py", "key_to_image", "--edition", "tiny", "--key-file", str(key_file)]
    words += ["--num-inference-steps", "2", "--check-determinism"]
    environment = os.environ | {"BABELIA_DATA": str(tiny_data)}
    (tmp_path / "here").mkdir()
    done = commands().run(words, environment, tmp_path / "here")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    digests = {line.split()[-1] for line in lines[1:4]}
    assert [line.strip().rsplit("  ", 1)[0].strip() for line in lines[1:4]] == [
        *("first print", "after another page", "in a fresh process")
    ]
    assert len(digests) == 1
    assert len(digests.pop()) == 64
    assert lines[4].strip() == "the same pixels"


def test_pixels_that_differ_end_with_code_1(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """That the check can fail: the second print is made up here, as ours never differ."""
    from gallery.management.commands import key_to_image

    monkeypatch.setattr(key_to_image, "print_again", lambda engine, page, command: ("0" * 64, "0" * 64))
    code, printed, said = run("stacks/borges/1", "--num-inference-steps", "2", "--check-determinism")
    assert code == 1
    assert "DIFFERENT PIXELS" in printed
    assert "differ" in said


def test_a_full_disk_ends_with_a_sentence_and_leaves_nothing(run: Run, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting a small file system takes root")
    try:
        code, printed, said = run("stacks/borges/1", "--num-inference-steps", "2", "--output", f"{disk}/page")
        assert (code, printed) == (2, "")
        assert "cannot be written: No space left on device." in said.splitlines()[-1]
        assert list(disk.iterdir()) == []
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_the_command_as_a_person_runs_it_says_one_line(tmp_path: Path, tiny_data: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "manage.py"), "key_to_image", "--num-inference-steps", "0"],
        cwd=tmp_path,
        env=os.environ | {"BABELIA_DATA": str(tiny_data)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == "--num-inference-steps: the number of steps is 1 to 128, and '0' was given.\n"
