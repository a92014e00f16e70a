"""What is drawn, and the cells that say what lies where."""

from dataclasses import replace

import numpy as np
import pytest

from training.scenes.backdrops.painting import paint
from training.scenes.backdrops.setting import Backdrop, Setting
from training.scenes.drawing import CELL, draw_page, render, render_cells
from training.scenes.illustrator import Illustrator
from training.scenes.scene import Director, Group, Item, Scene
from training.scenes.sprites import SpritePack, open_pack


@pytest.fixture(scope="module")
def pack() -> SpritePack:
    return open_pack()


def one(pack: SpritePack, **changes: object) -> Scene:
    """A scene of one car of 200 pixels in the air, so that it has no shadow."""
    subject = next(s for s in pack.subjects() if s.name == "car")
    item = Item(subject, None, 320.0, 300.0, 200.0, False, 0.0, False)
    return Scene(Setting("day", "plain", "white"), (Group(subject),), None, (replace(item, **changes),))


@pytest.fixture
def white() -> Backdrop:
    return Backdrop(np.full((416, 640, 3), 255, np.float32), 250.0, np.ones(3, np.float32))


def test_cells_name_the_thing_where_it_was_drawn_and_nothing_elsewhere(pack, white):
    scene = one(pack)
    pixels, cells = render_cells(scene, white, pack)
    drawn = (pixels != 255).any(2)[CELL // 2 :: CELL, CELL // 2 :: CELL]
    assert set(np.unique(cells.things)) == {0, scene.items[0].subject.number + 1}
    assert (drawn == (cells.things > 0)).mean() > 0.99, "but for half-transparent edges"
    assert np.array_equal(pixels, render(scene, white, pack))


def test_places_run_from_one_edge_of_the_sprite_to_the_other(pack, white):
    _, cells = render_cells(one(pack), white, pack)
    there = cells.things > 0
    rows, columns = np.nonzero(there)
    across, down = cells.places[0][there].astype(float), cells.places[1][there].astype(float)
    assert np.corrcoef(columns, across)[0, 1] > 0.999 and np.corrcoef(rows, down)[0, 1] > 0.999
    assert across.min() < 25 and across.max() > 230


def test_a_mirrored_sprite_keeps_the_places_of_its_parts(pack, white):
    _, plain = render_cells(one(pack), white, pack)
    _, mirrored = render_cells(one(pack, mirrored=True), white, pack)
    there = (plain.things > 0) & (mirrored.things > 0)
    total = plain.places[0][there].astype(int) + mirrored.places[0][there]
    assert np.abs(total - 255).max() <= 2
    assert np.array_equal(plain.places[1][there], mirrored.places[1][there])


@pytest.mark.parametrize("angle", [-14.0, 12.0])
def test_a_tilted_sprite_keeps_the_places_of_its_parts(pack, white, angle):
    upright = render(one(pack), white, pack)
    pixels, cells = render_cells(one(pack, angle=angle), white, pack)
    rows, columns = np.nonzero(cells.things)
    picture = pack.image(one(pack).items[0].subject.sprite)
    width, height = round(200 * picture.width / picture.height), 200
    x = (320 - width / 2 + cells.places[0][rows, columns] / 255 * width).clip(0, 639).astype(int)
    y = (100 + cells.places[1][rows, columns] / 255 * height).clip(0, 415).astype(int)
    here = pixels[rows * CELL + CELL // 2, columns * CELL + CELL // 2].astype(int)
    there = upright[y, x].astype(int)
    assert np.median(np.abs(here - there).mean(1)) < 6, "the same colours at the same places of the picture"


def test_a_window_has_the_cells_of_its_part_of_the_page(pack, white):
    _, page = render_cells(one(pack), white, pack)
    _, part = render_cells(one(pack), white, pack, (240, 120, 192, 192))
    assert np.array_equal(part.things, page.things[15:39, 30:54])
    assert np.array_equal(part.places, page.places[:, 15:39, 30:54])


def test_a_sprite_at_the_edge_is_cut_there(pack, white):
    _, cells = render_cells(one(pack, x=10.0, base=410.0), white, pack)
    assert cells.things[48:].any() and cells.things[:, 0].any() and not cells.things[:, 40:].any()


@pytest.mark.parametrize("kind", ["crops", "pages"])
def test_every_example_knows_its_cells_within_where_its_subjects_are(pack, kind):
    artist = Illustrator(kind, pack, 3)
    for number in range(12):
        example = artist.draw(number)
        assert example.cells is not None
        middles = example.subjects[CELL // 2 :: CELL, CELL // 2 :: CELL]
        inside = example.cells.things > 0
        assert (middles | ~inside).mean() > 0.99
        assert set(np.unique(example.cells.things)) - {0} <= {i.subject.number + 1 for i in example.scene.items}


def test_the_same_seed_draws_the_same_page(pack):
    first, second, other = (
        draw_page(Director(pack, 5))[1],
        draw_page(Director(pack, 5))[1],
        draw_page(Director(pack, 6))[1],
    )
    assert first.shape == (416, 640, 3)
    assert np.array_equal(first, second)
    assert not np.array_equal(first, other)


def test_a_window_of_a_page_is_that_part_of_the_page(pack):
    director = Director(pack, 8)
    setting = Setting("day", "meadow")
    backdrop = paint(setting, director.rng)
    scene = director.scene(backdrop, setting)
    whole, part = render(scene, backdrop, pack), render(scene, backdrop, pack, (200, 100, 192, 192))
    assert np.abs(whole[100:292, 200:392].astype(int) - part.astype(int)).mean() < 0.5, (
        "only rounding of corners differs"
    )
