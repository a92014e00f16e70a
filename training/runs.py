"""One run's folder: checkpoints that appear whole or not at all, the log, rates and times of arrival (torch)."""

from __future__ import annotations

import errno
import gzip
import json
import os
import time
from pathlib import Path
from typing import Any

import torch
import torch.nn as nn
from PIL import Image

from training.errors import TrainingError


def save(path: Path, state: dict[str, Any]) -> None:
    """Writes a checkpoint beside and renames it; a full disk leaves the one before as it was."""
    beside = path.with_suffix(".partial")
    try:
        with beside.open("wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except (OSError, RuntimeError) as error:
        beside.unlink(missing_ok=True)
        full = getattr(error, "errno", None) == errno.ENOSPC or "enforce fail" in str(error) or "write" in str(error)
        reason = "the disk is full" if full else str(error)
        raise TrainingError(
            f"The checkpoint {path} could not be written: {reason}.",
            "The one written before is still whole: make room and run the same command again.",
        ) from error


def load(path: Path) -> dict[str, Any] | None:
    """The checkpoint, or None where there is none yet; TrainingError where it cannot be read."""
    if not path.exists():
        return None
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise TrainingError(
            f"The checkpoint {path} cannot be read: {error}", "Move it away to start that stage afresh."
        ) from error
    return state


def fit(model: nn.Module, weights: dict[str, torch.Tensor], where: str) -> None:
    """Loads weights whose names and shapes must be the model's; TrainingError that names the first that is not."""
    own = model.state_dict()
    for name in sorted(own.keys() | weights.keys()):
        found = tuple(weights[name].shape) if name in weights else "nothing"
        expected = tuple(own[name].shape) if name in own else "nothing"
        if found != expected:
            raise TrainingError(
                f"The checkpoint {where} is of another model: {name} is {found}, this preset expects {expected}.",
                "Move it away to start afresh, or use the preset it was made with.",
            )
    model.load_state_dict(weights)


class Log:
    """Prints and keeps one line per report: step, loss, samples a second, time of arrival."""

    def __init__(self, folder: Path, stage: str, steps: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.stage, self.steps = folder, stage, steps
        self._last = time.monotonic()
        self._window: list[tuple[int, float]] = []

    def tick(self, samples: int) -> None:
        """Counts one step; a pause of the process (a step of over 10 s) is not counted as work."""
        now = time.monotonic()
        took = now - self._last
        self._last = now
        if took < 10:
            self._window = [*self._window[-199:], (samples, took)]

    @property
    def rate(self) -> float:
        """Samples a second over the last steps."""
        seconds = sum(t for _, t in self._window)
        return sum(s for s, _ in self._window) / seconds if seconds else 0.0

    def say(self, text: str) -> None:
        """One line on the screen and in log.txt."""
        line = f"{time.strftime('%H:%M:%S')} {self.stage}: {text}"
        print(line, flush=True)
        with (self.folder / "log.txt").open("a", encoding="utf-8") as file:
            file.write(line + "\n")

    def report(self, step: int, loss: float, more: str = "") -> None:
        """The usual line, and the same facts in log.jsonl."""
        steps = len(self._window)
        per_step = sum(t for _, t in self._window) / steps if steps else 0.0
        arrival = time.strftime("%H:%M", time.localtime(time.time() + per_step * (self.steps - step)))
        self.say(f"step {step}/{self.steps}, loss {loss:.4f}, {self.rate:.1f} samples/s, done at {arrival}{more}")
        fact = {
            "stage": self.stage,
            "step": step,
            "loss": round(loss, 5),
            "rate": round(self.rate, 2),
            "time": time.time(),
        }
        with (self.folder / "log.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(fact) + "\n")


def picture(tensor: torch.Tensor) -> Image.Image:
    """(3, H, W) in −1 … 1 to a picture, rounded as the press does."""
    pixels = (tensor.detach().float().clamp(-1, 1) * 127.5 + 127.5).round().to(torch.uint8)
    return Image.fromarray(pixels.permute(1, 2, 0).cpu().numpy())


def write_gzip(path: Path, data: bytes) -> None:
    """Write bytes gzipped; the same bytes give the same file, on any day."""
    with path.open("wb") as raw, gzip.GzipFile("", "wb", 9, raw, mtime=0) as file:
        file.write(data)


def save_sheet(path: Path, pictures: list[Image.Image], columns: int, scale: float = 1.0) -> None:
    """Lays pictures of one kind out in rows and writes the sheet (format by suffix)."""
    width, height = round(pictures[0].width * scale), round(pictures[0].height * scale)
    rows = -(-len(pictures) // columns)
    sheet = Image.new("RGB", (columns * (width + 4), rows * (height + 4)), (30, 30, 34))
    for i, item in enumerate(pictures):
        small = item.resize((width, height), Image.Resampling.LANCZOS) if scale != 1 else item
        sheet.paste(small, ((i % columns) * (width + 4) + 2, (i // columns) * (height + 4) + 2))
    beside = path.with_name("partial-" + path.name)
    sheet.save(beside, quality=88)
    beside.replace(path)
