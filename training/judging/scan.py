"""Compares ways to sample without any training: `python -m training.judging.scan` (torch; prints a table).

Guidance in an interval of timesteps, where the steps lie and how many there are, and guidance by a weaker net
(Karras et al. 2024, "Guiding a diffusion model with a bad version of itself"). Every way, here an *arm*, prints the
same pages from the same keys, so what is reported are paired differences to the first arm, with standard errors.

An arm is written as its settings, "steps=16,low=250"; what is left out is pocket-1's own: 20 steps, guidance 2.5.
Verdicts are kept a line each, so that a stopped scan goes on; pages are divided among processes of one thread each,
which a busy machine slows least. An earlier net comes out of the history:

    git show 50a75af:editions/pocket-1/unet/config.json > nets/50a75af/unet/config.json   (and the safetensors)
    python -m training.judging.scan --weak nets --part 0/2 steps=12 steps=12,scale=1,weak=50a75af,weak_scale=2
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from training.judging.evaluate import colours_asked, counts_asked, prompt_of_thing, sides_asked, things_asked
from training.judging.judges import grey, judge_pages, load_judges, name_hues
from training.scenes.sprites import Subject, open_pack
from training.stages import RUNS
from worker.catalogue.expansion import page_latents
from worker.catalogue.key import LATENTS_SHAPE, Key
from worker.editions.edition import load_edition
from worker.engine.engine import Engine
from worker.engine.networks.loading import load_model
from worker.engine.networks.unet import Text, UNet
from worker.engine.solvers import Update, make_plan

NUMBERS = {"thing": 100, "count": 36, "colour": 28, "side": 24}
"""Pages of each kind, the first ones of those that the evaluation prints."""


@dataclass(frozen=True)
class Rule:
    """How one step is guided: v = cond + (scale − 1)(cond − uncond) + (weak_scale − 1)(cond − weak).

    `weak` names a net that sees the prompt, or with `weak_blind` the empty one; without a name there is no such term.
    """

    scale: float = 1.0
    weak: str = ""
    weak_scale: float = 1.0
    weak_blind: bool = False


@dataclass(frozen=True)
class Arm:
    """One way to sample. Outside `low` … `high` a step is not guided, so that one row is computed.

    The steps lie `dense` times as close together between the timesteps `dense_from` and `dense_to` as elsewhere; `at`
    names them one by one instead ("999/900/…"). `net` is the net that draws: "" the edition's, "NAME" another one,
    "NAME:0.2" the edition's weights moved on by 0.2 of the way from that one's.
    """

    steps: int = 20
    scale: float = 2.5
    low: int = 0
    high: int = 999
    dense: float = 1.0
    dense_from: int = 250
    dense_to: int = 750
    at: str = ""
    weak: str = ""
    weak_scale: float = 1.0
    weak_blind: bool = False
    net: str = ""

    @classmethod
    def parse(cls, text: str) -> Arm:
        """The arm of "steps=16,low=250"; "" is pocket-1's own way. Raises ValueError for what is no setting."""
        kinds: dict[str, Any] = {f.name: type(f.default) for f in fields(cls)}
        found: dict[str, Any] = {}
        for part in filter(None, text.split(",")):
            name, _, value = part.partition("=")
            if name not in kinds:
                raise ValueError(f"{name!r} is no setting of an arm; known are {', '.join(kinds)}.")
            found[name] = value == "True" if kinds[name] is bool else kinds[name](value)
        return cls(**found)

    def rule(self, timestep: int) -> Rule:
        """How the step at a timestep is guided."""
        if not self.low <= timestep <= self.high:
            return Rule()
        return Rule(self.scale, self.weak, self.weak_scale, self.weak_blind)

    @property
    def timesteps(self) -> list[int] | None:
        """Where the steps lie; None for the edition's own places."""
        if self.at:
            return [int(t) for t in self.at.split("/")]
        if self.dense == 1:
            return None
        return dense_timesteps(self.steps, self.dense_from, self.dense_to, self.dense)

    def rows(self, timesteps: Sequence[int]) -> int:
        """Rows of a net that a page takes."""
        rules = [self.rule(t) for t in timesteps]
        return sum(1 + (r.scale != 1) + (r.weak_scale != 1) for r in rules)


def dense_timesteps(steps: int, low: int, high: int, density: float, total: int = 1000) -> list[int]:
    """Falling timesteps from the last of `total` on, `density` times as close together in `low` … `high` as elsewhere.

    With a density of 1 they are the trailing ones of Lin et al. 2023.
    """
    marks = np.array([0.0, low, high, total])
    weight = np.concatenate([[0.0], np.cumsum(np.diff(marks) * [1.0, density, 1.0])])
    return [round(float(np.interp(weight[-1] * i / steps, weight, marks))) - 1 for i in range(steps, 0, -1)]


@dataclass(frozen=True)
class Question:
    """One page of the scan: what is asked, and what would be right. `number` is its place among all."""

    number: int
    kind: str
    prompt: str
    subject: Subject
    answer: str | int


def questions() -> list[Question]:
    """The pages, the kinds mixed evenly, so that the first half of them is a smaller scan."""
    pack = open_pack()
    asked: list[tuple[float, str, str, Subject, str | int]] = []
    for i, (subject, place) in enumerate(things_asked(pack, NUMBERS["thing"])):
        asked.append((i / NUMBERS["thing"], "thing", prompt_of_thing(subject, place), subject, place))
    others: dict[str, Sequence[tuple[Subject, str | int, str]]] = {
        "count": counts_asked(pack), "side": sides_asked(pack), "colour": colours_asked(pack)
    }  # fmt: skip
    for kind, lines in others.items():
        for i, (subject, answer, prompt) in enumerate(lines[: NUMBERS[kind]]):
            asked.append((i / NUMBERS[kind], kind, prompt, subject, answer))
    asked.sort(key=lambda one: one[0])
    return [Question(i, kind, prompt, subject, answer) for i, (_, kind, prompt, subject, answer) in enumerate(asked)]


State = tuple[Tensor, Tensor]
"""Latents and what the step before predicted of the picture, (1, 4, 52, 80) each."""
Outputs = dict[tuple[str, bool], Tensor]
"""What nets said of one state, by their name and whether they saw the prompt."""


class Painter:
    """Prints one page in many ways; what several arms have in common from the first step on is computed once."""

    def __init__(self, engine: Engine, weak: Path | None) -> None:
        """`weak` is a folder with folders of other nets, NAME/unet."""
        self.engine, self._weak = engine, weak
        self._nets: dict[str, UNet] = {"": engine.denoiser._unet}
        self._empty = torch.from_numpy(engine.embed("").astype(np.float16))[None]  # (1, 77, 768)

    def page(self, key: Key, arms: Sequence[Arm]) -> Iterator[tuple[Arm, Tensor]]:
        """The latents (1, 4, 52, 80) of a key in each of the arms."""
        start = torch.from_numpy(key.latents[None].astype(np.float32))
        own = torch.from_numpy(key.embedding.copy())[None]
        texts: dict[tuple[str, str], Text] = {}
        states: dict[tuple[object, ...], State] = {(): (start, torch.zeros_like(start))}
        outputs: dict[tuple[object, ...], Outputs] = {}
        config, solver = self.engine.edition.scheduler_config, self.engine.edition.solver
        for arm in arms:
            plan = make_plan(solver, config, arm.steps, arm.timesteps)
            done: tuple[object, ...] = ()
            for update in plan:
                rule = arm.rule(update.timestep)
                then = (*done, (update, rule, arm.net))
                if then not in states:
                    known = outputs.setdefault((*done, update.timestep), {})
                    output = self._predict(states[done][0], update, rule, arm.net, own, texts, known)
                    states[then] = _step(states[done], update, output)
                done = then
            yield arm, states[done][0]

    @torch.inference_mode()
    def _predict(
        self, latents: Tensor, update: Update, rule: Rule, net: str, own: Tensor, texts: dict[tuple[str, str], Text],
        known: Outputs,
    ) -> Tensor:  # fmt: skip
        timestep = torch.tensor(update.timestep)

        def say(name: str, which: str) -> None:
            """Computes what a net says for the empty prompt, the page's own, or both in one run."""
            wanted = {"empty": (False,), "own": (True,), "both": (False, True)}[which]
            if all((name, prompt) in known for prompt in wanted):
                return
            unet, dtype = self._net(name), self.engine.denoiser.dtype
            if (name, which) not in texts:
                parts = [own if prompt else self._empty for prompt in wanted]
                texts[name, which] = unet.read(torch.cat(parts).to(dtype))
            rows = latents.to(dtype).contiguous(memory_format=torch.channels_last)
            found = unet(rows, timestep, texts[name, which]).float().split(1)
            known.update({(name, prompt): output for prompt, output in zip(wanted, found, strict=True)})

        say(net, "own" if rule.scale == 1 else "both")
        cond = result = known[net, True]
        if rule.scale != 1:  # as worker.engine.networks.denoiser writes it, to the bit
            result = known[net, False] + rule.scale * (cond - known[net, False])
        if rule.weak_scale != 1:
            say(rule.weak, "empty" if rule.weak_blind else "own")
            result = result + (rule.weak_scale - 1) * (cond - known[rule.weak, not rule.weak_blind])
        return result

    def _net(self, name: str) -> UNet:
        if name not in self._nets:
            assert self._weak is not None, f"the net {name} needs --weak"
            denoiser, (folder, _, way) = self.engine.denoiser, name.partition(":")
            model = load_model(self._weak / folder, "unet", torch.float32)
            if way:
                now = load_model(self.engine.edition.weights, "unet", torch.float32).state_dict()
                model.load_state_dict(
                    {k: now[k] + float(way) * (now[k] - old) for k, old in model.state_dict().items()}
                )
            model = model.to(denoiser.dtype).requires_grad_(False).eval()
            self._nets[name] = UNet(model, denoiser.kernels, (2, *LATENTS_SHAPE))
        return self._nets[name]


@torch.inference_mode()
def _step(state: State, update: Update, output: Tensor) -> State:
    """One step of `worker.engine.loop.denoise`, which goes through all of them and so shares none."""
    latents, previous = state
    predicted = update.of_latents * latents + update.of_output * output
    return update.keep * latents + update.to_predicted * predicted + update.to_previous * previous, predicted


# -- judging -------------------------------------------------------------------------------------------------------


def scan(arms: dict[str, Arm], painter: Painter, folder: Path, part: int, parts: int, pages: int) -> None:
    """Prints and judges what is missing of this process's part of the first pages; a line of verdicts each."""
    judge, strict, hues = load_judges()
    path = folder / f"verdicts-{part}.jsonl"
    done = {(line["arm"], line["page"]) for line in read(folder)}
    engine = painter.engine
    for question in questions()[:pages][part::parts]:
        missing = {name: arm for name, arm in arms.items() if (name, question.number) not in done}
        key = Key.pack(20, engine.embed(question.prompt), page_latents("prompt", question.prompt, 1))
        own: Tensor | None = None
        for name, (_, latents) in zip(missing, painter.page(key, list(missing.values())), strict=True):
            pixels = engine.decode(latents)[0]
            (verdict,) = judge_pages(judge, strict, [pixels], [question.subject.number])
            with torch.no_grad():
                logits = strict(grey(verdict.patch[None])).log_softmax(1)[0]
            (hue,) = name_hues(hues, [verdict])
            own = latents if name == "" else own
            line: dict[str, Any] = {
                "arm": name, "page": question.number, "kind": question.kind,
                "grey": verdict.strict == question.subject.number,
                "log": float(logits[question.subject.number]),
                "named": verdict.ranked[0] == question.subject.number,
            }  # fmt: skip
            if own is not None:
                line["away"] = float((latents - own).square().mean().sqrt())
            if question.kind == "thing":
                line |= {"setting": verdict.place == question.answer, "one": verdict.count == 1}
            else:
                found = {"count": verdict.count, "side": verdict.side, "colour": hue}[question.kind]
                line[question.kind] = found == question.answer
            with path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
            place = folder / "pages" / (name.replace("/", "-") or "own") / f"{question.number:03}"
            place.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).resize((320, 208), Image.Resampling.BOX).save(f"{place}.webp", quality=85)


def read(folder: Path) -> list[dict[str, Any]]:
    """All verdicts that are there."""
    texts = [path.read_text(encoding="utf-8") for path in sorted(folder.glob("verdicts-*.jsonl"))]
    return [json.loads(line) for text in texts for line in text.splitlines()]


def difference(ours: Sequence[float], theirs: Sequence[float]) -> tuple[float, float]:
    """Mean of the paired differences and its standard error."""
    each = np.asarray(ours, np.float64) - np.asarray(theirs, np.float64)
    return float(each.mean()), float(each.std(ddof=1) / math.sqrt(len(each))) if len(each) > 1 else math.nan


COLUMNS = ("grey", "log", "named", "setting", "one", "count", "colour", "side")


def table(folder: Path) -> str:
    """A line for each arm: rows of a net, pages, and each figure with its difference to the edition's own way."""
    lines = read(folder)
    names = list(dict.fromkeys(line["arm"] for line in lines))
    found: dict[tuple[str, str], dict[int, float]] = {}
    for line in lines:
        for column in COLUMNS:
            if column in line:
                scaled = line[column] if column == "log" else 100.0 * line[column]
                found.setdefault((line["arm"], column), {})[line["page"]] = scaled
    rows = ["| arm | rows | pages | " + " | ".join(COLUMNS) + " |", "|---" * (len(COLUMNS) + 3) + "|"]
    config = {"prediction_type": "v_prediction", "timestep_spacing": "trailing", "beta_schedule": "scaled_linear"}
    base = "" if "" in names else names[0]
    for name in names:
        arm, cells = Arm.parse(name), []
        timesteps = arm.timesteps or [u.timestep for u in make_plan("ddim", config, arm.steps)]
        for column in COLUMNS:
            own, other = found.get((name, column), {}), found.get((base, column), {})
            both = [page for page in own if page in other]
            if not both:
                cells.append("")
                continue
            mean, error = difference([own[p] for p in both], [other[p] for p in both])
            digits = 2 if column == "log" else 1
            value = f"{np.mean(list(own.values())):.{digits}f}"
            cells.append(value if name == base else f"{value} ({mean:+.{digits}f} ± {error:.{digits}f})")
        pages = len(found[name, "grey"])
        rows.append(f"| {name or 'as it is'} | {arm.rows(timesteps)} | {pages} | " + " | ".join(cells) + " |")
    return "\n".join(rows)


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m training.judging.scan", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("arms", nargs="*", help='ways to sample, "steps=16,low=250"; the edition\'s own is always one')
    parser.add_argument("--edition", default="pocket-1", help="the edition, by name (default: pocket-1)")
    parser.add_argument("--weak", type=Path, help="folder of other nets, each NAME/unet")
    parser.add_argument("--folder", type=Path, default=RUNS / "scan", help="where verdicts and small pictures are kept")
    parser.add_argument("--pages", type=int, default=sum(NUMBERS.values()), help="the first so many pages only")
    parser.add_argument("--part", default="0/1", help='this process\'s part of the pages: "0/2" and "1/2" for two')
    parser.add_argument("--precision", default="float32", help="of the nets (default: float32)")
    parser.add_argument("--table", action="store_true", help="print the table of what is there and stop")
    parser.add_argument("--data", type=Path, default=RUNS.parent.parent / "data", help="the data folder (./data)")
    options = parser.parse_args()
    if not options.table:
        options.folder.mkdir(parents=True, exist_ok=True)
        edition = replace(load_edition(options.edition, options.data), precision={"cpu": options.precision})
        painter = Painter(Engine(edition, "cpu", 1), options.weak)
        part, parts = map(int, options.part.split("/"))
        arms = {name: Arm.parse(name) for name in dict.fromkeys(["", *options.arms])}
        scan(arms, painter, options.folder, part, parts, options.pages)
    print(table(options.folder))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
