"""Measures the shipped edition: `python -m training.judging.evaluate` (torch; writes a table and pictures).

The judges (judging.judges) say what is on generated pages. Every figure is printed with the number of pages it stands
on; pages are printed by the press's own engine and kept, so that a stopped evaluation goes on.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import itertools
import json
import resource
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from training import runs
from training.judging.judges import (
    PLACES,
    Examples,
    Judge,
    PatchJudge,
    Pixels,
    Verdict,
    half,
    judge_pages,
    keep_judges,
    name_hues,
    told_apart,
    train_counter,
    train_hues,
    train_judge,
    train_strict,
)
from training.presets import CPU
from training.scenes.backdrops.painting import paint
from training.scenes.backdrops.setting import Setting
from training.scenes.captions import with_article
from training.scenes.drawing import render
from training.scenes.illustrator import Illustrator
from training.scenes.scene import Director, held_out
from training.scenes.sprites import HUES, SpritePack, Subject, open_pack
from training.stages import RUNS
from training.trainers.autoencoder import held_out_pages, psnr
from worker.catalogue.address import Address
from worker.catalogue.expansion import page_latents, volume_phrases
from worker.catalogue.key import Key
from worker.editions.edition import load_edition
from worker.engine.engine import Engine
from worker.engine.loop import denoise
from worker.engine.networks.autoencoder import PocketAutoencoder
from worker.engine.solvers import alphas_cumprod, make_plan

PLACE_WORDS = {
    "meadow": "on a meadow", "desert": "in the desert", "snow": "in the snow", "sea": "in the sea",
    "beach": "on a beach", "forest": "in a forest", "mountains": "in the mountains", "city": "in the city",
    "road": "on a road", "room": "in a blue room", "plain": "on a yellow background", "space": "in space",
}  # fmt: skip
SKY_WORDS = {
    "day": "on a sunny day", "dawn": "at dawn", "sunset": "at sunset", "night": "at night", "storm": "in a storm",
    "overcast": "on a cloudy day",
}  # fmt: skip
NUMBER_WORDS = {1: "one", 2: "two", 3: "three"}
UNKNOWN = (
    "freedom", "un chat", "quantum banana republic", "qwertz", "my grandmother", "ein Hund am Strand", "love",
    "winter is coming", "犬", "asdf jkl", "the meaning of life", "justice",
)  # fmt: skip
SHEET = (
    "a dog on a beach at sunset", "a cat in the snow", "a red car on a road", "a sailboat in the sea at sunset",
    "a house in the mountains at night", "two apples on a yellow background", "a robot in space",
    "a tiger in a forest", "three mushrooms in the grass", "a penguin left of a snowman", "a whale in the sea",
    "a castle in the mountains at dawn",
)  # fmt: skip
SHEET_KEYS = ("borges", "tlon", "uqbar", "aleph")
REDRAWN = (399, 599, 699, 799, 899)  # timesteps of the plan of 20 steps
GROUNDED = ("meadow", "desert", "snow", "beach", "forest", "mountains", "city", "road")
BARS = {
    "seconds for a page": "4 s",
    "seconds for the decode": "0.3 s",
    "peak memory of this process": "1.2 GB for the whole worker",
    "PSNR": "34 dB",
    "judge on held-out rendered scenes: subject, top-1, ": "",
    "judge on held-out rendered scenes: subject, top-1": "97 %",
    "subject, top-1, combinations never seen": "within 5 points of seen ones",
    "subject, top-1, ": "",
    "subject, top-1 for": "",
    "subject, top-1": "90 %",
    "subject, top-5": "97 %",
    "setting": "90 %",
    "count": "65 %",
    "side": "65 %",
}
"""What the best weights should reach, by the beginning of a figure's name; the first that fits counts."""


def percent(right: Iterable[bool]) -> str:
    """A share as it stands in the table."""
    values = list(right)
    return f"{100 * sum(values) / max(1, len(values)):.1f} % ({sum(values)} of {len(values)})"


class Artist:
    """Prints pages of the edition through the press's engine; remembers them on disk, since they are slow to make."""

    def __init__(
        self,
        slug: str,
        data: Path,
        folder: Path,
        device: str = "auto",
        threads: int | None = None,
        batch: int | None = None,
    ) -> None:
        """`device`, `threads` and `batch` are the engine's (`worker.engine.device`)."""
        self.edition = load_edition(slug, data)
        self.engine = Engine(self.edition, device, threads, batch)
        decides = f"{self.engine.rendition.format()}, {self.edition.solver}"
        self.folder = folder / "pages" / hashlib.sha256(decides.encode()).hexdigest()[:12]
        self.folder.mkdir(parents=True, exist_ok=True)

    def print(self, prompt: str, page: int = 1, guidance: float | None = None) -> Pixels:
        """The page of a prompt's volume, (416, 640, 3) uint8, at the edition's guidance or another."""
        return self._print(self.key(prompt, page), guidance)

    def key(self, prompt: str, page: int = 1) -> Key:
        """The key of a page of a prompt's volume."""
        return Key.pack(self.edition.default_steps, self.engine.embed(prompt), page_latents("prompt", prompt, page))

    def print_short(self, name: str) -> Pixels:
        """Page 1 of the volume of a short key."""
        return self._print(self.engine.resolve(Address(self.edition.slug, "key", name, 1)), None)

    def redraw(self, page: Pixels, prompt: str, timestep: int) -> Pixels:
        """A page noised up to the first timestep of the plan that is not beyond this one, and printed from there."""
        engine, config = self.engine, self.edition.scheduler_config
        plan = [u for u in make_plan("ddim", config, self.edition.default_steps) if u.timestep <= timestep]
        signal = float(alphas_cumprod(config)[plan[0].timestep])
        noise = page_latents("prompt", prompt, 1).astype(np.float32)[None]  # (1, 4, 52, 80)
        latents = signal**0.5 * engine.encode(page[None]) + (1 - signal) ** 0.5 * noise
        engine.denoiser.start(engine.embed(prompt).astype(np.float16)[None])
        *_, last = denoise(engine.denoiser, tuple(plan), torch.from_numpy(latents).to(engine.device))
        pixels: Pixels = engine.decode(last.latents)[0]
        return pixels

    def _print(self, key: Key, guidance: float | None) -> Pixels:
        denoiser = self.engine.denoiser
        own = used = denoiser.guidance
        if guidance is not None:
            used = replace(own, scale=guidance, early=min(own.early, guidance))
        path = self.folder / f"{key.mark}-{used.scale:g}-{used.early:g}-{used.early_above}.png"
        if not path.exists():
            denoiser.guidance = used
            try:
                pixels = self.engine.print_page(key).pixels
            finally:
                denoiser.guidance = own
            Image.fromarray(pixels).save(path, compress_level=1)
        return np.asarray(Image.open(path).convert("RGB"))


def speed_and_memory(artist: Artist) -> dict[str, str]:
    """Seconds for a page and a decode, and the memory of a process that prints: to be measured before it grows."""

    def seconds(work: Iterable[Callable[[], object]]) -> float:
        taken = []
        for task in work:
            began = time.perf_counter()
            task()
            taken.append(time.perf_counter() - began)
        return float(np.median(taken))

    engine, keys = artist.engine, [artist.key("a dog", page) for page in range(400, 406)]
    latents = torch.from_numpy(keys[0].latents[None].astype(np.float32)).to(engine.device)
    page = seconds(functools.partial(engine.print_page, key) for key in keys)
    decode = seconds([functools.partial(engine.decode, latents)] * 11)
    return {
        "seconds for a page at the default steps (median of 6)": f"{page:.2f}",
        "seconds for the decode of a page (median of 11)": f"{decode:.3f}",
        "peak memory of this process after 6 pages": (
            f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB"
        ),
    }


@dataclass
class Evaluation:
    """One evaluation: what it works with, and the figures so far."""

    pages: int
    folder: Path
    pack: SpritePack
    artist: Artist
    judge: Judge
    strict: PatchJudge
    hues: PatchJudge
    log: runs.Log
    printing: dict[str, str]
    results: dict[str, str] = field(default_factory=dict)

    def note(self, name: str, value: str) -> None:
        """Keeps and prints one figure."""
        self.results[name] = value
        self.log.say(f"{name}: {value}")
        (self.folder / "results.json").write_text(json.dumps(self.results, indent=2, ensure_ascii=False))

    def verdicts(
        self, prompts: Sequence[str], asked: Sequence[Subject | None], guidance: float | None = None
    ) -> list[Verdict]:
        """Prints page 1 of every prompt and judges it."""
        printed = []
        for number, prompt in enumerate(prompts, 1):
            printed.append(self.artist.print(prompt, guidance=guidance))
            if number % 50 == 0:
                self.log.say(f"{number} of {len(prompts)} pages printed")
        return judge_pages(self.judge, self.strict, printed, [s.number if s else None for s in asked])

    # -- the figures, in the order of the table ---------------------------------------------------------------------

    def run(self) -> None:
        """All figures and sheets."""
        self.note("weights", self.artist.engine.rendition.weights[:16])
        edition = self.artist.edition
        early = f" (beyond timestep {edition.early_above}: {edition.early_guidance:g})"
        if edition.early_guidance == edition.guidance:
            early = ""
        self.note("guidance, steps", f"{edition.guidance:g}{early}, {edition.default_steps}")
        for name, value in self.printing.items():
            self.note(name, value)
        vae = PocketAutoencoder.from_pretrained(
            str(self.artist.edition.weights / "vae"), torch_dtype=torch.float32, local_files_only=True
        )
        self.note("PSNR of the autoencoder on 64 held-out scenes", f"{psnr(vae, held_out_pages(self.pack, 64)):.2f} dB")
        rendered = self.the_judges()
        self.subjects(rendered)
        self.redrawn()
        self.skies_counts_sides()
        self.colours()
        self.variety()
        self.nearest()
        self.short_keys_and_unknown_words()

    def the_judges(self) -> list[Verdict]:
        """How good the judges are on rendered pages of a seed they never saw; returns their verdicts."""
        fresh = Examples(self.pack, 77_777, 120)
        drawn = [fresh.single() for _ in range(400)]
        truth = [scene.groups[0].subject.number for scene, _ in drawn]
        own = judge_pages(self.judge, self.strict, [page for _, page in drawn], truth)
        pairs = list(zip(own, truth, strict=True))
        self.note("judge on held-out rendered scenes: subject, top-1", percent(v.ranked[0] == t for v, t in pairs))
        unseen = held_out_combinations(self.pack)
        verdicts = judge_pages(
            self.judge, self.strict, rendered_pages(unseen, self.pack, 77_778), [s.number for s, _ in unseen]
        )
        self.note(
            "judge on held-out rendered scenes: subject, top-1, combinations that the model never saw",
            percent(v.ranked[0] == s.number for v, (s, _) in zip(verdicts, unseen, strict=True)),
        )
        self.note("judge on held-out rendered scenes: subject, top-5", percent(t in v.ranked[:5] for v, t in pairs))
        settings = [s.setting for s, _ in drawn]
        self.note(
            "judge on held-out rendered scenes: setting",
            percent(v.place == s.ground for v, s in zip(own, settings, strict=True)),
        )
        self.note("strict judge on held-out rendered patches in grey", percent(v.strict == t for v, t in pairs))
        several = [(len(scene.items), page) for scene, page in (fresh.page() for _ in range(400))]
        several = [(n, page) for n, page in several if 1 <= n <= 3]
        counted = judge_pages(self.judge, self.strict, [page for _, page in several], [None] * len(several))
        self.note(
            "judge on held-out rendered scenes: count (one, two, three)",
            percent(v.count == n for v, (n, _) in zip(counted, several, strict=True)),
        )
        drawn_hues = [fresh.hued_patch() for _ in range(400)]
        with torch.no_grad():
            named = self.hues(half([patch for _, patch in drawn_hues])).argmax(1).tolist()
        self.note(
            "judge on held-out rendered patches: named colour",
            percent(n == hue for n, (hue, _) in zip(named, drawn_hues, strict=True)),
        )
        return own

    def subjects(self, rendered: list[Verdict]) -> None:
        """Subject and setting on pages "a <thing> <place>", kindly and strictly, per subject and at other guidances."""
        subjects = self.pack.subjects()
        asked = things_asked(self.pack, self.pages)
        prompts = [prompt_of_thing(*one) for one in asked]
        verdicts = self.verdicts(prompts, [s for s, _ in asked])
        rows = [(v, s, p, v.ranked[0] == s.number) for v, (s, p) in zip(verdicts, asked, strict=True)]
        self.note("subject, top-1", percent(hit for *_, hit in rows))
        self.note("subject, top-5", percent(s.number in v.ranked[:5] for v, s, _, _ in rows))
        self.note("subject in grey values (strict)", percent(v.strict == s.number for v, s, _, _ in rows))
        self.note("setting", percent(v.place == p for v, _, p, _ in rows))
        unseen = [held_out(s, Setting("space" if p == "space" else "day", p)) for s, p in asked]
        self.note(
            "subject, top-1, combinations seen in training",
            percent(hit for (*_, hit), u in zip(rows, unseen, strict=True) if not u),
        )
        extra = held_out_combinations(self.pack)
        known = [(s, _seen_after(s, p)) for s, p in extra]
        for name, pairs in (
            ("combinations never seen (all of them)", extra),
            ("the things of those, each on another ground on which it was seen", known),
        ):
            more = self.verdicts([f"{with_article(s.name)} {PLACE_WORDS[p]}" for s, p in pairs], [s for s, _ in pairs])
            self.note(
                f"subject, top-1, {name}",
                percent(v.ranked[0] == s.number for v, (s, _) in zip(more, pairs, strict=True)),
            )
        few = range(min(len(subjects), len(rows)))
        for guidance in (1.0, self.artist.edition.guidance):
            again = self.verdicts([prompts[i] for i in few], [rows[i][1] for i in few], guidance)
            self.note(
                f"subject, top-1, one page a subject at guidance {guidance:g}",
                percent(v.ranked[0] == rows[i][1].number for v, i in zip(again, few, strict=True)),
            )
        pages = [self.artist.print("", page) for page in range(1, 41)]
        blank = judge_pages(self.judge, self.strict, pages, [None] * len(pages))
        self.note(
            "subject, top-1 for the empty prompt (chance)",
            percent(v.ranked[0] == rows[i % len(rows)][1].number for i, v in enumerate(blank)),
        )
        right = told_apart(rendered, verdicts)
        self.note("real or generated, told apart on patches in colour (50 % is perfect)", percent(right))
        self._by_subject(rows, right[len(rendered) :])

    def _by_subject(self, rows: list[tuple[Verdict, Subject, str, bool]], told: list[bool]) -> None:
        """A table of every subject, and a sheet of the ten worst beside their sprites."""
        lines, scores = [], {}
        for subject in self.pack.subjects():
            own = [(v, hit, t) for (v, s, _, hit), t in zip(rows, told, strict=True) if s == subject]
            if not own:
                continue
            named, grey = sum(hit for _, hit, _ in own), sum(v.strict == subject.number for v, _, _ in own)
            scores[subject.number] = (named + grey) / len(own)
            lines.append(f"| {subject.name} | {named} | {grey} | {sum(t for *_, t in own)} | {len(own)} |")
        heading = ["| subject | named | named in grey | seen to be generated | pages |", "|---|---|---|---|---|"]
        (self.folder / "subjects.md").write_text("\n".join([*heading, *lines]) + "\n", encoding="utf-8")
        tiles, names = [], []
        for number in sorted(scores, key=lambda n: scores[n])[:10]:
            verdict, subject = next((v, s) for v, s, _, _ in rows if s.number == number)
            picture = self.pack.image(subject.sprite).copy()
            picture.thumbnail((96, 96))
            sprite = Image.new("RGB", (96, 96), (200, 200, 200))
            sprite.paste(picture, ((96 - picture.width) // 2, (96 - picture.height) // 2), picture)
            tiles += [runs.picture(verdict.patch), sprite]
            names.append(subject.name)
        runs.save_sheet(self.folder / "worst.webp", tiles, 10)
        self.note("the ten worst subjects, kindly and strictly judged", ", ".join(names))

    def redrawn(self, number: int = 24) -> None:
        """Rendered pages noised so far and printed from there: at which noise the things are lost."""
        subjects = self.pack.subjects()
        asked = [(subjects[(5 * i) % len(subjects)], GROUNDED[i % len(GROUNDED)]) for i in range(number)]
        pages = rendered_pages(asked, self.pack, 4_711)
        numbers = [subject.number for subject, _ in asked]
        prompts = [f"{with_article(subject.name)} {PLACE_WORDS[place]}" for subject, place in asked]
        found = []
        for timestep in REDRAWN:
            again = [self.artist.redraw(page, prompt, timestep) for page, prompt in zip(pages, prompts, strict=True)]
            verdicts = list(zip(judge_pages(self.judge, self.strict, again, numbers), numbers, strict=True))
            found.append(f"{sum(v.ranked[0] == n for v, n in verdicts)} ({sum(v.strict == n for v, n in verdicts)})")
        timesteps = ", ".join(map(str, REDRAWN))
        self.note(
            f"rendered pages noised to timestep {timesteps} and printed from there: named (in grey) of {number}",
            ", ".join(found),
        )

    def skies_counts_sides(self) -> None:
        """Skies, counts of one to three, left and right, over different subjects and settings."""
        subjects = self.pack.subjects()
        skies = [(subjects[(7 * i) % len(subjects)], sky) for i, sky in enumerate(list(SKY_WORDS) * 10)]
        found = self.verdicts(
            [f"{with_article(s.name)} {PLACE_WORDS[GROUNDED[i % 8]]} {SKY_WORDS[k]}" for i, (s, k) in enumerate(skies)],
            [s for s, _ in skies],
        )
        self.note("sky", percent(v.sky == k for v, (_, k) in zip(found, skies, strict=True)))
        counts = counts_asked(self.pack)
        found = self.verdicts([prompt for *_, prompt in counts], [s for s, *_ in counts])
        self.note("count (one, two, three)", percent(v.count == n for v, (_, n, _) in zip(found, counts, strict=True)))
        sides = sides_asked(self.pack)
        found = self.verdicts([prompt for *_, prompt in sides], [s for s, *_ in sides])
        self.note("side (left, right)", percent(v.side == k for v, (_, k, _) in zip(found, sides, strict=True)))

    def colours(self) -> None:
        """Things in each of the named colours, "a blue car on a road", over all things that take them."""
        asked = colours_asked(self.pack)
        found = self.verdicts([prompt for *_, prompt in asked], [subject for subject, *_ in asked])
        named = name_hues(self.hues, found)
        right = percent(n == h for n, (_, h, _) in zip(named, asked, strict=True))
        self.note(f"named colour ({', '.join(HUES)})", right)

    def variety(self) -> None:
        """Mean distance between the pages 1–8 of 50 prompts, against that of rendered scenes of the same captions."""
        subjects = self.pack.subjects()
        prompts = [(subjects[(5 * i) % len(subjects)], GROUNDED[i % len(GROUNDED)]) for i in range(50)]
        director, made, real = Director(self.pack, 4_242), [], []
        for subject, place in prompts:
            prompt = f"{with_article(subject.name)} {PLACE_WORDS[place]}"
            made.append(_spread([self.artist.print(prompt, page) for page in range(1, 9)]))
            scenes = []
            for _ in range(8):
                setting = Setting("day", place)
                backdrop = paint(setting, director.rng)
                scenes.append(render(director.single(subject, setting, backdrop), backdrop, self.pack))
            real.append(_spread(scenes))
        self.note(
            "variety: mean distance of the pages 1–8 of 50 prompts (rendered scenes of the same captions by day)",
            f"{np.mean(made):.1f} ({np.mean(real):.1f}) of 255",
        )

    def nearest(self, number: int = 1500) -> None:
        """Distance of 50 pages to the nearest of the first pages trained on; the five nearest beside theirs."""
        illustrator = Illustrator("pages", self.pack, CPU.seed)
        trained, pages = [], [self.artist.print(p) for p in _some_prompts(self.pack, 50)]
        for i in range(number):
            trained.append(_tiny(illustrator.draw(i).pixels))
        bank = np.stack(trained)
        found = [np.abs(bank - _tiny(page)).mean((1, 2, 3)) for page in pages]
        among = np.mean([np.partition(np.abs(bank - one).mean((1, 2, 3)), 1)[1] for one in bank[:100]])
        self.note(
            f"distance to the nearest of {number} training pages, mean of 50 pages (between training pages)",
            f"{np.mean([d.min() for d in found]):.1f} ({among:.1f}) of 255",
        )
        tiles = []
        for i in sorted(range(len(pages)), key=lambda i: float(found[i].min()))[:5]:
            tiles += [Image.fromarray(pages[i]), Image.fromarray(illustrator.draw(int(found[i].argmin())).pixels)]
        runs.save_sheet(self.folder / "nearest.webp", tiles, 2, 0.4)

    def short_keys_and_unknown_words(self) -> None:
        """Sheets to look at: 24 short keys, and words that the edition never learned."""
        names = [f"shelf-{i}" for i in range(24)]
        shelf = [self.artist.print_short(name) for name in names]
        runs.save_sheet(self.folder / "short-keys.webp", [Image.fromarray(p) for p in shelf], 6, 0.4)
        unknown = [self.artist.print(words) for words in UNKNOWN]
        runs.save_sheet(self.folder / "unknown-words.webp", [Image.fromarray(p) for p in unknown], 4, 0.5)
        for what, pages in (("24 short keys", shelf), (f"{len(UNKNOWN)} unknown words", unknown)):
            self.note(
                f"{what}: least contrast, greatest grain (of rendered scenes)", _contrast_and_grain(pages, self.pack)
            )
        phrases = [" + ".join(map(str, volume_phrases(n, self.artist.edition.lexicon))) for n in names[:3]]
        self.log.say("short keys mix, for example: " + "; ".join(phrases))


def _tiny(pixels: Pixels) -> NDArray[np.float32]:
    """A page at an eighth of its size, (52, 80, 3)."""
    return np.asarray(Image.fromarray(pixels).resize((80, 52), Image.Resampling.BOX), np.float32)


def _spread(pages: Sequence[Pixels]) -> float:
    """Mean distance of all pairs of pages, in grey values of 255."""
    tiny = [_tiny(page) for page in pages]
    return float(np.mean([np.abs(p - q).mean() for p, q in itertools.combinations(tiny, 2)]))


def things_asked(pack: SpritePack, number: int) -> list[tuple[Subject, str]]:
    """So many pairs of a thing and a place, every thing before one comes again."""
    subjects = pack.subjects()
    return [(subjects[i % len(subjects)], PLACES[(i + i // len(subjects)) % len(PLACES)]) for i in range(number)]


def prompt_of_thing(subject: Subject, place: str) -> str:
    """ "a dog on a beach"."""
    return f"{with_article(subject.name)} {PLACE_WORDS[place]}"


def counts_asked(pack: SpritePack) -> list[tuple[Subject, int, str]]:
    """60 things, how many of each (1 … 3), and the prompt."""
    subjects, asked = pack.subjects(), []
    for i in range(60):
        subject, number = subjects[(11 * i) % len(subjects)], 1 + i % 3
        name = subject.plural if number > 1 else subject.name
        asked.append((subject, number, f"{NUMBER_WORDS[number]} {name} {PLACE_WORDS[GROUNDED[i % 8]]}"))
    return asked


def sides_asked(pack: SpritePack) -> list[tuple[Subject, int, str]]:
    """60 things, the third of the page where each stands (0 left, 2 right), and the prompt."""
    subjects, asked = pack.subjects(), []
    for i in range(60):
        subject, side = subjects[(13 * i) % len(subjects)], (0, 2)[i % 2]
        prompt = f"{with_article(subject.name)} on the {('left', '', 'right')[side]} {PLACE_WORDS[GROUNDED[i % 8]]}"
        asked.append((subject, side, prompt))
    return asked


def colours_asked(pack: SpritePack) -> list[tuple[Subject, str, str]]:
    """70 things that take a named colour, the colour of each, and the prompt: "a blue car on a road"."""
    hued, asked = [subject for subject in pack.subjects() if subject.hues], []
    for i in range(70):
        subject, hue = hued[i % len(hued)], list(HUES)[i % len(HUES)]
        asked.append((subject, hue, f"{with_article(f'{hue} {subject.name}')} {PLACE_WORDS[GROUNDED[i % 8]]}"))
    return asked


def held_out_combinations(pack: SpritePack) -> list[tuple[Subject, str]]:
    """Every combination of subject and place that no scene shows of those that the model is trained on."""
    return [(s, p) for s in pack.subjects() for p in PLACES if held_out(s, Setting("day", p))]


def rendered_pages(asked: Sequence[tuple[Subject, str]], pack: SpritePack, seed: int) -> list[Pixels]:
    """Rendered pages by day of one subject each in the place that PLACE_WORDS names."""
    director, pages = Director(pack, seed), []
    for subject, place in asked:
        colour = {"room": "blue", "plain": "yellow"}.get(place)
        setting = Setting("space" if place == "space" else "day", place, colour)
        backdrop = paint(setting, director.rng)
        pages.append(render(director.single(subject, setting, backdrop), backdrop, pack))
    return pages


def _seen_after(subject: Subject, place: str) -> str:
    """The next place, in the order of PLACES, in which training showed the subject."""
    places = PLACES * 2
    after = places[PLACES.index(place) + 1 :]
    return next(p for p in after if not held_out(subject, Setting("day", p)))


def _some_prompts(pack: SpritePack, number: int) -> list[str]:
    subjects = pack.subjects()
    return [
        f"{with_article(subjects[(17 * i) % len(subjects)].name)} {PLACE_WORDS[PLACES[i % len(PLACES)]]}"
        for i in range(number)
    ]


def _contrast_and_grain(pages: Sequence[Pixels], pack: SpritePack) -> str:
    """Least standard deviation, and greatest mean difference of neighbouring pixels; noise has 60 and more."""

    def grain(pixels: Pixels) -> float:
        return float(np.abs(np.diff(pixels.astype(np.float32), axis=1)).mean())

    examples = Examples(pack, 88_888, 12)
    rendered = [examples.page()[1] for _ in range(24)]
    return (
        f"{min(float(p.std()) for p in pages):.1f}, {max(map(grain, pages)):.1f} "
        f"({min(float(p.std()) for p in rendered):.1f}, {max(map(grain, rendered)):.1f}) of 255"
    )


def contact_sheet(path: Path, artist: Artist) -> None:
    """Page 1 of the prompts and short keys that README and model card show, four in a row."""
    pages = [*map(artist.print, SHEET), *map(artist.print_short, SHEET_KEYS)]
    runs.save_sheet(path, [Image.fromarray(page) for page in pages], 4, 0.5)


def trained_judges(pack: SpritePack, folder: Path, log: runs.Log) -> tuple[Judge, PatchJudge, PatchJudge]:
    """The three judges, as far as the folder has them, and trained where it does not."""
    judge = train_judge(pack, folder, log.say)
    train_counter(judge, pack, folder, log.say)
    return judge, train_strict(pack, folder, log.say), train_hues(pack, folder, log.say)


def measure(pages: int, folder: Path, artist: Artist) -> str:
    """All figures on about `pages` generated pages; writes results.json, table.md and the sheets; returns the table."""
    folder.mkdir(parents=True, exist_ok=True)
    printing = speed_and_memory(artist)
    pack, log = open_pack(), runs.Log(folder, "evaluate", pages)
    evaluation = Evaluation(pages, folder, pack, artist, *trained_judges(pack, folder, log), log, printing)
    evaluation.run()
    bars = {
        name: next((bar for start, bar in BARS.items() if name.startswith(start)), "") for name in evaluation.results
    }
    rows = [f"| {name} | {value} | {bars[name]} |" for name, value in evaluation.results.items()]
    table = "\n".join(["| what | measured | bar |", "|---|---|---|", *rows]) + "\n"
    (folder / "table.md").write_text(table, encoding="utf-8")
    return table


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m training.judging.evaluate", description="Measures pocket-1.")
    parser.add_argument("--edition", default="pocket-1", help="the edition, by name (default: pocket-1)")
    parser.add_argument("--pages", type=int, default=400, help="generated pages for subject and setting")
    parser.add_argument("--folder", type=Path, default=RUNS / "evaluation")
    parser.add_argument("--data", type=Path, default=RUNS.parent.parent / "data", help="the data folder (./data)")
    parser.add_argument("--threads", type=int, help="threads of the press (default: one per core, as torch has them)")
    parser.add_argument(
        "--judges-only", action="store_true", help="train the judges, keep them in the project and stop"
    )
    parser.add_argument("--sheet", type=Path, help="write the contact sheet to this file and stop")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    if options.judges_only:
        options.folder.mkdir(parents=True, exist_ok=True)
        log = runs.Log(options.folder, "evaluate", 0)
        pack = open_pack()
        keep_judges(*trained_judges(pack, options.folder, log))
        return 0
    artist = Artist(options.edition, options.data, options.folder, "auto", options.threads, None)
    if options.sheet:
        contact_sheet(options.sheet, artist)
    else:
        print(measure(options.pages, options.folder, artist))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
