"""bench.forms: its tables of forms, and a page of each side, at a size that a test can afford."""

import json
from pathlib import Path

import pytest

from bench import random_weights
from bench.forms import __main__ as forms
from bench.forms.__main__ import Form, Page


def page(seconds: float, step: float) -> dict[str, object]:
    return {"seconds": seconds, "steps": [step], "decode": 1.0, "peak": 4_000_000_000}


def test_a_page_with_lcm_and_taesd_is_held_to_twelve_guided_steps(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def ask(side: str, name: str, weights: Path, threads: int) -> dict[str, object]:
        assert weights == tmp_path / ("taesd" if name == "lcm-taesd" else "sd")
        return page(37.0 if name == "lcm-taesd" else 60.0, 3.0)

    monkeypatch.setattr(forms, "ask", ask)
    lines, notes = forms.measure(["guided", "lcm-taesd"], tmp_path, 2)
    assert [line.kept for line in lines] == [True] * 4 + [False]  # 37 s are 12.33 steps of 3 s
    assert (lines[-1].ratio, lines[-1].bar) == ("12.33", "≤ 12.00")
    assert len(notes) == 2


def test_taesd_stands_beside_what_it_shares_with_the_plain_weights(tiny_weights: Path, tmp_path: Path) -> None:
    forms.write_taesd(tmp_path / "taesd", tiny_weights)
    assert (tmp_path / "taesd" / "unet" / "config.json").samefile(tiny_weights / "unet" / "config.json")
    said = json.loads((tmp_path / "taesd" / "vae" / "config.json").read_text(encoding="utf-8"))
    assert said["_class_name"] == "AutoencoderTiny"
    assert said["decoder_block_out_channels"] == random_weights.taesd_config("sd")["decoder_block_out_channels"]


def test_every_form_is_a_page_that_an_edition_can_have() -> None:
    assert all(form.solver in ("dpm-solver++", "lcm") and form.steps % 2 == 0 for form in forms.FORMS.values())
    assert isinstance(forms.FORMS["guided"], Form) and Page(1.0, (1.0,), 1.0, 1).steps == (1.0,)
