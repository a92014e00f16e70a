"""The OpenAPI document is true: schemathesis asks a real site whatever it allows and what not, and finds nothing."""

import shutil
import subprocess
import sys
from pathlib import Path

from tests.conftest import RunningPress, run_site
from tests.visitor import ask

CONFIG = """
[checks]
not_a_server_error.expected-statuses = ["2xx", "3xx", "4xx", 503]  # 503 is documented: nobody prints just now

[[operations]]
include-path = "/api/key"
checks.positive_data_acceptance.enabled = false  # no schema can say which texts are keys
checks.negative_data_rejection.enabled = false
"""


def test_schemathesis_finds_nothing(press: RunningPress, tmp_path: Path) -> None:
    (tmp_path / "schemathesis.toml").write_text(CONFIG, encoding="utf-8")
    program = shutil.which("schemathesis", path=str(Path(sys.executable).parent))
    assert program, "requirements-dev.txt brings it"
    with run_site(press, BABELIA_PICTURE_WAIT="1") as site:
        done = subprocess.run(
            [
                *(program, "--config-file", str(tmp_path / "schemathesis.toml"), "run", f"{site}/api/openapi.json"),
                *("--phases", "examples,coverage,fuzzing", "--max-examples", "25", "--seed", "1", "--no-color"),
                *("--generation-database", "none"),
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
    assert done.returncode == 0, done.stdout[-12_000:] + done.stderr[-2000:]


def test_every_operation_names_its_refusals_and_kinds(site: str) -> None:
    document = ask(site, "/api/openapi.json").json
    paths: dict[str, dict[str, dict[str, dict[str, dict[str, object]]]]] = document["paths"]  # type: ignore[assignment]
    answers = {
        f"{method} {path}": set(found["responses"]) for path, each in paths.items() for method, found in each.items()
    }
    page = {"400", "404", "410", "503"}
    assert answers == {
        "get /api/page": {"200", *page},
        "post /api/page": {"200", "202", "403", "413", "429", *page},
        "post /api/page/leave": {"200", "403", "413", *page},
        "get /api/page/events": {"200", "429", *page},
        "get /api/page/picture": {"200", "304", "429", *page},
        "get /api/page/key": {"200", "304", "429", *page},
        "post /api/key": {"201", "403", "413", "429", *page},
        "get /api/editions": {"200"},
        "get /api/recent": {"200", "400"},
    }
