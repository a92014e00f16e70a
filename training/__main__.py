"""The command: `python -m training` runs the next stage that is due. One clear sentence and exit 2 where it cannot.

Nothing but the standard library and training.errors is imported before it is known what is asked for: on a machine that
is lent for minutes, a stage's libraries may be missing.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from dataclasses import replace
from pathlib import Path

from training.errors import TrainingError


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m training", description="Trains pocket-1, stage by stage.")
    commands = ["next", "all", "status", "ship", "sprites", "scenes", "repertoire", "quarter-hour", "bring-home"]
    parser.add_argument("command", nargs="?", default="next", choices=commands)
    parser.add_argument(
        "--preset", help="smoke, cpu or gpu (default: cpu); by the clock quarter-hour or rehearsal (quarter-hour)"
    )
    parser.add_argument("--threads", type=int, help="processes of the U-Net's training, one thread each")
    parser.add_argument(
        "--runs", type=Path, help="folder for checkpoints, logs and sheets (default: training/runs/<preset>)"
    )
    parser.add_argument("--edition", type=Path, help="folder of the edition to go on from and to ship to")
    parser.add_argument(
        "--packages", type=Path, nargs=2, help="sprites: both npm packages as .tgz instead of `npm pack`"
    )
    clock = parser.add_argument_group("quarter-hour and bring-home (docs/gpu.md)")
    clock.add_argument("--seconds", type=float, default=480.0, help="when the whole call must be over (default: 480)")
    clock.add_argument("--output", type=Path, help="folder for averages, sheet and log")
    clock.add_argument("--smoke", action="store_true", help="compile and measure everything, and train nothing")
    clock.add_argument("--start", type=Path, help="folder with the averages of another run, to go on from")
    clock.add_argument("--average", type=float, help="which average to go on from or to ship (default: the narrowest)")
    clock.add_argument("--device", choices=["cuda", "cpu"], help="instead of the preset's")
    clock.add_argument("--compile", action=argparse.BooleanOptionalAction, help="instead of the preset's choice")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Runs one command; returns the exit code."""
    began = time.monotonic()
    options = _parser().parse_args(arguments)
    try:
        if options.threads is not None and options.threads < 1:
            raise TrainingError(f"--threads is {options.threads} and must be at least 1.")
        if options.command == "sprites":
            from training.scenes.sprites import PACK, make_pack

            print(f"{PACK}: {make_pack(packages=options.packages)} pictures")
            return 0
        if options.command == "repertoire":
            from training.repertoire import make_repertoire

            shipped = Path(__file__).parent.parent / "editions" / "pocket-1"
            size = make_repertoire(options.edition or shipped, shipped.parent.parent / "data")
            print(f"{size / 1000:.0f} kB of pictures")
            return 0
        if options.command in ("quarter-hour", "bring-home"):
            _by_the_clock(options, began)
            return 0
        _run(options)
    except TrainingError as error:
        print(f"{error.message} {error.hint}".strip(), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Stopped. The same command goes on from the last checkpoint.", file=sys.stderr)
        return 130
    return 0


def _by_the_clock(options: argparse.Namespace, began: float) -> None:
    """The training by the clock, and what comes after it."""
    from training.presets import quarter_named
    from training.quarter_hour.command import Order, run, with_device

    plan = with_device(quarter_named(options.preset or "quarter-hour"), options.device, options.compile)
    if options.output is None:
        raise TrainingError("--output is missing.", "Name the folder for averages, sheet and log.")
    shipped = Path(__file__).parent.parent / "editions" / "pocket-1"
    if options.command == "quarter-hour":
        edition = options.edition or shipped
        kept = options.runs or Path(__file__).parent / "runs" / plan.name
        output, seconds, start = options.output, options.seconds, options.start
        run(Order(plan, output, edition, seconds, options.smoke, start, options.average, began, kept))
        return
    from training.quarter_hour.home import bring

    if options.edition is None:
        raise TrainingError("--edition is missing.", f"Name the folder to write to, {shipped} to replace what ships.")
    size = bring(plan, options.output, options.average, shipped, options.edition)
    print(f"{options.edition}: {size / 1e6:.1f} MB of weights")


def _run(options: argparse.Namespace) -> None:
    """The commands that need torch."""
    import torch

    from training.presets import preset_named
    from training.stages import open_run

    preset = preset_named(options.preset or "cpu")
    if options.threads:
        preset = replace(preset, workers=options.threads)
    torch.set_num_threads(preset.workers)
    run = open_run(preset, options.runs, options.edition)
    if options.command == "status":
        progress = run.progress
        for stage in preset.stages:
            print(f"{stage:12} {progress.get(stage, 0):6} of {run.steps_of(stage):6} steps")
        print(f"due: {run.due or 'nothing'}")
    elif options.command == "ship":
        print(f"{run.edition}: {run.ship() / 1e6:.1f} MB of weights")
    elif options.command == "scenes":
        from PIL import Image

        from training.runs import save_sheet
        from training.scenes.drawing import draw_page
        from training.scenes.scene import Director

        director = Director(run.pack, preset.seed)
        run.folder.mkdir(parents=True, exist_ok=True)
        save_sheet(run.folder / "scenes.webp", [Image.fromarray(draw_page(director)[1]) for _ in range(50)], 5, 0.5)
        print(run.folder / "scenes.webp")
    else:
        done = run.run_next()
        while done is not None and options.command == "all":
            print(f"{done} is done")
            done = run.run_next()
        if run.due is None:
            print(f"All stages of {preset.name} are done. `python -m training ship` writes the edition.")


if __name__ == "__main__":
    if "quarter-hour" not in sys.argv:
        os.nice(max(0, 19 - os.nice(0)))  # whoever uses the machine comes first
    sys.exit(main())
