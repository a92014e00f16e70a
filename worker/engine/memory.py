"""Too little memory, said in a sentence. May import torch, psutil and worker.errors.

torch and its libraries have a message of their own for each place where memory ran out ("could not create a primitive",
"DefaultCPUAllocator: can't allocate memory"), and none of them says how much would be enough.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

import torch

from worker.errors import BabeliaError

CPU: Final = torch.device("cpu")
_SIGNS: Final = (
    *("could not create a primitive", "could not create a memory", "can't allocate memory", "cannot allocate memory"),
    *("not enough memory", "out of memory", "thread creation failed", "can't start new thread"),
)
"""What a RuntimeError of torch, oneDNN, OpenMP or CUDA says where memory was short, in lower case."""


def bytes_of_weights(parameters: Mapping[str, int], dtype: torch.dtype = torch.float64) -> int:
    """Bytes that an edition's networks take once they are loaded: the text encoder in float64, the rest in `dtype`."""
    sizes = {"text_encoder": torch.float64.itemsize, "safety_checker": torch.float32.itemsize}
    return sum(count * sizes.get(component, dtype.itemsize) for component, count in parameters.items())


def free_bytes(device: torch.device) -> int:
    """Bytes that a process may still take on a device: of its own memory on CUDA, else of the machine's."""
    if device.type == "cuda":
        free, _total = torch.cuda.mem_get_info(device)
        return int(free)
    import psutil  # here, since a machine that only measures the engine on a GPU may lack it

    return int(psutil.virtual_memory().available)


@contextmanager
def explained(error: type[BabeliaError], slug: str, needed: int, device: torch.device = CPU) -> Iterator[None]:
    """Within it, memory that runs out is raised as `error`, with what edition `slug` needs and what there is.

    `needed` are bytes that its weights take; what a page takes beside them is not known before it is printed.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as cause:  # torch.OutOfMemoryError is a RuntimeError
        if not isinstance(cause, MemoryError | torch.OutOfMemoryError) and not _tells_of_memory(str(cause)):
            raise
        raise error(
            f"There is too little memory for edition {slug}: its weights alone take {_size(needed)}, and"
            f" {_size(free_bytes(device))} are free.",
            hint="Close something, give this process more memory, or use a smaller edition or a smaller BABELIA_BATCH.",
        ) from cause


def _tells_of_memory(message: str) -> bool:
    return any(sign in message.lower() for sign in _SIGNS)


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"
