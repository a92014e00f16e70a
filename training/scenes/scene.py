"""Composes scenes: which subjects stand where in which setting (NumPy, settings, sprites).

A `Scene` is the whole truth about a picture: captions, classifiers and the evaluation all read it.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Literal

import numpy as np

from training.errors import TrainingError
from training.scenes.backdrops.setting import COLOURS, GROUNDS, HEIGHT, SKIES, WALLS, WIDTH, Backdrop, Setting
from training.scenes.sprites import HUES, SpritePack, Subject

Side = Literal["left", "centre", "right"]
Relation = Literal["left of", "right of", "above", "below", "and"]
SIDES: tuple[Side, ...] = ("left", "centre", "right")
CROP = 192  # pixels: a crop is 24 × 24 latents
OFTENER = 3  # times as often as the others: subjects that a stage shows oftener
SIDED = 0.55  # of the pages of one thing that say on which side it stands
MIRRORED = 0.125  # at a half, most animals of a half-trained net had a head at either end


@dataclass(frozen=True)
class Group:
    """Some of one subject: how many, in which named hue, how large, on which side, near or far (None: unsaid)."""

    subject: Subject
    count: int = 1
    hue: str | None = None
    size: Literal["big", "small"] | None = None
    side: Side | None = None
    depth: Literal["near", "far"] | None = None


@dataclass(frozen=True)
class Item:
    """One sprite on the page: centre column, base row and height in pixels."""

    subject: Subject
    hue: str | None
    x: float
    base: float
    height: float
    mirrored: bool
    angle: float
    grounded: bool


@dataclass(frozen=True)
class Scene:
    """A setting, its groups, how the first group stands to the second, and the sprites that follow from it."""

    setting: Setting
    groups: tuple[Group, ...]
    relation: Relation | None
    items: tuple[Item, ...]


def held_out(subject: Subject, setting: Setting) -> bool:
    """Whether (subject, ground) is one of the 8 % of combinations that no training scene shows."""
    place = "space" if setting.sky == "space" else setting.ground
    return zlib.crc32(f"{subject.name}/{place}".encode()) % 12 == 0


def draw_setting(rng: np.random.Generator) -> Setting:
    """A setting at random: daylight is more common, a quarter of the pages show a room or a plain colour."""
    if rng.random() < 0.07:
        return Setting("space", "space")
    ground = str(rng.choice(GROUNDS, p=[0.14, 0.09, 0.10, 0.09, 0.10, 0.09, 0.09, 0.08, 0.08, 0.07, 0.07]))
    if ground == "room":
        return Setting("day", ground, str(rng.choice(WALLS)))
    if ground == "plain":
        return Setting("day", ground, str(rng.choice(list(COLOURS))))
    sky = str(rng.choice(SKIES[:6], p=[0.36, 0.1, 0.17, 0.19, 0.09, 0.09]))
    chance = rng.random()
    extra: str | None = None
    if sky == "night" and chance < 0.55:
        extra = "moon"
    elif sky == "day" and chance < 0.45:
        extra = "sun"
    elif sky in ("day", "overcast") and chance > 0.93 and ground != "city":
        extra = "rainbow"
    elif sky in ("storm", "overcast") and chance < 0.4:
        extra = "snowfall" if ground == "snow" else "rain"
    elif ground == "snow" and chance > 0.7 and sky != "storm":
        extra = "snowfall"
    return Setting(sky, ground, None, extra)


class Director:
    """Draws scenes at random from one generator; the same seed gives the same scenes.

    It shows no combination that is held out, or with `unseen` only such ones, or with None any. The subjects named in
    `oftener` are shown OFTENER times as often as the others; TrainingError where one is unknown.
    """

    def __init__(
        self,
        pack: SpritePack,
        seed: int,
        everything: bool = False,
        unseen: bool | None = False,
        oftener: tuple[str, ...] = (),
    ) -> None:
        self.pack = pack
        self.rng = np.random.default_rng(seed)
        self.subjects = pack.subjects(everything)
        self.unseen = unseen
        if unknown := set(oftener) - {s.name for s in self.subjects}:
            raise TrainingError(
                f"There is no subject {min(unknown)!r} to be shown oftener.",
                "training/scenes/subjects.toml lists them.",
            )
        self._tickets = self.subjects + [s for s in self.subjects if s.name in oftener] * (OFTENER - 1)

    def scene(self, backdrop: Backdrop, setting: Setting) -> Scene:
        """A whole page: no subject, one, several of one kind, two that stand in a relation, or three."""
        kind = self.rng.choice(5, p=[0.03, 0.50, 0.18, 0.23, 0.06])
        if kind == 0:
            return Scene(setting, (), None, ())
        if kind == 1:
            group = self._group(setting)
            return Scene(setting, (group,), None, tuple(self._place_one(group, setting, backdrop)))
        if kind == 2:
            group = Group(self._subject(setting), int(self.rng.choice([2, 3, 4, 5], p=[0.45, 0.32, 0.13, 0.1])))
            return Scene(setting, (group,), None, tuple(self._place_row([group], setting, backdrop)))
        number = 2 if kind == 3 else 3
        groups = tuple(Group(s, 1, self._hue(s, 0.35)) for s in self._subjects(setting, number))
        if number == 3 or self.rng.random() < 0.25:
            return Scene(setting, groups, "and", tuple(self._place_row(list(groups), setting, backdrop)))
        relations: tuple[Relation, ...] = ("left of", "right of", "above", "below")
        relation = relations[int(self.rng.choice(4, p=[0.35, 0.35, 0.2, 0.1]))]
        return self.related(groups, setting, backdrop, relation)

    def related(self, groups: tuple[Group, ...], setting: Setting, backdrop: Backdrop, relation: Relation) -> Scene:
        """Two subjects of which the first stands left of, right of, above or below the second."""
        if relation in ("left of", "right of"):
            order = list(groups) if relation == "left of" else list(groups)[::-1]
            return Scene(setting, groups, relation, tuple(self._place_row(order, setting, backdrop)))
        upper, lower = groups if relation == "above" else groups[::-1]
        x = float(self.rng.uniform(0.28, 0.72)) * WIDTH
        high = self._height(upper.subject, 90, 130)
        low = self._height(lower.subject, 100, 150)
        base = HEIGHT - self.rng.uniform(14, 40)
        top = self._item(
            upper, x + self.rng.normal(0, 22), base - low - self.rng.uniform(14, 46), high, setting, grounded=False
        )
        bottom = self._item(lower, x, base, low, setting, grounded=True)
        return Scene(setting, groups, relation, (bottom, top))

    def single(self, subject: Subject, setting: Setting, backdrop: Backdrop, hue: str | None = None) -> Scene:
        """One given subject with nothing said of its size or side."""
        group = Group(subject, 1, hue)
        return Scene(setting, (group,), None, tuple(self._place_one(group, setting, backdrop)))

    def crop(self, backdrop: Backdrop, setting: Setting) -> tuple[Scene, tuple[int, int]]:
        """A scene of one subject at most 184 pixels large, and the corner (x, y) of a crop that holds it whole."""
        subject = self._subject(setting)
        group = Group(subject, 1, self._hue(subject, 0.35))
        height = self._height(subject, 100, 170)
        width = self._width(subject, height)
        if width > 184:
            height *= 184 / width
            width = 184.0
        height = min(height, 184.0)
        x = float(self.rng.uniform(width / 2 + 4, WIDTH - width / 2 - 4))
        base = self._base(subject, setting, backdrop, height)
        item = self._item(group, x, base, height, setting)
        first, last = x + width / 2 + 4 - CROP, x - width / 2 - 4
        left = int(np.clip(self.rng.uniform(min(first, last), max(first, last)), 0, WIDTH - CROP))
        low, high = base + 6 - CROP, base - height - 4
        top = int(np.clip(self.rng.uniform(min(low, high), max(low, high)), 0, HEIGHT - CROP))
        return Scene(setting, (group,), None, (item,)), (left, top)

    # -- choosing --------------------------------------------------------------------------------------------------

    def _subject(self, setting: Setting) -> Subject:
        while True:
            subject = self._tickets[int(self.rng.integers(len(self._tickets)))]
            if self.unseen is None or held_out(subject, setting) == self.unseen:
                return subject

    def _subjects(self, setting: Setting, number: int) -> list[Subject]:
        chosen: list[Subject] = []
        while len(chosen) < number:
            subject = self._subject(setting)
            if subject not in chosen:
                chosen.append(subject)
        return chosen

    def _hue(self, subject: Subject, chance: float) -> str | None:
        return str(self.rng.choice(list(HUES))) if subject.hues and self.rng.random() < chance else None

    def _group(self, setting: Setting) -> Group:
        """One subject with at most one word on its size or depth and one on its side."""
        subject = self._subject(setting)
        size, depth, side = None, None, None
        chance = self.rng.random()
        if chance < 0.1:
            size = "big"
        elif chance < 0.2:
            size = "small"
        elif chance < 0.27 and setting.ground not in ("plain", "space"):
            depth = "near" if self.rng.random() < 0.5 else "far"
        if self.rng.random() < SIDED:
            side = SIDES[int(self.rng.integers(3))]
        return Group(subject, 1, self._hue(subject, 0.4), size, side, depth)  # type: ignore[arg-type]

    # -- placing ---------------------------------------------------------------------------------------------------

    def _height(self, subject: Subject, low: float, high: float) -> float:
        return float(self.rng.uniform(low, high)) * (0.35 + 0.65 * subject.size)

    def _width(self, subject: Subject, height: float) -> float:
        picture = self.pack.image(subject.sprite)
        return height * picture.width / picture.height

    def _base(self, subject: Subject, setting: Setting, backdrop: Backdrop, height: float) -> float:
        """The row of a subject's feet: on the ground, lower where it is larger; up in the air for what flies."""
        if setting.ground == "space":
            return float(self.rng.uniform(height + 12, HEIGHT - 12))
        if subject.place == "air":
            low = min(HEIGHT - 30.0, max(height + 14, backdrop.horizon + 20))
            return float(self.rng.uniform(height + 10, max(height + 12, low)))
        front = HEIGHT - 14.0
        nearness = np.clip((height - 60) / 170, 0, 1) * 0.5 + self.rng.uniform(0.12, 0.5)
        base = backdrop.horizon + 18 + (front - backdrop.horizon - 18) * min(1.0, float(nearness))
        return float(np.clip(base, height + 6, front))

    def _item(
        self, group: Group, x: float, base: float, height: float, setting: Setting, grounded: bool | None = None
    ) -> Item:
        free = setting.ground == "space"
        stands = (group.subject.place != "air") if grounded is None else grounded
        angle = float(self.rng.uniform(-14, 14) if free or not stands else self.rng.uniform(-4, 4))
        return Item(
            group.subject,
            group.hue,
            float(x),
            float(base),
            height,
            bool(self.rng.random() < MIRRORED),
            angle,
            stands and not free,
        )

    def _place_one(self, group: Group, setting: Setting, backdrop: Backdrop) -> list[Item]:
        ranges = {"big": (220, 290), "small": (62, 92), None: (120, 205)}
        low, high = ranges[group.size]
        if group.depth == "near":
            low, high = 215, 280
        elif group.depth == "far":
            low, high = 58, 84
        height = min(self._height(group.subject, low, high), HEIGHT - 40.0)
        width = self._width(group.subject, height)
        if width > 340:
            height, width = height * 340 / width, 340.0
        spans = {"left": (0.16, 0.26), "centre": (0.46, 0.54), "right": (0.74, 0.84), None: (0.34, 0.66)}
        a, b = spans[group.side]
        x = float(np.clip(self.rng.uniform(a, b) * WIDTH, width / 2 + 6, WIDTH - width / 2 - 6))
        base = self._base(group.subject, setting, backdrop, height)
        if group.depth == "far" and group.subject.place != "air" and setting.ground != "room":
            base = float(np.clip(backdrop.horizon + self.rng.uniform(16, 34), height + 6, HEIGHT - 14))
        return [self._item(group, x, base, height, setting)]

    def _place_row(self, groups: list[Group], setting: Setting, backdrop: Backdrop) -> list[Item]:
        """All of the groups side by side from left to right, with feet at about one height."""
        members = [g for g in groups for _ in range(g.count)]
        room = (WIDTH - 30) / len(members)
        common = float(self.rng.uniform(115, 190) * (1.0 if len(members) < 4 else 0.82))
        heights, widths = [], []
        for member in members:
            height = common * float(self.rng.uniform(0.9, 1.1)) * (0.35 + 0.65 * member.subject.size)
            width = self._width(member.subject, height)
            limit = room * 0.98
            if width > limit:
                height, width = height * limit / width, limit
            heights.append(height)
            widths.append(width)
        gap = (WIDTH - 30 - sum(widths)) / len(members)
        spread = float(self.rng.uniform(0.25, 0.95))
        total = sum(widths) + gap * spread * (len(members) - 1)
        x = 15 + (WIDTH - 30 - total) * float(self.rng.uniform(0.35, 0.65))
        same = self._base(members[0].subject, setting, backdrop, max(heights))
        items = []
        for member, height, width in zip(members, heights, widths, strict=True):
            base = same if member.subject.place != "air" else self._base(member.subject, setting, backdrop, height)
            base = float(np.clip(base + self.rng.uniform(-14, 14), height + 6, HEIGHT - 10))
            items.append(self._item(member, x + width / 2, base, height, setting))
            x += width + gap * spread
        return items
