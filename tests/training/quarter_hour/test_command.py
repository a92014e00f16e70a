"""The quarter of an hour in seconds on a CPU, from the commands in docs/gpu.md, and sentences for what goes wrong."""

import json
import math
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from tests import ROOT
from training import __main__ as command
from training.presets import QUARTERS
from training.quarter_hour import averages
from training.quarter_hour import command as clock

REHEARSAL = ("--preset", "rehearsal", "--device", "cpu")


@pytest.fixture(autouse=True)
def as_it_was(monkeypatch):
    """What the command sets in its process is set back in this one."""
    threads = torch.get_num_threads()
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "")
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR")
    yield
    torch.set_num_threads(threads)


def arguments(runs: Path, output: Path, *more: str) -> list[str]:
    folders = ("--runs", str(runs), "--output", str(output))
    return ["quarter-hour", *REHEARSAL, *folders, *more]


def call_here(line: list[str]) -> int:
    """Run the command in this process, which has torch already, and set back what it sets; its exit code."""
    threads = torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TORCHINDUCTOR_CACHE_DIR", "")
        patch.delenv("TORCHINDUCTOR_CACHE_DIR")
        try:
            return command.main(line)
        finally:
            torch.set_num_threads(threads)


def fresh() -> dict[str, str]:
    """The environment without what torch has written into this process's."""
    return {name: value for name, value in os.environ.items() if name != "TORCHINDUCTOR_CACHE_DIR"}


def run(*line: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(line, cwd=ROOT, env=fresh(), text=True, capture_output=True, timeout=1500, check=False)


@pytest.fixture(scope="module")
def rehearsed(tmp_path_factory) -> Path:
    """The smoke call, then a training that is killed as it saves and goes on with the same command."""
    folder = tmp_path_factory.mktemp("quarter")
    assert call_here(arguments(folder / "runs", folder / "smoke", "--smoke")) == 0
    facts = json.loads((folder / "runs" / "smoke.json").read_text())
    call = arguments(folder / "runs", folder / "out", "--seconds")
    python = [sys.executable, "-m", "training", *call, "480"]  # it is killed long before
    process = subprocess.Popen(python, cwd=ROOT, env=fresh(), stdout=subprocess.DEVNULL, start_new_session=True)
    began = time.monotonic()
    while not list((folder / "out").glob("average-*.safetensors*")):
        assert process.poll() is None and time.monotonic() - began < 1500, "the first saving begins"
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    seconds = math.ceil(8 + 4 * facts["ready_seconds"] + 3 * facts["end_seconds"])  # others use the machine too
    assert call_here([*call, str(seconds)]) == 0
    return folder


def test_the_smoke_call_measures_and_draws_and_leaves_its_cache(rehearsed):
    facts = json.loads((rehearsed / "smoke" / "smoke.json").read_text())
    for kind in ("crops", "pages"):
        assert facts[f"{kind} a second"].keys() == {"rendered by all processes", "encoded", "trained"}
        assert all(rate > 0 for rate in facts[f"{kind} a second"].values())
    assert facts["pieces"] == {"crops": 4, "pages": 1}
    assert {path.name for path in (rehearsed / "smoke").iterdir()} == {
        "smoke.json", "smoke-sheet.webp", "log.txt", "compiled.tar.gz",
    }  # fmt: skip


def test_the_training_leaves_at_most_eight_files_of_at_most_14_mb(rehearsed):
    files = sorted((rehearsed / "out").iterdir())
    assert [path.name for path in files] == [
        "average-0.05-1-of-1.safetensors", "average-0.10-1-of-1.safetensors", "log.txt", "sheet.webp",
    ]  # fmt: skip
    assert max(path.stat().st_size for path in files) < 14_000_000


def test_after_a_kill_the_same_command_goes_on_or_begins_again(rehearsed):
    log = (rehearsed / "out" / "log.txt").read_text()
    assert log.count("rehearsal on cpu") == 2 and log.count("done: step") == 1
    weights, facts = averages.load(rehearsed / "out")
    assert int(facts["step"]) > 0 and all(bool(torch.isfinite(t).all()) for t in weights.values())
    assert ("goes on from" in log) == (facts["seed"] == "2") == ("100 % both" in log), "other examples, no crops alone"


def test_the_log_says_what_is_trained_and_made_in_every_phase(rehearsed):
    log = (rehearsed / "out" / "log.txt").read_text()
    assert re.search(r"crops: loss \d\.\d+, heads \d\.\d+, \d+/s trained, \d+ made, each used \d+\.\d times", log)
    assert "of the renderers' time for pages" in log


def test_what_came_back_becomes_an_edition_that_the_press_prints(rehearsed, tmp_path):
    from worker.catalogue.expansion import page_latents
    from worker.catalogue.key import Key
    from worker.editions.edition import load_edition
    from worker.engine.engine import Engine

    folder = tmp_path / "editions" / "rehearsed"
    out = str(rehearsed / "out")
    assert call_here(["bring-home", *REHEARSAL, "--output", out, "--edition", str(folder)]) == 0
    threads = torch.get_num_threads()
    engine = Engine(load_edition("rehearsed", tmp_path), device="cpu")
    pixels = engine.print_page(Key.pack(2, engine.embed("a dog"), page_latents("prompt", "a dog", 1))).pixels
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(False)
    assert pixels.shape == (416, 640, 3)
    assert json.loads((folder / "training.json").read_text())["preset"] == "rehearsal"


def test_a_second_quarter_goes_on_from_the_first(rehearsed, tmp_path):
    first, said = rehearsed / "out", []
    order = clock.Order(
        plan=QUARTERS["rehearsal"], output=tmp_path, edition=ROOT, seconds=480, smoke=False, start=first, width=0.10,
        began=0.0, kept=tmp_path,
    )  # fmt: skip
    seed, weights = clock._start(order, said.append)
    expected, facts = averages.load(first, 0.10)
    assert seed == int(facts["seed"]) + 1, "other examples"
    assert weights.keys() == expected.keys() and all(torch.equal(weights[name], expected[name]) for name in expected)
    assert said == [f"goes on from {first}, average 0.10, step {facts['step']}"]


def test_a_second_quarter_can_go_on_from_the_edition_that_ships(tmp_path):
    shipped = ROOT / "editions" / "pocket-1" / "unet"
    order = clock.Order(
        plan=QUARTERS["rehearsal"], output=tmp_path, edition=ROOT, seconds=480, smoke=False, start=shipped, width=None,
        began=0.0, kept=tmp_path,
    )  # fmt: skip
    seed, weights = clock._start(order, print)
    assert seed == QUARTERS["rehearsal"].seed + 1 and "conv_in.weight" in weights


def test_nothing_before_the_first_step_needs_diffusers_or_transformers():
    code = """
import sys
for name in ("diffusers", "transformers", "tokenizers", "accelerate", "safetensors", "huggingface_hub", "django"):
    sys.modules[name] = None
import training.__main__, training.presets, training.quarter_hour.command
import training.quarter_hour.training, training.quarter_hour.averages, training.quarter_hour.renderers
"""
    done = run(sys.executable, "-c", code)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (["--preset", "hour"], "There is no preset 'hour' by the clock. There are quarter-hour, rehearsal."),
        (["--preset", "rehearsal", "--seconds", "1"], "--seconds is 1, and this preset needs at least 2"),
        (["--preset", "rehearsal", "--seconds", "nan"], "--seconds is nan"),
        (["--preset", "rehearsal", "--start", "nowhere"], "There is no average in nowhere."),
        (["--preset", "rehearsal", "--edition", "nowhere"], "nowhere/vae cannot be read"),
    ],
)
def test_a_bad_request_is_one_sentence_and_exit_2(tmp_path, capsys, more, sentence):
    line = ["quarter-hour", "--runs", str(tmp_path / "runs"), "--output", str(tmp_path / "out"), *more]
    assert command.main(line) == 2
    error = capsys.readouterr().err
    assert error.startswith(sentence) and error.count("\n") == 1


def test_seconds_below_what_the_smoke_call_measured_are_refused(tmp_path, capsys):
    (tmp_path / "smoke.json").write_text(json.dumps({"plan": "rehearsal", "ready_seconds": 20.2, "end_seconds": 3.0}))
    line = ["quarter-hour", *REHEARSAL, "--runs", str(tmp_path), "--output", str(tmp_path / "out"), "--seconds", "25"]
    assert command.main(line) == 2
    assert capsys.readouterr().err.startswith("--seconds is 25, and the smoke call measured at least 31 from")


def test_a_missing_gpu_is_one_sentence(tmp_path, capsys):
    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    assert command.main(["quarter-hour", "--runs", str(tmp_path), "--output", str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith("The preset quarter-hour needs a GPU, and torch sees none.")


def test_an_output_that_cannot_be_written_is_one_sentence(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    output = tmp_path / "file" / "out"
    assert command.main(["quarter-hour", *REHEARSAL, "--output", str(output)]) == 2
    assert capsys.readouterr().err.startswith(f"Nothing can be written to {output}: Not a directory.")


def test_no_output_is_one_sentence(capsys):
    assert command.main(["quarter-hour"]) == 2
    assert capsys.readouterr().err.startswith("--output is missing.")


def test_a_preset_by_the_clock_is_no_preset_of_stages(capsys):
    assert command.main(["next", "--preset", "quarter-hour"]) == 2
    assert "is trained by the clock" in capsys.readouterr().err


def test_nothing_that_came_back_is_one_sentence(tmp_path, capsys):
    line = ["bring-home", *REHEARSAL, "--output", str(tmp_path), "--edition", str(tmp_path / "edition")]
    assert command.main(line) == 2
    assert capsys.readouterr().err.startswith("There is no average in")
    assert not (tmp_path / "edition").exists()
