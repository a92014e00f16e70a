"""Measures the shipped edition: `python -m training.evaluate` (torch, worker.engine; writes a table and pictures).

A judge, trained on rendered scenes only, names subject, ground, sky, count and side of generated pages. Blurred blobs
could pass it, so two strict judges look at the subject's patch: one in grey values, one that tells rendered from
generated. Every figure is printed with the number of pages it stands on.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import load_file, save_file

from training import runs
from training.scenes import SIDES, Director, Scene, draw_setting, held_out, render
from training.settings import GROUNDS, SKIES, Setting, paint
from training.sprites import SpritePack, Subject, open_pack
from training.train_autoencoder import held_out_pages, psnr
from worker.edition import load_edition
from worker.engine import Engine
from worker.expansion import page_latents, volume_phrases
from worker.key import Key

Pixels = NDArray[np.uint8]
PLACES = (*GROUNDS, "space")
PATCH = 64  # edge of the strict judges' patch, in pixels of the halved page


# -- the judges ----------------------------------------------------------------------------------------------------


class Judge(nn.Module):
    """A small convolutional network over a page at a quarter of its size: where each subject is, and three answers.

    (B, 3, 104, 160) → subject evidence (B, subjects, 13, 20), then place (B, 12), sky (B, 7) and count (B, 6).
    """

    def __init__(self, subjects: int, channels: int = 3) -> None:
        super().__init__()

        def block(i: int, o: int, stride: int) -> nn.Sequential:
            return nn.Sequential(nn.Conv2d(i, o, 3, stride, 1), nn.GroupNorm(8, o), nn.SiLU())

        self.trunk = nn.Sequential(
            block(channels, 32, 2), block(32, 64, 2), block(64, 64, 1), block(64, 128, 2), block(128, 128, 1),
        )  # fmt: skip
        self.subject = nn.Conv2d(128, subjects, 1)
        self.rest = nn.Linear(256, len(PLACES) + len(SKIES) + 6)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Evidence map, place, sky, count."""
        h = self.trunk(x)
        pooled = torch.cat([h.mean((2, 3)), h.amax((2, 3))], 1)
        place, sky, count = self.rest(pooled).split([len(PLACES), len(SKIES), 6], 1)
        return self.subject(h), place, sky, count


def evidence(maps: torch.Tensor) -> torch.Tensor:
    """One number a subject (B, subjects): the soft maximum of its evidence over the page."""
    return torch.logsumexp(maps.flatten(2) * 2, 2) / 2 - math.log(maps[0, 0].numel()) / 2


class PatchJudge(nn.Module):
    """Names the subject of a patch (B, channels, 64, 64), or with two answers says whether it was generated."""

    def __init__(self, answers: int, channels: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for i, o in ((channels, 24), (24, 48), (48, 96), (96, 160)):
            layers += [
                nn.Conv2d(i, o, 3, 2, 1),
                nn.GroupNorm(8, o),
                nn.SiLU(),
                nn.Conv2d(o, o, 3, 1, 1),
                nn.GroupNorm(8, o),
                nn.SiLU(),
            ]
        self.layers = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(160, answers))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (B, answers)."""
        result: torch.Tensor = self.layers(x)
        return result


def half(pixels: Sequence[Pixels]) -> torch.Tensor:
    """Pages (416, 640, 3) uint8 to (B, 3, 208, 320) in −1 … 1."""
    x = torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2).float() / 127.5 - 1
    return F.avg_pool2d(x, 2)


def grey(patches: torch.Tensor) -> torch.Tensor:
    """(B, 3, H, W) to (B, 1, H, W), each patch brought to zero mean and unit spread: shape counts, not colour."""
    luma = (patches * torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(1, keepdim=True)
    mean, spread = luma.mean((1, 2, 3), keepdim=True), luma.std((1, 2, 3), keepdim=True)
    result: torch.Tensor = (luma - mean) / (spread + 0.05)
    return result


def patch_at(page: torch.Tensor, x: float, y: float) -> torch.Tensor:
    """The patch (3, 64, 64) of a halved page around a point, kept inside the page."""
    left = int(np.clip(round(x - PATCH / 2), 0, page.shape[2] - PATCH))
    top = int(np.clip(round(y - PATCH / 2), 0, page.shape[1] - PATCH))
    return page[:, top : top + PATCH, left : left + PATCH]


class Examples:
    """Rendered pages for the judges, from a seed: a new scene on one of many settings painted beforehand."""

    def __init__(self, pack: SpritePack, seed: int, settings: int) -> None:
        self.director = Director(pack, seed)
        self.rng = self.director.rng
        chosen = [draw_setting(self.rng) for _ in range(settings)]
        self.painted = [(setting, paint(setting, self.rng)) for setting in chosen]

    def draw(self) -> tuple[Scene, Pixels]:
        """A scene and its page."""
        setting, backdrop = self.painted[int(self.rng.integers(len(self.painted)))]
        scene = self.director.scene(backdrop, setting)
        return scene, render(scene, backdrop, self.director.pack)


def _answers(scenes: Sequence[Scene], subjects: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    present = torch.zeros(len(scenes), subjects)
    for row, scene in enumerate(scenes):
        for group in scene.groups:
            present[row, group.subject.number] = 1
    place = torch.tensor([PLACES.index(s.setting.ground) for s in scenes])
    sky = torch.tensor([SKIES.index(s.setting.sky) for s in scenes])
    return present, place, sky, torch.tensor([len(s.items) for s in scenes])


EXAMPLES = 7000


def _draw_examples(
    pack: SpritePack, subjects: int
) -> tuple[torch.Tensor, tuple[torch.Tensor, ...], torch.Tensor, torch.Tensor]:
    """Pages (N, 3, 104, 160) uint8 with their answers, and patches (M, 3, 64, 64) uint8 with their subjects."""
    examples = Examples(pack, 501, 400)
    small, scenes, patches, names = [], [], [], []
    for _ in range(EXAMPLES):
        scene, pixels = examples.draw()
        page = half([pixels])
        small.append(byte(F.avg_pool2d(page, 2)[0]))
        scenes.append(scene)
        for item in scene.items[:2]:
            shift = examples.rng.normal(0, 8, 2)
            patches.append(byte(patch_at(page[0], item.x / 2 + shift[0], (item.base - item.height / 2) / 2 + shift[1])))
            names.append(item.subject.number)
    return torch.stack(small), _answers(scenes, subjects), torch.stack(patches), torch.tensor(names)


def byte(x: torch.Tensor) -> torch.Tensor:
    """−1 … 1 to 0 … 255."""
    return (x * 127.5 + 127.5).round().to(torch.uint8)


def train_judges(pack: SpritePack, folder: Path, steps: int, log: Callable[[str], None]) -> tuple[Judge, PatchJudge]:
    """The judges of pages and of grey patches, trained together on rendered pages, or as far as they are there."""
    subjects = len(pack.subjects())
    judge, strict = Judge(subjects), PatchJudge(subjects, 1)
    path = folder / "judges.pt"
    parameters = [*judge.parameters(), *strict.parameters()]
    optimizer = torch.optim.AdamW(parameters, 2e-3, weight_decay=1e-2)
    step, batch = 0, 24
    if (state := runs.load(path)) is not None:
        runs.fit(judge, state["judge"], str(path))
        runs.fit(strict, state["strict"], str(path))
        optimizer.load_state_dict(state["optimizer"])
        step = int(state["step"])
    if step >= steps:
        return judge.eval(), strict.eval()
    log(f"drawing {EXAMPLES} pages for the judges")
    small, answers, patches, names = _draw_examples(pack, subjects)
    while step < steps:
        for group in optimizer.param_groups:
            group["lr"] = 2e-3 * min(1, (step + 1) / 100) * max(0.02, 0.5 * (1 + math.cos(math.pi * step / steps)))
        rng = np.random.default_rng((501, step))
        rows, tiles = (torch.from_numpy(rng.integers(0, len(part), batch)) for part in (small, patches))
        pages, squares = small[rows].float() / 127.5 - 1, patches[tiles].float() / 127.5 - 1
        if step % 2:
            pages, squares = pages.flip(3), squares.flip(3)
        present, place, sky, count = (part[rows] for part in answers)
        with torch.autocast("cpu", torch.bfloat16):
            maps, a, b, c = judge(pages)
            d = strict(grey(squares))
        found = evidence(maps.float())
        loss = F.binary_cross_entropy_with_logits(found, present, pos_weight=torch.tensor(20.0)) * 8
        one = (present.sum(1) == 1).nonzero()[:, 0]
        if len(one):
            loss = loss + F.cross_entropy(found[one], present[one].argmax(1))
        loss = (
            loss
            + F.cross_entropy(a.float(), place)
            + 0.5 * F.cross_entropy(b.float(), sky)
            + F.cross_entropy(c.float(), count)
        )
        loss = loss + F.cross_entropy(d.float(), names[tiles])
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        step += 1
        if step % 50 == 0 or step == steps:
            log(f"judges: step {step}/{steps}, loss {loss.item():.3f}")
            runs.save(
                path,
                {
                    "judge": judge.state_dict(),
                    "strict": strict.state_dict(),
                    "optimizer": optimizer.state_dict(),
                    "step": step,
                },
            )
    return judge.eval(), strict.eval()


JUDGES = Path(__file__).parent / "judges.safetensors"


def load_judges() -> tuple[Judge, PatchJudge]:
    """The judges that the project keeps, so that a test need not train them."""
    subjects = len(open_pack().subjects())
    judge, strict = Judge(subjects), PatchJudge(subjects, 1)
    tensors = {name: tensor.float() for name, tensor in load_file(JUDGES).items()}
    for prefix, network in (("judge.", judge), ("strict.", strict)):
        part = {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
        runs.fit(network, part, str(JUDGES))
    return judge.eval(), strict.eval()


def keep_judges(judge: Judge, strict: PatchJudge) -> None:
    """Writes both in half precision to where `load_judges` reads them."""
    tensors = {f"judge.{name}": tensor for name, tensor in judge.state_dict().items()}
    tensors |= {f"strict.{name}": tensor for name, tensor in strict.state_dict().items()}
    save_file({name: tensor.half().contiguous() for name, tensor in tensors.items()}, JUDGES)


@dataclass
class Verdict:
    """What the judges say of one page."""

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
        maps, place, sky, count = judge(F.avg_pool2d(page, 2))
        found = evidence(maps)[0]
        where = maps[0, subject if subject is not None else int(found.argmax())]
        y, x = divmod(int(where.argmax()), where.shape[1])
        column, row = (x + 0.5) * page.shape[3] / where.shape[1], (y + 0.5) * page.shape[2] / where.shape[0]
        patch = patch_at(page[0], column, row)
        verdicts.append(
            Verdict(
                found.argsort(descending=True).tolist(),
                PLACES[int(place.argmax())], SKIES[int(sky.argmax())], int(count.argmax()),
                min(2, int(3 * column / page.shape[3])), int(strict(grey(patch[None])).argmax()), patch,
            )
        )  # fmt: skip
    return verdicts


# -- the pages -------------------------------------------------------------------------------------------------------


class Artist:
    """Prints pages of the edition through the press's engine; remembers them on disk, since they are slow to make."""

    def __init__(self, slug: str, data: Path, folder: Path) -> None:
        self.edition = load_edition(slug, data)
        self.engine = Engine(self.edition)
        self.folder = folder / "pages" / self.engine.rendition.weights[:12]
        self.folder.mkdir(parents=True, exist_ok=True)

    def print(self, prompt: str, page: int = 1, guidance: float | None = None) -> Pixels:
        """The page of a prompt's volume, (416, 640, 3)."""
        key = Key.pack(self.edition.default_steps, self.engine.embed(prompt), page_latents("prompt", prompt, page))
        return self._print(key, guidance)

    def print_short(self, name: str) -> Pixels:
        """Page 1 of the volume of a short key."""
        from worker.address import Address

        return self._print(self.engine.resolve(Address(self.edition.slug, "key", name, 1)), None)

    def _print(self, key: Key, guidance: float | None) -> Pixels:
        path = self.folder / f"{key.mark}-{guidance or 'own'}.png"
        if not path.exists():
            before = self.engine.denoiser._guidance
            self.engine.denoiser._guidance = before if guidance is None else guidance
            try:
                pixels = self.engine.print_page(key).pixels
            finally:
                self.engine.denoiser._guidance = before
            Image.fromarray(pixels).save(path)
        return np.asarray(Image.open(path).convert("RGB"))


def a(subject: Subject) -> str:
    """The subject's name with its article."""
    return ("an " if subject.name[0] in "aeio" else "a ") + subject.name


PLACE_WORDS = {
    "meadow": "on a meadow", "desert": "in the desert", "snow": "in the snow", "sea": "in the sea",
    "beach": "on a beach",
    "forest": "in a forest", "mountains": "in the mountains", "city": "in the city", "road": "on a road",
    "room": "in a blue room", "plain": "on a yellow background", "space": "in space",
}  # fmt: skip
SKY_WORDS = {
    "day": "on a sunny day",
    "dawn": "at dawn",
    "sunset": "at sunset",
    "night": "at night",
    "storm": "in a storm",
}


def percent(right: int, of: int) -> str:
    """A share as it stands in the table."""
    return f"{100 * right / max(1, of):.0f} % ({right} of {of})"


def measure(pages: int, folder: Path, steps: int, data: Path, slug: str = "pocket-1") -> dict[str, Any]:
    """All figures on about `pages` generated pages; writes results.json, table.md and the sheets into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    pack = open_pack()
    subjects = pack.subjects()
    log = runs.Log(folder, "evaluate", steps).say
    judge, strict = train_judges(pack, folder, steps, log)
    artist = Artist(slug, data, folder)
    results: dict[str, str] = {
        "weights": artist.engine.rendition.weights[:16],
        "guidance": str(artist.edition.guidance),
    }

    def note(name: str, value: str) -> None:
        results[name] = value
        log(f"{name}: {value}")
        (folder / "results.json").write_text(json.dumps(results, indent=2, ensure_ascii=False))

    vae = artist.engine.decoder._vae if hasattr(artist.engine.decoder, "_vae") else None
    if vae is None:
        from worker.autoencoder import PocketAutoencoder

        vae = PocketAutoencoder.from_pretrained(
            str(artist.edition.weights / "vae"), torch_dtype=torch.float32, local_files_only=True
        )
    note("PSNR of the autoencoder on 64 held-out scenes", f"{psnr(vae.float(), held_out_pages(pack, 64)):.2f} dB")

    # The judges themselves, on rendered pages of a seed they never saw.
    fresh = Examples(pack, 77_777, 60)
    drawn = [pair for pair in (fresh.draw() for _ in range(700)) if len(pair[0].items) == 1][:300]
    truth = [scene.groups[0].subject.number for scene, _ in drawn]
    own = judge_pages(judge, strict, [page for _, page in drawn], truth)
    note(
        "judge on rendered pages: subject",
        percent(sum(v.ranked[0] == t for v, t in zip(own, truth, strict=True)), len(own)),
    )
    note(
        "judge on rendered pages: place",
        percent(sum(v.place == s.setting.ground for v, (s, _) in zip(own, drawn, strict=True)), len(own)),
    )
    note(
        "strict judge on rendered grey patches",
        percent(sum(v.strict == t for v, t in zip(own, truth, strict=True)), len(own)),
    )

    # Subject and place, seen and unseen combinations.
    asked: list[tuple[Subject, str]] = []
    for subject, place in zip(itertools.cycle(subjects), itertools.cycle(PLACES), strict=False):
        if len(asked) >= pages:
            break
        asked.append((subject, PLACES[(PLACES.index(place) + len(asked) // len(subjects)) % len(PLACES)]))
    printed = []
    for number, (subject, place) in enumerate(asked):
        printed.append(artist.print(f"{a(subject)} {PLACE_WORDS[place]}"))
        if number % 25 == 24:
            log(f"{number + 1} of {len(asked)} pages printed")
    verdicts = judge_pages(judge, strict, printed, [s.number for s, _ in asked])
    hits = [v.ranked[0] == s.number for v, (s, _) in zip(verdicts, asked, strict=True)]
    unseen = [held_out(s, Setting("space" if p == "space" else "day", p)) for s, p in asked]
    note("subject, top-1", percent(sum(hits), len(hits)))
    note(
        "subject, top-5",
        percent(sum(s.number in v.ranked[:5] for v, (s, _) in zip(verdicts, asked, strict=True)), len(hits)),
    )
    note(
        "subject in grey values (strict)",
        percent(sum(v.strict == s.number for v, (s, _) in zip(verdicts, asked, strict=True)), len(hits)),
    )
    note("place", percent(sum(v.place == p for v, (_, p) in zip(verdicts, asked, strict=True)), len(hits)))
    note(
        "subject, combinations seen in training",
        percent(sum(h for h, u in zip(hits, unseen, strict=True) if not u), unseen.count(False)),
    )
    note(
        "subject, combinations never seen",
        percent(sum(h for h, u in zip(hits, unseen, strict=True) if u), unseen.count(True)),
    )
    some = list(range(0, len(asked), max(1, len(asked) // 40)))
    plain = [artist.print(f"{a(asked[i][0])} {PLACE_WORDS[asked[i][1]]}", guidance=1.0) for i in some]
    at_one = judge_pages(judge, strict, plain, [asked[i][0].number for i in some])
    note(
        "subject, top-1 at guidance 1",
        percent(sum(v.ranked[0] == asked[i][0].number for v, i in zip(at_one, some, strict=True)), len(some)),
    )
    note("the same pages at the edition's guidance", percent(sum(hits[i] for i in some), len(some)))
    empty = judge_pages(judge, strict, [artist.print("", page) for page in range(1, 21)], [None] * 20)
    note(
        "subject, top-1 for the empty prompt (chance)",
        percent(sum(v.ranked[0] == asked[i][0].number for i, v in enumerate(empty)), 20),
    )
    _worst(folder, pack, asked, verdicts, hits)

    # Sky, count and side.
    rows = [(subjects[(7 * i) % len(subjects)], sky) for i, sky in enumerate(list(SKY_WORDS) * 8)]
    skies = judge_pages(
        judge,
        strict,
        [artist.print(f"{a(s)} on a meadow {SKY_WORDS[k]}") for s, k in rows],
        [s.number for s, _ in rows],
    )
    note("sky", percent(sum(v.sky == k for v, (_, k) in zip(skies, rows, strict=True)), len(rows)))
    words = {1: "one", 2: "two", 3: "three"}
    counts = [(subjects[(11 * i) % len(subjects)], 1 + i % 3) for i in range(30)]
    said = [f"{words[n]} {s.plural if n > 1 else s.name} on a meadow" for s, n in counts]
    counted = judge_pages(judge, strict, [artist.print(p) for p in said], [s.number for s, _ in counts])
    note(
        "count (one, two, three)",
        percent(sum(v.count == n for v, (_, n) in zip(counted, counts, strict=True)), len(counts)),
    )
    sides = [(subjects[(13 * i) % len(subjects)], (0, 2)[i % 2]) for i in range(30)]
    sided = judge_pages(
        judge,
        strict,
        [artist.print(f"{a(s)} on the {SIDES[k]} on a meadow") for s, k in sides],
        [s.number for s, _ in sides],
    )
    note("side (left, right)", percent(sum(v.side == k for v, (_, k) in zip(sided, sides, strict=True)), len(sides)))

    note("real or generated, told apart on patches", _real_or_generated(verdicts, own))
    _variety(artist, pack, note)
    names = [f"shelf-{i}" for i in range(24)]
    shelf = [artist.print_short(name) for name in names]
    runs.save_sheet(folder / "short-keys.webp", [Image.fromarray(p) for p in shelf], 6, 0.3)
    note(
        "short keys: least contrast of 24 pages (standard deviation)",
        f"{min(float(p.std()) for p in shelf):.1f} of 255",
    )
    log("; ".join(f"{n}: {' + '.join(str(x) for x in volume_phrases(n, artist.edition.lexicon))}" for n in names[:3]))
    unknown = [
        "freedom",
        "un chat",
        "quantum banana republic",
        "qwertz",
        "my grandmother",
        "ein Hund am Strand",
        "love",
        "winter is coming",
    ]
    runs.save_sheet(folder / "unknown-words.webp", [Image.fromarray(artist.print(w)) for w in unknown], 4, 0.4)
    began = time.perf_counter()
    artist.engine.print_page(
        Key.pack(artist.edition.default_steps, artist.engine.embed("a dog"), page_latents("prompt", "a dog", 409))
    )
    note("seconds for a page at the default steps", f"{time.perf_counter() - began:.1f}")
    import resource

    note("peak memory of the evaluation", f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB")
    table = "\n".join(["| what | figure |", "|---|---|", *(f"| {k} | {v} |" for k, v in results.items())])
    (folder / "table.md").write_text(table + "\n", encoding="utf-8")
    return results


def _worst(
    folder: Path, pack: SpritePack, asked: list[tuple[Subject, str]], verdicts: list[Verdict], hits: list[bool]
) -> None:
    """The ten subjects that the strict judge knows least, each patch beside its sprite."""
    score = {
        s.number: np.mean(
            [h + (v.strict == s.number) for h, v, (t, _) in zip(hits, verdicts, asked, strict=True) if t == s]
        )
        for s, _ in asked
    }
    tiles = []
    for number in sorted(score, key=lambda n: float(score[n]))[:10]:
        subject = next(s for s, _ in asked if s.number == number)
        patch = next(v.patch for v, (s, _) in zip(verdicts, asked, strict=True) if s.number == number)
        sprite = Image.new("RGB", (96, 96), (200, 200, 200))
        picture = pack.image(subject.sprite).copy()
        picture.thumbnail((96, 96))
        sprite.paste(picture, (0, 0), picture)
        tiles += [runs.picture(patch).resize((96, 96)), sprite]
    runs.save_sheet(folder / "worst.webp", tiles, 10)


def _real_or_generated(generated: list[Verdict], rendered: list[Verdict]) -> str:
    """How well a classifier tells patches of rendered pages from generated ones: 50 % would be perfect pictures."""
    number = min(len(generated), len(rendered))
    x = torch.stack([v.patch for v in [*rendered[:number], *generated[:number]]])
    y = torch.tensor([0] * number + [1] * number)
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(3))
    train, test = order[: len(x) * 2 // 3], order[len(x) * 2 // 3 :]
    torch.manual_seed(3)
    net = PatchJudge(2, 3)
    optimizer = torch.optim.AdamW(net.parameters(), 1e-3, weight_decay=1e-2)
    for _ in range(8):
        for part in train[torch.randperm(len(train))].split(16):
            optimizer.zero_grad()
            F.cross_entropy(net(x[part]), y[part]).backward()
            optimizer.step()
    with torch.no_grad():
        right = int((net(x[test]).argmax(1) == y[test]).sum())
    return percent(right, len(test))


def _variety(artist: Artist, pack: SpritePack, note: Callable[[str, str], None]) -> None:
    """Mean distance between pages of one prompt, against scenes of one caption; and to the nearest training scene."""
    prompts = [
        "a dog on a meadow",
        "a car on a road",
        "a whale in the sea",
        "a cactus in the desert",
        "a star at night",
    ]

    def small(pixels: Pixels) -> NDArray[np.float32]:
        return np.asarray(Image.fromarray(pixels).resize((80, 52), Image.Resampling.BOX), np.float32)

    def spread(pages: list[Pixels]) -> float:
        tiny = [small(p) for p in pages]
        return float(np.mean([np.abs(p - q).mean() for p, q in itertools.combinations(tiny, 2)]))

    made = {p: [artist.print(p, n) for n in range(1, 5)] for p in prompts}
    director = Director(pack, 4_242)
    words = {s.name: s for s in director.subjects}
    real = []
    for name, setting in (
        ("dog", Setting("day", "meadow")), ("car", Setting("day", "road")), ("whale", Setting("day", "sea")),
        ("cactus", Setting("day", "desert")), ("star", Setting("night", "meadow")),
    ):  # fmt: skip
        pages = []
        for _ in range(4):
            backdrop = paint(setting, director.rng)
            pages.append(render(director.single(words[name], setting, backdrop), backdrop, pack))
        real.append(spread(pages))
    note(
        "variety: mean distance of pages of one prompt (rendered scenes of one subject and setting)",
        f"{np.mean([spread(v) for v in made.values()]):.1f} ({np.mean(real):.1f}) of 255",
    )
    bank = []
    for seed in range(400):
        chosen = Director(pack, 1_000_000 + seed)
        setting = draw_setting(chosen.rng)
        backdrop = paint(setting, chosen.rng)
        bank.append(small(render(chosen.scene(backdrop, setting), backdrop, pack)))
    nearest = [min(float(np.abs(small(pages[0]) - b).mean()) for b in bank) for pages in made.values()]
    note("distance to the nearest of 400 training scenes (mean of five pages)", f"{np.mean(nearest):.1f} of 255")


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m training.evaluate", description="Measures pocket-1.")
    parser.add_argument("--pages", type=int, default=400, help="generated pages for subject and place")
    parser.add_argument("--judge-steps", type=int, default=2500, help="training steps of the judges")
    parser.add_argument("--folder", type=Path, default=Path(__file__).parent / "runs" / "evaluation")
    parser.add_argument(
        "--data", type=Path, default=Path(os.environ.get("BABELIA_DATA", Path(__file__).parent.parent / "data"))
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--judges-only", action="store_true", help="train the judges, keep them in the project and stop"
    )
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.judges_only:
        options.folder.mkdir(parents=True, exist_ok=True)
        log = runs.Log(options.folder, "evaluate", options.judge_steps)
        keep_judges(*train_judges(open_pack(), options.folder, options.judge_steps, log.say))
        return 0
    measure(options.pages, options.folder, options.judge_steps, options.data)
    print((options.folder / "table.md").read_text(encoding="utf-8"))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
