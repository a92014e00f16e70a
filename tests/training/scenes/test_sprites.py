"""The pack of sprites, and the subjects that it is to show."""

import numpy as np
import pytest

from training.errors import TrainingError
from training.scenes.sprites import HUES, open_pack, plural_of, read_subjects, turn_hue


def test_every_subject_has_a_sprite_of_its_own(pack):
    subjects = read_subjects()
    assert len({s.sprite for s in subjects}) == len({s.name for s in subjects}) == len(subjects) >= 120
    for subject in subjects:
        assert pack.image(subject.sprite).getchannel("A").getextrema()[1] == 255
    words = [word for s in subjects for word in s.words]
    assert len(words) == len(set(words)), "a word names one subject"


def test_the_pack_carries_the_licences_of_what_it_holds(pack):
    assert b"MIT License" in pack.archive.read("LICENSE.emojibase-data.txt")
    assert b"MIT" in pack.archive.read("README.fluent-emoji-3d.md")


def test_all_pictures_of_the_pack_can_be_subjects(pack):
    everything = pack.subjects(everything=True)
    assert len(everything) > 600
    assert everything[: len(read_subjects())] == read_subjects(), "the numbers of the curated ones stay"
    assert len({s.name for s in everything}) == len(everything)


def test_a_named_hue_is_the_hue_of_the_picture(pack):
    car = next(s for s in read_subjects() if s.name == "car")
    for hue, angle in HUES.items():
        hsv = np.asarray(turn_hue(pack.image(car.sprite), angle).convert("RGB").convert("HSV")).astype(float) / 255
        weight = hsv[..., 1] * hsv[..., 2] * (np.asarray(pack.image(car.sprite))[..., 3] > 128)
        near = np.abs((hsv[..., 0] - angle + 0.5) % 1 - 0.5) < 0.07
        assert (weight * near).sum() / weight.sum() > 0.35, hue


@pytest.mark.parametrize(
    ("noun", "plural"), [("car", "cars"), ("fox", "foxes"), ("butterfly", "butterflies"), ("key", "keys")]
)
def test_a_noun_has_its_regular_plural(noun, plural):
    assert plural_of(noun) == plural


def test_a_missing_sprite_pack_is_said_in_one_sentence(tmp_path):
    with pytest.raises(TrainingError, match="There is no sprite pack at"):
        open_pack(tmp_path / "none.zip")
    (tmp_path / "broken.zip").write_bytes(b"not a zip")
    with pytest.raises(TrainingError, match="is broken"):
        open_pack(tmp_path / "broken.zip")
