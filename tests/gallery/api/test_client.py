"""The client in one file, static/clients/babelia.py, against a real library."""

import importlib.util
import sys
from typing import Any

import pytest

from tests import ROOT
from tests.conftest import RunningPress, run_site, wait_until
from tests.visitor import ask, fresh, long_page, printed
from worker.catalogue.address import Address

FILE = ROOT / "static" / "clients" / "babelia.py"


@pytest.fixture(scope="module")
def client() -> Any:
    specification = importlib.util.spec_from_file_location("babelia_client", FILE)
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_it_is_one_short_file_that_needs_python_alone() -> None:
    lines = FILE.read_text(encoding="utf-8").splitlines()
    assert len(lines) < 100
    imported = {line.split()[1].partition(".")[0] for line in lines if line.startswith(("import ", "from "))}
    assert imported <= set(sys.stdlib_module_names)


def test_a_program_draws_opens_lists_and_searches(site: str, client: Any) -> None:
    library = client.Library(site)
    address = fresh("prompt").format()
    assert library.page(address)["state"] == "absent"
    assert library.ask(address)["state"] in ("queued", "printing", "kept")
    picture = library.picture(address)
    assert picture == printed(site, Address.parse(address)).body
    mark = library.open_key(library.key(address), "tiny")["mark"]
    assert library.page(address)["mark"] == mark
    assert library.volume(address.removesuffix("/1"), limit=1)["kept"] == [1]
    assert [each["address"].split("/")[0] for each in library.random(2, "tiny")] == ["tiny", "tiny"]


def test_what_is_refused_is_raised_with_what_to_do(site: str, client: Any) -> None:
    with pytest.raises(client.Refused, match="is no address") as refused:
        client.Library(site + "/").page("shelf/borges")
    assert (refused.value.status, refused.value.code) == (404, "address_refused")
    assert isinstance(refused.value.hint, str)


def test_a_picture_that_takes_longer_than_a_request_is_asked_for_again(press: RunningPress, client: Any) -> None:
    """A site that waits for a second, and a page of many steps: the client comes back when it is told to."""
    with run_site(press, BABELIA_PICTURE_WAIT="1") as site:
        address = long_page(site)
        with pytest.raises(client.Refused, match="not drawn yet"):
            client.Library(site, patience=1).picture(address.format())
        assert client.Library(site).picture(address.format()) == ask(site, address.path()[:-1] + ".png").body


def test_it_reads_a_long_list_to_its_end(site: str, client: Any) -> None:
    printed(site, fresh("prompt"))
    library = client.Library(site)
    wait_until(lambda: len(list(library.opened())) > 1, 10, "pages are listed")
    found = [page["address"] for page in library.opened(limit=1, edition="tiny")]
    assert len(found) == len(set(found)) > 1, "each part was read once"
    assert list(library.opened("no such words")) == []
