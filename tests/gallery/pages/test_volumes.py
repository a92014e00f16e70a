"""gallery.pages.volumes: what the sheet of a volume knows of its pages."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.utils import timezone

from gallery.models import Page
from gallery.pages.volumes import number_in, places_of
from worker.catalogue.address import PAGES, Address
from worker.catalogue.expansion import stacks_key
from worker.errors import InputRefused
from worker.store import hidden

VOLUME = Address("pocket-1", "prompt", "a red boat", 1)


@pytest.fixture
def opened(settings: Any, tmp_path: Path) -> Callable[..., str]:
    """Writes down that a page of the volume was opened, with files that stand for its picture; returns its mark."""
    settings.DATA_DIR = tmp_path
    settings.DISK_RESERVE = 0

    def open_page(number: int, *, kept: bool = True, **more: Any) -> str:
        address = VOLUME.with_page(number)
        mark = stacks_key("volumes", number).mark
        columns = {"edition": address.edition, "kind": address.kind, "name": address.name, "mark": mark, "steps": 4}
        Page.objects.create(
            digest=address.digest, address=address.format(), printed_at=timezone.now(), **columns | more
        )
        base = tmp_path / "pages" / address.edition / mark[:2] / mark
        base.parent.mkdir(parents=True, exist_ok=True)
        if kept:
            base.with_suffix(".png").touch()
            base.with_suffix(".json").touch()
        return mark

    return open_page


def states() -> dict[int, str]:
    places = async_to_sync(places_of)(VOLUME)
    assert [place.number for place in places] == [str(number) for number in range(1, PAGES + 1)]
    return {int(place.number): place.state for place in places if place.state != "blank"}


@pytest.mark.django_db(transaction=True)
def test_a_sheet_shows_what_was_opened_and_is_kept_and_nothing_that_is_veiled_or_hidden(
    opened: Callable[..., str], tmp_path: Path
) -> None:
    opened(3)
    opened(4, flagged=True)
    opened(5, kept=False)  # it has made room for others
    opened(6, mark="")  # words that somebody keeps off the wall, and that nobody has opened yet
    by_mark, _ = opened(7), opened(8)
    assert states() == {3: "kept", 4: "veiled", 7: "kept", 8: "kept"}
    pages = (VOLUME.with_page(8), VOLUME.with_page(9))
    names = {hidden.name_of_key(by_mark, "pocket-1"), *map(hidden.name_of_address, pages)}
    hidden.hide(tmp_path, names)
    assert states() == {3: "kept", 4: "veiled", 7: "hidden", 8: "hidden", 9: "hidden"}
    hidden.show(tmp_path, names)
    hidden.hide(tmp_path, {hidden.name_of_key(by_mark), hidden.name_of_key(by_mark, "sd-1.5")})
    assert states()[7] == "hidden"
    assert states()[8] == "kept"


def test_a_number_is_one_of_the_volumes() -> None:
    assert [number_in(text) for text in ("1", " 007 ", str(PAGES))] == [1, 7, PAGES]
    for text in ("0", str(PAGES + 1), "", "1.5", "-1", "٣", "²", "9" * 5000):
        with pytest.raises(InputRefused, match="is no picture here"):
            number_in(text)
