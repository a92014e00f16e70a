"""What several tests of the scenes share: the sprites, a bare page, and many scenes."""

from collections.abc import Callable

import numpy as np
import pytest

from training.scenes.backdrops.setting import Backdrop
from training.scenes.scene import Director, Scene, draw_setting
from training.scenes.sprites import SpritePack, open_pack


@pytest.fixture(scope="module")
def pack() -> SpritePack:
    return open_pack()


@pytest.fixture(scope="module")
def page() -> Backdrop:
    return Backdrop(np.zeros((1, 1, 3), np.float32), 230.0, np.ones(3, np.float32))


@pytest.fixture
def scenes(pack: SpritePack, page: Backdrop) -> Callable[[int], list[Scene]]:
    """Draws so many scenes from one seed."""

    def draw(number: int) -> list[Scene]:
        director = Director(pack, 0)
        return [director.scene(page, draw_setting(director.rng)) for _ in range(number)]

    return draw
