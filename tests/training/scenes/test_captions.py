"""Captions say what is there."""

import numpy as np

from training.scenes.captions import NUMBERS, SIDES, Writer


def test_a_caption_names_each_subject_and_its_count(scenes):
    writer = Writer(np.random.default_rng(2))
    for scene in scenes(1500):
        text = writer.write(scene).text.lower()
        assert text == " ".join(text.split()) and "{" not in text and "none" not in text
        for group in scene.groups:
            names = [group.subject.plural] if group.count > 1 else group.subject.words
            assert any(name in text for name in names)
            if group.count > 1:
                assert any(number in text for number in NUMBERS[group.count])


def test_a_caption_says_a_side_only_where_the_subject_stands_there(scenes):
    writer = Writer(np.random.default_rng(3))
    for scene in scenes(1500):
        if len(scene.groups) != 1 or scene.groups[0].count > 1 or scene.groups[0].side is None:
            continue
        text = writer.write(scene).text
        assert any(words in text for words in SIDES[scene.groups[0].side])
        x = scene.items[0].x / 640
        assert {"left": x < 0.45, "centre": 0.4 < x < 0.6, "right": x > 0.55}[scene.groups[0].side]


def test_a_plain_caption_says_nothing_of_sides_sizes_and_distance(scenes):
    writer = Writer(np.random.default_rng(4))
    unsaid = ("left side", "right side", "in the middle", "huge", "tiny", "in the distance", "in the foreground")
    for scene in scenes(800):
        if len(scene.groups) == 1:
            assert not any(words in writer.write(scene, plain=True).text for words in unsaid)
