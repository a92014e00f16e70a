"""`python -m bench.visits.lighthouse`: what it says without Lighthouse, and what it counts; a run takes minutes."""

import subprocess
import sys

from bench.visits.lighthouse import failed
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


WEIGHTS = {"is-crawlable": 4, "meta-description": 1, "hreflang": 0, "image-alt": 1}
SCORES = {"is-crawlable": 0, "meta-description": 1, "hreflang": 0, "image-alt": None}
