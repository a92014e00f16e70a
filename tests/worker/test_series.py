"""worker.series: planning a series of pages, naming its files. That it prints them is tested with `key_to_image`."""

from pathlib import Path
from typing import Any

import pytest

from worker.catalogue.address import Address
from worker.catalogue.expansion import stacks_key
from worker.catalogue.key import Key
from worker.editions.edition import Edition
from worker.errors import AddressRefused, InputRefused, KeyRefused
from worker.series import Order, Wanted, file_names, output_base, plan, plan_page, volume_pages

KEY = stacks_key("borges", 1)
UNKNOWN = "aaaaaaaaaaaaaaaaaaaaaaaaaa"


def test_a_volume_ends_with_its_last_page() -> None:
    first = Address("tiny", "key", "borges", 408)
    assert [address.page for address in volume_pages(first, 3)] == [408, 409, 410]
    with pytest.raises(InputRefused, match="go to 411"):
        volume_pages(first, 4)


def test_names_go_on_after_the_highest_number(tmp_path: Path) -> None:
    assert next(file_names(tmp_path / "page", overwrite=False)).name == "page-000"
    for name in ("page-007.key.txt", "page-012.png", "page-x.png", "other-099.png", "page-13.png"):
        (tmp_path / name).touch()
    names = file_names(tmp_path / "page", overwrite=False)
    assert [next(names).name, next(names).name] == ["page-013", "page-014"]
    assert next(file_names(tmp_path / "page", overwrite=True)).name == "page-000"


@pytest.mark.parametrize(("steps", "catalogued"), [(2, True), (64, True), (63, False), (66, False), (128, False)])
def test_only_even_steps_within_the_limit_are_in_the_catalogue(
    steps: int, catalogued: bool, tiny_edition: Edition
) -> None:
    key = Key.pack(20, KEY.embedding, KEY.latents)
    page = plan_page(key, None, steps, tiny_edition)
    assert page.catalogued == catalogued
    assert page.steps == steps
    assert page.key.steps == (steps if catalogued else 20)


def test_a_series_of_a_key_goes_on_with_the_keys_that_follow(tiny_data: Path, tmp_path: Path) -> None:
    path = tmp_path / "key.txt"
    key = Key.pack(4, KEY.embedding, KEY.latents)
    path.write_text(key.format(), encoding="ascii")
    edition, wanted = plan(Order(edition="tiny", key_file=path, count=3), tiny_data)
    assert edition.slug == "tiny"
    assert wanted == [Wanted(key, None), Wanted(key.next(), None), Wanted(key.next().next(), None)]


def test_only_what_takes_the_text_encoder_is_left_to_the_engine(tiny_data: Path) -> None:
    stacks = Address("tiny", "stacks", "borges", 410)
    order = Order(address=stacks.format(), steps=2)
    assert plan(order, tiny_data)[1] == [Wanted(stacks_key("borges", 410), stacks)]
    prompts = [Address("tiny", "prompt", "a dog", page) for page in (3, 4)]
    order = Order(edition="tiny", prompt=" a  dog ", first_page=3, count=2)
    assert plan(order, tiny_data)[1] == [Wanted(page, page) for page in prompts]


@pytest.mark.parametrize(
    ("order", "refused"),
    [
        ({"address": "pocket-1/key/a/1", "edition": "tiny"}, InputRefused),
        ({"address": "tiny/key/a/410", "count": 2}, InputRefused),
        ({"address": f"tiny/mark/{UNKNOWN}"}, InputRefused),
        ({"address": f"tiny/mark/{UNKNOWN}", "count": 2}, InputRefused),
        ({"address": "nonsense"}, AddressRefused),
        ({"prompt": ""}, InputRefused),
        ({"seed": "x" * 501}, InputRefused),
        ({"key_file": Path("/dev/null")}, KeyRefused),
    ],
)
def test_what_cannot_be_printed_is_refused_before_anything_is_loaded(
    order: dict[str, Any], refused: type[Exception], tiny_data: Path
) -> None:
    with pytest.raises(refused):
        plan(Order(**order), tiny_data)


def test_files_go_into_a_folder_or_begin_with_a_name(tmp_path: Path) -> None:
    assert output_base(f"{tmp_path}/") == output_base(str(tmp_path)) == tmp_path / "page"
    assert output_base(str(tmp_path / "mine")) == tmp_path / "mine"
    assert output_base(None) == Path("page")
    with pytest.raises(InputRefused, match="does not exist"):
        output_base(str(tmp_path / "nowhere" / "mine"))
