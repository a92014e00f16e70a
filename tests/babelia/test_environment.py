"""babelia.environment: what each reader takes, and the sentence with which it refuses the rest."""

from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from babelia import environment


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Sets a variable and calls a reader for it, without a trace in the table of settings."""
    monkeypatch.setattr(environment, "SETTINGS", {})

    def call(reader: Any, value: str | None, *arguments: Any, **options: Any) -> Any:
        if value is None:
            monkeypatch.delenv("BABELIA_TEST", raising=False)
        else:
            monkeypatch.setenv("BABELIA_TEST", value)
        environment.SETTINGS.clear()
        return reader("BABELIA_TEST", *arguments, "what it is for", **options)

    return call


def test_an_unset_or_empty_variable_is_its_default(read: Any) -> None:
    assert read(environment.integer, None, 7, 1, 9) == 7
    assert read(environment.integer, "  ", 7, 1, 9) == 7
    assert read(environment.flag, None, True) is True
    assert read(environment.names, None, ["a", "b"]) == ["a", "b"]
    assert read(environment.size, None, "2 GB") == 2_000_000_000


def test_values_are_read(read: Any) -> None:
    assert read(environment.integer, " 9 ", 7, 1, 9) == 9
    assert read(environment.flag, "Yes", False) is True
    assert read(environment.flag, "off", True) is False
    assert read(environment.names, " a.example , b.example,", []) == ["a.example", "b.example"]
    paths = {None: "", "/": "", "/library/": "/library", "/a/b-c.d": "/a/b-c.d"}
    assert {text: read(environment.path, text, shown="none") for text in paths} == paths
    assert read(environment.choice, "cpu", "auto", ("auto", "cpu")) == "cpu"
    sizes = {"0": 0, "750 MB": 750_000_000, "2.5gb": 2_500_000_000, "3k": 3_000, "12": 12, "1 TB": 10**12}
    assert {text: read(environment.size, text, "0") for text in sizes} == sizes


@pytest.mark.parametrize(
    ("reader", "value", "arguments", "expected"),
    [
        ("integer", "10", (7, 1, 9), "a whole number from 1 to 9"),
        ("integer", "7.5", (7, 1, 9), "a whole number from 1 to 9"),
        ("integer", "٧", (7, 1, 9), "a whole number from 1 to 9"),
        ("flag", "maybe", (False,), "true or false"),
        ("choice", "gpu", ("auto", ("auto", "cpu")), "one of auto, cpu"),
        ("size", "lots", ("0",), "a size like 750 MB or 20 GB"),
        ("size", "-1 GB", ("0",), "a size like 750 MB or 20 GB"),
        ("names", "a b", ([],), "names with commas between them"),
        ("text", "a\tb", ("",), "one line of text"),
    ],
)
def test_nonsense_is_refused_with_a_sentence(read: Any, reader: str, value: str, arguments: Any, expected: str) -> None:
    with pytest.raises(ImproperlyConfigured) as refused:
        read(getattr(environment, reader), value, *arguments)
    assert str(refused.value) == f"The environment variable BABELIA_TEST should be {expected}, and is {value!r}."


@pytest.mark.parametrize(
    "value", ["library", "//library", "/a//b", "/a b", "/..", "/a/./b", "/%20", "https://a.example/b", "/é"]
)
def test_what_is_no_path_of_a_url_is_refused(read: Any, value: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="BABELIA_TEST should be a path like /library"):
        read(environment.path, value, shown="none")
