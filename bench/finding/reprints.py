"""Found pages printed again: each key by an engine of a fresh process. May import worker.

A module of its own, for a fresh process does not import what was begun with `python -m`.
"""

import multiprocessing
from collections.abc import Sequence
from pathlib import Path

from worker.catalogue.key import Key
from worker.editions.edition import load_edition


def reprinted(edition: str, data: Path, threads: int | None, keys: Sequence[Key]) -> list[str]:
    """The digests of the pages that a fresh process prints from the keys."""
    with multiprocessing.get_context("spawn").Pool(1) as process:
        return process.apply(_print, (edition, data, threads, list(keys)))


def _print(edition: str, data: Path, threads: int | None, keys: Sequence[Key]) -> list[str]:
    from worker.engine.engine import Engine

    engine = Engine(load_edition(edition, data), threads=threads)
    return [engine.print_page(key).digest for key in keys]
