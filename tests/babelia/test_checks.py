"""babelia.checks: settings that are each fine and contradict each other."""

import ast
from pathlib import Path
from typing import Any

import pytest
from django.test import override_settings

from babelia import checks, strays
from babelia.checks import no_strays, reached_over_https, settings_agree


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        ({}, []),
        ({"DEBUG": True, "LISTEN": "0.0.0.0"}, ["babelia.E001"]),
        ({"PROXIES": ["*"]}, ["babelia.E002"]),
        ({"LEASE": 1800}, ["babelia.W005"]),
        ({"HTTPS": True, "ALLOWED_HOSTS": ["localhost", "127.0.0.1"]}, ["babelia.W001"]),
        ({"PREFIX": "/key/borges"}, ["babelia.E004"]),
        ({"PREFIX": "/library"}, []),
        ({"DISK_BUDGET": 1_000_000}, ["babelia.W002"]),
        ({"THREADS": 2, "DEVICE": "cuda"}, ["babelia.W003"]),
    ],
)
def test_settings_that_contradict_each_other_are_found(settings: dict[str, Any], found: list[str]) -> None:
    with override_settings(**settings):
        messages = settings_agree()
    assert [message.id for message in messages] == found
    assert all(message.hint for message in messages)


def test_a_check_before_going_public_says_that_https_is_off() -> None:
    with override_settings(HTTPS=False):
        assert [message.id for message in reached_over_https()] == ["babelia.W005"]
    with override_settings(HTTPS=True):
        assert reached_over_https() == []


def test_each_stray_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strays, "FOUND", {"PGHOST": "DATABASE_URL", "CELERY_BROKER_URL": "REDIS_URL"})
    assert [message.id for message in no_strays()] == ["babelia.W006"] * 2


def test_no_two_checks_share_an_id() -> None:
    source = ast.parse(Path(checks.__file__).read_text(encoding="utf-8"))
    values = [node.value for node in ast.walk(source) if isinstance(node, ast.keyword) and node.arg == "id"]
    ids = [ast.literal_eval(value) for value in values]
    assert len(ids) >= 9
    assert len(set(ids)) == len(ids)
