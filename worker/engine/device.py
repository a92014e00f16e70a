"""The device that a press computes on, and the switches that make it repeat its bits. May import torch.

A device is auto, cpu, cuda or mps; `auto` takes CUDA where there is one, else the CPU. What is asked for and not there
is refused: a press never falls back. The threads of the CPU and the rows of every run are fixed and belong to the
rendition. All three are handed in: the settings, which check them, are read in babelia.settings alone.
"""

import os
import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from worker.editions.edition import BATCH_MAX, DEVICES, Edition
from worker.errors import EditionRefused, InputRefused

WORKSPACES: Final = (":4096:8", ":16:8")
"""The values of CUBLAS_WORKSPACE_CONFIG under which cuBLAS gives the same bits from run to run."""
_EXTENSIONS: Final = {
    "VNNI": "_is_vnni_supported",
    "BF16": "_is_avx512_bf16_supported",
    "AMX": "_is_amx_tile_supported",
}
_LIMITS: Final = ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "ONEDNN_DEFAULT_FPMATH_MODE", "MKL_CBWR")
"""Environment variables by which the CPU libraries choose other kernels than the processor would get."""


def choose_device(name: str) -> torch.device:
    """The device that was asked for: "auto" or one of `DEVICES`. Raises InputRefused where this machine has none.

    A program may also ask for "meta", torch's device without data, to see that a run needs no data.
    """
    assert name in ("auto", "meta", *DEVICES), f"{name!r} is no device; the settings refuse it"
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if (name == "cuda" and not torch.cuda.is_available()) or (name == "mps" and not torch.backends.mps.is_available()):
        raise InputRefused(
            f"BABELIA_DEVICE asks for {name}, and torch {torch.__version__} finds none in this machine.",
            hint="A press never falls back to another device by itself; ask for cpu or auto.",
        )
    return torch.device(name, 0) if name == "cuda" else torch.device(name)


def choose_precision(edition: Edition, device: torch.device) -> torch.dtype:
    """The precision of this edition on this device, a torch dtype. Raises EditionRefused where it states none.

    A CPU with bfloat16 instructions is a kind of its own where the edition states a precision for it: what it prints
    is another rendition, and which of the two a machine prints depends on its processor alone.
    """
    kind = "cpu" if device.type == "meta" else device.type
    if kind == "cpu" and "cpu_bf16" in edition.precision and has_bfloat16():
        kind = "cpu_bf16"
    if kind not in edition.precision:
        known = ", ".join(edition.precision)
        raise EditionRefused(
            f"Edition {edition.slug} states no precision for {kind}, only for {known}.",
            hint=f"Ask for one of its devices with BABELIA_DEVICE, or give it a precision.{kind}.",
        )
    dtype = getattr(torch, edition.precision[kind])
    assert isinstance(dtype, torch.dtype)
    return dtype


def has_bfloat16() -> bool:
    """Whether this CPU has instructions for bfloat16 (AVX512-BF16 or AMX); others only emulate it, slowly."""
    return any(
        getattr(torch.cpu, name, lambda: False)() for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    )


def choose_batch(edition: Edition, device: torch.device, asked: int | None = None) -> int:
    """The one number of rows that every run on this device has: what was asked for, else the edition's."""
    if asked is None:
        asked = edition.batch.get("cpu" if device.type == "meta" else device.type, 1)
    assert 1 <= asked <= BATCH_MAX, f"{asked} rows; the settings refuse that"
    return asked


def choose_threads(asked: int | None = None) -> int:
    """The threads of the CPU: what was asked for, else torch's default, which is one for each core."""
    if asked is None:
        asked = torch.get_num_threads()
    assert asked >= 1, f"{asked} threads; the settings refuse that"
    return asked


def prepare(device: torch.device, threads: int) -> None:
    """Set every switch of torch that stands between the same key and the same bits. They hold for the whole process.

    Source: PyTorch's notes "Reproducibility" and "Numerical accuracy", and the cuBLAS manual on reproducibility.
    """
    os.environ.setdefault("OMP_DYNAMIC", "FALSE")
    os.environ.setdefault("MKL_DYNAMIC", "FALSE")
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True)
    # The line above also has every fresh tensor filled with NaN, for programs that read what they have not written; we
    # do not, and the filling takes a twelfth of a small model's step.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # made at run time
    torch.set_float32_matmul_precision("highest")
    torch.backends.mkldnn.deterministic = True  # type: ignore[assignment]  # torch types its property by its setter
    if device.type != "cuda":
        return
    if torch.cuda.is_initialized() and "CUBLAS_WORKSPACE_CONFIG" not in os.environ:
        raise InputRefused(
            "CUDA was in use before CUBLAS_WORKSPACE_CONFIG could be set.",
            hint=f"Set it to {WORKSPACES[0]} before the process starts.",
        )
    found = os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", WORKSPACES[0])
    if found not in WORKSPACES:
        raise InputRefused(
            f"CUBLAS_WORKSPACE_CONFIG should be {' or '.join(WORKSPACES)} for prints that repeat, and is {found!r}."
        )
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction = False
    torch.backends.cuda.matmul.allow_fp16_reduced_precision_reduction = False
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False


@contextmanager
def pinned_attention(device: torch.device) -> Iterator[None]:
    """Within it, attention takes the first of these kernels that can do the shape and precision at hand, always.

    On CUDA the order is flash, memory-efficient, plain; cuDNN's, which chooses by heuristics of its own, stays out. On
    the other devices torch has one order already.
    """
    if device.type != "cuda":
        yield
        return
    order = [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]
    with sdpa_kernel(order, set_priority=True):
        yield


def device_name(device: torch.device) -> str:
    """What the device calls itself: the processor or graphics card."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type == "cpu":
        try:
            for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
        except OSError:  # not Linux
            pass
    return platform.processor() or platform.machine()


def instruction_set(device: torch.device) -> str:
    """The instruction set that torch's kernels use there: "AVX512 VNNI BF16", "sm_90 CUDA 12.8 cuDNN 91002", …"""
    if device.type == "cuda":
        major, minor = torch.cuda.get_device_capability(device)
        return f"sm_{major}{minor} CUDA {torch.version.cuda} cuDNN {torch.backends.cudnn.version()}"
    if device.type == "cpu":
        has = [name for name, asks in _EXTENSIONS.items() if getattr(torch.cpu, asks, lambda: False)()]
        limits = [f"{name}={os.environ[name]}" for name in _LIMITS if name in os.environ]
        return " ".join((torch.backends.cpu.get_cpu_capability(), *has, *limits))
    if device.type == "mps":
        return f"macOS {platform.mac_ver()[0]}"
    return "none"


def facts_of(device: torch.device) -> Mapping[str, str]:
    """Device, its name and its instruction set, as a rendition states them."""
    return {"device": device.type, "name": device_name(device), "instruction_set": instruction_set(device)}
