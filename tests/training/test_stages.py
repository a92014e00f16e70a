"""The recipe: every stage in miniature, and kills at bad moments."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from tests import ROOT
from tests.training.conftest import COMMAND, python, train_here
from training import runs
from training.errors import TrainingError
from training.presets import PRESETS, SMOKE
from training.stages import open_run


def test_the_smoke_preset_runs_every_stage_and_leaves_log_sheets_and_checkpoints(smoked):
    run = open_run(SMOKE, smoked / "run")
    assert run.due is None
    assert run.progress == {stage: run.steps_of(stage) for stage in SMOKE.stages}
    log = (smoked / "run" / "log.txt").read_text()
    assert "samples/s" in log and "loss" in log and "done at" in log
    assert {f.name for f in (smoked / "run").glob("*.webp")} >= {"crops-000001.webp", "pages-000002.webp"}
    assert not list((smoked / "run").glob("*.partial"))


def test_what_the_smoke_preset_ships_is_an_edition_that_the_press_prints(smoked, tmp_path):
    from worker.catalogue.expansion import page_latents
    from worker.catalogue.key import Key
    from worker.editions.edition import load_edition
    from worker.engine.engine import Engine

    folder = tmp_path / "editions" / "smoked"
    shutil.copytree(smoked / "pocket", folder)
    text = (ROOT / "editions" / "pocket-1" / "edition.toml").read_text()
    (folder / "edition.toml").write_text("\n".join(line for line in text.splitlines() if "digest" not in line))
    threads = torch.get_num_threads()
    engine = Engine(load_edition("smoked", tmp_path), device="cpu")
    pixels = engine.print_page(Key.pack(2, engine.embed("a dog"), page_latents("prompt", "a dog", 1))).pixels
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(False)
    assert pixels.shape == (416, 640, 3)


def test_a_second_run_of_the_same_preset_has_nothing_to_do(smoked, capsys):
    assert train_here("next", "--preset", "smoke", "--runs", str(smoked / "run")) == 0
    assert "All stages of smoke are done" in capsys.readouterr().out


def wait_for_a_checkpoint_of(stage: str, path: Path, process: subprocess.Popen[bytes]) -> None:
    """Look whether a checkpoint is another one, which costs nothing, and only then into it."""
    looked_at = 0
    while True:
        assert process.poll() is None, f"the first checkpoint of {stage} appears before it ends"
        if path.exists() and (written := path.stat().st_mtime_ns) != looked_at:
            looked_at = written
            if stage in (runs.load(path) or {})["progress"]:
                return
        time.sleep(0.02)


def test_a_stage_killed_in_the_middle_ends_with_the_same_weights(smoked, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(smoked / "run", folder)
    shutil.copy(smoked / "before-pages.pt", folder / "unet.pt")
    (folder / "log.jsonl").unlink()
    process = subprocess.Popen(
        [sys.executable, "-c", COMMAND, "all", "--preset", "smoke", "--runs", str(folder)], cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"}, stdout=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    wait_for_a_checkpoint_of("pages", folder / "unet.pt", process)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    stopped = runs.load(folder / "unet.pt")
    assert stopped is not None
    assert python("-c", COMMAND, "all", "--preset", "smoke", "--runs", str(folder)).returncode == 0
    straight, again = runs.load(smoked / "run" / "unet.pt"), runs.load(folder / "unet.pt")
    assert straight is not None and again is not None
    assert stopped["progress"] != again["progress"], "it was killed before its end"
    for part in ("model", "average", "heads"):
        assert all(torch.equal(straight[part][name], again[part][name]) for name in straight[part])
    assert torch.equal(straight["first"], again["first"]) and torch.equal(straight["second"], again["second"])


def test_the_gpu_preset_says_that_it_needs_a_gpu(tmp_path):
    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    with pytest.raises(TrainingError, match="needs a GPU"):
        open_run(PRESETS["gpu"], tmp_path).run_next()


def test_a_folder_behind_its_edition_goes_on_from_the_folder(smoked, tmp_path):
    """What is shipped is the folder's network, so no stage counts as done that only the edition's network has seen."""
    folder = tmp_path / "run"
    shutil.copytree(smoked / "run", folder)
    (folder / "decoder.pt").unlink()
    state = runs.load(folder / "unet.pt")
    assert state is not None
    state["progress"] = {"crops": 1}
    runs.save(folder / "unet.pt", state)
    run = open_run(SMOKE, folder, smoked / "pocket")
    assert run.shipped["progress"]["pages"] == 2 and run.shipped["progress"]["decoder"] == 2
    assert run.progress == {"autoencoder": 6, "text": 4, "crops": 1}
    assert run.due == "several"
