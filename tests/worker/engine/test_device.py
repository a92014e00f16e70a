"""worker.engine.device: what is taken, what is refused, and that every switch is where a repeatable print needs it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch

from worker.editions.edition import Edition
from worker.engine.device import (
    choose_batch,
    choose_device,
    choose_precision,
    choose_threads,
    device_name,
    instruction_set,
    pinned_attention,
    prepare,
)
from worker.errors import EditionRefused, InputRefused

CPU, CUDA = torch.device("cpu"), torch.device("cuda", 0)


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", "")  # so that it is put back afterwards
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG")


@pytest.fixture
def switches() -> Iterator[None]:
    """Put torch's switches back, as they hold for the whole process."""
    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(deterministic)


@pytest.mark.parametrize(("cuda", "taken"), [(True, "cuda"), (False, "cpu")])
def test_auto_takes_cuda_where_there_is_one(monkeypatch: pytest.MonkeyPatch, cuda: bool, taken: str) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    assert choose_device("auto").type == taken


@pytest.mark.parametrize("name", ["cuda", "mps"])
def test_a_device_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(InputRefused, match=f"asks for {name}, and torch .* finds none") as refused:
        choose_device(name)
    assert "never falls back" in refused.value.hint


def test_the_precision_is_the_edition_s_for_this_device(tiny_edition: Edition) -> None:
    edition = replace(tiny_edition, precision={"cpu": "float32", "cuda": "bfloat16"})
    assert choose_precision(edition, CPU) is torch.float32
    assert choose_precision(edition, CUDA) is torch.bfloat16
    with pytest.raises(EditionRefused, match="no precision for mps, only for cpu, cuda"):
        choose_precision(edition, torch.device("mps"))


def test_a_cpu_with_bfloat16_instructions_has_a_precision_of_its_own(
    tiny_edition: Edition, monkeypatch: pytest.MonkeyPatch
) -> None:
    edition = replace(tiny_edition, precision={"cpu": "float32", "cpu_bf16": "bfloat16"})
    for there, expected in ((True, torch.bfloat16), (False, torch.float32)):
        monkeypatch.setattr("worker.engine.device.has_bfloat16", lambda there=there: there)
        assert choose_precision(edition, CPU) is expected
        assert choose_precision(replace(edition, precision={"cpu": "float32"}), CPU) is torch.float32


def test_the_batch_is_asked_for_or_the_edition_s(tiny_edition: Edition) -> None:
    edition = replace(tiny_edition, batch={"cpu": 1, "cuda": 8, "mps": 1})
    assert [choose_batch(edition, device) for device in (CPU, CUDA, torch.device("meta"))] == [1, 8, 1]
    assert [choose_batch(edition, device, 4) for device in (CPU, CUDA)] == [4, 4]


def test_the_threads_are_asked_for_or_torch_s() -> None:
    assert choose_threads() == torch.get_num_threads()
    assert choose_threads(3) == 3


@pytest.mark.parametrize("asked", [0, 65, -1])
def test_what_the_settings_would_refuse_is_a_programmers_mistake(tiny_edition: Edition, asked: int) -> None:
    with pytest.raises(AssertionError, match="the settings refuse that"):
        choose_batch(tiny_edition, CPU, asked)
    with pytest.raises(AssertionError, match="the settings refuse that"):
        choose_threads(min(asked, 0))
    with pytest.raises(AssertionError, match="'gpu' is no device"):
        choose_device("gpu")


def test_the_environment_decides_nothing_here(monkeypatch: pytest.MonkeyPatch, tiny_edition: Edition) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for name, value in (("DEVICE", "mps"), ("THREADS", "2"), ("BATCH", "4")):
        monkeypatch.setenv(f"BABELIA_{name}", value)
    found = choose_device("auto"), choose_threads(), choose_batch(tiny_edition, CPU)
    assert found == (CPU, torch.get_num_threads(), 1)


def test_preparing_the_cpu_fixes_threads_and_algorithms(switches: None) -> None:
    prepare(CPU, 1)
    assert torch.get_num_threads() == 1
    assert torch.are_deterministic_algorithms_enabled()
    assert torch.get_float32_matmul_precision() == "highest"


def test_preparing_cuda_sets_every_switch() -> None:
    """In a process of its own; the switches are there without a CUDA device too."""
    script = """
import os, torch
torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = torch.backends.cudnn.benchmark = True
from worker.engine.device import pinned_attention, prepare
prepare(torch.device("cuda", 0), 1)
assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
assert torch.are_deterministic_algorithms_enabled() and not torch.is_deterministic_algorithms_warn_only_enabled()
matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
assert not matmul.allow_tf32 and not cudnn.allow_tf32 and torch.get_float32_matmul_precision() == "highest"
assert not matmul.allow_bf16_reduced_precision_reduction and not matmul.allow_fp16_reduced_precision_reduction
assert cudnn.deterministic and not cudnn.benchmark
assert not torch.cuda.is_initialized()
with pinned_attention(torch.device("cuda", 0)):
    assert not torch.backends.cuda.cudnn_sdp_enabled() and torch.backends.cuda.flash_sdp_enabled()
print("all set")
"""
    environment = {k: v for k, v in os.environ.items() if k != "CUBLAS_WORKSPACE_CONFIG"}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment, check=False)
    assert done.stdout == "all set\n", done.stderr


def test_preparing_cuda_refuses_a_workspace_that_does_not_repeat(
    switches: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":0:0")
    with pytest.raises(InputRefused, match=r"CUBLAS_WORKSPACE_CONFIG should be :4096:8 or :16:8"):
        prepare(CUDA, 1)


def test_preparing_cuda_refuses_a_process_where_it_is_too_late(switches: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    with pytest.raises(InputRefused, match="in use before CUBLAS_WORKSPACE_CONFIG could be set"):
        prepare(CUDA, 1)


def test_the_instruction_set_names_what_holds_the_kernels_back(monkeypatch: pytest.MonkeyPatch) -> None:
    assert instruction_set(CPU).startswith(torch.backends.cpu.get_cpu_capability())
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    assert instruction_set(CPU).endswith(" ONEDNN_MAX_CPU_ISA=AVX2")


def test_the_processor_has_a_name() -> None:
    assert device_name(CPU).strip()


def test_attention_on_the_cpu_is_left_alone() -> None:
    before = torch.backends.cuda.flash_sdp_enabled(), torch.backends.cuda.cudnn_sdp_enabled()
    with pinned_attention(CPU):
        assert (torch.backends.cuda.flash_sdp_enabled(), torch.backends.cuda.cudnn_sdp_enabled()) == before
