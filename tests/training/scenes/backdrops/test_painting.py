"""Settings are painted."""

import numpy as np
import pytest

from training.scenes.backdrops.painting import paint
from training.scenes.backdrops.setting import GROUNDS, Setting


@pytest.mark.parametrize("ground", GROUNDS)
def test_every_setting_is_painted_with_some_variety_and_without_noise(ground):
    colour = "green" if ground in ("room", "plain") else None
    for sky in ("day", "night") if colour is None else ("day",):
        image = paint(Setting(sky, ground, colour), np.random.default_rng(1)).image
        assert image.min() >= 0 and image.max() <= 255
        step = np.abs(np.diff(image, axis=1)).mean()
        assert 0.01 < step < 6, "smooth, yet not flat"
