"""`manage.py editions`: everything that a person wants to know before choosing one."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from tests import ROOT
from tests.conftest import write_edition
from worker.editions.edition import Edition

Listing = Callable[..., str]


@pytest.fixture
def listing(tmp_path: Path, tiny_weights: Path, settings: Any, capsys: pytest.CaptureFixture[str]) -> Listing:
    """What the command prints over a data directory with the editions `tiny`, `broken` and `cut`."""
    write_edition(tmp_path, "tiny", str(tiny_weights))
    write_edition(tmp_path, "broken", str(tiny_weights), lambda text: text.replace('licence = "mit"', ""))
    write_edition(tmp_path, "away", str(tmp_path / "nowhere"))
    settings.DATA_DIR = tmp_path

    def run(*arguments: str) -> str:
        call_command("editions", *arguments)
        return capsys.readouterr().out

    return run


def test_each_edition_has_its_facts(listing: Listing, tiny_edition: Edition, tiny_weights: Path) -> None:
    found = {entry["slug"]: entry for entry in json.loads(listing("--json"))}
    assert found["tiny"] == {
        "slug": "tiny",
        "title": "Tiny",
        "summary": "Random numbers in the shape of a model: its pages mean nothing.",
        "licence": "mit",
        "licence_url": None,
        "hub": None,
        "weights": str(tiny_weights),
        "size": tiny_edition.check().bytes,
        "digest": tiny_edition.check().digest,
        "installed": True,
        "fault": None,
    }


def test_an_edition_of_the_hub_says_what_fetching_it_brings(listing: Listing) -> None:
    found = {entry["slug"]: entry for entry in json.loads(listing("--json"))}["sd-1.5"]
    assert found["hub"] == "stable-diffusion-v1-5/stable-diffusion-v1-5@451f4fe16113bff5a5d2269ed5ad43b0592e9a14"
    assert found["licence"] == "creativeml-openrail-m"
    assert not found["installed"]
    assert 5.4e9 < found["size"] < 5.5e9
    assert "is not installed" in found["fault"]


def test_what_is_broken_is_listed_with_its_fault_beside_the_others(listing: Listing) -> None:
    found = {entry["slug"]: entry for entry in json.loads(listing("--json"))}
    assert not found["broken"]["installed"]
    assert "licence in" in found["broken"]["fault"]
    assert not found["away"]["installed"]
    assert "nowhere lacks" in found["away"]["fault"]


def test_people_get_the_same_in_lines(listing: Listing, tiny_edition: Edition) -> None:
    printed = listing()
    lines = printed.split("tiny: Tiny\n")[1].splitlines()
    assert [line.split()[0] for line in lines[:5]] == ["licence", "weights", "size", "digest", "installed"]
    assert lines[3].split()[1] == tiny_edition.check().digest
    assert "5,482.7 MB to fetch" in printed


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_has_seen_enough_ends_it_quietly(tiny_data: Path, unbuffered: str) -> None:
    command = [sys.executable, str(ROOT / "manage.py"), "editions"]
    environment = os.environ | {"BABELIA_DATA": str(tiny_data), "PYTHONUNBUFFERED": unbuffered}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as listing:
        assert listing.stdout is not None
        assert listing.stderr is not None
        listing.stdout.close()
        assert listing.stderr.read() == b""
    assert listing.returncode == 0


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a device that is always full")
def test_output_that_goes_nowhere_is_one_sentence(tiny_data: Path, unbuffered: str) -> None:
    command = [sys.executable, str(ROOT / "manage.py"), "editions"]
    environment = os.environ | {"BABELIA_DATA": str(tiny_data), "PYTHONUNBUFFERED": unbuffered}
    with Path("/dev/full").open("wb") as full:
        listing = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, env=environment, check=False)
    assert (listing.returncode, listing.stderr) == (2, b"No space left on device.\n")
