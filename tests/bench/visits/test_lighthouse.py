"""`python -m bench.visits.lighthouse`: what it says without Lighthouse, and what it counts; a run takes minutes."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from bench.visits.lighthouse import failed, measure
from tests import ROOT


def test_it_says_what_to_install_where_there_is_no_lighthouse() -> None:
    command = [sys.executable, "-m", "bench.visits.lighthouse", "http://127.0.0.1:9", "about=/about/"]
    done = subprocess.run(command, cwd=ROOT, env={"PATH": ""}, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert "npm install --prefix /tmp/lighthouse lighthouse" in done.stderr


def test_it_names_the_audits_that_cost_something() -> None:
    report = {
        "categories": {"seo": {"auditRefs": [{"id": name, "weight": weight} for name, weight in WEIGHTS.items()]}},
        "audits": {name: {"id": name, "score": score} for name, score in SCORES.items()},
    }
    assert failed(report, "seo") == ["is-crawlable"]


LIGHTHOUSE = """#!/bin/sh
echo >> {runs}
[ $(wc -l < {runs}) -gt {failures} ] || {{ echo "{said}" >&2; exit 1; }}
for each; do case $each in --output-path=*) echo '{{"lighthouseVersion": "12"}}' > "${{each#*=}}";; esac; done
"""
"""What speaks as Lighthouse does where it could not record a page: npm is not asked for it in tests."""
TRACE = "Something went wrong with recording the trace over your page load. Please run Lighthouse again. (NO_NAVSTART)"
STATUS = "Lighthouse was unable to reliably load the page you requested. (Status code: 404)"


@pytest.mark.parametrize(("failures", "said", "runs"), [(2, TRACE, 3), (3, TRACE, 3), (1, STATUS, 1)])
def test_a_run_that_lighthouse_could_not_record_is_made_again_and_no_other(
    failures: int, said: str, runs: int, tmp_path: Path
) -> None:
    program, counted = tmp_path / "lighthouse", tmp_path / "runs"
    program.write_text(LIGHTHOUSE.format(runs=counted, failures=failures, said=said), encoding="utf-8")
    program.chmod(0o755)
    if failures < runs:
        assert measure(str(program), "chromium", "http://127.0.0.1:9/", "simulate") == {"lighthouseVersion": "12"}
    else:
        with pytest.raises(SystemExit, match=re.escape(f"Lighthouse failed on http://127.0.0.1:9/: {said}")):
            measure(str(program), "chromium", "http://127.0.0.1:9/", "simulate")
    assert len(counted.read_text().splitlines()) == runs


WEIGHTS = {"is-crawlable": 4, "meta-description": 1, "hreflang": 0, "image-alt": 1}
SCORES = {"is-crawlable": 0, "meta-description": 1, "hreflang": 0, "image-alt": None}
