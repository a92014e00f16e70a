"""The judges of generated pages: networks that saw rendered scenes only, never a generated one (torch, scenes).

One names subject, ground and sky of a page in colour and counts its things, as a visitor would. Blurred blobs of the
right colour could please it, so a strict one names the subject from a patch in grey values alone. A third names the
colour of the thing on a patch. These travel with the project, so that a test need not train them. A fourth, trained
afresh where it is needed, tells rendered patches from generated ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file

from training import runs
from training.scenes.backdrops.painting import paint
from training.scenes.backdrops.setting import GROUNDS, HEIGHT, SKIES, WIDTH, Backdrop, Setting
from training.scenes.drawing import render
from training.scenes.scene import CROP, Director, Scene, draw_setting
from training.scenes.sprites import HUES, SpritePack, open_pack
from training.trainers.precision import autocast

Pixels = NDArray[np.uint8]
PLACES = (*GROUNDS, "space")
PATCH = CROP // 2  # edge of a patch, in pixels of the halved page: the size of a crop in training
FILE = Path(__file__).parent / "judges.safetensors"
STEPS, COUNTER_STEPS, PATCH_STEPS, HUE_STEPS = 4000, 1500, 2500, 1000  # page's judge, its counter, strict one, colours
_KEPT = ("judge", "strict", "hues")
_PAGES, _COUNTED, _PATCHES, _HUED, _SETTINGS = 9000, 4000, 14_000, 5000, 400


class Judge(nn.Module):
    """A small convolutional network over a page at a quarter of its size: where each subject is, and three answers.

    (B, 3, 104, 160) → subject evidence (B, subjects, 13, 20), place (B, 12), sky (B, 7) and a density (B, 1, 13, 20)
    whose sum is the number of things.
    """

    def __init__(self, subjects: int, channels: int = 3) -> None:
        super().__init__()

        def block(i: int, o: int, stride: int) -> nn.Sequential:
            return nn.Sequential(nn.Conv2d(i, o, 3, stride, 1), nn.GroupNorm(8, o), nn.SiLU())

        self.trunk = nn.Sequential(
            block(channels, 32, 2), block(32, 64, 2), block(64, 64, 1), block(64, 128, 2), block(128, 128, 1),
        )  # fmt: skip
        self.subject = nn.Conv2d(128, subjects, 1)
        self.rest = nn.Linear(256, len(PLACES) + len(SKIES))
        self.counter = nn.Sequential(
            nn.Conv2d(128, 64, 3, 1, 1), nn.SiLU(), nn.Conv2d(64, 64, 3, 1, 1), nn.SiLU(), nn.Conv2d(64, 1, 1),
            nn.Softplus(),
        )  # fmt: skip

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Evidence map, place, sky, density."""
        h = self.trunk(x)
        pooled = torch.cat([h.mean((2, 3)), h.amax((2, 3))], 1)
        place, sky = self.rest(pooled).split([len(PLACES), len(SKIES)], 1)
        return self.subject(h), place, sky, self.counter(h)


class PatchJudge(nn.Module):
    """Names the subject of a patch (B, channels, 96, 96), or with two answers says whether it was generated."""

    def __init__(self, answers: int, channels: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for i, o in ((channels, 24), (24, 48), (48, 96), (96, 160)):
            layers += [nn.Conv2d(i, o, 3, 2, 1), nn.GroupNorm(8, o), nn.SiLU()]
            layers += [nn.Conv2d(o, o, 3, 1, 1), nn.GroupNorm(8, o), nn.SiLU()]
        self.layers = nn.Sequential(*layers)
        self.answer = nn.Linear(320, answers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (B, answers), from the means and the maxima of the last map."""
        h = self.layers(x)
        answers: torch.Tensor = self.answer(torch.cat([h.mean((2, 3)), h.amax((2, 3))], 1))
        return answers


def evidence(maps: torch.Tensor) -> torch.Tensor:
    """One number a subject (B, subjects): the soft maximum of its evidence over the page."""
    return torch.logsumexp(maps.flatten(2) * 2, 2) / 2 - math.log(maps[0, 0].numel()) / 2


def half(pixels: Sequence[Pixels]) -> torch.Tensor:
    """Pictures (H, W, 3) uint8 to (B, 3, H/2, W/2) in −1 … 1."""
    x = torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2).float() / 127.5 - 1
    return F.avg_pool2d(x, 2)


def grey(patches: torch.Tensor) -> torch.Tensor:
    """(B, 3, H, W) to (B, 1, H, W), each patch brought to zero mean and unit spread: shape counts, not colour."""
    luma = (patches * torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(1, keepdim=True)
    mean, spread = luma.mean((1, 2, 3), keepdim=True), luma.std((1, 2, 3), keepdim=True)
    result: torch.Tensor = (luma - mean) / (spread + 0.05)
    return result


def patch_at(page: torch.Tensor, x: float, y: float) -> torch.Tensor:
    """The patch (3, 96, 96) of a halved page (3, 208, 320) around a point of it, kept inside the page."""
    left = int(np.clip(round(x - PATCH / 2), 0, page.shape[2] - PATCH))
    top = int(np.clip(round(y - PATCH / 2), 0, page.shape[1] - PATCH))
    return page[:, top : top + PATCH, left : left + PATCH]


def byte(x: torch.Tensor) -> torch.Tensor:
    """−1 … 1 to 0 … 255."""
    return (x * 127.5 + 127.5).round().to(torch.uint8)


# -- rendered examples ---------------------------------------------------------------------------------------------


class Examples:
    """Rendered pages and patches from a seed: new scenes on settings painted beforehand.

    They show every combination, those that the model never sees too: of these a judge must not know less.
    """

    def __init__(self, pack: SpritePack, seed: int, settings: int = _SETTINGS) -> None:
        self.director = Director(pack, seed, unseen=None)
        self.rng = self.director.rng
        chosen = [draw_setting(self.rng) for _ in range(settings)]
        self.painted = [(setting, paint(setting, self.rng)) for setting in chosen]

    def page(self) -> tuple[Scene, Pixels]:
        """A scene and its page."""
        setting, backdrop = self.painted[int(self.rng.integers(len(self.painted)))]
        scene = self.director.scene(backdrop, setting)
        return scene, render(scene, backdrop, self.director.pack)

    def single(self) -> tuple[Scene, Pixels]:
        """A scene of one subject of which neither size nor side is said, and its page."""
        setting, backdrop = self.painted[int(self.rng.integers(len(self.painted)))]
        scene = self._one(setting, backdrop)
        return scene, render(scene, backdrop, self.director.pack)

    def patch(self) -> tuple[int, Pixels]:
        """A subject's number and a window (192, 192, 3) around about its middle."""
        setting, backdrop = self.painted[int(self.rng.integers(len(self.painted)))]
        scene = self._one(setting, backdrop)
        return scene.items[0].subject.number, self._around(scene, backdrop)

    def hued_patch(self) -> tuple[int, Pixels]:
        """The number of a named colour (in the order of HUES) and such a window around a thing of that colour."""
        setting, backdrop = self.painted[int(self.rng.integers(len(self.painted)))]
        hued = [s for s in self.director.subjects if s.hues]
        subject, hue = hued[int(self.rng.integers(len(hued)))], int(self.rng.integers(len(HUES)))
        scene = self.director.single(subject, setting, backdrop, list(HUES)[hue])
        return hue, self._around(scene, backdrop)

    def _around(self, scene: Scene, backdrop: Backdrop) -> Pixels:
        """The window (192, 192, 3) around about the middle of a scene's first thing."""
        item = scene.items[0]
        shift = self.rng.normal(0, 18, 2)
        x, y = item.x + shift[0], item.base - item.height / 2 + shift[1]
        left = int(np.clip(x - CROP / 2, 0, WIDTH - CROP))
        top = int(np.clip(y - CROP / 2, 0, HEIGHT - CROP))
        return render(scene, backdrop, self.director.pack, (left, top, CROP, CROP))

    def _one(self, setting: Setting, backdrop: Backdrop) -> Scene:
        subject = self.director.subjects[int(self.rng.integers(len(self.director.subjects)))]
        return self.director.single(subject, setting, backdrop)


def _answers(scenes: Sequence[Scene], subjects: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    present = torch.zeros(len(scenes), subjects)
    for row, scene in enumerate(scenes):
        for group in scene.groups:
            present[row, group.subject.number] = 1
    place = torch.tensor([PLACES.index(s.setting.ground) for s in scenes])
    sky = torch.tensor([SKIES.index(s.setting.sky) for s in scenes])
    return present, place, sky


def _density(scene: Scene) -> torch.Tensor:
    """(1, 13, 20): each thing is a bell of sum 1 around its middle, 26 pixels wide."""
    rows, columns = torch.arange(13).view(13, 1) * 32 + 16, torch.arange(20).view(1, 20) * 32 + 16
    total = torch.zeros(13, 20)
    for item in scene.items:
        bell = torch.exp(-((columns - item.x) ** 2 + (rows - item.base + item.height / 2) ** 2) / (2 * 26**2))
        total += bell / bell.sum()
    return total[None]


# -- training ------------------------------------------------------------------------------------------------------


@dataclass
class _Course:
    """One judge's training: goes on where its checkpoint stands, reports and keeps."""

    name: str
    model: nn.Module
    steps: int
    rate: float
    folder: Path
    log: Callable[[str], None]

    def __post_init__(self) -> None:
        self.optimizer = torch.optim.AdamW(self.model.parameters(), self.rate, weight_decay=1e-2)
        self.path, self.step = self.folder / f"{self.name}.pt", 0
        if (state := runs.load(self.path)) is not None:
            runs.fit(self.model, state["model"], str(self.path))
            self.optimizer.load_state_dict(state["optimizer"])
            self.step = int(state["step"])

    def run(self, losses: Callable[[np.random.Generator, int], torch.Tensor]) -> None:
        """Takes the steps that are left; `losses` gives the loss of a batch drawn with a generator."""
        while self.step < self.steps:
            share = 0.5 * (1 + math.cos(math.pi * self.step / self.steps))
            for group in self.optimizer.param_groups:
                group["lr"] = self.rate * min(1, (self.step + 1) / 100) * max(0.02, share)
            loss = losses(np.random.default_rng((501, self.step)), self.step)
            self.optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            self.optimizer.step()
            self.step += 1
            if self.step % 100 == 0 or self.step == self.steps:
                self.log(f"{self.name}: step {self.step}/{self.steps}, loss {loss.item():.3f}")
                runs.save(
                    self.path,
                    {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict(), "step": self.step},
                )
        self.model.eval()


def train_judge(pack: SpritePack, folder: Path, log: Callable[[str], None], steps: int = STEPS) -> Judge:
    """The judge of pages but for its counter, trained on 9,000 rendered ones, or what is left of its training."""
    torch.manual_seed(501)
    judge = Judge(len(pack.subjects()))
    course = _Course("judge", judge, steps, 2e-3, folder, log)
    if course.step >= steps:
        return judge.eval()
    log(f"drawing {_PAGES} pages")
    examples = Examples(pack, 501)
    small, scenes = [], []
    for _ in range(_PAGES):
        scene, pixels = examples.page()
        small.append(byte(F.avg_pool2d(half([pixels]), 2)[0]))
        scenes.append(scene)
    pages, answers = torch.stack(small), _answers(scenes, len(pack.subjects()))

    def losses(rng: np.random.Generator, step: int) -> torch.Tensor:
        rows = torch.from_numpy(rng.integers(0, len(pages), 24))
        x = pages[rows].float() / 127.5 - 1
        present, place, sky = (part[rows] for part in answers)
        with autocast("cpu"):
            maps, a, b, _ = judge(x.flip(3) if step % 2 else x)
        found = evidence(maps.float())
        loss = F.binary_cross_entropy_with_logits(found, present, pos_weight=torch.tensor(20.0)) * 8
        one = (present.sum(1) == 1).nonzero()[:, 0]
        if len(one):
            loss = loss + F.cross_entropy(found[one], present[one].argmax(1))
        return loss + F.cross_entropy(a.float(), place) + 0.5 * F.cross_entropy(b.float(), sky)

    course.run(losses)
    return judge


def train_counter(judge: Judge, pack: SpritePack, folder: Path, log: Callable[[str], None]) -> None:
    """Trains the judge's counter on what the rest of it sees of 4,000 rendered pages, or what is left of that."""
    torch.manual_seed(503)
    course = _Course("counter", judge.counter, COUNTER_STEPS, 1e-3, folder, log)
    if course.step >= course.steps:
        judge.eval()
        return
    log(f"drawing {_COUNTED} pages")
    examples, seen, densities, numbers = Examples(pack, 503), [], [], []
    for _ in range(_COUNTED):
        scene, pixels = examples.page()
        with torch.no_grad(), autocast("cpu"):
            seen.append(judge.trunk(F.avg_pool2d(half([pixels]), 2))[0].half())
        densities.append(_density(scene))
        numbers.append(len(scene.items))
    features, truth, count = torch.stack(seen), torch.stack(densities), torch.tensor(numbers).float()

    def losses(rng: np.random.Generator, _: int) -> torch.Tensor:
        rows = torch.from_numpy(rng.integers(0, len(features), 48))
        with autocast("cpu"):
            found = judge.counter(features[rows].float()).float()
        error = F.smooth_l1_loss(found.sum((1, 2, 3)), count[rows], beta=0.5)
        return error + 100 * F.mse_loss(found, truth[rows])

    course.run(losses)
    judge.eval()


def train_strict(pack: SpritePack, folder: Path, log: Callable[[str], None], steps: int = PATCH_STEPS) -> PatchJudge:
    """The judge of grey patches, trained on 14,000 rendered ones, or what is left of its training."""
    torch.manual_seed(502)
    strict = PatchJudge(len(pack.subjects()), 1)
    course = _Course("strict", strict, steps, 5e-4, folder, log)
    return _on_patches(strict, course, lambda: Examples(pack, 502).patch, _PATCHES, grey)


def train_hues(pack: SpritePack, folder: Path, log: Callable[[str], None], steps: int = HUE_STEPS) -> PatchJudge:
    """The judge of named colours, trained on 5,000 rendered patches, or what is left of its training."""
    torch.manual_seed(504)
    hues = PatchJudge(len(HUES), 3)
    course = _Course("hues", hues, steps, 5e-4, folder, log)
    return _on_patches(hues, course, lambda: Examples(pack, 504).hued_patch, _HUED, lambda patches: patches)


def _on_patches(
    network: PatchJudge,
    course: _Course,
    examples: Callable[[], Callable[[], tuple[int, Pixels]]],
    number: int,
    seen: Callable[[torch.Tensor], torch.Tensor],
) -> PatchJudge:
    """Takes a network's course over so many patches that it is to name; it sees what `seen` makes of them."""
    if course.step >= course.steps:
        return network.eval()
    course.log(f"drawing {number} patches")
    draw = examples()
    drawn = [draw() for _ in range(number)]
    names = torch.tensor([name for name, _ in drawn])
    patches = torch.cat([byte(half([pixels])) for _, pixels in drawn])

    def losses(rng: np.random.Generator, step: int) -> torch.Tensor:
        rows = torch.from_numpy(rng.integers(0, len(patches), 32))
        x = seen(patches[rows].float() / 127.5 - 1)
        with autocast("cpu"):
            logits = network(x.flip(3) if step % 2 else x)
        return F.cross_entropy(logits.float(), names[rows])

    course.run(losses)
    return network


def load_judges() -> tuple[Judge, PatchJudge, PatchJudge]:
    """The judges that the project keeps: of pages, of grey patches, of named colours."""
    subjects = len(open_pack().subjects())
    judges = (Judge(subjects), PatchJudge(subjects, 1), PatchJudge(len(HUES), 3))
    tensors = {name: tensor.float() for name, tensor in load_file(FILE).items()}
    for name, network in zip(_KEPT, judges, strict=True):
        part = {key.removeprefix(f"{name}."): t for key, t in tensors.items() if key.startswith(f"{name}.")}
        runs.fit(network, part, str(FILE))
        network.eval()
    return judges


def keep_judges(judge: Judge, strict: PatchJudge, hues: PatchJudge) -> None:
    """Writes them in half precision to where `load_judges` reads them."""
    networks = dict(zip(_KEPT, (judge, strict, hues), strict=True))
    tensors = {
        f"{name}.{key}": t.half().contiguous() for name, n in networks.items() for key, t in n.state_dict().items()
    }
    save_file(tensors, FILE)


# -- judging -------------------------------------------------------------------------------------------------------


@dataclass
class Verdict:
    """What the judges say of one page.

    `ranked` are subject numbers from the likeliest on, `side` is 0, 1 or 2 for left, centre and right, `strict` the
    subject that the grey patch shows, `patch` that patch in colour, (3, 96, 96) in −1 … 1.
    """

    ranked: list[int]
    place: str
    sky: str
    count: int
    side: int
    strict: int
    patch: torch.Tensor


@torch.no_grad()
def judge_pages(
    judge: Judge, strict: PatchJudge, pages: Sequence[Pixels], asked: Sequence[int | None]
) -> list[Verdict]:
    """Verdicts on pages; the patch lies where the evidence for the asked subject (or the likeliest) is strongest."""
    verdicts = []
    for pixels, subject in zip(pages, asked, strict=True):
        page = half([pixels])
        maps, place, sky, density = judge(F.avg_pool2d(page, 2))
        found = evidence(maps)[0]
        where = maps[0, subject if subject is not None else int(found.argmax())]
        y, x = divmod(int(where.argmax()), where.shape[1])
        column, row = (x + 0.5) * page.shape[3] / where.shape[1], (y + 0.5) * page.shape[2] / where.shape[0]
        patch = patch_at(page[0], column, row)
        verdicts.append(
            Verdict(
                found.argsort(descending=True).tolist(),
                PLACES[int(place.argmax())], SKIES[int(sky.argmax())], round(float(density.sum())),
                min(2, int(3 * column / page.shape[3])), int(strict(grey(patch[None])).argmax()), patch,
            )
        )  # fmt: skip
    return verdicts


@torch.no_grad()
def name_hues(hues: PatchJudge, verdicts: Sequence[Verdict]) -> list[str]:
    """The colour (a key of HUES) of what each verdict's patch shows."""
    return [list(HUES)[int(hues(v.patch[None]).argmax())] for v in verdicts]


def told_apart(rendered: Sequence[Verdict], generated: Sequence[Verdict], folds: int = 3) -> list[bool]:
    """For every patch, rendered ones first, whether a classifier that never saw it says rightly how it was made.

    Each fold's classifier is trained on the other folds. Half of them right would be perfect pictures.
    """
    x = torch.stack([v.patch for v in (*rendered, *generated)])
    y = torch.tensor([0] * len(rendered) + [1] * len(generated))
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(3))
    right = [False] * len(x)
    for test in order.chunk(folds):
        train = order[~torch.isin(order, test)]
        torch.manual_seed(3)
        net = PatchJudge(2, 3)
        optimizer = torch.optim.AdamW(net.parameters(), 4e-4, weight_decay=1e-2)
        for _ in range(6):
            for part in train[torch.randperm(len(train))].split(16):
                optimizer.zero_grad()
                with autocast("cpu"):
                    logits = net(x[part])
                F.cross_entropy(logits.float(), y[part]).backward()
                optimizer.step()
        with torch.no_grad():
            for i in test.tolist():
                right[i] = bool(net(x[i, None]).argmax() == y[i])
    return right
