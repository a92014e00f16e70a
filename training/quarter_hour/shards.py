"""Reads and writes safetensors files without the library of that name (torch, NumPy, standard library).

The format: eight bytes n (little-endian), n bytes of JSON {name: {dtype, shape, data_offsets}} and `__metadata__`, then
the data. A network is written in shards of at most 14 MB, so that each passes wherever files of 15 MB do.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from training.errors import TrainingError

LIMIT = 13_900_000  # bytes of a shard's tensors
_DTYPES = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "I64": torch.int64}


def read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """A file's tensors, numbers with a fraction in float32, and its metadata. TrainingError where it is not whole."""
    try:
        data = path.read_bytes()
        length = int.from_bytes(data[:8], "little")
        header = json.loads(data[8 : 8 + length])
        metadata = {str(k): str(v) for k, v in header.pop("__metadata__", {}).items()}
        tensors = {}
        for name, entry in header.items():
            begin, end = (8 + length + offset for offset in entry["data_offsets"])
            if end > len(data):
                raise ValueError(f"{name} ends beyond the file")
            flat = torch.from_numpy(np.frombuffer(data, np.uint8)[begin:end].copy()).view(_DTYPES[entry["dtype"]])
            tensor = flat.reshape(entry["shape"])
            tensors[name] = tensor.float() if tensor.is_floating_point() else tensor
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise TrainingError(f"{path} is not a whole safetensors file ({error}).", "Take the one before it.") from error
    return tensors, metadata


def write_half(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    """Writes tensors in float16 to `path`, synced to the disk; raises OSError where that cannot be done."""
    header: dict[str, object] = {"__metadata__": metadata}
    parts, place = [], 0
    for name, tensor in tensors.items():
        part = tensor.detach().to("cpu", torch.float16).contiguous().numpy().tobytes()
        header[name] = {"dtype": "F16", "shape": list(tensor.shape), "data_offsets": [place, place + len(part)]}
        parts.append(part)
        place += len(part)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.writelines(parts)
        file.flush()
        os.fsync(file.fileno())


def divide(tensors: dict[str, Tensor]) -> list[dict[str, Tensor]]:
    """Tensors in parts of at most LIMIT bytes in float16 each, in the order of their names."""
    parts: list[dict[str, Tensor]] = [{}]
    size = 0
    for name in sorted(tensors):
        bytes_ = 2 * tensors[name].numel()
        if parts[-1] and size + bytes_ > LIMIT:
            parts.append({})
            size = 0
        parts[-1][name] = tensors[name]
        size += bytes_
    return parts
