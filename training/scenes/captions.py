"""Says in English what a scene shows: a grammar with many forms, from a bare "dog" to full sentences (NumPy only)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from training.scenes.backdrops.setting import Setting
from training.scenes.scene import Group, Scene

NUMBERS = {2: ("two", "2", "a pair of"), 3: ("three", "3"), 4: ("four", "4"), 5: ("five", "5")}
SIZES = {"big": ("big", "large", "huge", "giant"), "small": ("small", "little", "tiny")}
SIDES = {
    "left": ("on the left", "on the left side", "at the left", "to the left"),
    "centre": ("in the middle", "in the centre", "in the center"),
    "right": ("on the right", "on the right side", "at the right", "to the right"),
}
DEPTHS = {
    "near": ("in the foreground", "close up", "up close", "very near"),
    "far": ("in the distance", "far away", "in the background", "far off"),
}
RELATIONS = {
    "left of": ("left of", "to the left of", "on the left of"),
    "right of": ("right of", "to the right of", "on the right of"),
    "above": ("above", "over", "on top of"),
    "below": ("below", "under", "beneath"),
}
GROUNDS = {
    "meadow": (
        "on a meadow",
        "in a meadow",
        "in a green field",
        "on the grass",
        "in the grass",
        "on a green hill",
        "in a park",
    ),
    "desert": ("in the desert", "in a desert", "on sand dunes", "in the sandy desert"),
    "snow": ("in the snow", "on snow", "on a snowy field", "in a winter landscape", "in winter"),
    "sea": ("in the sea", "on the sea", "in the ocean", "on the water", "at sea"),
    "beach": ("on a beach", "on the beach", "at the beach", "by the sea", "on the sand by the sea", "on the shore"),
    "forest": ("in a forest", "in the forest", "in the woods", "at the edge of a forest"),
    "mountains": ("in the mountains", "in front of mountains", "before the mountains", "with mountains behind"),
    "city": ("in the city", "in a city", "in front of skyscrapers", "in town", "on a city street"),
    "road": ("on a road", "on the road", "beside a road", "on a country road"),
    "room": ("in a room", "in a {colour} room", "indoors", "at home", "in a room with {colour} walls"),
    "plain": ("on a {colour} background", "on plain {colour}", "against a {colour} background", "on {colour}"),
    "space": ("in space", "in outer space", "among the stars", "in the galaxy"),
}
BARE_GROUNDS = {
    "meadow": ("a meadow", "a green field", "a park"),
    "desert": ("a desert", "sand dunes"),
    "snow": ("a snowy field", "a winter landscape"),
    "sea": ("the sea", "the ocean"),
    "beach": ("a beach", "the beach"),
    "forest": ("a forest", "the woods"),
    "mountains": ("mountains", "a mountain landscape"),
    "city": ("a city", "a city street"),
    "road": ("a road", "a country road"),
    "room": ("a room", "a {colour} room", "an empty {colour} room"),
    "plain": ("a {colour} background", "plain {colour}"),
    "space": ("outer space", "space", "the galaxy"),
}
SKIES = {
    "day": ("by day", "on a sunny day", "under a blue sky", "in daylight", "on a bright day"),
    "dawn": ("at dawn", "at sunrise", "in the early morning", "under a pink sky"),
    "sunset": ("at sunset", "at dusk", "in the evening", "at sundown"),
    "night": ("at night", "by night", "under a starry sky", "in the dark"),
    "storm": ("in a storm", "in a thunderstorm", "under dark clouds", "in stormy weather"),
    "overcast": ("on a cloudy day", "under a grey sky", "on a grey day"),
}
EXTRAS = {
    "rainbow": ("with a rainbow", "under a rainbow"),
    "rain": ("in the rain", "on a rainy day", "while it rains"),
    "snowfall": ("in falling snow", "while it snows"),
    "moon": ("under the moon", "in the moonlight", "under a full moon"),
    "sun": ("in the sunshine", "under the sun"),
}
OPENINGS = (
    "a picture of",
    "a photo of",
    "a drawing of",
    "a painting of",
    "an illustration of",
    "an image of",
    "a scene with",
)
VERBS = {
    "ground": ("standing", "sitting", "waiting", "resting"),
    "air": ("flying", "hovering", "floating"),
    "water": ("swimming", "floating"),
}


def with_article(words: str) -> str:
    """ "a " or "an " and the words, by their sound: an umbrella, a unicorn."""
    return ("an " if words[0] in "aeiou" and not words.startswith(("uni", "ufo", "ewe")) else "a ") + words


@dataclass(frozen=True)
class Caption:
    """A caption, and which facts of its scene it says; what it leaves out stays open."""

    text: str
    says_ground: bool
    says_colour: bool
    says_sky: bool
    says_extra: bool
    says_groups: bool


class Writer:
    """Writes captions from one generator; the same seed gives the same captions."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng

    def write(self, scene: Scene, plain: bool = False) -> Caption:
        """A caption of the scene. `plain` says no side, size or depth (for crops, where they mean nothing)."""
        ground, colour = self._ground(scene.setting, bool(scene.groups))
        sky = self._sky(scene.setting)
        extra = self._pick(EXTRAS[scene.setting.extra]) if scene.setting.extra and self.rng.random() < 0.5 else ""
        if not scene.groups:
            where = ground or self._bare(scene.setting)
            colour = colour or (scene.setting.colour is not None and scene.setting.colour in where)
            words = [where, sky, extra]
            opening = self._pick(OPENINGS) if self.rng.random() < 0.2 else ""
            text = " ".join(w for w in (opening, *words) if w)
            return self._finish(text, True, colour, bool(sky), bool(extra), False)
        what = self._what(scene, plain)
        places = [p for p in (ground, sky, extra) if p]
        if len(places) > 1 and self.rng.random() < 0.2:
            places = [places[1], places[0], *places[2:]]
        where = " ".join(places)
        form = self.rng.random()
        if where and form < 0.12:
            text = f"{where}, {what}" if self.rng.random() < 0.6 else f"{where} there is {what}"
        elif form < 0.24:
            text = f"{self._pick(OPENINGS)} {what} {where}"
        elif where and form < 0.30:
            text = f"{what}, {', '.join(places)}"
        elif form < 0.34:
            text = f"there {'are' if scene.groups[0].count > 1 else 'is'} {what} {where}"
        else:
            text = f"{what} {where}"
        return self._finish(text, bool(ground), colour, bool(sky), bool(extra), True)

    # -- parts -----------------------------------------------------------------------------------------------------

    def _pick(self, choices: Sequence[str]) -> str:
        return choices[int(self.rng.integers(len(choices)))]

    def _finish(self, text: str, ground: bool, colour: bool, sky: bool, extra: bool, groups: bool) -> Caption:
        text = " ".join(text.split())
        chance = self.rng.random()
        if chance < 0.15:
            text = text[0].upper() + text[1:] + "."
        elif chance < 0.2:
            text += "."
        return Caption(text, ground, colour, sky, extra, groups)

    def _ground(self, setting: Setting, optional: bool) -> tuple[str, bool]:
        if optional and self.rng.random() < 0.14:
            return "", False
        text = self._pick((GROUNDS if optional else BARE_GROUNDS)[setting.ground])
        return text.format(colour=setting.colour), "{colour}" in text

    def _bare(self, setting: Setting) -> str:
        return self._pick(BARE_GROUNDS[setting.ground]).format(colour=setting.colour)

    def _sky(self, setting: Setting) -> str:
        if setting.ground in ("room", "plain", "space"):
            return ""
        said = 0.35 if setting.sky == "day" else 0.8
        return self._pick(SKIES[setting.sky]) if self.rng.random() < said else ""

    def _noun(self, group: Group, plain: bool) -> str:
        """Article or number, size, hue and noun."""
        subject = group.subject
        adjectives = []
        if group.size and not plain:
            adjectives.append(self._pick(SIZES[group.size]))
        if group.hue:
            adjectives.append(group.hue)
        if group.count > 1:
            return " ".join([self._pick(NUMBERS[group.count]), *adjectives, subject.plural])
        noun = self._pick(subject.also) if subject.also and self.rng.random() < 0.3 else subject.name
        words = " ".join([*adjectives, noun])
        chance = self.rng.random()
        if chance < 0.18:
            return words
        if chance < 0.26:
            return "the " + words
        return with_article(words)

    def _what(self, scene: Scene, plain: bool) -> str:
        groups = scene.groups
        nouns = [self._noun(g, plain) for g in groups]
        if len(groups) == 1:
            group, text = groups[0], nouns[0]
            if self.rng.random() < 0.12:
                text += " " + self._pick(VERBS[group.subject.place])
            if group.side and not plain:
                text += " " + self._pick(SIDES[group.side])
            if group.depth and not plain:
                text += " " + self._pick(DEPTHS[group.depth])
            return text
        if len(groups) == 3:
            return f"{nouns[0]}, {nouns[1]} and {nouns[2]}"
        relation = scene.relation or "and"
        if relation == "and":
            return self._pick(("{} and {}", "{} with {}", "{} next to {}", "{} beside {}")).format(*nouns)
        if relation in ("left of", "right of") and self.rng.random() < 0.35:
            first, second = ("left", "right") if relation == "left of" else ("right", "left")
            return f"{nouns[0]} on the {first} and {nouns[1]} on the {second}"
        return f"{nouns[0]} {self._pick(RELATIONS[relation])} {nouns[1]}"
