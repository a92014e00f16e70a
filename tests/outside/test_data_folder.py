"""BABELIA_DATA with every character that means something elsewhere: the whole library, run in such a folder."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.babelia.processes.test_library import answers, library
from tests.conftest import free_port, write_edition

NAMES = ("a#b", "a?b=c", "100%25 and %2f", "two words", 'it\'s "said" \\ so', "bücher ☃", "$HOME;`x`&|<>*[]{}")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder of its own, so that what is written beside can be seen."""
    found = Path(tempfile.mkdtemp(prefix="babelia-"))
    yield found
    shutil.rmtree(found)


@pytest.mark.parametrize("name", ["".join(NAMES), *NAMES[:3]])
def test_everything_is_kept_inside_the_folder(name: str, folder: Path, tiny_weights: Path) -> None:
    data = folder / name
    write_edition(data, "tiny", str(tiny_weights))
    with library(data, BABELIA_PORT=str(free_port())) as running:
        running.wait_until_open()
        assert answers(running.port, "/tiny/key/inside/1.png") == 200
        assert answers(running.port, "/tiny/key/inside/1/") == 200
        running.stop()
    assert [path.name for path in folder.iterdir()] == [name]
    assert (data / "library.sqlite3").is_file()
    assert (data / "valkey" / "valkey.log").is_file()
    assert (data / "valkey" / "appendonlydir").is_dir()
    assert [path for path in (data / "pages").rglob("*.png") if path.is_file()]
