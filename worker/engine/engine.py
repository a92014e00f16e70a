"""The engine: everything from an address to pixels. Loads an edition once and prints many pages.

May import torch, diffusers, transformers and the modules of the way key → tensors → loop → pixels; neither Django
nor Celery, so that it runs and is measured alone. One engine is used by one thread at a time.
"""

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import diffusers
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from worker.catalogue.address import Address
from worker.catalogue.expansion import KeyOfMark, resolve
from worker.catalogue.key import LATENTS_SHAPE, Key
from worker.editions.edition import STEPS_MAX, Edition
from worker.editions.weights import has_safety_checker
from worker.engine import device as devices
from worker.engine import memory
from worker.engine.loop import Step, denoise
from worker.engine.networks.decoder import Decoder
from worker.engine.networks.denoiser import Denoiser, Guidance
from worker.engine.networks.loading import load_model
from worker.engine.networks.text_encoder import TextEncoder
from worker.engine.preview import Previewer, fit_preview, probe_latents
from worker.engine.rendition import Rendition
from worker.engine.solvers import Plan, make_plan
from worker.errors import EditionRefused, InputRefused, PrintFailed

if TYPE_CHECKING:
    from worker.engine.networks.safety import SafetyChecker

_REMEMBERED: Final = 256  # embeddings of 118 KB


class Lane(NamedTuple):
    """What pages must have in common to be run together. It depends on the page alone, as its bits do."""

    steps: int
    guided: bool


@dataclass(frozen=True)
class Print:
    """A printed page: pixels, uint8 (416, 640, 3), and what is to be known of them."""

    pixels: npt.NDArray[np.uint8]
    digest: str
    """SHA-256 of the pixels' bytes, row by row, RGB, in hexadecimal."""
    rendition: Rendition
    steps: int
    off_catalogue: bool
    """Whether the number of steps, or the latents, were not the key's own, so that no address leads to this picture."""
    seconds: dict[str, float]
    """What the run took, by phase: "loop" and "decode". Pages of one run share its time."""
    flagged: bool | None
    """The verdict of the edition's safety checker, which changes no pixel; None where it has none, or it is off."""


class Engine:
    """One edition on one device. Raises EditionRefused, WeightsRefused or InputRefused where it cannot be had."""

    def __init__(
        self,
        edition: Edition,
        device: str = "auto",
        threads: int | None = None,
        batch: int | None = None,
    ) -> None:
        """Load everything but the preview. `device`, `threads` and `batch` are as in worker.engine.device."""
        began = time.perf_counter()
        self.edition = edition
        self.device = devices.choose_device(device)
        dtype = devices.choose_precision(edition, self.device)
        self.batch = devices.choose_batch(edition, self.device, batch)
        devices.prepare(self.device, devices.choose_threads(threads))
        weights = edition.check()
        self._weights_digest = weights.digest
        self._bytes = memory.bytes_of_weights(weights.parameters, dtype)
        self._scheduler_config = edition.scheduler_config
        make_plan(edition.solver, self._scheduler_config, edition.default_steps)  # refuses what it does not know
        self._remembered: OrderedDict[str, npt.NDArray[np.float16]] = OrderedDict()
        with memory.explained(EditionRefused, edition.slug, self._bytes, self.device):
            self._text = TextEncoder(edition.weights)
            empty = self.embed("").astype(np.float16)[None]  # (1, 77, 768)
            unet = load_model(edition.weights, "unet", dtype)
            guidance = Guidance(edition.guidance, edition.early_guidance, edition.early_above)
            self.denoiser = Denoiser(unet, empty, guidance, self.batch, self.device, dtype)
            self.decoder = Decoder(load_model(edition.weights, "vae", dtype), self.batch, self.device, dtype)
            self._safety = _load_safety(edition, self.device)
        self._previewer: Previewer | None = None
        self._run = 0
        self.rendition = self._read_rendition()
        self.seconds_to_load = time.perf_counter() - began

    def embed(self, prompt: str) -> npt.NDArray[np.float64]:
        """The embedding (77, 768) of a prompt, on the key's grid."""
        found = self._remembered.pop(prompt, None)
        if found is None:
            found = self._text.embed(prompt).astype(np.float16)  # exact: the grid's values are float16
        self._remembered[prompt] = found
        if len(self._remembered) > _REMEMBERED:
            self._remembered.popitem(last=False)
        return found.astype(np.float64)

    def unread(self, prompt: str) -> str:
        """The end of a prompt that the text encoder has no room for, so that it decides nothing; mostly empty."""
        return self._text.unread(prompt)

    def resolve(self, address: Address, key_of_mark: KeyOfMark | None = None) -> Key:
        """The key of an address of this edition; `key_of_mark` finds that of a mark. Raises InputRefused."""
        if address.edition != self.edition.slug:
            raise InputRefused(
                f"The address {address.format()} is one of edition {address.edition}, and this press prints"
                f" {self.edition.slug}."
            )
        edition = self.edition
        return resolve(address, edition.lexicon, edition.default_steps, self.embed, key_of_mark or _no_library)

    def lane(self, key: Key, steps: int | None = None) -> Lane:
        """The lane that a page runs in. Raises InputRefused where it has more steps than the edition prints.

        A number of steps other than the key's own may be asked for, 1 … 128: such a page is off the catalogue.
        """
        if steps is None:
            steps = key.steps
            if steps > self.edition.step_limit:
                raise InputRefused(
                    f"This key asks for {steps} steps, and edition {self.edition.slug} prints at most"
                    f" {self.edition.step_limit}."
                )
        elif not 1 <= steps <= STEPS_MAX:
            raise InputRefused(f"The number of steps should be 1 to {STEPS_MAX}, and is {steps}.")
        return Lane(steps, self.denoiser.is_guided(key.embedding))

    @property
    def runs(self) -> int:
        """How many runs were begun: a run whose number it is no longer cannot go on."""
        return self._run

    def plan(self, steps: int) -> Plan:
        """The numbers of the loop's steps, as pages of so many steps are printed with."""
        return make_plan(self.edition.solver, self._scheduler_config, steps)

    def run(
        self,
        jobs: Sequence[Key],
        steps: int | None = None,
        latents: npt.NDArray[np.floating] | None = None,
    ) -> Iterator[Step]:
        """Run the loop over 1 … `batch` keys of one lane; yield a Step after each of its steps.

        Row i of a Step's tensors belongs to key i; the rows after the last key are padding, copies of the first. With
        `latents` (n, 4, 52, 80) the pages begin there and not at their keys' own. Nothing waits for the device.
        """
        assert 1 <= len(jobs) <= self.batch, f"{len(jobs)} pages in a batch of {self.batch}"
        lanes = {self.lane(key, steps) for key in jobs}
        assert len(lanes) == 1, f"pages of several lanes in one run: {lanes}"
        self._refuse_another_rendition()
        plan = self.plan(lanes.pop().steps)
        rows = [*range(len(jobs)), *[0] * (self.batch - len(jobs))]
        given = np.stack([key.latents for key in jobs]) if latents is None else np.asarray(latents)
        assert given.shape == (len(jobs), *LATENTS_SHAPE), f"latents {given.shape} for {len(jobs)} pages"
        start = given[rows].astype(np.float32)  # (B, 4, 52, 80)
        embeddings = np.stack([jobs[row].embedding for row in rows])  # (B, 77, 768)
        self._run += 1
        return self._steps(self._run, plan, embeddings, start)

    def preview(self, predicted: Tensor) -> npt.NDArray[np.uint8]:
        """A small picture, uint8 (B, 52, 80, 3), of a Step's predicted latents, by the edition's preview matrix.

        Where the edition has none, one is fitted to its VAE at the first preview, at the price of one decoding.
        """
        if self._previewer is None:
            matrix = self.edition.preview
            if matrix is None:
                probe = probe_latents(self.batch)
                matrix = fit_preview(probe, self.decode(torch.from_numpy(probe).to(self.device)))
            self._previewer = Previewer(matrix, self.device)
        return self._previewer(predicted).cpu().numpy()

    def decode(self, latents: Tensor) -> npt.NDArray[np.uint8]:
        """Pixels, uint8 (B, 416, 640, 3), of a Step's latents (B, 4, 52, 80). Raises PrintFailed for an overflow."""
        with devices.pinned_attention(self.device):
            pixels, finite = self.decoder.decode(latents)
        if not bool(finite.all()):  # waits for the device
            raise self._overflow("decoder")
        return pixels.cpu().numpy()

    def encode(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Latents, float32 (n, 4, 52, 80), of 1 … `batch` pictures, uint8 (n, 416, 640, 3)."""
        count = len(pixels)
        assert 1 <= count <= self.batch, f"{count} pictures in a batch of {self.batch}"
        rows = [*range(count), *[0] * (self.batch - count)]
        with devices.pinned_attention(self.device):
            latents = self.decoder.encode(torch.from_numpy(pixels[rows]).to(self.device))
        if not bool(torch.isfinite(latents).all()):
            raise self._overflow("encoder")
        return latents[:count].cpu().numpy()

    def print_page(
        self,
        key: Key,
        on_step: Callable[[Step], None] | None = None,
        steps: int | None = None,
        latents: npt.NDArray[np.floating] | None = None,
    ) -> Print:
        """Print one page: `print_pages` of one. `latents` is (4, 52, 80)."""
        return self.print_pages([key], on_step, steps, None if latents is None else np.asarray(latents)[None])[0]

    def print_pages(
        self,
        keys: Sequence[Key],
        on_step: Callable[[Step], None] | None = None,
        steps: int | None = None,
        latents: npt.NDArray[np.floating] | None = None,
    ) -> list[Print]:
        """Print 1 … `batch` pages of one lane (see `lane`) in one run; the arguments are those of `run`.

        `on_step` is called after every step; what it raises ends the run. Raises PrintFailed where the model's numbers
        overflow, or where this process no longer computes what the rendition says.
        """
        with memory.explained(PrintFailed, self.edition.slug, self._bytes, self.device):
            return self._print_pages(keys, on_step, steps, latents)

    def _print_pages(
        self,
        keys: Sequence[Key],
        on_step: Callable[[Step], None] | None,
        steps: int | None,
        latents: npt.NDArray[np.floating] | None,
    ) -> list[Print]:
        began = time.perf_counter()
        for step in self.run(keys, steps, latents):
            if on_step is not None:
                on_step(step)
        if not bool(torch.isfinite(step.latents).all()):  # waits for the device
            raise self._overflow("model")
        looped = time.perf_counter()
        pixels = self.decode(step.latents)  # (B, 416, 640, 3)
        seconds = {"loop": looped - began, "decode": time.perf_counter() - looped}
        verdicts = self._safety.judge(pixels[: len(keys)]) if self._safety else [None] * len(keys)
        return [
            Print(
                pixels=page,
                digest=hashlib.sha256(page.tobytes()).hexdigest(),
                rendition=self.rendition,
                steps=step.of,
                off_catalogue=step.of != key.steps or latents is not None,
                seconds=seconds,
                flagged=flagged,
            )
            for key, page, flagged in zip(keys, pixels, verdicts, strict=False)
        ]

    def _overflow(self, part: str) -> PrintFailed:
        return PrintFailed(
            f"The {part} of edition {self.edition.slug} overflowed in {self.rendition.precision}.",
            hint="Its edition.toml may state a wider precision for this device: bfloat16 or float32.",
        )

    def _steps(
        self, run: int, plan: Plan, embeddings: npt.NDArray[np.float16], start: npt.NDArray[np.float32]
    ) -> Iterator[Step]:
        def predict(latents: Tensor, timestep: Tensor) -> Tensor:
            assert run == self._run, "an engine was asked for another run while this one was under way"
            with devices.pinned_attention(self.device):
                return self.denoiser(latents, timestep)

        self.denoiser.start(embeddings)
        yield from denoise(predict, plan, torch.from_numpy(start).to(self.device))

    def _read_rendition(self) -> Rendition:
        """The rendition, from the objects that run and the process that they run in."""
        parts = (self.denoiser, self.decoder)
        dtypes = list(dict.fromkeys(str(part.dtype).removeprefix("torch.") for part in parts))
        kernels = list(dict.fromkeys(part.kernels for part in parts))
        return Rendition(
            edition=self.edition.slug,
            weights=self._weights_digest,
            precision=" and ".join(dtypes),
            batch=self.denoiser.batch,
            torch=f"torch {torch.__version__} diffusers {diffusers.__version__}",
            device=self.denoiser.device.type,
            name=devices.device_name(self.device),
            instruction_set=devices.instruction_set(self.device),
            threads=torch.get_num_threads() if self.device.type == "cpu" else 0,
            kernels=" and ".join(kernels),
        )

    def _refuse_another_rendition(self) -> None:
        """Raise PrintFailed where something in this process has changed what the rendition says since loading."""
        now = self._read_rendition()
        if now != self.rendition or not torch.are_deterministic_algorithms_enabled():
            raise PrintFailed(
                f"The press was started as {self.rendition} and would now print as {now}.",
                hint="Something in this process has changed torch's settings; restart the press.",
            )


def _load_safety(edition: Edition, device: torch.device) -> "SafetyChecker | None":
    """The safety checker, where the weights have one and the edition wants it."""
    if not edition.safety_checker or not has_safety_checker(edition.weights):
        return None
    from worker.engine.networks.safety import (
        SafetyChecker,  # it takes half a second to import, and few editions have one
    )

    return SafetyChecker(edition.weights, device)


def _no_library(mark: str) -> Key:
    raise InputRefused(f"The mark {mark} names a key that the library holds, and no library was asked.")
