"""`manage.py add_edition`: every form of the same numbers prints the same pixels; what is refused leaves nothing."""

import dataclasses
import json
import os
import pickle
import re
import shutil
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from safetensors.torch import load_file, save_file

from bench.adding.checkpoints import write
from gallery.management.commands.add_edition import sampling
from tests import ROOT
from tests.conftest import wait_until
from tests.worker.editions.test_hub import REVISION, Hub, run_hub
from worker.catalogue.address import Address
from worker.editions.adding import Facts
from worker.editions.edition import load_edition
from worker.editions.layout import names_in
from worker.errors import WeightsRefused
from worker.store.store import Store

Forms = dict[str, list[str]]
PARTS = ("unet", "vae", "text_encoder")
FEW = ("--steps", "2", "--guidance", "2")


def file_of(folder: Path, component: str) -> Path:
    stem = "model" if component in ("text_encoder", "safety_checker") else "diffusion_pytorch_model"
    return folder / component / f"{stem}.safetensors"


@pytest.fixture(scope="module")
def single(tiny_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of the tiny weights that says who made it."""
    said = {"modelspec.title": "A tiny model", "modelspec.license": "MIT"}
    return write(tiny_weights, tmp_path_factory.mktemp("single") / "tiny.safetensors", **said)


@pytest.fixture(scope="module")
def forms(single: Path, tiny_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Forms:
    """The arguments with which each form of the tiny weights is added."""
    home = tmp_path_factory.mktemp("forms")
    half, shards = (Path(shutil.copytree(tiny_weights, home / name)) for name in ("half", "shards"))
    (half / "README.md").write_text("---\nlicense: mit\n---\n")
    for component in PARTS:
        path = file_of(half, component)
        path.rename(path.with_suffix(".fp16.safetensors"))
        path = file_of(shards, component)
        shard(path, load_file(path))
    return {
        "checkpoint": [str(single), "--config", str(tiny_weights)],
        "folder": [str(tiny_weights)],
        "fp16": [str(half)],
        "shards": [str(shards)],
    }


def shard(path: Path, tensors: dict[str, Any]) -> None:
    """Put a file's tensors into two, with an index."""
    places = {}
    for number in (0, 1):
        name = f"{path.stem}-0000{number + 1}-of-00002.safetensors"
        part = {key: tensors[key] for key in sorted(tensors)[number::2]}
        save_file(part, path.with_name(name), {"format": "pt"})
        places |= dict.fromkeys(part, name)
    path.unlink()
    path.with_name(f"{path.name}.index.json").write_text(json.dumps({"weight_map": places}))


@pytest.fixture
def data(tmp_path: Path, settings: Any) -> Iterator[Path]:
    settings.DATA_DIR, settings.DISK_RESERVE, settings.THREADS, settings.BATCH = tmp_path / "data", 0, 2, 1
    settings.DEVICE = "cpu"
    yield settings.DATA_DIR
    if "torch" in sys.modules:
        import torch

        torch.use_deterministic_algorithms(False)


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What the command says, without its bars, as it ends with code 2."""
    with pytest.raises(SystemExit) as ended:
        call_command("add_edition", *arguments)
    assert ended.value.code == 2
    said = capsys.readouterr()
    assert said.out == "" and "Traceback" not in said.err
    return said.err


def test_every_form_of_the_same_numbers_prints_the_same_pixels(
    forms: Forms, tiny_weights: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And they are those of the folder that all were made of, in an engine that was never told of them."""
    from worker.engine.engine import Engine

    prints, digests = {}, {}
    for name, arguments in forms.items():
        call_command("add_edition", name, *arguments, *FEW)
        said = capsys.readouterr()
        edition = load_edition(name, data)
        assert f"The edition {name} is added." in said.out
        assert f"writing {name}: 100%" in said.err and "printing: 100%" in said.err
        store = Store(data)
        mark = store.find(Address(name, "key", "borges", 1))
        assert mark is not None
        record, key = store.record(name, mark), store.key(mark)
        assert record is not None and key is not None
        assert record.pixel_digest in said.out and record.weights == edition.check().digest
        prints[name], digests[name] = record.pixel_digest, edition.check().digest
    original = dataclasses.replace(load_edition("folder", data), weights=tiny_weights, digest=None)
    engine = Engine(original, "cpu", 2, 1)
    assert set(prints.values()) == {engine.print_page(key).digest}
    assert len(set(digests.values())) == 1  # not the pixels alone: every byte that decides them


def test_it_says_what_it_found(
    forms: Forms, single: Path, data: Path, settings: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.EDITIONS = ["pocket-1"]
    call_command("add_edition", "mine", *forms["checkpoint"], "--no-print", "--prediction", "v_prediction")
    said = capsys.readouterr().out
    edition = load_edition("mine", data)
    for line in (
        r"found +one checkpoint \(tiny\.safetensors\)",
        r"predicts +the velocity \(v\)",
        r"size +\d+\.\d MB: unet \d+\.\d M, vae \d+\.\d M, text_encoder \d+\.\d M",
        r"dtype +float16$",
        r"licence +MIT$",
        r"checker +no safety checker",
        f"digest {edition.digest}",
        "Add mine to BABELIA_EDITIONS",
        "its press has to be started again",
    ):
        assert re.search(line, said, re.MULTILINE), line
    assert (edition.title, edition.licence, edition.prediction) == ("A tiny model", "MIT", "v_prediction")
    assert edition.installed
    call_command("add_edition", "other", *forms["fp16"], "--no-print", "--title", "Öther", "--licence", "cc0-1.0")
    said = capsys.readouterr().out
    assert "variant fp16" in said and "licence    cc0-1.0" in said
    assert load_edition("other", data).title == "Öther"


def consistent(weights: Path, folder: Path, **unet: object) -> Path:
    """A copy of some weights whose scheduler is that of a latent consistency model, distilled on 41 timesteps."""
    shutil.copytree(weights, folder)
    path = folder / "scheduler" / "scheduler_config.json"
    said = {"_class_name": "LCMScheduler", "original_inference_steps": 41}
    path.write_text(json.dumps(json.loads(path.read_text()) | said))
    path = folder / "unet" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | unet))
    return folder


def test_a_latent_consistency_model_gets_its_solver_by_itself(
    tiny_weights: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = consistent(tiny_weights, tmp_path / "lcm")
    call_command("add_edition", "quick", str(folder))
    said = capsys.readouterr().out
    assert re.search(r"sampling +lcm, 4 steps, guidance 1$", said, re.MULTILINE), said
    assert re.search(r"page +/quick/key/borges/1/ in 4 steps", said), said
    edition = load_edition("quick", data)
    assert (edition.solver, edition.guidance, edition.default_steps, edition.step_limit) == ("lcm", 1.0, 4, 40)


@pytest.mark.parametrize(
    ("unet", "options", "expected"),
    [
        ({"time_cond_proj_dim": 256}, {}, ("lcm", 8.5, 4, 40)),
        ({"time_cond_proj_dim": 256}, {"guidance": 7.0, "steps": 8}, ("lcm", 7.0, 8, 40)),
        ({}, {"solver": "ddim"}, ("ddim", 7.5, 20, 128)),
    ],
)
def test_what_is_asked_for_stands_and_the_rest_is_as_the_model_is_used(
    unet: dict[str, object],
    options: dict[str, object],
    expected: tuple[object, ...],
    tiny_weights: Path,
    tmp_path: Path,
) -> None:
    folder = consistent(tiny_weights, tmp_path / "lcm", **unet)
    found = Facts("", "", "", **sampling(folder, {"solver": None, "guidance": None, "steps": None} | options))
    assert (found.solver, found.guidance, found.default_steps, found.step_limit) == expected


# -- what is refused


def pickled(path: Path) -> Path:
    path.write_bytes(pickle.dumps({"state_dict": [1] * 100}))
    return path


def zipped(path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({"state_dict": 1}))
    return path


def changed(single: Path, path: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """The checkpoint with other tensors."""
    tensors = load_file(single)
    change(tensors)
    save_file(tensors, path)
    return path


def without(folder: Path, path: Path, name: str, content: str | None = None) -> Path:
    """The folder without one file, or with another content of it."""
    shutil.copytree(folder, path)
    (path / name).unlink()
    if content is not None:
        (path / name).write_text(content)
    return path


UNET = "model.diffusion_model."
OUT = f"{UNET}out.2.bias"
CONV = f"{UNET}input_blocks.0.0.weight"


def test_what_cannot_be_added_is_said_in_a_sentence_and_leaves_nothing(
    forms: Forms,
    single: Path,
    tiny_weights: Path,
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    home = tmp_path / "sources"
    home.mkdir()
    cut, config = home / "cut.safetensors", ["--config", str(tiny_weights)]
    cut.write_bytes(single.read_bytes()[:-1000])

    def wider(tensors: dict[str, Any]) -> None:
        tensors[CONV] = tensors[CONV].repeat(1, 3, 1, 1)[:, :9].contiguous()

    def not_a_number(tensors: dict[str, Any]) -> None:
        tensors[OUT][1] = float("nan")

    def longer(tensors: dict[str, Any]) -> None:
        tensors[OUT] = tensors[OUT].repeat(2)

    def quantised(tensors: dict[str, Any]) -> None:
        import torch

        tensors[OUT] = tensors[OUT].to(torch.float8_e4m3fn)

    broken = without(tiny_weights, home / "s", "scheduler/scheduler_config.json", "[]")
    unet = json.loads((tiny_weights / "unet" / "config.json").read_text())
    xl = json.dumps(unet | {"cross_attention_dim": 2048})
    table: list[tuple[list[str], str]] = [
        ([str(pickled(home / "old.ckpt"))], r"old\.ckpt should be a safetensors file and is a pickle"),
        ([str(zipped(home / "new.ckpt"))], r"is a zip with a pickle inside \(archive/data\.pkl\)"),
        ([str(cut), *config], r"cut\.safetensors is cut short: it should have [\d,]+ bytes and has"),
        ([str(changed(single, home / "nine.safetensors", wider)), *config], "a model for inpainting.* 9 channels"),
        ([str(changed(single, home / "nan.safetensors", not_a_number)), *config], r"conv_out\.bias .* not finite"),
        ([str(changed(single, home / "long.safetensors", longer)), *config], r"conv_out\.bias .* of the shape \(8,\)"),
        ([str(changed(single, home / "f8.safetensors", quantised)), *config], r"is of F8_E4M3"),
        ([str(single)], r"--config FOLDER"),  # of another form than the configurations that ship
        ([str(single), "--config", str(home / "nowhere")], "--config should name a folder, and there is none at"),
        ([str(single), "--config", str(home)], r"should hold unet/config\.json and does not"),
        ([str(single), "--variant", "fp16"], "--variant goes with a folder or a repository"),
        ([str(home)], "should hold a model in diffusers' layout .* and holds"),
        ([str(tiny_weights), "--variant", "fp16"], "should have files of the variant fp16 and has none"),
        ([str(tiny_weights), *config], "--config goes with a single checkpoint"),
        ([str(without(tiny_weights, home / "xl", "unet/config.json", xl))], "holds Stable Diffusion XL"),
        ([str(without(tiny_weights, home / "t", "tokenizer/merges.txt"))], r"should hold tokenizer/merges\.txt"),
        ([str(broken)], r"scheduler_config\.json"),
        ([str(broken), "--prediction", "epsilon"], r"scheduler_config\.json"),
        ([str(home / "nothing.safetensors")], "There is no file and no folder .*nothing"),
        ([str(tiny_weights), "--steps", "7"], "number of steps is even"),
        ([str(tiny_weights), "--guidance", "much"], "guidance is a number from 0 to 100"),
        (["owner/tiny"], "The model hub cannot be reached for owner/tiny"),
    ]
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    for arguments, sentence in table:
        said = refused(capsys, "mine", *arguments, "--no-print")
        assert re.search(sentence, said), f"{arguments}: {said}"
        assert not data.exists(), arguments
    assert "is taken" in refused(capsys, "pocket-1", *forms["folder"])
    usage = shutil.disk_usage("/")._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)  # one that is really full: test_adding.py
    assert re.search("still to come .* room for 1,000", refused(capsys, "mine", *forms["folder"]))
    assert not data.exists()


# -- from the hub


@pytest.fixture
def hub(tiny_weights: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub that serves the tiny weights as a variant, beside a pickle that nobody asked for."""
    files = {name: (tiny_weights / name).read_bytes() for name in names_in(tiny_weights)}
    for component in PARTS:
        name = str(file_of(Path(), component))
        files[name.replace(".safetensors", ".fp16.safetensors")] = files.pop(name)
    files["v1.ckpt"] = pickle.dumps([1] * 1000)
    with run_hub(Hub(files, licence="creativeml-openrail-m")) as running:
        monkeypatch.setenv("HF_ENDPOINT", running.url)
        yield running


def test_a_repository_is_pinned_at_the_commit_found_and_checked_ever_after(
    hub: Hub, forms: Forms, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("add_edition", "hubbed", "owner/tiny@half", "--no-print")
    said = capsys.readouterr().out
    assert f"owner/tiny@{REVISION}" in said and "licence    creativeml-openrail-m" in said
    edition = load_edition("hubbed", data)
    assert edition.hub is not None and edition.hub.revision == REVISION
    unet = str(file_of(Path(), "unet"))
    assert edition.hub.files[unet].source == unet.replace(".safe", ".fp16.safe")
    assert not [path for _, path, _ in hub.asked if "v1.ckpt" in path]
    call_command("add_edition", "folder", *forms["folder"], "--no-print")
    tensors = [load_file(file_of(load_edition(slug, data).weights, "unet")) for slug in ("hubbed", "folder")]
    assert all(bool((tensors[0][name] == tensors[1][name]).all()) for name in tensors[1])

    path = edition.weights / unet
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(WeightsRefused, match="should have the SHA-256"):
        edition.check()
    path.unlink()
    call_command("fetch_edition", "hubbed")
    assert path.read_bytes() == content
    edition.check()


def test_a_repository_that_cannot_be_an_edition_leaves_nothing(
    hub: Hub, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "goes with a file or a folder" in refused(capsys, "mine", "owner/tiny", "--prediction", "epsilon")
    assert not hub.asked
    assert "should know owner/other and answers 404" in refused(capsys, "mine", "owner/other")
    unet = json.loads(hub.files["unet/config.json"])
    hub.files["unet/config.json"] = json.dumps(unet | {"cross_attention_dim": 1024}).encode()
    assert "owner/tiny should hold Stable Diffusion 1.x and holds Stable Diffusion 2.x" in refused(
        capsys, "mine", "owner/tiny"
    )
    assert not [path for _, path, _ in hub.asked if path.endswith("safetensors")]  # the small ones were enough
    for name in [name for name in hub.files if name.endswith(".safetensors")]:
        hub.files[name.replace(".fp16.safetensors", ".bin")] = hub.files.pop(name)
    assert "a pickle, which is never loaded" in refused(capsys, "mine", "owner/tiny")
    assert not data.exists()


def test_ctrl_c_half_way_leaves_nothing(hub: Hub, data: Path) -> None:
    hub.stall_at = 1_000_000
    environment = {"BABELIA_DATA": str(data), "HF_ENDPOINT": hub.url, "HF_HUB_DISABLE_TELEMETRY": "1"}
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "manage.py"), "add_edition", "mine", "owner/tiny"],
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        half_way = [("GET", f"/store/{name}", None) for name, content in hub.files.items() if len(content) > 1_000_000]
        wait_until(lambda: any(request in hub.asked for request in half_way), 120, "a large file comes")
        assert list(data.rglob("*.partial"))
        process.send_signal(signal.SIGINT)
        printed, said = process.communicate(timeout=120)
    finally:
        process.kill()
    assert (process.returncode, printed) == (2, "")
    assert "Stopped; nothing was added." in said and "Traceback" not in said
    assert not data.exists()
