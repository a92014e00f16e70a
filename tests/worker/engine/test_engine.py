"""worker.engine.engine: from addresses and keys to prints, on a tiny model of Stable Diffusion's kind."""

import hashlib
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import DPMSolverMultistepScheduler, StableDiffusionPipeline
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from transformers.utils import logging as transformers_logging

from tests.conftest import write_edition
from worker.catalogue.address import Address
from worker.catalogue.key import Key, snap_embedding
from worker.editions.edition import Edition, load_edition
from worker.engine.engine import Engine, Lane
from worker.engine.loop import Step
from worker.engine.networks.unet import Text, UNet
from worker.errors import EditionRefused, InputRefused, PrintFailed, WeightsRefused


@pytest.fixture(scope="module")
def dog(tiny_engine: Engine) -> Key:
    return tiny_engine.resolve(Address.parse("tiny/prompt/a dog/1"))


@pytest.fixture(scope="module")
def empty(tiny_engine: Engine, dog: Key) -> Key:
    """The key with the empty prompt's embedding and the dog's latents."""
    return Key.pack(4, tiny_engine.embed(""), dog.latents)


def test_it_prints_the_page_of_a_key(tiny_engine: Engine, dog: Key) -> None:
    page = tiny_engine.print_page(dog)
    assert (page.pixels.shape, page.pixels.dtype) == ((416, 640, 3), np.uint8)
    assert page.digest == hashlib.sha256(page.pixels.tobytes()).hexdigest()
    assert (page.steps, page.off_catalogue, page.rendition) == (4, False, tiny_engine.rendition)
    assert page.seconds.keys() == {"loop", "decode"}
    assert len(np.unique(page.pixels)) > 50, "the page is nearly plain"


def assert_prints_as_the_pipeline(engine: Engine, weights: Path, key: Key, guidance_of: Callable[[int], float]) -> None:
    """The same weights, solver, guidance, latents and embeddings; only rounding may differ, which moves a value by one
    where it lies on the edge between two. `guidance_of` gives the guidance at a timestep."""
    transformers_logging.disable_progress_bar()
    pipeline = StableDiffusionPipeline.from_pretrained(
        str(weights), dtype=torch.float32, safety_checker=None, local_files_only=True
    )
    pipeline.scheduler = DPMSolverMultistepScheduler.from_config(pipeline.scheduler.config)
    pipeline.set_progress_bar_config(disable=True)

    def guide_next(pipe: StableDiffusionPipeline, step: int, _: int, state: dict[str, Tensor]) -> dict[str, Tensor]:
        if step + 1 < len(pipe.scheduler.timesteps):
            pipe._guidance_scale = guidance_of(int(pipe.scheduler.timesteps[step + 1]))
        return state

    with pytest.warns(DeprecationWarning, match="__array__"):  # diffusers' own, see test_solvers
        picture = pipeline(
            prompt_embeds=torch.tensor(key.embedding, dtype=torch.float32)[None],
            negative_prompt_embeds=torch.tensor(engine.embed(""), dtype=torch.float32)[None],
            latents=torch.tensor(key.latents, dtype=torch.float32)[None],
            guidance_scale=guidance_of(999),
            callback_on_step_end=guide_next,
            num_inference_steps=4,
            output_type="np",
        ).images[0]
    expected = (picture * 255).round().astype(np.int16)
    difference = np.abs(engine.print_page(key).pixels.astype(np.int16) - expected)
    print(f"against the pipeline: {np.count_nonzero(difference)} of {difference.size} values, by {difference.max()}")
    assert difference.max() <= 1
    assert np.count_nonzero(difference) < difference.size // 100


def test_it_prints_what_the_pipeline_of_diffusers_prints(tiny_engine: Engine, tiny_weights: Path, dog: Key) -> None:
    assert_prints_as_the_pipeline(tiny_engine, tiny_weights, dog, lambda _: tiny_engine.edition.guidance)


def test_early_steps_take_the_early_guidance(
    tiny_edition: Edition, tiny_engine: Engine, tiny_weights: Path, dog: Key
) -> None:
    engine = Engine(replace(tiny_edition, early_guidance=1.5, early_above=600), device="cpu", threads=1)
    assert_prints_as_the_pipeline(engine, tiny_weights, dog, lambda timestep: 1.5 if timestep > 600 else 5.0)
    assert engine.print_page(dog).digest != tiny_engine.print_page(dog).digest


def test_it_yields_the_steps_of_a_page(tiny_engine: Engine, dog: Key) -> None:
    steps = list(tiny_engine.run([dog]))
    assert [(step.index, step.of) for step in steps] == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert all(step.latents.shape == step.predicted.shape == (1, 4, 52, 80) for step in steps)
    assert np.array_equal(tiny_engine.decode(steps[-1].latents)[0], tiny_engine.print_page(dog).pixels)


def test_the_embedding_and_the_latents_both_decide_the_page(tiny_engine: Engine, dog: Key) -> None:
    cat = Key.pack(2, tiny_engine.embed("a cat"), dog.latents)
    other = Key.pack(2, dog.embedding, tiny_engine.resolve(Address.parse("tiny/prompt/a dog/2")).latents)
    digests = {tiny_engine.print_page(key, steps=2).digest for key in (dog, cat, other)}
    assert len(digests) == 3


def test_an_equal_second_row_is_left_out(
    tiny_engine: Engine, dog: Key, empty: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    """uncond + g · (cond − uncond) is uncond where the rows are equal; the page is that of guidance 1."""
    assert tiny_engine.lane(dog) == Lane(4, guided=True)
    assert tiny_engine.lane(empty) == Lane(4, guided=False)
    seen: list[int] = []
    call = UNet.__call__

    def counted(unet: UNet, latents: Tensor, timestep: Tensor, text: Text) -> Tensor:
        seen.append(len(text[0][0]))
        return call(unet, latents, timestep, text)

    monkeypatch.setattr(UNet, "__call__", counted)
    tiny_engine.print_page(empty, steps=1)
    tiny_engine.print_page(dog, steps=1)
    assert seen == [1, 2]


def test_a_batch_is_padded_and_prints_every_page_of_it(tiny_edition: Edition) -> None:
    engine = Engine(tiny_edition, device="cpu", threads=1, batch=3)
    keys = [engine.resolve(Address.parse(f"tiny/key/borges/{page}")) for page in (1, 2)]
    pages = engine.print_pages(keys, steps=1)
    assert len(pages) == 2
    assert pages[0].digest != pages[1].digest
    assert engine.rendition.batch == 3
    assert [len(step.latents) for step in engine.run(keys, steps=1)] == [3]


def test_pages_of_two_lanes_are_not_run_together(tiny_edition: Edition, tiny_engine: Engine, dog: Key) -> None:
    engine = Engine(tiny_edition, device="cpu", threads=1, batch=2)
    empty = Key.pack(4, engine.embed(""), dog.latents)
    with pytest.raises(AssertionError, match="several lanes"):
        engine.run([dog, empty])


@pytest.mark.parametrize("steps", [1, 3])
def test_any_number_of_steps_is_printed_off_the_catalogue(tiny_engine: Engine, dog: Key, steps: int) -> None:
    page = tiny_engine.print_page(dog, steps=steps)
    assert (page.steps, page.off_catalogue) == (steps, True)


@pytest.mark.parametrize("steps", [0, 129, -1])
def test_it_refuses_a_number_of_steps_out_of_range(tiny_engine: Engine, dog: Key, steps: int) -> None:
    with pytest.raises(InputRefused, match=f"should be 1 to 128, and is {steps}"):
        tiny_engine.print_page(dog, steps=steps)


def test_it_refuses_a_key_of_more_steps_than_the_edition_prints(tiny_engine: Engine, dog: Key) -> None:
    key = Key.pack(66, dog.embedding, dog.latents)
    with pytest.raises(InputRefused, match="asks for 66 steps, and edition tiny prints at most 64"):
        tiny_engine.run([key])


def test_a_page_can_begin_at_other_latents_than_its_key_s(tiny_engine: Engine, dog: Key) -> None:
    black = np.zeros((4, 52, 80), np.float32)
    page = tiny_engine.print_page(dog, steps=1, latents=black)
    assert page.off_catalogue
    assert page.digest != tiny_engine.print_page(dog, steps=1).digest
    own = tiny_engine.print_page(dog, steps=1, latents=dog.latents)
    assert own.digest == tiny_engine.print_page(dog, steps=1).digest


def test_what_a_step_s_hook_raises_ends_the_run_and_spoils_nothing(tiny_engine: Engine, dog: Key) -> None:
    before = tiny_engine.print_page(dog, steps=2).digest
    seen: list[int] = []

    def stop(step: Step) -> None:
        seen.append(step.index)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tiny_engine.print_page(dog, stop, steps=4)
    assert seen == [1]
    assert tiny_engine.print_page(dog, steps=2).digest == before


def test_a_run_that_another_has_replaced_cannot_go_on(tiny_engine: Engine, dog: Key) -> None:
    first = tiny_engine.run([dog])
    next(first)
    next(tiny_engine.run([dog]))
    with pytest.raises(AssertionError, match="another run"):
        next(first)


def test_it_resolves_every_kind_of_address(tiny_engine: Engine, dog: Key) -> None:
    volume = tiny_engine.resolve(Address.parse("tiny/key/borges/1"))
    assert volume.steps == 4
    stacks = tiny_engine.resolve(Address.parse("tiny/stacks/borges/410"))
    assert stacks != volume
    held = {dog.mark: dog}
    assert tiny_engine.resolve(Address.parse(f"tiny/mark/{dog.mark}"), held.__getitem__) == dog
    with pytest.raises(InputRefused, match="no library was asked"):
        tiny_engine.resolve(Address.parse(f"tiny/mark/{dog.mark}"))
    with pytest.raises(InputRefused, match="one of edition pocket-1, and this press prints tiny"):
        tiny_engine.resolve(Address.parse("pocket-1/key/borges/1"))


def test_an_embedding_is_the_same_remembered_or_new(tiny_engine: Engine) -> None:
    new = tiny_engine._text.embed("a boat on a beach")
    first, again = tiny_engine.embed("a boat on a beach"), tiny_engine.embed("a boat on a beach")
    assert new.dtype == first.dtype == np.float64
    assert np.array_equal(new, first)
    assert np.array_equal(first, again)
    assert np.array_equal(snap_embedding(first), first)


def test_a_preview_is_a_small_picture_of_the_predicted_page(tiny_engine: Engine, dog: Key) -> None:
    *_, last = tiny_engine.run([dog])
    small = tiny_engine.preview(last.predicted)
    assert (small.shape, small.dtype) == ((1, 52, 80, 3), np.uint8)


def test_a_picture_goes_into_latents_and_back(tiny_engine: Engine) -> None:
    pixels = np.zeros((1, 416, 640, 3), np.uint8)
    pixels[:, :, 320:] = 200
    latents = tiny_engine.encode(pixels)
    assert (latents.shape, latents.dtype) == ((1, 4, 52, 80), np.float32)
    assert np.array_equal(latents, tiny_engine.encode(pixels))


def test_it_refuses_to_print_once_the_process_has_changed(tiny_engine: Engine, dog: Key) -> None:
    torch.set_num_threads(2)
    try:
        with pytest.raises(PrintFailed, match=r"1 threads.*2 threads"):
            tiny_engine.print_page(dog)
    finally:
        torch.set_num_threads(1)
    torch.use_deterministic_algorithms(False)
    try:
        with pytest.raises(PrintFailed):
            tiny_engine.print_page(dog)
    finally:
        torch.use_deterministic_algorithms(True)


def test_numbers_that_overflow_are_no_page(tiny_engine: Engine, dog: Key) -> None:
    with pytest.raises(PrintFailed, match="model of edition tiny overflowed in float32"):
        tiny_engine.print_page(dog, steps=1, latents=np.full((4, 52, 80), np.inf, np.float32))


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_picture_that_the_decoder_overflows_in_is_no_page(
    tiny_engine: Engine, dog: Key, value: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    paint = tiny_engine.decoder._paint

    def overflow(latents: Tensor) -> Tensor:
        picture = paint(latents)
        picture[0, 1, 200, 300] = value
        return picture

    monkeypatch.setattr(tiny_engine.decoder, "_paint", overflow)
    with pytest.raises(PrintFailed, match="decoder of edition tiny overflowed in float32"):
        tiny_engine.print_page(dog, steps=1)


def test_a_picture_that_the_encoder_overflows_in_gives_no_latents(
    tiny_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tiny_engine.decoder, "_scale", math.inf)
    with pytest.raises(PrintFailed, match="encoder of edition tiny overflowed"):
        tiny_engine.encode(np.zeros((1, 416, 640, 3), np.uint8))


def test_it_refuses_weights_with_a_tensor_missing(tmp_path: Path, tiny_weights: Path) -> None:
    import shutil

    from safetensors.torch import load_file, save_file

    shutil.copytree(tiny_weights, tmp_path / "weights")
    file = tmp_path / "weights" / "unet" / "diffusion_pytorch_model.safetensors"
    tensors = load_file(file)
    del tensors["conv_norm_out.weight"]
    save_file(tensors, file)
    write_edition(tmp_path, "broken", str(tmp_path / "weights"))
    with pytest.raises(WeightsRefused, match=r"conv_norm_out\.weight in .* is missing"):
        Engine(load_edition("broken", tmp_path), device="cpu")


def test_it_refuses_a_device_that_the_edition_states_no_precision_for(
    tiny_edition: Edition, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    with pytest.raises(EditionRefused, match="no precision for cuda, only for cpu"):
        Engine(tiny_edition)


class Watch(TorchDispatchMode):
    """Sees every operator that runs: each tensor must be on one device, and none may be read by the host.

    Only a copy from the host to the device may touch both. On the `meta` device a tensor has no values, so whatever
    would wait for one fails there by itself; the list of what the host must not ask is for the CPU.
    """

    ASKING = (
        *("aten.item", "aten._local_scalar_dense", "aten.is_nonzero", "aten.nonzero", "aten.equal", "aten.allclose"),
        *("aten.unique", "aten._unique", "aten.masked_select"),
    )

    def __init__(self, device: str) -> None:
        super().__init__()
        self.device, self.operators, self.wrong = device, 0, list[str]()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        self.operators += 1
        name = str(func)
        found = {leaf.device.type for leaf in tree_leaves((args, kwargs, result)) if isinstance(leaf, torch.Tensor)}
        to_device = name.startswith(("aten.to.", "aten._to_copy", "aten.copy_")) and result.device.type == self.device
        if found - {self.device} and not to_device and found != {"cpu"}:
            self.wrong.append(f"{name} on {found}")
        if name.startswith(self.ASKING):
            self.wrong.append(f"{name} asks for a value")
        return result


@pytest.fixture
def matrix_edition(tmp_path: Path, tiny_weights: Path) -> Edition:
    """`tiny` with a preview matrix of its own."""
    row = "[0.2, 0.1, -0.1]"
    preview = f"\n[preview]\nmatrix = [{', '.join([row] * 4)}]\n"
    write_edition(tmp_path, "tiny", str(tiny_weights), lambda text: text + preview)
    return load_edition("tiny", tmp_path)


@pytest.mark.parametrize("guided", [True, False])
def test_from_latents_to_pixels_nothing_needs_the_host(
    matrix_edition: Edition, dog: Key, empty: Key, guided: bool
) -> None:
    """The whole engine on the `meta` device: every tensor there, no value asked for, from the first step to pixels."""
    engine = Engine(matrix_edition, device="meta", threads=1, batch=2)
    key = dog if guided else empty
    with Watch("meta") as watch:
        for step in engine.run([key, key]):
            assert step.latents.is_meta
            assert step.latents.shape == step.predicted.shape == (2, 4, 52, 80)
        pixels, finite = engine.decoder.decode(step.latents)
    assert watch.wrong == []
    assert watch.operators > 1000
    assert pixels.is_meta and finite.is_meta
    assert (pixels.shape, pixels.dtype) == ((2, 416, 640, 3), torch.uint8)
    indices: list[int] = []
    with pytest.raises(RuntimeError, match="cannot be called on meta tensors"):
        engine.print_page(key, lambda step: indices.append(step.index))
    assert indices == [1, 2, 3, 4], "a value was asked for before the last step"


def test_the_loop_never_makes_the_host_wait(tiny_engine: Engine, dog: Key) -> None:
    with Watch("cpu") as watch:
        *_, last = tiny_engine.run([dog], steps=2)
        tiny_engine.decoder.decode(last.latents)
    assert watch.wrong == []


def test_it_draws_no_random_number(tiny_engine: Engine, dog: Key) -> None:
    state = torch.get_rng_state()
    tiny_engine.print_page(dog, steps=1)
    assert torch.equal(torch.get_rng_state(), state)
