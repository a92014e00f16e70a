"""The safety checker that some weights bring: a verdict on a printed page, never a change of it. May import torch.

It compares the CLIP image embedding of a picture with those of fixed concepts (Rando et al., "Red-Teaming the Stable
Diffusion Safety Filter", 2022). The verdict is kept beside the pixels: the pipeline of diffusers returns a black
picture in their place, and then one key would have two pages. The class and its thresholds are those of diffusers.
"""

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
from PIL import Image
from safetensors.torch import load_file
from transformers import CLIPConfig, CLIPImageProcessorPil

from worker.errors import PrintFailed, WeightsRefused

logging.getLogger(StableDiffusionSafetyChecker.__module__).setLevel(logging.ERROR)  # it would speak of black pictures


class SafetyChecker:
    """The checker in `safety_checker/` of some weights, loaded once, in float32 on the engine's device."""

    def __init__(self, weights: Path, device: torch.device) -> None:
        """Load it. Raises WeightsRefused where tensors are missing, too many or not finite."""
        folder = weights / "safety_checker"
        config = CLIPConfig.from_dict(json.loads((folder / "config.json").read_text(encoding="utf-8")))
        with torch.device("meta"):
            model: Any = StableDiffusionSafetyChecker(config)
        wanted = model.state_dict()
        found = {_name(name, wanted): tensor for name, tensor in load_file(folder / "model.safetensors").items()}
        found = {name: tensor for name, tensor in found.items() if not name.endswith("position_ids")}
        for name in wanted.keys() - found.keys() - {name for name in wanted if name.endswith("position_ids")}:
            raise WeightsRefused(f"{folder} should hold the tensor {name} and does not.")
        for name in found.keys() - wanted.keys():
            raise WeightsRefused(f"{folder} holds the tensor {name}, which a safety checker does not have.")
        for name, tensor in found.items():
            if not bool(torch.isfinite(tensor).all()):  # a comparison with NaN is false, so that it would flag nothing
                raise WeightsRefused(f"The tensor {name} in {folder} holds numbers that are not finite.")
        model = StableDiffusionSafetyChecker(config)  # again, on the CPU: buffers that no file holds get their values
        model.load_state_dict(found, strict=False)
        self._model = model.float().eval().requires_grad_(False).to(device)
        self._model.visual_projection.register_forward_hook(self._note)
        self._seen = torch.empty(0)
        self._device = device
        self._processor: Any = CLIPImageProcessorPil.from_pretrained(  # by Pillow, whether torchvision is there or not
            str(weights / "feature_extractor"), local_files_only=True
        )

    def _note(self, _module: object, _given: object, embedding: torch.Tensor) -> None:
        self._seen = embedding  # (1, projection): every other number of a verdict follows from it

    @torch.inference_mode()
    def judge(self, pixels: npt.NDArray[np.uint8]) -> list[bool]:
        """Say of each picture (n, 416, 640, 3) whether it is better not shown unasked; none of them is changed.

        Raises PrintFailed where the numbers of a verdict are not finite: compared with NaN, none would be flagged.
        """
        verdicts = []
        for picture in pixels:  # one by one, so that a verdict does not depend on what was printed beside
            prepared = self._processor(images=Image.fromarray(picture), return_tensors="pt").pixel_values
            _, flagged = self._model(clip_input=prepared.float().to(self._device), images=[np.zeros(1)])
            if not bool(torch.isfinite(self._seen).all()):
                raise PrintFailed("The safety checker's numbers are not finite, so the page was not judged.")
            verdicts.append(bool(flagged[0]))
        return verdicts


def _name(name: str, wanted: dict[str, Any]) -> str:
    """A tensor's name in this version of transformers, which dropped one of two `vision_model.` from the file's."""
    shorter = name.replace("vision_model.vision_model.", "vision_model.", 1)
    return shorter if name not in wanted and (shorter in wanted or name.endswith("position_ids")) else name
