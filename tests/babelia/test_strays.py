"""babelia.strays: which variables are set aside, what decides in their place, and which are left alone."""

import os

import pytest
import torch

from babelia.strays import FOUND, sentences, set_aside
from worker.engine.device import prepare


def test_what_would_decide_is_taken_out_and_named() -> None:
    environment = {
        "CELERY_BROKER_URL": "redis://elsewhere",
        "CELERYD_POOL": "solo",
        "FORWARDED_ALLOW_IPS": "*",
        "OMP_NUM_THREADS": "1",
        "PGPASSWORD": "secret",
        "WEB_CONCURRENCY": "4",
        "DJANGO_SETTINGS_MODULE": "somebody.elses",
    }
    assert set_aside(environment) == {
        "CELERYD_POOL": "the library's own configuration of Celery",
        "CELERY_BROKER_URL": "REDIS_URL",
        "DJANGO_SETTINGS_MODULE": "babelia.settings",
        "FORWARDED_ALLOW_IPS": "BABELIA_PROXIES",
        "OMP_NUM_THREADS": "BABELIA_THREADS",
        "PGPASSWORD": "DATABASE_URL",
        "WEB_CONCURRENCY": "BABELIA_SITE_PROCESSES",
    }
    assert environment == {}


def test_an_empty_one_goes_without_a_word() -> None:
    environment = {"CELERY_BROKER_URL": ""}
    assert set_aside(environment) == {}
    assert environment == {}


def test_what_decides_nothing_of_ours_stays() -> None:
    ours = {"BABELIA_THREADS": "1", "REDIS_URL": "redis://here", "DJANGO_SETTINGS_MODULE": "babelia.settings"}
    ours |= {"OMP_DYNAMIC": "FALSE", "MKL_DYNAMIC": "FALSE"}
    others = {"CUDA_VISIBLE_DEVICES": "1", "HF_ENDPOINT": "https://mirror.example", "OMP_WAIT_POLICY": "PASSIVE"}
    others |= {
        "PGDATA": "/var/lib/postgresql",
        "PATH": "/bin",
        "SSL_CERT_FILE": "/ca.pem",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
    }
    environment = ours | others
    assert set_aside(environment) == {}
    assert environment == ours | others


def test_what_the_engine_sets_is_named_only_where_somebody_else_has_set_it(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("OMP_DYNAMIC", "MKL_DYNAMIC")
    for name in names:
        monkeypatch.setenv(name, "TRUE")
    assert set_aside() == dict.fromkeys(sorted(names), "BABELIA_THREADS")
    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    prepare(torch.device("cpu"), threads)
    torch.use_deterministic_algorithms(deterministic)
    assert all(name in os.environ for name in names)
    assert set_aside() == {}, "what a process of ours starts names nothing"


def test_each_is_one_sentence_without_its_value() -> None:
    before = dict(FOUND)
    FOUND.clear()
    FOUND.update(set_aside({"PGPASSWORD": "secret"}))
    try:
        assert sentences() == ["The variable PGPASSWORD is set and does not count here: DATABASE_URL decides."]
    finally:
        FOUND.clear()
        FOUND.update(before)
