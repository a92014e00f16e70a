"""Scenes are composed from a seed alone."""

from collections import Counter

import numpy as np
import pytest

from training.errors import TrainingError
from training.presets import PRESETS
from training.scenes.backdrops.setting import COLOURS, GROUNDS, SKIES, Setting
from training.scenes.scene import OFTENER, Director, draw_setting, held_out
from training.scenes.sprites import read_subjects


def test_no_scene_shows_a_held_out_combination(scenes):
    for scene in scenes(2000):
        assert not any(held_out(group.subject, scene.setting) for group in scene.groups)


def test_held_out_combinations_are_a_twelfth_and_can_be_drawn_on_purpose(pack, page):
    pairs = [(s, g) for s in read_subjects() for g in GROUNDS]
    share = sum(held_out(s, Setting("day", g)) for s, g in pairs) / len(pairs)
    assert 0.06 < share < 0.11
    director = Director(pack, 0, unseen=True)
    for _ in range(50):
        scene = director.scene(page, draw_setting(director.rng))
        assert all(held_out(group.subject, scene.setting) for group in scene.groups)


def test_a_stage_can_show_some_subjects_oftener_than_the_others(pack, page):
    director, shown = Director(pack, 0, oftener=("dog", "key")), Counter()
    for _ in range(4000):
        shown.update(group.subject.name for group in director.scene(page, draw_setting(director.rng)).groups)
    mean = (shown.total() - shown["dog"] - shown["key"]) / (len(director.subjects) - 2)
    for name in ("dog", "key"):
        assert 0.75 * OFTENER < shown[name] / mean < 1.25 * OFTENER


def test_what_is_to_be_shown_oftener_must_be_a_subject(pack):
    with pytest.raises(TrainingError, match="no subject 'unicycle'"):
        Director(pack, 0, oftener=("dog", "unicycle"))
    for preset in PRESETS.values():
        for plan in preset.unet:
            Director(pack, 0, preset.everything, oftener=plan.oftener)


def test_every_item_lies_on_the_page(scenes):
    for scene in scenes(2000):
        for item in scene.items:
            assert 0 <= item.x <= 640 and item.base <= 416 and item.base - item.height >= -1


def test_what_stands_left_of_another_is_drawn_left_of_it(scenes):
    seen = 0
    for scene in scenes(1500):
        if scene.relation in ("left of", "right of"):
            x = [next(i.x for i in scene.items if i.subject == g.subject) for g in scene.groups]
            assert (x[0] < x[1]) == (scene.relation == "left of")
            seen += 1
    assert seen > 100


def test_settings_are_drawn_from_what_is_painted():
    rng = np.random.default_rng(0)
    for _ in range(500):
        setting = draw_setting(rng)
        assert setting.sky in SKIES and setting.ground in (*GROUNDS, "space")
        assert (setting.colour in COLOURS) == (setting.ground in ("room", "plain"))
