"""Variables of the libraries underneath that would decide what this library's own settings own. Imports nothing.

Celery lets `CELERY_BROKER_URL` win over what its application was told, libgomp counts threads by `OMP_NUM_THREADS`,
libpq fills in what a URL leaves out, and so on: a variable that was set for another program on the machine would decide
where pages are queued. They are taken out of this process's environment before any of those libraries reads it, and so
out of every process that it starts; what was found is named by `manage.py check`, by the library as it opens, and by a
site or press that runs alone.

What decides nothing that the table of settings owns is left alone: `CUDA_VISIBLE_DEVICES`, `HF_ENDPOINT` and
`HF_HUB_OFFLINE`, `SSL_CERT_FILE`, `OMP_WAIT_POLICY`, and what the rendition names (worker.engine.device).
"""

from __future__ import annotations

import os
import re
from collections.abc import MutableMapping

_LIBPQ = (
    "APPNAME|CHANNELBINDING|CLIENTENCODING|CONNECT_TIMEOUT|DATABASE|DATESTYLE|GEQO|GSSDELEGATION|GSSENCMODE|GSSLIB|HOST"
    "|HOSTADDR|KRBSRVNAME|LOADBALANCEHOSTS|OPTIONS|PASSFILE|PASSWORD|PORT|REQUIREAUTH|REQUIREPEER|REQUIRESSL|SERVICE"
    "|SERVICEFILE|SSLCERT|SSLCERTMODE|SSLCOMPRESSION|SSLCRL|SSLCRLDIR|SSLKEY|SSLMAXPROTOCOLVERSION|SSLMINPROTOCOLVERSION"
    "|SSLMODE|SSLNEGOTIATION|SSLROOTCERT|SSLSNI|SYSCONFDIR|TARGETSESSIONATTRS|TZ|USER"
)
_OWNERS = {
    r"BROKER_URL|CELERY_BROKER(_READ|_WRITE)?(_URL)?": "REDIS_URL",
    r"CELERYD?_\w+|RESULT_BACKEND": "the library's own configuration of Celery",
    r"OMP_(NUM_THREADS|THREAD_LIMIT|DYNAMIC)|MKL_(DYNAMIC|DOMAIN_NUM_THREADS)": "BABELIA_THREADS",
    r"(MKL|OPENBLAS|GOTO|BLIS|VECLIB)_(NUM|MAXIMUM)_THREADS": "BABELIA_THREADS",
    r"PYTORCH_ENABLE_MPS_FALLBACK": "BABELIA_DEVICE",
    r"NVIDIA_TF32_OVERRIDE|TORCH_ALLOW_TF32_CUBLAS_OVERRIDE": "the edition's precision",
    r"WEB_CONCURRENCY": "BABELIA_SITE_PROCESSES",
    r"DJANGO_SETTINGS_MODULE": "babelia.settings",
    r"FORWARDED_ALLOW_IPS": "BABELIA_PROXIES",
    r"UVICORN_\w+": "BABELIA_LISTEN, BABELIA_PORT, BABELIA_PROXIES or BABELIA_SITE_PROCESSES",
    rf"PG({_LIBPQ})": "DATABASE_URL",
}
_OURS = {
    "DJANGO_SETTINGS_MODULE": "babelia.settings",
    "OMP_DYNAMIC": "FALSE",  # worker.engine.device sets both so, and every process that a press or command starts
    "MKL_DYNAMIC": "FALSE",  # inherits them
}
"""What this library sets itself: with these values they are no strays."""

FOUND: dict[str, str] = {}
"""Every variable that was set aside in this process, and what decides in its place."""


def set_aside(environment: MutableMapping[str, str] | None = None) -> dict[str, str]:
    """Take every stray out of an environment (this process's); return its name and what decides in its place."""
    environment = os.environ if environment is None else environment
    found = {}
    for name in sorted(environment):
        owner = next((owner for pattern, owner in _OWNERS.items() if re.fullmatch(pattern, name)), None)
        if owner is None or environment[name] == _OURS.get(name):
            continue
        if environment.pop(name).strip():
            found[name] = owner
    return found


def sentences() -> list[str]:
    """What was found, a sentence each, for people."""
    return [f"The variable {name} is set and does not count here: {owner} decides." for name, owner in FOUND.items()]


FOUND.update(set_aside())
