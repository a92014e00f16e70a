"""Which files of a folder or a repository make an edition: plain ones, variants, shards; and other models by name."""

import json
from pathlib import Path
from typing import Any

import pytest

from worker.editions.layout import choose, licence_of, names_in, refuse_other_pipelines
from worker.errors import InputRefused, WeightsRefused

SMALL = [
    *("unet/config.json", "vae/config.json", "text_encoder/config.json", "scheduler/scheduler_config.json"),
    *("tokenizer/vocab.json", "tokenizer/merges.txt"),
]
PLAIN = [
    *("unet/diffusion_pytorch_model.safetensors", "vae/diffusion_pytorch_model.safetensors"),
    "text_encoder/model.safetensors",
]
HALF = [name.replace(".safetensors", ".fp16.safetensors") for name in PLAIN]
SHARDS = [
    "unet/diffusion_pytorch_model-00001-of-00002.safetensors",
    "unet/diffusion_pytorch_model-00002-of-00002.safetensors",
]
INDEX = "unet/diffusion_pytorch_model.safetensors.index.json"


def test_plain_files_are_taken_where_they_are_there() -> None:
    chosen = choose([*SMALL, *PLAIN, *HALF, "README.md", "v1-5.ckpt"], None, "here")
    assert chosen.files == {name: name for name in (*SMALL, *PLAIN)}
    assert chosen.variant is None


def test_a_variant_gets_plain_names() -> None:
    for names, wanted in (([*PLAIN, *HALF], "fp16"), (HALF, None), (HALF, "fp16")):
        chosen = choose([*SMALL, *names], wanted, "here")
        assert chosen.variant == "fp16"
        assert {here: chosen.files[here] for here in PLAIN} == dict(zip(PLAIN, HALF, strict=True))


def test_a_component_without_the_variant_is_taken_plain() -> None:
    chosen = choose([*SMALL, *PLAIN, HALF[0]], "fp16", "here")
    assert [chosen.files[name] for name in PLAIN] == [HALF[0], *PLAIN[1:]]


@pytest.mark.parametrize(
    ("index", "shards", "variant"),
    [
        (INDEX, SHARDS, None),
        (INDEX.replace(".json", ".fp16.json"), [name.replace("model-", "model.fp16-") for name in SHARDS], "fp16"),
        (INDEX.replace(".json", ".fp16.json"), [name.replace(".safe", ".fp16.safe") for name in SHARDS], "fp16"),
    ],
)
def test_shards_are_taken_with_their_index(index: str, shards: list[str], variant: str | None) -> None:
    chosen = choose([*SMALL, *PLAIN[1:], index, *shards], variant, "here")
    assert {there: here for here, there in chosen.files.items()}[index] == INDEX
    assert all(chosen.files[name] == name for name in shards)
    assert PLAIN[0] not in chosen.files


def test_a_safety_checker_is_taken_with_what_prepares_its_pictures() -> None:
    checker = ["safety_checker/config.json", "feature_extractor/preprocessor_config.json"]
    whole = [*SMALL, *PLAIN, *checker, "safety_checker/model.safetensors"]
    assert choose(whole, None, "here").files.keys() == set(whole)
    pickled = [*SMALL, *PLAIN, *checker, "safety_checker/pytorch_model.bin"]
    assert choose(pickled, None, "here").files.keys() == {*SMALL, *PLAIN}


@pytest.mark.parametrize(
    ("names", "variant", "said"),
    [
        ([*SMALL, *PLAIN[1:], "unet/diffusion_pytorch_model.bin"], None, "holds unet/diffusion_pytorch_model.bin, a p"),
        ([*SMALL, *PLAIN[1:]], None, "should hold unet/diffusion_pytorch_model.safetensors and holds unet/config"),
        (["model.safetensors", "README.md"], None, "diffusers' layout .* and holds README.md, model.safetensors"),
        ([], None, "and holds nothing"),
        ([name for name in (*SMALL, *PLAIN) if "vocab" not in name], None, "should hold tokenizer/vocab.json and d"),
        ([*SMALL, *PLAIN, "text_encoder_2/config.json"], None, "holds Stable Diffusion XL"),
        (["transformer/config.json", "model_index.json"], None, "holds a model with a transformer"),
        (["pytorch_lora_weights.safetensors"], None, "holds a LoRA"),
        ([*SMALL, *PLAIN], "fp16", "should have files of the variant fp16 and has none"),
        ([*SMALL, *HALF, *[name.replace("fp16", "ema") for name in HALF]], None, "the variants ema, fp16 of unet"),
    ],
)
def test_what_is_no_such_layout_is_refused(names: list[str], variant: str | None, said: str) -> None:
    with pytest.raises((WeightsRefused, InputRefused), match=f"somewhere .*{said}"):
        choose(names, variant, "somewhere")


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("model_index.json", {"_class_name": "StableDiffusionXLPipeline"}, "Stable Diffusion XL"),
        ("model_index.json", {"_class_name": "StableDiffusion3Pipeline"}, "Stable Diffusion 3"),
        ("model_index.json", {"_class_name": "FluxPipeline"}, "Flux"),
        ("model_index.json", {"_class_name": "StableDiffusionInpaintPipeline"}, "a model for inpainting"),
        ("unet/config.json", {"cross_attention_dim": 1024}, "Stable Diffusion 2.x"),
        ("unet/config.json", {"cross_attention_dim": 2048}, "Stable Diffusion XL"),
        ("unet/config.json", {"in_channels": 9}, "a model for inpainting, whose U-Net takes 9 channels"),
        ("unet/config.json", {"in_channels": 8}, "a model that edits pictures"),
        ("unet/config.json", {"_class_name": "ControlNetModel"}, "a ControlNet"),
        ("config.json", {"_class_name": "ControlNetModel"}, "a ControlNet"),
        ("config.json", {"_class_name": "AutoencoderKL"}, r"one network alone \(AutoencoderKL\)"),
    ],
)
def test_another_model_is_refused_by_name(file: str, content: dict[str, Any], said: str, tmp_path: Path) -> None:
    (tmp_path / "unet").mkdir()
    (tmp_path / file).write_text(json.dumps(content))
    with pytest.raises(WeightsRefused, match=f"^it should hold Stable Diffusion 1.x and holds {said}"):
        refuse_other_pipelines(tmp_path, "it")


def test_a_model_of_our_kind_is_not_refused(tiny_weights: Path) -> None:
    refuse_other_pipelines(tiny_weights, "it")
    assert choose(names_in(tiny_weights), None, "here").files.keys() >= {*SMALL, *PLAIN}


def test_a_licence_is_read_from_the_front_of_a_model_card(tmp_path: Path) -> None:
    assert licence_of(tmp_path) is None
    (tmp_path / "README.md").write_text("---\nlicense: creativeml-openrail-m\ntags: [x]\n---\n# A model\n")
    assert licence_of(tmp_path) == "creativeml-openrail-m"
    (tmp_path / "README.md").write_text("# A model\n\nlicense: nobody knows\n")
    assert licence_of(tmp_path) is None
