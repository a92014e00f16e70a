"""What a key holds, in numbers, in arrays and as a drawing. NumPy; matplotlib only while it draws.

May import worker.errors and worker.catalogue.key; never torch.
"""

import io
import zipfile
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from worker.catalogue.key import CONSTANTS, EMBEDDING_SHAPE, LATENTS_SHAPE, Key
from worker.errors import InputRefused, KeyRefused, reason

ARRAYS: Final = ("steps", "embedding", "latents")
NPZ_LIMIT: Final = 4_000_000
"""Bytes of an .npz: the arrays in float64, uncompressed, have 606 kB."""


def measure(key: Key) -> dict[str, Any]:
    """What a key holds: mark, steps, and range and moments of embedding and latents; fit for JSON.

    The moments of the embedding leave out the two constant places, which are the same in every key.
    """
    stored = np.delete(key.embedding.ravel(), list(CONSTANTS))
    return {
        "mark": key.mark,
        "steps": key.steps,
        "embedding": {"shape": list(EMBEDDING_SHAPE), **_moments(stored)},
        "latents": {"shape": list(LATENTS_SHAPE), **_moments(key.latents.ravel())},
        "latents_channels": [_moments(channel.ravel()) for channel in key.latents],
    }


def report(key: Key) -> str:
    """The measurements of a key as lines for people."""
    found = measure(key)
    lines = [f"mark       {found['mark']}", f"steps      {found['steps']}"]
    for name in ("embedding", "latents"):
        shape = " × ".join(map(str, found[name].pop("shape")))
        lines.append(f"{name:<10} {shape:<12} {_line(found[name])}")
    for number, channel in enumerate(found["latents_channels"], start=1):
        lines.append(f"  channel {number:<13} {_line(channel)}")
    return "\n".join(lines)


def plot(key: Key) -> bytes:
    """A PNG drawing: histograms of embedding and latents, the embedding as a heat map, the latents as a picture."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    embedding = key.embedding.astype(np.float64)
    latents = key.latents.astype(np.float64)
    figure = Figure(figsize=(14, 10), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(f"Key {key.mark}: {key.steps} steps")
    grid = figure.add_gridspec(3, 4, height_ratios=[1, 1, 1])
    for columns, name, values in ((slice(0, 2), "embedding", embedding), (slice(2, 4), "latents", latents)):
        axes = figure.add_subplot(grid[0, columns])
        if name == "embedding":
            values = np.delete(values.ravel(), list(CONSTANTS))
        low, high = np.percentile(values, [0.1, 99.9])
        axes.hist(np.clip(values.ravel(), low, high), bins=120, color="#35618f")
        axes.set_title(f"{name}: {values.size:,} values")
        axes.set_xlabel(f"value (ends hold what is beyond {low:.3g} and {high:.3g})")
        axes.set_ylabel("how many")
    axes = figure.add_subplot(grid[1, :])
    limit = float(np.percentile(np.abs(embedding), 99))
    image = axes.imshow(embedding, cmap="RdBu_r", vmin=-limit, vmax=limit, aspect="auto", interpolation="nearest")
    axes.set_title("embedding: 77 tokens × 768 values")
    axes.set_xlabel("value")
    axes.set_ylabel("token")
    figure.colorbar(image, ax=axes)
    axes = figure.add_subplot(grid[2, :2])
    axes.imshow(latents_picture(key), interpolation="nearest")
    axes.set_title("initial latents as a picture: channels 1–3 as red, green, blue")
    axes.set_axis_off()
    inner = grid[2, 2:].subgridspec(2, 2)
    for channel in range(LATENTS_SHAPE[0]):
        axes = figure.add_subplot(inner[channel // 2, channel % 2])
        axes.imshow(latents[channel], cmap="gray", vmin=-3, vmax=3, interpolation="nearest")
        axes.set_title(f"channel {channel + 1}", fontsize=9)
        axes.set_axis_off()
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=100)
    return file.getvalue()


def latents_picture(key: Key) -> npt.NDArray[np.uint8]:
    """The initial latents of a key as a picture (52, 80, 3)."""
    return picture_of_latents(key.latents)


def picture_of_latents(latents: npt.NDArray[np.floating]) -> npt.NDArray[np.uint8]:
    """Latents (4, 52, 80) as a picture (52, 80, 3): the first three channels, −3 … 3 as black … full."""
    scaled = (latents[:3].astype(np.float64) + 3.0) / 6.0  # (3, 52, 80)
    return (255 * np.clip(scaled, 0.0, 1.0)).round().astype(np.uint8).transpose(1, 2, 0)


def to_npz(key: Key) -> bytes:
    """The arrays of a key as an .npz file: `steps` int64, `embedding` and `latents` float16, exact."""
    file = io.BytesIO()
    np.savez(file, steps=np.int64(key.steps), embedding=key.embedding, latents=key.latents)
    return file.getvalue()


def to_tensors(key: Key, address: str, edition: str) -> bytes:
    """The arrays of a page's key for other programs, packed: about 200 kB. NumPy alone reads it, without pickles.

    `embedding` (77, 768) and `latents` (4, 52, 80) are float32 and exact, `steps` is int64, `address` and `edition` are
    texts. `from_npz` reads it back.
    """
    file = io.BytesIO()
    np.savez_compressed(
        file,
        steps=np.int64(key.steps),
        embedding=key.embedding.astype(np.float32),
        latents=key.latents.astype(np.float32),
        address=np.array(address),
        edition=np.array(edition),
    )
    return file.getvalue()


def from_npz(path: Path) -> Key:
    """Return the key of the arrays in an .npz file; values beside the key's grid are rounded to it.

    Raises InputRefused where the file is none or lacks an array, KeyRefused where an array does not fit a key.
    """
    try:
        if path.stat().st_size > NPZ_LIMIT:
            raise InputRefused(f"{path} has more than {NPZ_LIMIT:,} bytes, which the arrays of a key never have.")
        with zipfile.ZipFile(path) as packed:
            if sum(entry.file_size for entry in packed.infolist()) > NPZ_LIMIT:
                raise InputRefused(f"{path} unpacks to more than the arrays of a key.")
        with np.load(path, allow_pickle=False) as arrays:
            missing = [name for name in ARRAYS if name not in arrays]
            if missing:
                raise InputRefused(f"{path} should hold the arrays {', '.join(ARRAYS)} and lacks {missing[0]}.")
            steps, embedding, latents = (arrays[name] for name in ARRAYS)
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise InputRefused(f"{path} cannot be read as an .npz file: {reason(error)}.") from error
    if steps.shape != () or not np.issubdtype(steps.dtype, np.integer):
        raise KeyRefused(f"steps in {path} should be one whole number and is {steps.dtype} of the shape {steps.shape}.")
    for name, array in (("embedding", embedding), ("latents", latents)):
        if not np.issubdtype(array.dtype, np.floating):
            raise KeyRefused(f"{name} in {path} should be of floats and is of {array.dtype}.")
    return Key.pack(int(steps), embedding, latents)


def _moments(values: npt.NDArray[np.floating]) -> dict[str, float]:
    wide = values.astype(np.float64)
    mean, deviation = float(wide.mean()), float(wide.std())
    centred = (wide - mean) / deviation if deviation else np.zeros_like(wide)
    return {
        "smallest": float(wide.min()),
        "largest": float(wide.max()),
        "mean": mean,
        "deviation": deviation,
        "skewness": float((centred**3).mean()),
        "kurtosis": float((centred**4).mean()),
    }


def _line(moments: dict[str, float]) -> str:
    return "  ".join(f"{name} {value:.4g}" for name, value in moments.items())
