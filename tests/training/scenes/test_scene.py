"""The picture-book world: scenes are drawn from a seed alone, and captions say what is there."""

from collections import Counter

import numpy as np
import pytest

from training.errors import TrainingError
from training.presets import PRESETS
from training.scenes.backdrops.painting import paint
from training.scenes.backdrops.setting import COLOURS, GROUNDS, SKIES, Backdrop, Setting
from training.scenes.caption_source import CaptionSource, noise_words
from training.scenes.captions import NUMBERS, SIDES, Writer
from training.scenes.drawing import draw_page, render
from training.scenes.scene import OFTENER, Director, Scene, draw_setting, held_out
from training.scenes.sprites import HUES, SpritePack, open_pack, plural_of, read_subjects, turn_hue
from training.trainers.text_encoder import fact_sizes, facts_of


@pytest.fixture(scope="module")
def pack() -> SpritePack:
    return open_pack()


@pytest.fixture(scope="module")
def page() -> Backdrop:
    return Backdrop(np.zeros((1, 1, 3), np.float32), 230.0, np.ones(3, np.float32))


def scenes(pack: SpritePack, page: Backdrop, number: int, seed: int = 0) -> list[Scene]:
    director = Director(pack, seed)
    return [director.scene(page, draw_setting(director.rng)) for _ in range(number)]


def test_the_same_seed_draws_the_same_page(pack):
    first, second, other = (
        draw_page(Director(pack, 5))[1],
        draw_page(Director(pack, 5))[1],
        draw_page(Director(pack, 6))[1],
    )
    assert first.shape == (416, 640, 3)
    assert np.array_equal(first, second)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("ground", GROUNDS)
def test_every_setting_is_painted_with_some_variety_and_without_noise(ground):
    colour = "green" if ground in ("room", "plain") else None
    for sky in ("day", "night") if colour is None else ("day",):
        image = paint(Setting(sky, ground, colour), np.random.default_rng(1)).image
        assert image.min() >= 0 and image.max() <= 255
        step = np.abs(np.diff(image, axis=1)).mean()
        assert 0.01 < step < 6, "smooth, yet not flat"


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


def test_no_scene_shows_a_held_out_combination(pack, page):
    for scene in scenes(pack, page, 2000):
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


def test_every_item_lies_on_the_page(pack, page):
    for scene in scenes(pack, page, 2000):
        for item in scene.items:
            assert 0 <= item.x <= 640 and item.base <= 416 and item.base - item.height >= -1


def test_what_stands_left_of_another_is_drawn_left_of_it(pack, page):
    seen = 0
    for scene in scenes(pack, page, 1500):
        if scene.relation in ("left of", "right of"):
            x = [next(i.x for i in scene.items if i.subject == g.subject) for g in scene.groups]
            assert (x[0] < x[1]) == (scene.relation == "left of")
            seen += 1
    assert seen > 100


def test_a_caption_names_each_subject_and_its_count(pack, page):
    writer = Writer(np.random.default_rng(2))
    for scene in scenes(pack, page, 1500):
        text = writer.write(scene).text.lower()
        assert text == " ".join(text.split()) and "{" not in text and "none" not in text
        for group in scene.groups:
            names = [group.subject.plural] if group.count > 1 else group.subject.words
            assert any(name in text for name in names)
            if group.count > 1:
                assert any(number in text for number in NUMBERS[group.count])


def test_a_caption_says_a_side_only_where_the_subject_stands_there(pack, page):
    writer = Writer(np.random.default_rng(3))
    for scene in scenes(pack, page, 1500):
        if len(scene.groups) != 1 or scene.groups[0].count > 1 or scene.groups[0].side is None:
            continue
        text = writer.write(scene).text
        assert any(words in text for words in SIDES[scene.groups[0].side])
        x = scene.items[0].x / 640
        assert {"left": x < 0.45, "centre": 0.4 < x < 0.6, "right": x > 0.55}[scene.groups[0].side]


def test_a_plain_caption_says_nothing_of_sides_sizes_and_distance(pack, page):
    writer = Writer(np.random.default_rng(4))
    unsaid = ("left side", "right side", "in the middle", "huge", "tiny", "in the distance", "in the foreground")
    for scene in scenes(pack, page, 800):
        if len(scene.groups) == 1:
            assert not any(words in writer.write(scene, plain=True).text for words in unsaid)


def test_facts_are_answers_that_the_questions_have(pack):
    source = CaptionSource(pack, 9)
    sizes = fact_sizes(len(read_subjects()))
    for _ in range(500):
        facts = facts_of(*source.draw())
        assert facts.keys() == sizes.keys()
        assert all(0 <= value < sizes[name] for name, value in facts.items())


def test_unknown_words_are_none_that_a_caption_uses(pack):
    words = noise_words(pack)
    assert len(words) > 1000
    assert not {"dog", "puppy", "dogs"} & set(words)


def test_settings_are_drawn_from_what_is_painted():
    rng = np.random.default_rng(0)
    for _ in range(500):
        setting = draw_setting(rng)
        assert setting.sky in SKIES and setting.ground in (*GROUNDS, "space")
        assert (setting.colour in COLOURS) == (setting.ground in ("room", "plain"))


def test_a_window_of_a_page_is_that_part_of_the_page(pack):
    director = Director(pack, 8)
    setting = Setting("day", "meadow")
    backdrop = paint(setting, director.rng)
    scene = director.scene(backdrop, setting)
    whole, part = render(scene, backdrop, pack), render(scene, backdrop, pack, (200, 100, 192, 192))
    assert np.abs(whole[100:292, 200:392].astype(int) - part.astype(int)).mean() < 0.5, (
        "only rounding of corners differs"
    )


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
