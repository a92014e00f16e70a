"""gallery.pages.drawings.lettering: what is written of a name, and in which lines."""

import pytest
from PIL import Image, ImageDraw

from gallery.pages.drawings.lettering import font_of, lines_of, place_of, where_of, words_of
from worker.catalogue.address import Address

DRAW = ImageDraw.Draw(Image.new("RGB", (8, 8)))


@pytest.mark.parametrize("text", ["a dog", 500 * "W", " ".join(120 * ["dog"]), "", "a " + 90 * "m"])
def test_no_line_is_wider_than_its_room_and_only_a_cut_ends_in_three_dots(text: str) -> None:
    font = font_of(30)
    lines = lines_of(DRAW, text, font, 300, 3)
    assert 1 <= len(lines) <= 3
    assert all(DRAW.textlength(line, font) <= 300 for line in lines)
    whole = "".join(lines).replace(" ", "")
    assert whole.endswith("…") != (whole == text.replace(" ", ""))


def test_a_page_is_named_by_its_words_or_by_its_place() -> None:
    dog, mark = (
        Address("pocket-1", "prompt", "a dog", 7),
        Address("pocket-1", "mark", "numxaqqioe4lpfc6qxh46pi5yy", None),
    )
    fox = Address("pocket-1", "prompt", "雪の中の狐", 7)
    assert [words_of(each) or place_of(each) for each in (dog, mark, fox)] == ["a dog", mark.name, "Picture 7 of 410"]
    assert [where_of(each) for each in (dog, mark)] == ["pocket-1 · picture 7 of 410", "pocket-1"]
