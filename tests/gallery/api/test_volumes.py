"""gallery.api.volumes: the places of a volume, asked of a real site with a real press."""

from urllib.parse import quote

import pytest

from tests.conftest import RunningPress
from tests.gallery.views.conftest import manage
from tests.visitor import ask, fresh, printed
from worker.catalogue.address import PAGES, Address


@pytest.mark.parametrize("kind", ["prompt", "key"])
def test_the_places_of_a_volume_say_which_are_kept_and_lead_on(site: str, kind: str) -> None:
    opening = fresh(kind)  # type: ignore[arg-type]
    name = opening.format().removesuffix("/1")
    path = f"/api/volume?volume={quote(name, safe='')}"
    untouched = ask(site, path).json
    assert (untouched["kept"], untouched["pages"], len(untouched["places"])) == ([], PAGES, 50)  # type: ignore[arg-type]
    for page in (1, 60):
        printed(site, opening.with_page(page))
    numbers: list[int] = []
    following: str | None = f"{path}&limit=200"
    while following is not None:
        part = ask(site, following).json
        assert (part["volume"], part["kept"]) == (name, [1, 60])
        for place in part["places"]:  # type: ignore[attr-defined]
            address = opening.with_page(place["number"])
            kept = place["number"] in (1, 60)
            small = f"{address.path()}thumbnail.webp" if kept else None
            assert (place["address"], place["kept"], place["thumbnail"]) == (address.format(), kept, small)
            assert (place["page"], place["picture"]) == (address.path(), f"{address.path()[:-1]}.png")
            numbers.append(place["number"])
        following = part["next"]  # type: ignore[assignment]
    assert numbers == list(range(1, PAGES + 1))


def test_a_hidden_page_looks_as_if_it_had_never_been_printed(site: str, press: RunningPress) -> None:
    opening = fresh("prompt")
    path = f"/api/volume?volume={quote(opening.format().removesuffix('/1'), safe='')}"
    for page in (1, 2):
        printed(site, opening.with_page(page))
    never = ask(site, f"{path}&first=3&limit=1").json["places"][0]  # type: ignore[index]
    manage(press, "hide", opening.with_page(2).format())
    told = ask(site, path).json
    assert told["kept"] == [1]
    second = told["places"][1]  # type: ignore[index]
    assert {key: second[key] for key in ("kept", "thumbnail")} == {key: never[key] for key in ("kept", "thumbnail")}


@pytest.mark.parametrize(
    ("volume", "status"),
    [
        ("key/borges", 200),
        ("/tiny/key/borges/", 200),
        ("tiny/stacks/borges", 200),
        ("tiny/prompt/a/3", 200),  # the words “a/3”
        ("key/borges/1", 404),
        ("mark/numxaqqioe4lpfc6qxh46pi5yy", 404),
        ("atlantis/key/borges", 404),
        ("shelf", 404),
        ("", 404),
        ("a" * 4001, 400),
    ],
)
def test_only_a_volume_has_places(site: str, volume: str, status: int) -> None:
    answer = ask(site, f"/api/volume?volume={quote(volume, safe='')}")
    assert answer.status == status, answer.text
    if status == 200 and volume.startswith("tiny/prompt"):
        assert answer.json["name"] == "a/3"


@pytest.mark.parametrize("query", ["first=0", "first=411", "limit=0", "limit=411", "first=x"])
def test_a_place_that_no_volume_has_is_refused(site: str, query: str) -> None:
    assert ask(site, f"/api/volume?volume=key/borges&{query}").status == 400


def test_the_last_place_is_the_end(site: str) -> None:
    told = ask(site, f"/api/volume?volume=tiny/key/borges&first={PAGES}").json
    (place,) = told["places"]  # type: ignore[misc]
    assert (place["address"], told["next"]) == (Address("tiny", "key", "borges", PAGES).format(), None)
