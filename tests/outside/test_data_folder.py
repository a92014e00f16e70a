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


def test_everything_is_kept_inside_the_folder(folder: Path, tiny_weights: Path) -> None:
    """Folder in folder, so that each name can lead astray by itself, and the last has all of them."""
    names = [*NAMES, "".join(NAMES)]
    data = folder.joinpath(*names)
    write_edition(data, "tiny", str(tiny_weights))
    with library(data, BABELIA_PORT=str(free_port()), BABELIA_SITE_PROCESSES="1") as running:
        running.wait_until_open()
        assert answers(running.port, "/tiny/key/inside/1.png") == 200
        assert answers(running.port, "/tiny/key/inside/1/") == 200
        running.stop()
    for depth, name in enumerate(names):
        beside = [path.name for path in folder.joinpath(*names[:depth]).iterdir()]
        assert beside == [name], "nothing was written beside it"
    assert (data / "library.sqlite3").is_file()
    assert (data / "valkey" / "valkey.log").is_file()
    assert (data / "valkey" / "appendonlydir").is_dir()
    assert [path for path in (data / "pages").rglob("*.png") if path.is_file()]
