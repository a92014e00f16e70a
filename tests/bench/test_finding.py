"""`python -m bench.finding` on tiny weights: what a found page is compared with, and that a missed bar is told."""

import subprocess
import sys
from pathlib import Path

from bench.finding.reprints import reprinted
from tests import ROOT
from worker.catalogue.expansion import stacks_key


def test_found_keys_are_printed_again_in_a_fresh_process(tiny_data: Path) -> None:
    command = [sys.executable, "-m", "bench.finding", "--kind", "pages", "--depth", "quick", "--count", "1"]
    command += ["--edition", "tiny", "--data", str(tiny_data), "--threads", "1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert "printed again in a fresh process: 0 of 1 found pages differ; asked: 0" in done.stdout, done.stderr
    kept = "MISSED" not in done.stdout
    assert done.returncode == (0 if kept else 1)


def test_each_key_has_its_own_page(tiny_data: Path) -> None:
    keys = [stacks_key("reprints", number) for number in (4, 5, 4)]  # of 32 and 4 steps: the edition's limit is 64
    first, other, again = reprinted("tiny", tiny_data, 1, keys)
    assert first == again != other
