"""The OpenAPI document is true: schemathesis asks a real site whatever it allows and what not, and finds nothing.

`make test` has it ask some 300 times, `make chaos` some 1,000 times (FUZZ_EXAMPLES of each operation).
"""

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.conftest import RunningPress, run_site
from tests.visitor import ask

EXAMPLES = os.environ.get("FUZZ_EXAMPLES", "12")
CONFIG = """
[checks]
not_a_server_error.expected-statuses = ["2xx", "3xx", "4xx", 503]  # 503 is documented: nobody prints just now

[[operations]]
include-path = "/api/key"
checks.positive_data_acceptance.enabled = false  # no schema can say which texts are keys
checks.negative_data_rejection.enabled = false

[[operations]]
include-path = "/api/find"
checks.positive_data_acceptance.enabled = false  # nor which files are pictures
checks.negative_data_rejection.enabled = false  # what a form sends is text, whatever it was meant to be
"""


def test_schemathesis_finds_nothing(press: RunningPress, tmp_path: Path) -> None:
    (tmp_path / "schemathesis.toml").write_text(CONFIG, encoding="utf-8")
    with run_site(press, BABELIA_PICTURE_WAIT="1") as site:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(tmp_path / "schemathesis.toml")),
                *("run", f"{site}/api/openapi.json"),
                *("--phases", "examples,coverage,fuzzing", "--max-examples", EXAMPLES, "--seed", "1", "--no-color"),
                *("--generation-database", "none"),
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=24 * int(EXAMPLES),
            check=False,
        )
    assert done.returncode == 0, done.stdout[-12_000:] + done.stderr[-2000:]
    found = re.search(r"([0-9,]+) generated, ([0-9,]+) passed", done.stdout)
    assert found and found[1] == found[2] and int(found[1].replace(",", "")) > 9 * int(EXAMPLES), done.stdout[-3000:]


def test_every_operation_names_its_refusals_and_kinds(site: str) -> None:
    document = ask(site, "/api/openapi.json").json
    paths: dict[str, dict[str, dict[str, dict[str, dict[str, object]]]]] = document["paths"]  # type: ignore[assignment]
    listed = {"400", "404", "503"}
    answers = {
        f"{method} {path}": set(found["responses"]) for path, each in paths.items() for method, found in each.items()
    }
    page, tagged, sent = {"400", "404", "410", "503"}, {"206", "304", "412", "416"}, {"403", "413", "415"}
    assert answers == {
        "get /api/page": {"200", *tagged, *page},
        "post /api/page": {"200", "202", *sent, "429", *page},
        "post /api/page/leave": {"200", *sent, *page},
        "get /api/page/events": {"200", "429", *page},
        "get /api/page/picture": {"200", "429", *tagged, *page},
        "get /api/page/key": {"200", "429", *tagged, *page},
        "post /api/key": {"201", *sent, "429", *page},
        "post /api/find": {"200", "202", *sent, "429", *page},
        "get /api/find/{name}": {"200", "302", *page},
        "get /api/find/{name}/events": {"200", "302", "429", *page},
        "post /api/find/{name}/leave": {"200", *sent, *page},
        "get /api/editions": {"200", *tagged},
        "get /api/recent": {"200", "400", *tagged},
        "get /api/random": {"200", *listed},
        "get /api/opened": {"200", *tagged, *listed},
        "get /api/search": {"200", *tagged, *listed},
        "get /api/volume": {"200", *tagged, *listed},
        "get /api/nearby": {"200", "429", *tagged, *page},
        "get /api/corridor": {"200", "429", *tagged, *page},
    }
