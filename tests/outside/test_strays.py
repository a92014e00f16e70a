"""Other programs' variables, run for real: the library opens as its settings say, prints, and names what was set."""

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.babelia.processes.test_library import answers, library
from tests.conftest import RunningPress, free_port, run_site, write_edition
from tests.visitor import ask

STRAYS = {
    "CELERY_BROKER_URL": "redis://127.0.0.1:1/0",
    "CELERY_BROKER_READ_URL": "redis://127.0.0.1:1/0",
    "CELERY_BROKER_WRITE_URL": "amqp://nowhere.invalid",
    "BROKER_URL": "redis://127.0.0.1:1/0",
    "CELERY_RESULT_BACKEND": "redis://127.0.0.1:1/0",
    "CELERY_CONFIG_MODULE": "nowhere",
    "CELERY_LOADER": "nowhere",
    "CELERY_CUSTOM_WORKER_POOL": "nowhere:Pool",
    "CELERY_WORKER_CONCURRENCY": "7",
    "CELERY_WORKER_POOL": "threads",
    "CELERYD_CONCURRENCY": "7",
    "OMP_NUM_THREADS": "1",
    "OMP_THREAD_LIMIT": "1",
    "MKL_NUM_THREADS": "1",
    "WEB_CONCURRENCY": "many",
    "FORWARDED_ALLOW_IPS": "*",
    "UVICORN_HOST": "192.0.2.1",
    "PGHOST": "192.0.2.1",
    "DJANGO_SETTINGS_MODULE": "somebody.elses",
    "PYTORCH_ENABLE_MPS_FALLBACK": "1",
}


def threads_of_torch() -> int:
    """The threads that torch takes where no variable says how many."""
    plain = {name: value for name, value in os.environ.items() if name not in STRAYS}
    command = [sys.executable, "-c", "import torch; print(torch.get_num_threads())"]
    return int(subprocess.run(command, env=plain, capture_output=True, check=True).stdout)


def test_a_library_opens_and_prints_whatever_is_set_for_others(tiny_weights: Path, tmp_path: Path) -> None:
    write_edition(tmp_path, "tiny", str(tiny_weights))
    with library(tmp_path, BABELIA_PORT=str(free_port()), **STRAYS) as running:
        running.wait_until_open()
        assert answers(running.port, "/tiny/key/strays/1.png") == 200
        lines = running.said.splitlines()
        named = [name for name in STRAYS if any(re.match(f"The variable {name} is set", line) for line in lines)]
        assert named == list(STRAYS)
        assert f" {threads_of_torch()} threads, " in running.said


def test_site_and_press_that_run_alone_name_them_too(valkey: str, tiny_weights: Path, tmp_path: Path) -> None:
    write_edition(tmp_path, "tiny", str(tiny_weights))
    press = RunningPress(tmp_path, valkey.removesuffix("/0") + "/7", STRAYS)
    try:
        press.start()
        with run_site(press) as site:
            assert ask(site, "/tiny/key/alone/1.png").status == 200
        said = press.log.read_text(encoding="utf-8")
        assert "The variable CELERY_BROKER_URL is set and does not count here: REDIS_URL decides." in said
    finally:
        press.stop()
