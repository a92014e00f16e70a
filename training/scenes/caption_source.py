"""Scenes with their captions, undrawn, and the words that mean nothing (NumPy; scenes, captions)."""

from __future__ import annotations

import numpy as np

from training.scenes.backdrops.setting import HEIGHT, Backdrop
from training.scenes.captions import Caption, Writer
from training.scenes.scene import Director, Scene, draw_setting
from training.scenes.sprites import SpritePack


def noise_words(pack: SpritePack, everything: bool = False) -> list[str]:
    """English words from the names of all emoji: what a visitor may type and no scene shows."""
    known = {word for s in pack.subjects(everything) for name in (*s.words, s.plural) for word in name.split()}
    words = {w.lower() for e in pack.names.values() for t in (e["label"], *e["tags"]) for w in str(t).split()}
    return sorted(w for w in words if w.isascii() and w.isalpha() and len(w) > 2 and w not in known)


class CaptionSource:
    """Scenes and their captions from one seed, without drawing them; now and then with words that mean nothing."""

    def __init__(self, pack: SpritePack, seed: int, everything: bool = False, oftener: tuple[str, ...] = ()) -> None:
        self.director = Director(pack, seed, everything, oftener=oftener)
        self.writer = Writer(self.director.rng)
        self.words = noise_words(pack, everything)
        self._page = Backdrop(np.zeros((1, 1, 3), np.float32), HEIGHT * 0.55, np.ones(3, np.float32))

    def draw(self) -> tuple[Scene, Caption]:
        """A scene's layout and a caption of it."""
        setting = draw_setting(self.director.rng)
        scene = self.director.scene(self._page, setting)
        return scene, self.disturb(self.writer.write(scene))

    def disturb(self, caption: Caption) -> Caption:
        """One caption in 50 becomes unknown words alone, one in 12 gets one of them before its last word but one."""
        rng = self.director.rng
        chance = rng.random()
        if chance < 0.02:
            text = " ".join(self.words[int(i)] for i in rng.integers(0, len(self.words), int(rng.integers(1, 4))))
            return Caption(text, False, False, False, False, False)
        if chance < 0.1:
            words = caption.text.split()
            words.insert(int(rng.integers(0, len(words) + 1)), self.words[int(rng.integers(len(self.words)))])
            return Caption(" ".join(words), *[getattr(caption, f) for f in _SAYS])
        return caption


_SAYS = ("says_ground", "says_colour", "says_sky", "says_extra", "says_groups")
