"""The two calls on the machine with the GPU: the smoke call, and the one that trains. `run` is both.

Everything is due by the clock, which begins with the process: at `seconds` the averages, the sheet and the log lie in
the output folder and the process is over.
"""

from __future__ import annotations

import json
import math
import os
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from training.errors import TrainingError
from training.plans import Kind, Phase, QuarterPlan

RUNS = Path(__file__).parent.parent / "runs"
FACTS, CACHE = "smoke.json", "compiled.tar.gz"
FILE_LIMIT = 14_000_000  # bytes of one file that comes back
_REPORTS = 60.0  # seconds between two lines of throughput
_ENDS = 15.0  # seconds for averages and sheet, where no smoke call has measured them
_SMOKE_STEPS = 3  # of each phase


@dataclass(frozen=True)
class Order:
    """What was asked for on the command line, and when the process began (time.monotonic)."""

    plan: QuarterPlan
    output: Path
    edition: Path
    seconds: float
    smoke: bool
    start: Path | None
    width: float | None
    began: float


def run(order: Order) -> None:
    """Runs the smoke call or the training. TrainingError in one sentence where that cannot be done."""
    kept = RUNS / order.plan.name
    cache = Path(os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(kept / "compiled")))
    _make(order.output)
    measured = {} if order.smoke else _measured(kept / FACTS, order.plan)
    _check_seconds(order, measured)
    _check_device(order.plan)
    log = order.output / "log.txt"

    def say(text: str) -> None:
        line = f"{time.strftime('%H:%M:%S')} {time.monotonic() - order.began:6.1f} s: {text}"
        print(line, flush=True)
        with log.open("a", encoding="utf-8") as file:
            file.write(line + "\n")

    seed, weights = _start(order, say)
    from training.quarter_hour.renderers import Renderers

    with Renderers(order.plan, order.edition / "tokenizer", seed) as renderers:
        training = _ready(order, measured, seed, weights, say)
        phases = order.plan.phases if weights is None else order.plan.going_on
        training.fill(renderers)
        say("banks: " + ", ".join(f"{bank.made} {kind}" for kind, bank in training.banks.items()))
        if order.smoke:
            _smoke(order, training, renderers, phases, say)
        else:
            _train(order, training, renderers, phases, measured, seed, say)
    if order.smoke:
        _pack(cache, order.output / CACHE, say)
        (kept / FACTS).write_bytes((order.output / FACTS).read_bytes())


# -- before the first step --------------------------------------------------------------------------------------------


def _make(folder: Path) -> None:
    """Makes the folder and sees that files can be written there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise TrainingError(
            f"Nothing can be written to {folder}: {error.strerror or error}.", "Name another folder with --output."
        ) from error


def _measured(path: Path, plan: QuarterPlan) -> dict[str, Any]:
    """What the smoke call of this preset has left, or nothing."""
    try:
        facts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return facts if facts.get("plan") == plan.name else {}


def _check_seconds(order: Order, measured: dict[str, Any]) -> None:
    if order.smoke:
        return
    least = math.ceil(order.plan.least + measured.get("ready_seconds", 0) + measured.get("end_seconds", 0))
    if not order.seconds >= least:
        why = "the smoke call measured" if measured else "this preset needs"
        raise TrainingError(
            f"--seconds is {order.seconds:g}, and {why} at least {least} from the start to the last saving.",
            "Give it more, or take a smaller preset.",
        )


def _check_device(plan: QuarterPlan) -> None:
    import torch

    if plan.device == "cuda" and not torch.cuda.is_available():
        raise TrainingError(
            f"The preset {plan.name} needs a GPU, and torch sees none.",
            "Rehearse with --preset rehearsal --device cpu.",
        )


def _start(order: Order, say: Callable[[str], None]) -> tuple[int, Any]:
    """The seed, and the weights to begin with: --start's, or those that a killed run left in the output folder."""
    from training.quarter_hour import averages

    averages.finish(order.output)
    folder = order.start or (order.output if averages.are_in(order.output) and not order.smoke else None)
    if folder is None:
        return order.plan.seed, None
    weights, facts = averages.load(folder, order.width)
    say(f"goes on from {folder}, average {facts.get('average', 'of the edition')}, step {facts.get('step', 'unknown')}")
    return int(facts.get("seed", order.plan.seed)) + 1, weights  # other examples than that run saw


def _ready(order: Order, measured: dict[str, Any], seed: int, weights: Any, say: Callable[[str], None]) -> Any:
    """The training, on its device."""
    import torch

    from training.quarter_hour.training import Frozen, Training

    if order.plan.device == "cuda":
        torch.set_float32_matmul_precision("high")  # the text encoder's products in TF32, whose fractions a key keeps
        torch.backends.cudnn.benchmark = True
        name = torch.cuda.get_device_name()
    else:
        import torch._inductor.config as inductor

        inductor.compile_threads = 1  # no pool of compilers beside the renderers
        torch.set_num_threads(1)  # two threads on busy cores wait for each other most of the time
        name = "cpu"
    say(f"{order.plan.name} on {name}, torch {torch.__version__}")
    pieces: dict[Kind, int] = {**order.plan.pieces, **measured.get("pieces", {})}
    return Training(order.plan, Frozen.of(order.edition, order.plan.device), pieces, seed, say, weights)


# -- the smoke call ---------------------------------------------------------------------------------------------------


def _smoke(order: Order, training: Any, renderers: Any, phases: tuple[Phase, ...], say: Callable[[str], None]) -> None:
    """Compiles every shape, measures everything, and goes the whole way once: steps, savings, sheet."""
    import torch

    from training.quarter_hour import averages
    from training.quarter_hour.schedule import adapted, uses

    plan = order.plan
    ready = time.monotonic() - order.began
    training.fit_pieces(phases)
    compiling = training.compile(phases) if plan.compiled else 0.0
    costs = training.costs(phases, renderers)
    encoding = _encoding(training, renderers)
    for phase in phases:
        began = time.monotonic()
        for _ in range(_SMOKE_STEPS):
            training.feed(renderers)
            training.step(phase, plan.rate / plan.warmup)
        training.wait()
        say(f"a step of {phase.name}: {(time.monotonic() - began) / _SMOKE_STEPS:.3f} s")
    began = time.monotonic()
    with tempfile.TemporaryDirectory(dir=order.output) as folder:
        size = averages.save(Path(folder), training.vectors, {"plan": plan.name})
    training.draw(order.output / "smoke-sheet.webp")
    ending = time.monotonic() - began
    often, _ = uses(phases, order.seconds, costs, plan.renderers)
    rates = {
        f"{kind} a second": {
            "rendered by all processes": round(plan.renderers / costs.render[kind], 1),
            "encoded": round(1 / encoding[kind], 1),
            "trained": round(1 / costs.train[kind], 1),
        }
        for kind in costs.train
    }
    facts = {
        "plan": plan.name, "torch": torch.__version__, "pieces": training.pieces,
        "compiled": training.network is not training.learner, "ready_seconds": round(ready, 1),
        "compile_seconds": round(compiling, 1), "end_seconds": round(ending, 1),
        "bytes of averages": size, "uses of an example": round(often, 1),
        "memory": f"{torch.cuda.max_memory_allocated() / 1e9:.1f} GB" if plan.device == "cuda" else "not measured",
        **rates,
    }  # fmt: skip
    (order.output / FACTS).write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    say(json.dumps(facts, indent=2))
    if often > plan.uses:
        chosen = adapted(plan, phases, order.seconds, costs)
        say(f"renderers are slow for this device: {_described(chosen)}")


def _encoding(training: Any, renderers: Any) -> dict[Kind, float]:
    """Seconds that the device takes to encode an example of each kind, sent there and stored."""
    spent: dict[Kind, float] = {}
    while len(spent) < len(training.banks):
        for chunk in renderers.chunks(0.5):
            training.wait()
            began = time.monotonic()
            training.banks[chunk.kind].put(chunk)
            training.wait()
            spent[chunk.kind] = (time.monotonic() - began) / len(chunk)
    return spent


def _pack(cache: Path, path: Path, say: Callable[[str], None]) -> None:
    """The compile cache as one file, which can travel where the machine cannot be kept."""
    if not cache.is_dir():
        return
    with tarfile.open(path, "w:gz", compresslevel=6) as archive:
        archive.add(cache, arcname=cache.name)
    size = path.stat().st_size
    if size > FILE_LIMIT:
        path.unlink()
        say(f"the compile cache has {size / 1e6:.1f} MB and stays on this machine")
    else:
        say(f"the compile cache: {path.name}, {size / 1e6:.1f} MB")


# -- the training -----------------------------------------------------------------------------------------------------


def _train(
    order: Order, training: Any, renderers: Any, phases: tuple[Phase, ...], measured: dict[str, Any], seed: int,
    say: Callable[[str], None],
) -> None:  # fmt: skip
    """Trains until the clock says that only the last saving has time left."""
    from training.quarter_hour import averages
    from training.quarter_hour.schedule import Clock, adapted, phase_at, rate_at, uses

    plan = order.plan
    if plan.compiled:
        training.compile(phases)
    costs = training.costs(phases, renderers)
    ends = order.began + order.seconds - 1.2 * measured.get("end_seconds", min(_ENDS, 0.2 * order.seconds))
    clock = Clock(time.monotonic(), ends)
    left = clock.ends - clock.begins
    if left < plan.least / 2:
        raise TrainingError(
            f"After {clock.begins - order.began:.0f} s everything is ready, and only {max(0, left):.0f} s are left.",
            "Run the smoke call first, so that nothing needs compiling, or give it more --seconds.",
        )
    phases = adapted(plan, phases, left, costs)
    often, shares = uses(phases, left, costs, plan.renderers)
    renderers.share(shares)
    say(f"{left:.0f} s of {_described(phases)}; each example about {often:.1f} times")
    facts = {"plan": plan.name, "seed": str(seed), "started": str(order.start or "")}
    reports = _every(min(_REPORTS, left / 4))
    savings = _every(min(plan.keep_seconds, left / 3))
    due = ""
    while (now := time.monotonic()) < clock.ends:
        progress = clock.progress(now)
        phase = phase_at(phases, progress)
        if phase.name != due:
            due = phase.name
            say(f"{due} from step {training.vectors.step_number}")
        training.step(phase, rate_at(plan, progress, training.vectors.step_number))
        training.feed(renderers)
        if next(savings):
            averages.save(order.output, training.vectors, facts)
        if next(reports):
            say(_report(training, now - clock.begins, rate_at(plan, progress, training.vectors.step_number)))
    training.wait()
    averages.save(order.output, training.vectors, facts)
    say(_report(training, time.monotonic() - clock.begins, 0.0))
    training.draw(order.output / "sheet.webp")
    say(f"done: step {training.vectors.step_number}, in {order.output}")


def _every(seconds: float) -> Iterator[bool]:
    """Says, each time it is asked, whether so many seconds have passed since it last said so."""
    last = time.monotonic()
    while True:
        now = time.monotonic()
        is_due = now - last >= seconds
        if is_due:
            last = now
        yield is_due


def _report(training: Any, seconds: float, rate: float) -> str:
    """What happened since the last report, and how much of it a second since the beginning."""
    parts = [f"step {training.vectors.step_number}, rate {rate:.5f}"]
    for kind, bank in training.banks.items():
        main, asked, count = training.losses[kind].tolist()
        training.losses[kind].zero_()
        lost = f"loss {main / count:.4f}, heads {asked / count:.4f}, " if count else ""
        parts.append(
            f"{kind}: {lost}{bank.used / seconds:.0f}/s trained, {bank.made} made, each used {bank.uses:.1f} times"
        )
    if (skipped := int(training.vectors.skipped)) > 0:
        parts.append(f"{skipped} steps without a finite gradient")
    return "; ".join(parts)


def _described(phases: tuple[Phase, ...]) -> str:
    """The phases in words."""
    return ", then ".join(
        f"{100 * phase.share:.0f} % {phase.name} ({' + '.join(f'{part.batch} {part.kind}' for part in phase.parts)})"
        for phase in phases
    )


def with_device(plan: QuarterPlan, device: str | None, compiled: bool | None) -> QuarterPlan:
    """The plan on another device, or compiled or not."""
    changes: dict[str, Any] = {"device": device or plan.device}
    if compiled is not None:
        changes["compiled"] = compiled
    return replace(plan, **changes)
