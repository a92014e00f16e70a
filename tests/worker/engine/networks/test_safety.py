"""The safety checker: a verdict on a page, with the page left as it is."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
from safetensors.torch import load_file, save_file
from transformers import CLIPConfig

from tests import ROOT
from tests.conftest import write_edition
from worker.catalogue.expansion import stacks_key
from worker.catalogue.key import Key
from worker.editions.edition import load_edition
from worker.engine.engine import Engine
from worker.engine.networks.safety import SafetyChecker
from worker.errors import PrintFailed, WeightsRefused

PROCESSOR = ROOT / "tests" / "sd-1.5/feature_extractor/preprocessor_config.json"
PAGES = np.random.default_rng(1).integers(0, 256, (3, 416, 640, 3), dtype=np.uint8)


def write_checker(weights: Path, threshold: float) -> Path:
    """A small checker of random numbers that flags what is more alike to a concept than `threshold` (−1 … 1)."""
    size = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = CLIPConfig(
        projection_dim=16, text_config=dict(size), vision_config=size | {"image_size": 224, "patch_size": 56}
    )
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model: Any = StableDiffusionSafetyChecker(config)
        model.concept_embeds.data.normal_()
        model.special_care_embeds.data.normal_()
    model.concept_embeds_weights.data.fill_(threshold)
    model.special_care_embeds_weights.data.fill_(2.0)
    model.save_pretrained(weights / "safety_checker")
    (weights / "feature_extractor").mkdir(parents=True, exist_ok=True)
    (weights / "feature_extractor/preprocessor_config.json").write_bytes(PROCESSOR.read_bytes())
    return weights / "safety_checker/model.safetensors"


@pytest.mark.parametrize(("threshold", "verdict"), [(1.5, False), (-1.5, True)])
def test_a_verdict_changes_no_pixel(threshold: float, verdict: bool, tmp_path: Path) -> None:
    write_checker(tmp_path, threshold)
    pages = PAGES.copy()
    assert SafetyChecker(tmp_path, torch.device("cpu")).judge(pages) == [verdict] * 3
    assert np.array_equal(pages, PAGES)


def test_a_verdict_does_not_depend_on_the_neighbours(tmp_path: Path) -> None:
    write_checker(tmp_path, 0.35)
    checker = SafetyChecker(tmp_path, torch.device("cpu"))
    assert checker.judge(PAGES) == [checker.judge(PAGES[i : i + 1])[0] for i in range(3)]
    assert checker.judge(PAGES[::-1]) == checker.judge(PAGES)[::-1]


def test_the_names_that_the_file_of_sd_1_5_has_are_understood(tmp_path: Path) -> None:
    """It was written by a transformers that said `vision_model` twice and saved the positions."""
    path = write_checker(tmp_path, 0.35)
    before = SafetyChecker(tmp_path, torch.device("cpu")).judge(PAGES)
    old = {}
    for name, tensor in load_file(path).items():
        old[name.replace("vision_model.", "vision_model.vision_model.", 1)] = tensor.clone()
    old["vision_model.vision_model.embeddings.position_ids"] = torch.arange(17)[None]
    save_file(old, path, {"format": "pt"})
    assert SafetyChecker(tmp_path, torch.device("cpu")).judge(PAGES) == before


def test_a_checker_that_lacks_a_tensor_has_another_or_is_not_finite_is_refused(tmp_path: Path) -> None:
    path = write_checker(tmp_path, 0.35)
    tensors = {name: tensor.clone() for name, tensor in load_file(path).items()}
    save_file(tensors | {"more": torch.zeros(1)}, path, {"format": "pt"})
    with pytest.raises(WeightsRefused, match="holds the tensor more"):
        SafetyChecker(tmp_path, torch.device("cpu"))
    broken = tensors["visual_projection.weight"].clone()
    broken[0, 0] = float("nan")
    save_file(tensors | {"visual_projection.weight": broken}, path, {"format": "pt"})
    with pytest.raises(WeightsRefused, match=r"visual_projection\.weight .* not finite"):
        SafetyChecker(tmp_path, torch.device("cpu"))
    del tensors["visual_projection.weight"]
    save_file(tensors, path, {"format": "pt"})
    with pytest.raises(WeightsRefused, match=r"should hold the tensor visual_projection\.weight"):
        SafetyChecker(tmp_path, torch.device("cpu"))


def test_a_verdict_of_numbers_that_overflow_is_none(tmp_path: Path) -> None:
    path = write_checker(tmp_path, -1.5)  # it would flag every picture
    tensors = {name: tensor.clone() for name, tensor in load_file(path).items()}
    tensors["vision_model.post_layernorm.weight"].fill_(torch.finfo(torch.float32).max)
    tensors["visual_projection.weight"].fill_(10.0)
    save_file(tensors, path, {"format": "pt"})
    with pytest.raises(PrintFailed, match="was not judged"):
        SafetyChecker(tmp_path, torch.device("cpu")).judge(PAGES[:1])


@pytest.mark.parametrize("lost", ["feature_extractor/preprocessor_config.json", "safety_checker/model.safetensors"])
def test_an_edition_whose_checker_lacks_a_file_is_not_installed_unless_it_goes_without(
    lost: str, tiny_weights: Path, tmp_path: Path
) -> None:
    weights = Path(shutil.copytree(tiny_weights, tmp_path / "weights"))
    write_checker(weights, -1.5)
    (weights / lost).unlink()
    write_edition(tmp_path, "judged", str(weights))
    write_edition(tmp_path, "open", str(weights), lambda text: "safety_checker = false\n" + text)
    judged = load_edition("judged", tmp_path)
    assert judged.missing == [lost]
    with pytest.raises(WeightsRefused, match=f"should hold {lost} and does not"):
        judged.check()
    assert load_edition("open", tmp_path).installed
    assert not load_edition("open", tmp_path).check().safety_checker


def test_an_edition_whose_weights_have_a_checker_is_judged_unless_it_says_no(
    tiny_weights: Path, tiny_engine: Engine, tmp_path: Path
) -> None:
    weights = Path(shutil.copytree(tiny_weights, tmp_path / "weights"))
    write_checker(weights, -1.5)
    write_edition(tmp_path, "judged", str(weights))
    write_edition(tmp_path, "open", str(weights), lambda text: "safety_checker = false\n" + text)
    key = Key.pack(2, stacks_key("a", 1).embedding, stacks_key("a", 1).latents)
    plain = tiny_engine.print_page(key)
    assert plain.flagged is None
    for slug, verdict in (("judged", True), ("open", None)):
        printed = Engine(load_edition(slug, tmp_path), device="cpu", threads=1, batch=1).print_page(key)
        assert printed.flagged is verdict
        assert printed.digest == plain.digest
        assert printed.rendition.weights == plain.rendition.weights


def test_the_processor_is_that_of_sd_1_5() -> None:
    assert json.loads(PROCESSOR.read_text(encoding="utf-8"))["size"] == 224
