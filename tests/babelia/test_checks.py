"""babelia.checks: settings that are each fine and contradict each other."""

from typing import Any

import pytest
from django.test import override_settings

from babelia.checks import settings_agree


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        ({}, []),
        ({"DEBUG": True, "LISTEN": "0.0.0.0"}, ["babelia.E001"]),
        ({"PROXIES": ["*"]}, ["babelia.E002"]),
        ({"LEASE": 1800}, ["babelia.E003"]),
        ({"HTTPS": True, "ALLOWED_HOSTS": ["localhost", "127.0.0.1"]}, ["babelia.W001"]),
        ({"DISK_BUDGET": 1_000_000}, ["babelia.W002"]),
        ({"THREADS": 2, "DEVICE": "cuda"}, ["babelia.W003"]),
    ],
)
def test_settings_that_contradict_each_other_are_found(settings: dict[str, Any], found: list[str]) -> None:
    with override_settings(**settings):
        messages = settings_agree()
    assert [message.id for message in messages] == found
    assert all(message.hint for message in messages)
