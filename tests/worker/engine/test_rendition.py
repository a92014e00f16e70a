"""worker.engine.rendition, and that the engine fills it in from what really runs."""

from dataclasses import fields, replace

import diffusers
import pytest
import torch

from worker.editions.edition import Edition
from worker.engine.engine import Engine
from worker.engine.rendition import Rendition

ONE = Rendition(
    edition="pocket-1",
    weights="9f86d081884c7d65" + "0" * 48,
    precision="float32",
    batch=1,
    torch="torch 2.13.0 diffusers 0.42.1",
    device="cpu",
    name="AMD EPYC",
    instruction_set="AVX512 VNNI BF16",
    threads=2,
    kernels="eager",
)


def test_it_is_written_in_one_line() -> None:
    assert (
        ONE.format()
        == str(ONE)
        == (
            "pocket-1 9f86d081884c7d65 float32 batch 1, torch 2.13.0 diffusers 0.42.1, cpu AMD EPYC [AVX512 VNNI BF16]"
            " 2 threads, eager"
        )
    )


@pytest.mark.parametrize("field", [field.name for field in fields(Rendition)])
def test_every_field_makes_another_line(field: str) -> None:
    value = getattr(ONE, field)
    other = replace(ONE, **{field: value + 1 if isinstance(value, int) else "f" + value})
    assert other != ONE
    assert other.format() != ONE.format()
    assert other.facts[field] != ONE.facts[field]


def test_the_engine_states_what_really_runs(tiny_engine: Engine, tiny_edition: Edition) -> None:
    found = tiny_engine.rendition
    assert found.edition == "tiny"
    assert found.weights == tiny_edition.check().digest
    assert found.precision == "float32"
    assert (found.batch, found.threads, found.device) == (1, torch.get_num_threads(), "cpu")
    assert found.torch == f"torch {torch.__version__} diffusers {diffusers.__version__}"
    assert torch.backends.cpu.get_cpu_capability() in found.instruction_set
    assert found.facts["kernels"]


def test_another_precision_is_another_rendition(tiny_engine: Engine, tiny_edition: Edition) -> None:
    halved = Engine(replace(tiny_edition, precision={"cpu": "bfloat16"}), device="cpu", threads=1, batch=2)
    assert halved.rendition.precision == "bfloat16"
    assert halved.rendition.batch == 2
    assert halved.rendition.format() != tiny_engine.rendition.format()
