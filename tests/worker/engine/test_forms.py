"""The forms of model that people have, through the engine, against diffusers' own pipelines on the same numbers."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import (
    AutoencoderTiny,
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    LCMScheduler,
    StableDiffusionPipeline,
    UNet2DConditionModel,
)
from transformers.utils import logging as transformers_logging

from bench.random_weights import FORMS, fill, taesd_config, unet_config
from tests.conftest import write_edition
from tests.worker.engine.networks.test_adapters import lora, write_lora
from worker.catalogue.address import Address
from worker.catalogue.key import Key
from worker.editions.adding import set_prediction
from worker.editions.edition import Edition, load_edition
from worker.engine.engine import Engine, noise_of
from worker.engine.solvers import make_plan
from worker.errors import InputRefused

SCHEDULERS = {"ddim": DDIMScheduler, "dpm-solver++": DPMSolverMultistepScheduler, "lcm": LCMScheduler}
CHEAP = {
    "down_block_types": ["DownBlock2D", "DownBlock2D", "CrossAttnDownBlock2D"],
    "up_block_types": ["CrossAttnUpBlock2D", "UpBlock2D", "UpBlock2D"],
    "block_out_channels": [16, 32, 32],
}


@dataclass(frozen=True)
class Form:
    """One form of model: what its U-Net says otherwise, its VAE, solver and guidance, and how it is computed."""

    unet: dict[str, Any]
    taesd: bool
    solver: str
    guidance: float
    adapter: bool
    kernels: str


FORM = {
    "bk-sdm": Form({"mid_block_type": None}, False, "dpm-solver++", 5.0, False, "onednn"),
    "small-sd with taesd": Form(FORMS["small-sd"], True, "dpm-solver++", 5.0, False, "onednn and diffusers"),
    "lcm with taesd": Form(FORMS["lcm"], True, "lcm", 8.5, False, "onednn and diffusers"),
    "lcm-lora": Form({}, False, "lcm", 1.0, True, "onednn"),
    "lcm-lora guided": Form({}, False, "lcm", 1.5, True, "onednn"),
    "unknown to us": Form(
        {"resnet_time_scale_shift": "scale_shift"}, False, "ddim", 5.0, False, "diffusers and onednn"
    ),
}


def edition_of(form: Form, prediction: str, tiny_weights: Path, folder: Path) -> Edition:
    """An own edition of this form, its weights written here."""
    weights = Path(shutil.copytree(tiny_weights, folder / "weights"))
    with torch.device("meta"):
        unet: Any = UNet2DConditionModel(**(unet_config("tiny") | CHEAP | form.unet))
        vae: Any = AutoencoderTiny(**taesd_config("tiny"))
    parts = {"unet": unet} | ({"vae": vae} if form.taesd else {})
    for name, model in parts.items():
        shutil.rmtree(weights / name)
        filled: Any = fill(model, 1)
        filled.save_pretrained(weights / name)
    set_prediction(weights, prediction, False)
    write_edition(folder, "form", str(weights))
    edition = replace(load_edition("form", folder), solver=form.solver, guidance=form.guidance, step_limit=50)
    edition = replace(edition, early_guidance=form.guidance)
    adapter = write_lora(folder / "lora.safetensors", lora("kohya")) if form.adapter else None
    return replace(edition, adapters=(adapter,) if adapter else ())


def pipeline_of(edition: Edition) -> Any:
    """`StableDiffusionPipeline` on the edition's weights, with its solver and its adapters."""
    transformers_logging.disable_progress_bar()
    given: dict[str, Any] = {}
    if "AutoencoderTiny" in (edition.weights / "vae" / "config.json").read_text():
        given["vae"] = AutoencoderTiny.from_pretrained(str(edition.weights / "vae"), dtype=torch.float32)
    pipeline: Any = StableDiffusionPipeline.from_pretrained(
        str(edition.weights), dtype=torch.float32, safety_checker=None, local_files_only=True, **given
    )
    for adapter in edition.adapters:
        pipeline.load_lora_weights(str(adapter.file.parent), weight_name=adapter.file.name)
        pipeline.fuse_lora(lora_scale=adapter.strength)
        pipeline.unload_lora_weights()
    config = {name: value for name, value in pipeline.scheduler.config.items() if name != "steps_offset"}
    pipeline.scheduler = SCHEDULERS[edition.solver].from_config(
        config if edition.solver == "lcm" else pipeline.scheduler.config
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@pytest.fixture(autouse=True)
def switches() -> Iterator[None]:
    """Put torch's switches back, which an engine sets for its process."""
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(False)


@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword")
@pytest.mark.parametrize(
    ("name", "prediction"),
    [*((name, "v_prediction") for name in FORM), ("bk-sdm", "epsilon"), ("lcm-lora", "epsilon")],
)
def test_it_prints_what_the_pipeline_of_diffusers_prints(
    name: str, prediction: str, tiny_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the same weights, latents, embeddings and noise; pixels within one of 256.

    Latents within 1e-4, where they are of the size of a real model's, about 5: what random weights take for the
    velocity makes such. What they take for the noise ends 20 times as large, and so do the differences.
    """
    form = FORM[name]
    edition = edition_of(form, prediction, tiny_weights, tmp_path)
    engine = Engine(edition, device="cpu", threads=1, batch=1)
    key = engine.resolve(Address.parse("form/prompt/a dog/1"))
    pipeline = pipeline_of(edition)
    plan = make_plan(form.solver, edition.scheduler_config, 4)
    noise = noise_of(torch.from_numpy(key.latents.astype(np.float32))[None], plan)
    left = iter([noise(step) for step in (1, 2, 3)] if form.solver == "lcm" else [])
    monkeypatch.setattr("diffusers.schedulers.scheduling_lcm.randn_tensor", lambda *_, **__: next(left))
    trail: list[torch.Tensor] = []

    def note(_pipe: Any, _step: int, _timestep: Any, state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        trail.append(state["latents"])
        return state

    picture = pipeline(
        prompt_embeds=torch.tensor(key.embedding, dtype=torch.float32)[None],
        negative_prompt_embeds=torch.tensor(engine.embed(""), dtype=torch.float32)[None],
        latents=torch.tensor(key.latents, dtype=torch.float32)[None],
        guidance_scale=form.guidance,
        num_inference_steps=4,
        callback_on_step_end=note,
        output_type="np",
    ).images[0]
    steps = list(engine.run([key]))
    largest = max(float((step.latents - there).abs().max()) for step, there in zip(steps, trail, strict=True))
    scale = max(float(there.abs().max()) for there in trail)
    pixels = engine.decode(steps[-1].latents)[0].astype(int)
    apart = np.abs(pixels - (picture * 255).round().astype(int))
    moved = np.count_nonzero(apart) / apart.size
    said = f"latents differ by {largest:.1e} of {scale:.1f}, {moved:.2%} of the values by {apart.max()}"
    print(f"{name}, {prediction}: {said}")
    assert largest <= (1e-4 if prediction == "v_prediction" else 1e-5 * scale)
    assert prediction == "epsilon" or scale < 10
    assert apart.max() <= 1 and moved < 0.01
    assert len(np.unique(pixels)) > 20, "the picture is nearly plain"
    assert engine.rendition.kernels == form.kernels
    assert list(left) == []
    assert ("lora.safetensors" in engine.rendition.format()) == form.adapter


@pytest.fixture
def lcm(tiny_edition: Edition) -> Edition:
    return replace(tiny_edition, solver="lcm", guidance=1.0, early_guidance=1.0, step_limit=50)


def test_a_page_of_lcm_is_a_function_of_its_key(lcm: Edition) -> None:
    """Again, in another engine, beside a neighbour, in another row, after other pages: the same bits."""
    one, two = (Engine(lcm, device="cpu", threads=1, batch=batch) for batch in (1, 2))
    dog, cat = (one.resolve(Address.parse(f"tiny/prompt/{name}/1")) for name in ("a dog", "a cat"))
    first = one.print_page(dog)
    one.print_page(cat, steps=2)
    assert one.print_page(dog).digest == first.digest
    assert {page.digest for page in two.print_pages([dog, dog])} == {two.print_pages([cat, dog])[1].digest}
    assert two.print_pages([dog])[0].digest == first.digest
    assert first.digest != one.print_page(cat).digest
    other = Key.pack(4, dog.embedding, one.resolve(Address.parse("tiny/prompt/a dog/2")).latents)
    assert first.digest != one.print_page(other).digest


def test_the_noise_is_that_of_the_latents_that_a_page_begins_with(lcm: Edition) -> None:
    """A page that begins at other latents has a key of its own, which prints it again."""
    engine = Engine(lcm, device="cpu", threads=1)
    dog, cat = (engine.resolve(Address.parse(f"tiny/prompt/{name}/1")) for name in ("a dog", "a cat"))
    begun = engine.print_page(dog, latents=cat.latents)
    assert begun.digest == engine.print_page(Key.pack(4, dog.embedding, cat.latents)).digest


def test_lcm_runs_on_the_meta_device(lcm: Edition) -> None:
    """Where no tensor has values: the noise makes no step wait for the device."""
    engine = Engine(lcm, device="meta", threads=1)
    dog = engine.resolve(Address.parse("tiny/prompt/a dog/1"))
    assert [step.latents.is_meta for step in engine.run([dog])] == [True] * 4


def test_more_steps_than_a_model_was_distilled_on_are_refused_when_it_is_loaded(lcm: Edition) -> None:
    with pytest.raises(InputRefused, match=r"distilled on 50 timesteps .* cannot be run for 64 steps"):
        Engine(replace(lcm, step_limit=64), device="cpu", threads=1)
