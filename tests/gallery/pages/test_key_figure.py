"""gallery.pages.key_figure: what a key is made of, as it is shown in About."""

import base64
import io

import numpy as np
import pytest
from asgiref.sync import async_to_sync
from PIL import Image

from babelia.services import store
from gallery.pages.key_figure import address_of_figure, heat_map, key_figure
from tests.conftest import RunningPress
from worker.catalogue.address import Address
from worker.catalogue.expansion import stacks_key
from worker.catalogue.key import BITS, EMBEDDING_SHAPE
from worker.errors import AddressRefused, PageHidden
from worker.store import hidden

pytestmark = pytest.mark.django_db(transaction=True)  # it is asked what is hidden


def picture(url: str) -> Image.Image:
    head, _, data = url.partition(",")
    assert head == "data:image/webp;base64"
    return Image.open(io.BytesIO(base64.b64decode(data)))


def test_the_key_of_a_page_of_the_stacks_is_shown_whole(press_settings: RunningPress) -> None:
    figure = async_to_sync(key_figure)(Address("tiny", "stacks", "borges", 1))
    key = stacks_key("borges", 1)
    assert (figure.steps, figure.mark, figure.beginning) == (key.steps, key.mark, key.format()[:60])
    assert figure.embedding is not None
    assert (picture(figure.embedding).size, picture(figure.latents).size) == ((96, 77), (80, 52))
    assert (figure.page, figure.kept, figure.thumbnail) == ("/tiny/stacks/borges/1/", False, None)


def test_before_its_key_is_known_a_prompt_has_its_steps_and_its_noise(press_settings: RunningPress) -> None:
    figure = async_to_sync(key_figure)(Address("tiny", "prompt", "words that nobody has tried", 1))
    assert (figure.steps, figure.embedding, figure.mark, figure.beginning) == (4, None, None, None)
    assert picture(figure.latents).size == (80, 52)


def test_the_parts_are_to_scale(press_settings: RunningPress) -> None:
    figure = async_to_sync(key_figure)(Address("tiny", "stacks", "borges", 1))
    assert figure.shares == {"told": "780.40", "noise": "219.60"}
    assert pytest.approx(780.40, abs=0.01) == 1000 * 59_134 * 15 / BITS


def test_a_hidden_page_has_no_figure(press_settings: RunningPress) -> None:
    address = Address("tiny", "stacks", "hidden-figure", 1)
    hidden.hide(store().data, {hidden.name_of_key(stacks_key("hidden-figure", 1).mark, None)})
    with pytest.raises(PageHidden):
        async_to_sync(key_figure)(address)


def test_words_come_before_the_stacks_and_what_names_nothing_is_refused() -> None:
    assert address_of_figure("tiny", " A  Dog ", "x") == Address("tiny", "prompt", "a dog", 1)
    assert address_of_figure("tiny", " ", "borges") == Address("tiny", "stacks", "borges", 1)
    assert address_of_figure("tiny", "", "") is None
    for words, stacks in (("a\0b", ""), ("", "a b"), ("x" * 501, "")):
        with pytest.raises(AddressRefused):
            address_of_figure("tiny", words, stacks)


def test_the_heat_map_is_red_above_nothing_blue_below_and_white_there() -> None:
    values = np.zeros(EMBEDDING_SHAPE, np.float16)
    values[:, :256], values[:, 256:512] = 2.0, -2.0
    colours = heat_map(values)
    assert colours.shape == (77, 96, 3)
    assert [tuple(colours[5, column]) for column in (0, 40, 90)] == [(178, 24, 43), (33, 102, 172), (247, 247, 247)]
