"""Other programs' variables, run for real: the library does as its settings say, and names what was set."""

import contextlib
import os
import subprocess
import sys
from pathlib import Path

from tests.conftest import RunningPress, run_site, write_edition
from tests.visitor import ask
from worker.jobs.consumer import JobConsumer

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
    "OMP_DYNAMIC": "TRUE",
    "MKL_NUM_THREADS": "1",
    "MKL_DOMAIN_NUM_THREADS": "MKL_DOMAIN_ALL=1",
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


def test_site_and_press_that_run_alone_name_them_and_do_as_the_settings_say(
    valkey: str, tiny_weights: Path, tmp_path: Path
) -> None:
    """A whole library with them: tests/outside/test_every_setting.py."""
    write_edition(tmp_path, "tiny", str(tiny_weights))
    # Where it is not set how many threads the press has, OMP_NUM_THREADS would be asked next: as torch is loaded.
    own = STRAYS | {"BABELIA_THREADS": ""}
    press = RunningPress(tmp_path, valkey.removesuffix("/0") + "/7", own, own_python=True)
    try:
        press.start()
        with run_site(press) as site, contextlib.closing(JobConsumer(press.redis_url)) as jobs:
            assert ask(site, "/tiny/key/alone/1.png").status == 200
            (found,) = jobs.presses()
        assert f" {threads_of_torch()} threads, " in found.rendition
        said = press.log.read_text(encoding="utf-8")
        assert "The variable CELERY_BROKER_URL is set and does not count here: REDIS_URL decides." in said
    finally:
        press.stop()
