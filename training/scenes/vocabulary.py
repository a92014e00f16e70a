"""The words of the captions' grammar, and which of them name something (the standard library only)."""

from __future__ import annotations

import re
from collections.abc import Iterable

from training.scenes import captions
from training.scenes.backdrops.setting import COLOURS
from training.scenes.sprites import HUES, Subject

Target = tuple[str, str]
"""Kind and name of something that is drawn."""
SIGNS = (",", ".", "2", "3", "4", "5")
"""What captions have beside words."""
CAPTIONS_OWN = {
    "place meadow": "meadow field grass hill park", "place desert": "desert dunes", "place snow": "snow snowy winter",
    "place sea": "sea ocean water", "place beach": "beach shore", "place forest": "forest woods",
    "place mountains": "mountains mountain", "place city": "city town street skyscrapers", "place road": "road",
    "place room": "room indoors walls", "place space": "space galaxy", "sky day": "sunny daylight bright",
    "sky dawn": "dawn sunrise", "sky sunset": "sunset dusk evening sundown", "sky night": "night starry dark",
    "sky storm": "storm thunderstorm stormy", "sky overcast": "cloudy clouds", "weather rainbow": "rainbow",
    "weather rain": "rain rainy rains", "weather snowfall": "snows falling", "weather moon": "moon moonlight",
    "weather sun": "sun sunshine", "size big": "big large huge giant", "size small": "small little tiny",
    "count 2": "two", "count 3": "three", "count 4": "four", "count 5": "five",
}  # fmt: skip
"""What the captions' other words say, by target."""


def caption_phrases() -> list[str]:
    """The phrases of the grammar, beside the names of things."""
    tables = (captions.NUMBERS, captions.SIZES, captions.SIDES, captions.DEPTHS, captions.RELATIONS, captions.GROUNDS,
              captions.BARE_GROUNDS, captions.SKIES, captions.EXTRAS, captions.VERBS)  # fmt: skip
    return [*(phrase for table in tables for values in table.values() for phrase in values), *captions.OPENINGS]


def caption_words(subjects: Iterable[Subject]) -> dict[str, Target | None]:
    """Every word that the captions' grammar uses; for names of things, settings' nouns and colours what they name."""
    known: dict[str, Target | None] = {w: None for p in caption_phrases() for w in _words_of(p)}
    known |= dict.fromkeys(("to", "the", "on", "and", "with", "next", "beside", "there", "is", "are"))
    known |= {hue: ("colour", hue) for hue in HUES} | {c: None for c in COLOURS if c not in HUES}
    for target, words in CAPTIONS_OWN.items():
        kind, _, name = target.partition(" ")
        known |= dict.fromkeys(words.split(), (kind, name))
    for subject in subjects:
        known |= dict.fromkeys((*subject.words, subject.plural), ("thing", subject.name))
    return known


def _words_of(phrase: str) -> list[str]:
    return [w for w in re.findall(r"[a-z'-]+", phrase) if w != "colour"]


def caption_tokens(subjects: Iterable[Subject]) -> list[str]:
    """Every single word and sign that stands in captions, sorted."""
    return sorted({part for word in caption_words(subjects) for part in word.split()} | {*SIGNS})
