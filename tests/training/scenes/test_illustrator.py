"""Training examples show what they say."""

import numpy as np
import pytest

from training.plans import Kind
from training.scenes.illustrator import SHAPES, Illustrator
from training.scenes.sprites import open_pack


@pytest.mark.parametrize("kind", ["crops", "several", "pages"])
def test_an_example_shows_its_subjects_where_it_says(kind: Kind):
    illustrator, height, width = Illustrator(kind, open_pack(), 5), *(8 * side for side in SHAPES[kind])
    for number in range(12):
        example = illustrator.draw(number)
        assert example.pixels.shape == (height, width, 3) and example.subjects.shape == (height, width)
        assert example.subjects.any() == bool(example.scene.items)
        assert example.subjects.mean() < 0.9, "the setting is not one of them"
        if kind == "pages":
            for item in example.scene.items:
                body = slice(int(item.base - item.height), int(item.base))
                part = example.subjects[body, int(item.x - item.height / 2) : int(item.x + item.height / 2)]
                assert part.any(), item.subject.name
    first, again = illustrator.draw(3), Illustrator(kind, open_pack(), 5).draw(3)
    assert np.array_equal(first.pixels, again.pixels) and first.text == again.text
