"""The recipe: every stage in miniature, kills at bad moments, and sentences for what goes wrong."""

import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests import ROOT
from training import __main__ as command
from training import runs
from training.configs import FIXED, TEXT_LAYERS
from training.errors import TrainingError
from training.export import new_unet
from training.plans import Kind, Share, UnetPlan
from training.presets import PRESETS, SMOKE, preset_named
from training.scenes.illustrator import SHAPES, Illustrator
from training.scenes.sprites import open_pack
from training.stages import open_run
from training.trainers import auxiliary
from training.trainers.auxiliary import WithHeads
from training.trainers.muon import ADAM_RATE
from training.trainers.unet import Stepper, Trainer, Weights, prepare, rate_at


def train(*arguments: str, limit: int | None = None) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, with a limit in bytes on the files it may write."""

    def prepare() -> None:
        if limit is not None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    environment = os.environ | {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    return subprocess.run(
        [sys.executable, "-m", "training", *arguments], cwd=ROOT, env=environment, text=True, capture_output=True,
        timeout=300, preexec_fn=prepare, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def smoked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the whole smoke preset has run, and its edition beside."""
    folder = tmp_path_factory.mktemp("smoke")
    found = train("all", "--preset", "smoke", "--runs", str(folder / "run"), "--edition", str(folder / "pocket"))
    assert found.returncode == 0, found.stderr
    shipped = train("ship", "--preset", "smoke", "--runs", str(folder / "run"), "--edition", str(folder / "pocket"))
    assert shipped.returncode == 0, shipped.stderr
    return folder


def test_the_smoke_preset_runs_every_stage_and_leaves_log_sheets_and_checkpoints(smoked):
    run = open_run(SMOKE, smoked / "run")
    assert run.due is None
    assert run.progress == {stage: run.steps_of(stage) for stage in SMOKE.stages}
    log = (smoked / "run" / "log.txt").read_text()
    assert "samples/s" in log and "loss" in log and "done at" in log
    assert {f.name for f in (smoked / "run").glob("*.webp")} >= {"crops-000006.webp", "pages-000002.webp"}
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


def test_a_second_run_of_the_same_preset_has_nothing_to_do(smoked):
    found = train("next", "--preset", "smoke", "--runs", str(smoked / "run"))
    assert found.returncode == 0
    assert "All stages of smoke are done" in found.stdout


def test_a_stage_killed_in_the_middle_ends_with_the_same_weights(smoked, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(smoked / "run", folder)
    (folder / "unet.pt").unlink()
    (folder / "log.jsonl").unlink()
    process = subprocess.Popen(
        [sys.executable, "-m", "training", "all", "--preset", "smoke", "--runs", str(folder)], cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"}, stdout=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    began = time.monotonic()
    while "pages" not in ((runs.load(folder / "unet.pt") or {}).get("progress", {})):
        assert process.poll() is None and time.monotonic() - began < 120, "the first checkpoint of pages appears"
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    stopped = runs.load(folder / "unet.pt")
    assert stopped is not None
    assert train("all", "--preset", "smoke", "--runs", str(folder)).returncode == 0
    straight, again = runs.load(smoked / "run" / "unet.pt"), runs.load(folder / "unet.pt")
    assert straight is not None and again is not None
    assert stopped["progress"] != again["progress"], "it was killed before its end"
    for part in ("model", "average", "heads"):
        assert all(torch.equal(straight[part][name], again[part][name]) for name in straight[part])
    assert torch.equal(straight["first"], again["first"]) and torch.equal(straight["second"], again["second"])


def test_a_bad_preset_name_is_one_sentence_and_exit_2(capsys):
    assert command.main(["status", "--preset", "huge"]) == 2
    assert capsys.readouterr().err == "There is no preset 'huge'. The presets are smoke, cpu, gpu.\n"
    with pytest.raises(TrainingError):
        preset_named("")


def test_no_threads_is_refused(capsys):
    assert command.main(["next", "--threads", "0"]) == 2
    assert "must be at least 1" in capsys.readouterr().err


def test_a_checkpoint_of_other_shapes_is_refused_and_left_alone(smoked, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(smoked / "run", folder)
    state = runs.load(folder / "unet.pt")
    assert state is not None
    state["average"]["conv_in.weight"] = torch.zeros(40, 4, 3, 3)
    state["model"]["conv_in.weight"] = torch.zeros(40, 4, 3, 3)
    state["progress"] = {}
    runs.save(folder / "unet.pt", state)
    before = (folder / "unet.pt").read_bytes()
    found = train("next", "--preset", "smoke", "--runs", str(folder))
    assert found.returncode == 2
    assert (
        found.stderr.splitlines()[-1].startswith("The checkpoint ")
        and "conv_in.weight is (40, 4, 3, 3)" in found.stderr
    )
    assert (folder / "unet.pt").read_bytes() == before


def test_a_full_disk_is_one_sentence_and_the_checkpoint_before_is_whole(smoked, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(smoked / "run", folder)
    state = runs.load(folder / "unet.pt")
    assert state is not None
    state["progress"] = {"crops": 2}
    runs.save(folder / "unet.pt", state)
    before = (folder / "unet.pt").read_bytes()
    found = train("next", "--preset", "smoke", "--runs", str(folder), limit=20_000_000)
    assert found.returncode == 2
    assert "could not be written" in found.stderr.splitlines()[-1]
    assert "Traceback" not in found.stderr
    assert (folder / "unet.pt").read_bytes() == before
    assert not list(folder.glob("*.partial"))


def test_a_checkpoint_that_cannot_be_read_says_what_to_do(tmp_path):
    (tmp_path / "unet.pt").write_bytes(b"half a file")
    with pytest.raises(TrainingError, match="cannot be read") as caught:
        runs.load(tmp_path / "unet.pt")
    assert "Move it away" in caught.value.hint


def test_the_gpu_preset_says_that_it_needs_a_gpu(tmp_path):
    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    with pytest.raises(TrainingError, match="needs a GPU"):
        open_run(PRESETS["gpu"], tmp_path).run_next()


def test_every_preset_learns_crops_before_pages_and_calls_no_two_stages_the_same():
    for preset in PRESETS.values():
        kinds = [plan.shares[0].kind for plan in preset.unet]
        assert kinds[0] == "crops" and kinds[-1] == "pages"
        assert len(set(preset.stages)) == len(preset.stages)


def test_a_folder_behind_its_edition_goes_on_from_the_folder(smoked, tmp_path):
    """What is shipped is the folder's network, so no stage counts as done that only the edition's network has seen."""
    folder = tmp_path / "run"
    shutil.copytree(smoked / "run", folder)
    (folder / "decoder.pt").unlink()
    state = runs.load(folder / "unet.pt")
    assert state is not None
    state["progress"] = {"crops": 6}
    runs.save(folder / "unet.pt", state)
    run = open_run(SMOKE, folder, smoked / "pocket")
    assert run.shipped["progress"]["pages"] == 2 and run.shipped["progress"]["decoder"] == 4
    assert run.progress == {"autoencoder": 30, "text": 12, "crops": 6}
    assert run.due == "several"


class Fixed(torch.nn.Module):
    """Stands in for the network in `Trainer._loss`: keeps what it is asked and answers with one value everywhere."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = value
        self.asked: list[tuple[torch.Tensor, ...]] = []

    def forward(self, *asked):
        self.asked.append(asked)
        noised = asked[0]
        height, width = noised.shape[2] // 4, noised.shape[3] // 4
        subjects = [torch.zeros(len(noised), 1, height, width)]
        return torch.full_like(noised, self.value), torch.zeros(len(noised), 2, height, width), subjects


class Shelf:
    """Stands in for a bank: pages of latents 1 with a subject on their left half, embeddings 7."""

    def take(self, rng, number):
        where = torch.zeros(number, 1, 52, 80)
        where[..., :40] = 1
        return torch.ones(number, 4, 52, 80), torch.full((number, 77, 768), 7.0), where


def test_the_loss_is_on_v_at_tilted_timesteps_with_captions_dropped():
    trainer = object.__new__(Trainer)
    trainer.plan, trainer.device, trainer.empty = UnetPlan("pages", 1, (), dropout=0.25), "cpu", torch.zeros(77, 768)
    level = torch.linspace(0, 1, 1000)
    signal = (1 - level**2).sqrt()
    share, rng = Share("pages", 200, 1, tilt=0.4, focus=0.0), np.random.default_rng(0)
    network = Fixed(0.0)
    main, heads = trainer._loss(network, Shelf(), share, rng, signal, level)
    noised, t, states = network.asked[0]
    a, s = signal[t].view(-1, 1, 1, 1), level[t].view(-1, 1, 1, 1)
    noise = (noised - a) / s.clamp_min(1e-3)
    assert abs(float(noise[s.flatten() > 0.1].std()) - 1) < 0.02
    assert float(main) == pytest.approx(float((a * noise - s).pow(2).mean()), rel=0.02), "v = α·ε − σ·x₀"
    assert 0.15 < float((states[:, 0, 0] == 0).float().mean()) < 0.35 and set(states.unique().tolist()) == {0.0, 7.0}
    assert float(t.float().mean()) == pytest.approx(1000 / 1.4, rel=0.02), "the mean of 1000 · u^0.4"
    lost = auxiliary.POSITION * float(auxiliary.positions(13, 20).pow(2).mean())
    assert float(heads) == pytest.approx(lost + auxiliary.SUBJECTS * np.log(2), rel=1e-4)
    crops = replace(share, kind="crops")
    assert float(trainer._loss(network, Shelf(), crops, rng, signal, level)[1]) == 0, "heads learn of whole pages only"


@pytest.mark.parametrize(("tilt", "loss"), [(1e-9, 0.5), (1e9, 0.25)], ids=["at timestep 999", "at timestep 0"])
def test_subjects_count_three_times_at_little_noise_only(tilt, loss):
    class Half(Fixed):
        """Right where the subject is, on the left half, and wrong by 1 on the other."""

        def forward(self, *asked):
            output, position, subjects = super().forward(*asked)
            output[..., 40:] += 1
            return output, position, subjects

    trainer = object.__new__(Trainer)
    trainer.plan, trainer.device, trainer.empty = UnetPlan("pages", 1, ()), "cpu", torch.zeros(77, 768)
    share, rng = Share("pages", 8, 1, tilt=tilt, focus=2.0), np.random.default_rng(1)
    main, _ = trainer._loss(Half(-1.0), Shelf(), share, rng, torch.zeros(1000), torch.ones(1000))
    assert float(main) == pytest.approx(loss), "with no signal left v is −x₀ = −1"


def test_the_average_moves_as_its_decay_says():
    torch.manual_seed(0)
    one, average = torch.nn.Linear(6, 8), torch.nn.Linear(6, 8)
    average.load_state_dict(one.state_dict())
    start = one.weight.detach().clone()
    weights = Weights(one, average.requires_grad_(False), 1, "cpu")
    stepper = Stepper(weights, 0, 0)
    weights.attach(0)
    one(torch.ones(3, 6)).pow(2).mean().backward()
    stepper.step(0.05, 0.9)
    assert (one.weight - start).abs().max() > 1e-4
    assert torch.allclose(average.weight, 0.9 * start + 0.1 * one.weight, atol=1e-7)


def test_the_rate_warms_up_stays_and_falls_to_a_tenth():
    plan = UnetPlan("pages", 1000, (), rate=1.0, warmup=10, decay=0.2)
    assert rate_at(plan, 0) == pytest.approx(0.1)
    assert rate_at(plan, 500) == 1.0
    assert rate_at(plan, 999) == pytest.approx(0.1, abs=0.01)


@pytest.mark.parametrize("kind", ["crops", "several", "pages"])
def test_an_example_shows_its_subjects_where_it_says(kind: Kind):
    illustrator, height, width = Illustrator(kind, open_pack(), 5), *(8 * side for side in SHAPES[kind])
    for number in range(12):
        example = illustrator.draw(number)
        assert example.pixels.shape == (height, width, 3) and example.subjects.shape == (height, width)
        assert example.subjects.any() == bool(example.scene.items)
        assert example.subjects.mean() < 0.9, "the setting is not one of them"
        if kind == "pages":
            for item in example.scene.items:
                body = slice(int(item.base - item.height), int(item.base))
                part = example.subjects[body, int(item.x - item.height / 2) : int(item.x + item.height / 2)]
                assert part.any(), item.subject.name
    first, again = illustrator.draw(3), Illustrator(kind, open_pack(), 5).draw(3)
    assert np.array_equal(first.pixels, again.pixels) and first.text == again.text


def test_a_unet_made_quick_to_train_computes_the_same():
    torch.manual_seed(0)
    unet = new_unet()
    x, t, states = torch.randn(1, 4, 12, 16), torch.tensor([500]), torch.randn(1, 77, 768)
    found = []
    for _ in range(2):
        unet.zero_grad()
        output = unet(x, t, states).sample
        output.pow(2).mean().backward()
        found.append((output.detach(), torch.cat([p.grad.flatten() for p in unet.parameters()])))
        prepare(unet)
    for before, after in zip(*found, strict=True):
        assert (before - after).abs().max() < 1e-4 * before.abs().max()


def test_the_heads_leave_the_prediction_as_it_is_and_send_gradients_into_the_network():
    torch.manual_seed(0)
    unet = new_unet()
    x, t, states = torch.randn(2, 4, 16, 24), torch.tensor([999, 500]), torch.randn(2, 77, 768)
    before = unet(x, t, states).sample
    after, position, subjects = WithHeads(unet)(x, t, states)
    assert torch.equal(before, after)
    assert position.shape == (2, 2, 4, 6)
    assert [logits.shape for logits in subjects] == [(2, 1, 4, 6), (2, 1, 8, 12), (2, 1, 16, 24)]
    auxiliary.loss(position, subjects, (torch.rand(2, 1, 16, 24) < 0.5).float()).backward()
    reached = {name for name, p in unet.named_parameters() if p.grad is not None and p.grad.any()}
    assert {"conv_in.weight", "mid_block.resnets.1.conv2.weight"} <= reached
    assert any(name.startswith("up_blocks.2.resnets.1") for name in reached)


def test_positions_are_columns_and_rows_from_one_edge_to_the_other():
    where = auxiliary.positions(13, 20)[0]
    assert where.mean((1, 2)).abs().max() < 1e-6
    assert where[0, 5].diff().min() > 0 and where[0, :, 7].unique().numel() == 1
    assert where[1, :, 5].diff().min() > 0 and where[1, 7].unique().numel() == 1
    perfect = auxiliary.loss(where[None], [torch.full((1, 1, 13, 20), 40.0)], torch.ones(1, 1, 52, 80))
    assert perfect < 1e-6


def test_two_workers_step_as_torch_does_with_muon_and_adamw():
    torch.manual_seed(0)
    made = [torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.Tanh(), torch.nn.Linear(8, 4)) for _ in range(3)]
    one, average, reference = made
    reference.load_state_dict(one.state_dict())
    start = [parameter.detach().clone() for parameter in one.parameters()]
    weights = Weights(one, average.requires_grad_(False), 2, "cpu")
    steppers = [Stepper(weights, rank, 0) for rank in (0, 1)]
    assert all(stepper.optimizers for stepper in steppers), "both have something to do"
    named = dict(reference.named_parameters())
    optimizers = [
        torch.optim.Muon([p for p in named.values() if p.dim() == 2], lr=0.05, weight_decay=0.0),
        torch.optim.AdamW(
            [p for p in named.values() if p.dim() == 1], 0.05 * ADAM_RATE, (0.9, 0.99), weight_decay=1e-2
        ),
    ]
    for _ in range(4):
        x = torch.randn(8, 6)
        for rank in (0, 1):
            weights.attach(rank)
            one(x[rank::2]).pow(2).mean().backward()
        for stepper in steppers:
            stepper.step(0.05, 0.9)
        reference.zero_grad()
        reference(x).pow(2).mean().backward()
        torch.nn.utils.clip_grad_norm_(reference.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
    for mine, theirs, before in zip(one.parameters(), reference.parameters(), start, strict=True):
        far, moved = (mine - theirs).abs().max(), (mine - before).abs().max()
        assert far < 0.1 * moved, "sums in another order and Muon's bfloat16, nothing else"


def test_nothing_is_learned_of_the_two_values_that_no_key_holds(smoked):
    state = runs.load(smoked / "run" / "unet.pt")
    assert state is not None
    read = [name for name in state["model"] if name.endswith(TEXT_LAYERS)]
    places = [place for place, _ in FIXED]
    assert len(read) == 8
    for name in read:
        assert (state["model"][name][:, places] == 0).all() and (state["model"][name] != 0).any()
