"""A data folder of release 0.1.0 opens in this one: its pages, its pasted key, its links, what it had hidden.

`tests/data/library-0.1.0.tar.xz` was made by that release's own code: two printed prompts, one of them hidden, a prompt
that was hidden before anybody printed it, and a key that was pasted.
"""

import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import ROOT
from tests.conftest import free_port, serving
from tests.forked import Commands
from tests.visitor import ask
from worker.store.store import Store
from worker.store.upkeep import Damage, scrub

DOG, CAT, HOUSE = (f"/pocket-1/prompt/a%20{name}/1" for name in ("dog", "cat", "house"))
DOGS_MARK, CATS_MARK = "foekzg7vegvwncacml53msrdwi", "2igd2j6nboxeq32ua6pvpxzzhi"
PASTED = "d7fggx4jk35gnyro5smvq5ykne"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    with tarfile.open(ROOT / "tests" / "data" / "library-0.1.0.tar.xz") as tar:
        tar.extractall(tmp_path / "data", filter="data")
    return tmp_path / "data"


def environment(data: Path) -> dict[str, str]:
    own = {"BABELIA_DATA": str(data), "DATABASE_URL": "", "BABELIA_DISK_RESERVE": "0"}
    return os.environ | own | {"REDIS_URL": f"redis://127.0.0.1:{free_port()}/0"}


@pytest.fixture
def site(data: Path, commands: Commands) -> Iterator[str]:
    commands.manage(environment(data), "migrate", "-v", "0")
    with serving(environment(data)) as site:
        yield site


def test_its_pages_are_shown_and_what_it_had_hidden_is_not(site: str, data: Path) -> None:
    assert ask(site, f"{DOG}.png").status == 200
    assert ask(site, f"/pocket-1/mark/{DOGS_MARK}.png").status == 200
    assert ask(site, f"/pocket-1/mark/{DOGS_MARK}.txt").status == 200
    assert len(ask(site, f"/pocket-1/mark/{PASTED}.txt").body) == 189_436
    for path in (f"{CAT}.png", f"{CAT}.json", f"/pocket-1/mark/{CATS_MARK}.png", f"{HOUSE}/", f"{HOUSE}.txt"):
        assert ask(site, path).status == 410, path
    assert f"{DOG}/" in ask(site, "/").text and f"{CAT}/" not in ask(site, "/").text
    assert (data / "hidden" / "complete").exists(), "it is written down for times without the database"
    assert ask(site, f"{DOG}.json").json["weights"] is None, "this release is the first that writes them down"


def test_all_its_files_are_whole(data: Path) -> None:
    found = list(scrub(Store(data)))
    assert not [file for file in found if isinstance(file, Damage)]
    assert len(found) == 2 * 3 + 2 * 2 + 1 + 2


def test_it_goes_into_a_backup_and_comes_back(data: Path, tmp_path: Path, commands: Commands) -> None:
    there, here = environment(data), environment(tmp_path / "new")
    commands.manage(there, "migrate", "-v", "0")
    commands.manage(there, "backup", str(tmp_path / "file"))
    assert "3 of 3 rows and 7 files" in commands.manage(here, "restore", str(tmp_path / "file"))
    new = Store(tmp_path / "new")
    assert new.key(PASTED) == Store(data).key(PASTED)
    assert new.linked(Store(data).origin(DOGS_MARK) or pytest.fail("it has an origin")) == DOGS_MARK
    assert "is shown again" in commands.manage(here, "hide", "--show", f"mark/{CATS_MARK}")
