"""The shipped edition pocket-1: small, whole, readable by diffusers, and it draws what it is told."""

import functools
import json
from itertools import takewhile

import numpy as np
import pytest
import torch

from tests import ROOT
from training.judging.evaluate import held_out_combinations, rendered_pages
from training.judging.judges import Examples, half, judge_pages, load_judges
from training.scenes.captions import with_article
from training.scenes.sprites import open_pack, read_subjects
from training.scenes.vocabulary import caption_phrases, caption_tokens, caption_words
from worker.catalogue.expansion import page_latents
from worker.catalogue.key import Key
from worker.editions.edition import DEFAULT_EDITION, load_edition
from worker.editions.repertoire import read_repertoire
from worker.editions.words import FILE, Words
from worker.engine.engine import Engine
from worker.finding.search import Wish, decibels_between, search

NAMED, NAMED_IN_GREY = 18, 15
"""Of the 20 pages of the probe, how many a judge must name in colour and in grey values alone.

Chance names 0.2; the weights after all stages have 19 and 17, in bfloat16 and in float32.
Raise it with the weights, never lower it.
"""
FOLDER = ROOT / "editions" / "pocket-1"


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    threads = torch.get_num_threads()
    yield Engine(load_edition("pocket-1", tmp_path_factory.mktemp("data")), device="cpu", threads=1)
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(False)


@pytest.fixture(scope="module")
def pixels_of(engine):
    """The pixels of page 1 of a prompt, printed once for all tests: several look at the same ones."""
    return functools.cache(lambda prompt: engine.print_page(key_of(engine, prompt)).pixels)


def key_of(engine: Engine, prompt: str, page: int = 1) -> Key:
    return Key.pack(engine.edition.default_steps, engine.embed(prompt), page_latents("prompt", prompt, page))


def test_it_is_the_default_edition_and_installed(tmp_path):
    edition = load_edition(DEFAULT_EDITION, tmp_path)
    assert edition.slug == "pocket-1" and edition.installed
    assert edition.prediction == "v_prediction"
    assert edition.scheduler_config["rescale_betas_zero_snr"] is True
    assert edition.scheduler_config["timestep_spacing"] == "trailing"


def test_its_weights_are_small_enough_to_ship():
    sizes = [file.stat().st_size for file in FOLDER.rglob("*") if file.is_file()]
    weights = [file.stat().st_size for file in FOLDER.rglob("*.safetensors")]
    assert max(sizes) < 15_000_000
    assert sum(weights) <= 26_000_000


def test_its_short_keys_have_ten_thousand_pairs_of_phrases_at_least(tmp_path):
    lexicon = load_edition("pocket-1", tmp_path).lexicon
    assert len(lexicon.subjects) * len(lexicon.settings) * len(lexicon.styles) >= 10_000


def test_its_lexicon_says_only_what_it_was_trained_on(tmp_path):
    known = {word for s in read_subjects() for name in (*s.words, s.plural) for word in name.split()}
    lexicon = load_edition("pocket-1", tmp_path).lexicon
    hues = {"red", "orange", "yellow", "green", "blue", "purple", "pink"}
    for phrase in lexicon.subjects:
        assert set(phrase.split()) <= known | hues | {"a", "an", "two"}, phrase
    skies = ("dawn", "sunset", "night", "storm", "day")
    under_a_roof = [s for s in lexicon.settings if "room" in s or "background" in s or "space" in s]
    assert under_a_roof and not any(sky in setting for setting in under_a_roof for sky in skies)


def test_it_says_how_it_was_trained():
    facts = json.loads((FOLDER / "training.json").read_text(encoding="utf-8"))
    assert facts["preset"] == "cpu"
    assert facts["progress"]["crops"] > 0


def test_other_words_are_read_as_the_ones_that_it_draws(engine):
    for other, own in (
        ("a poodle in the jungle", "a dog in the forest"),
        ("Donkeys on a crimson background", "horses on a red background"),
        ("un perro", "un dog"),
        ("一只狗", "qwertz qwertz dog"),
    ):
        assert np.array_equal(engine.embed(other), engine.embed(own)), other
    assert np.array_equal(engine.embed("a qwertz dog"), engine.embed("a beautiful dog")), "neither draws anything"
    assert not np.array_equal(engine.embed("a beautiful dog"), engine.embed("a dog"))


def test_what_the_site_says_of_a_prompts_words_is_what_the_tokenizer_reads(engine):
    """Each word or phrase of the table alone, and prompts that are made of them by lot."""
    tokenizer, table = engine._text._tokenizer, Words(FOLDER / FILE)
    repertoire = read_repertoire(FOLDER)
    assert table.weights == engine.edition.digest

    def numbers(text):
        return tuple(tokenizer(text, add_special_tokens=False).input_ids)

    by_target = {}
    captions = {*caption_words(read_subjects())}
    phrases = [word for word in table._table if word not in captions]
    assert not {*phrases} & {*caption_tokens(read_subjects())}, "they have numbers of their own"
    for phrase, ids in zip(phrases, tokenizer(phrases, add_special_tokens=False).input_ids, strict=True):
        assert len(ids) == 1, phrase
        by_target.setdefault(table.get(phrase), set()).add(ids[0])
    assert all(len(ids) <= 2 for ids in by_target.values()), "one of a thing, and several of it"
    assert by_target["nothing", "-"] == {tokenizer.unk_token_id}
    named = {number: target for target, ids in by_target.items() for number in ids}
    rng = np.random.default_rng(5)
    for _ in range(300):
        prompt = " ".join(phrases[int(number)] for number in rng.integers(0, len(phrases), 5))
        read = [named[number] for number in numbers(prompt) if number != tokenizer.unk_token_id]
        assert [(each.kind, each.name) for each in repertoire.read(prompt, table) if each.name] == read, prompt
    # Beside captions' phrases, whose words have numbers of their own: what the tokenizer reads as one, the site does.
    where = [phrase for phrase in caption_phrases() if "{" not in phrase]
    for _ in range(300):
        before, after = (where[int(number)] for number in rng.integers(0, len(where), 2))
        prompt = f"{before} {phrases[int(rng.integers(len(phrases)))]} {after}"
        offsets = tokenizer(prompt, add_special_tokens=False, return_offsets_mapping=True).offset_mapping
        targets = {text: table.get(text) for text in (prompt[begin:end] for begin, end in offsets) if " " in text}
        several = {text for text, target in targets.items() if target and target[0] != "nothing"}
        assert several <= {each.text for each in repertoire.read(prompt, table)}, prompt


def test_the_pipeline_of_diffusers_loads_and_draws_with_it():
    from diffusers import StableDiffusionPipeline

    from worker.engine.networks.autoencoder import PocketAutoencoder

    vae = PocketAutoencoder.from_pretrained(str(FOLDER / "vae"), torch_dtype=torch.float32, local_files_only=True)
    pipeline = StableDiffusionPipeline.from_pretrained(
        str(FOLDER), vae=vae, safety_checker=None, dtype=torch.float32, local_files_only=True
    )
    assert pipeline.vae_scale_factor == 8
    pipeline.set_progress_bar_config(disable=True)
    pixels = np.asarray(pipeline("a dog", height=416, width=640, num_inference_steps=2).images[0])
    assert pixels.shape == (416, 640, 3) and pixels.std() > 1


def test_the_same_key_gives_the_same_pixels(engine, pixels_of):
    key = key_of(engine, "a dog on a beach at sunset")
    first = pixels_of("a dog on a beach at sunset")
    assert np.array_equal(engine.print_page(key).pixels, first)


def test_two_pages_of_a_prompt_differ(engine, pixels_of):
    first, second = pixels_of("a cat in the snow"), engine.print_page(key_of(engine, "a cat in the snow", 2)).pixels
    assert np.abs(first.astype(int) - second.astype(int)).mean() > 3


def test_no_page_is_blank_or_noise(engine):
    for prompt in ("", "a whale in the sea", "freedom"):
        pixels = engine.print_page(key_of(engine, prompt)).pixels.astype(int)
        assert pixels.std() > 8, f"{prompt!r} is blank"
        assert np.abs(np.diff(pixels, axis=1)).mean() < 12, f"{prompt!r} is noise"


PROBE = (
    ("apple", "on a yellow background"), ("bus", "on a road"), ("cactus", "in the desert"), ("castle", "at night"),
    ("cat", "in the snow"), ("cow", "on a meadow"), ("crab", "on a beach"), ("dog", "on a beach at sunset"),
    ("elephant", "in the desert"), ("flamingo", "in the sea"), ("guitar", "in a blue room"),
    ("house", "in the mountains"), ("lion", "in the grass"), ("mushroom", "in a forest"), ("penguin", "in the snow"),
    ("rocket", "in space"), ("sailboat", "in the sea"), ("snowman", "in the snow"),
    ("strawberry", "on a blue background"), ("tiger", "in a forest"),
)  # fmt: skip


def test_the_judge_counts_the_things_on_rendered_pages():
    examples = Examples(open_pack(), 31_337, 12)
    drawn = [(len(scene.items), page) for scene, page in (examples.page() for _ in range(60))]
    verdicts = judge_pages(*load_judges()[:2], [page for _, page in drawn], [None] * len(drawn))
    assert sum(v.count == number for v, (number, _) in zip(verdicts, drawn, strict=True)) >= 51


def test_the_judge_names_things_where_the_model_never_saw_them_too():
    pack = open_pack()
    asked = held_out_combinations(pack)[::3]
    numbers = [subject.number for subject, _ in asked]
    verdicts = judge_pages(*load_judges()[:2], rendered_pages(asked, pack, 31_339), numbers)
    named = sum(v.ranked[0] == number for v, number in zip(verdicts, numbers, strict=True))
    assert named >= 0.95 * len(asked)


def test_the_judge_of_colours_names_those_of_rendered_things():
    examples, (*_, hues) = Examples(open_pack(), 31_338, 12), load_judges()
    drawn = [examples.hued_patch() for _ in range(60)]
    named = hues(half([patch for _, patch in drawn])).argmax(1).tolist()
    assert sum(name == hue for name, (hue, _) in zip(named, drawn, strict=True)) >= 54


def test_a_judge_that_never_saw_its_pages_names_what_they_show(pixels_of):
    judge, strict, _ = load_judges()
    numbers = {subject.name: subject.number for subject in read_subjects()}
    asked = [numbers[name] for name, _ in PROBE]
    pages = [pixels_of(f"{with_article(name)} {where}") for name, where in PROBE]
    verdicts = judge_pages(judge, strict, pages, asked)
    named = sum(verdict.ranked[0] == number for verdict, number in zip(verdicts, asked, strict=True))
    in_grey = sum(verdict.strict == number for verdict, number in zip(verdicts, asked, strict=True))
    print(f"named in colour: {named} of {len(PROBE)}; in grey values alone: {in_grey}")
    assert named >= NAMED
    assert in_grey >= NAMED_IN_GREY


def test_a_page_encoded_again_and_again_is_decoded_to_itself(engine, pixels_of):
    """What its encoder loses of a page is mostly the encoder's fault, and its decoder can draw it."""
    page = pixels_of("a dog on a beach at sunset")
    encoded = takewhile(lambda step: step.phase == "encode", search(engine, page, Wish("pocket-1")))
    decibels = [decibels_between(step.pixels, page) for step in encoded]
    assert len(decibels) == 3
    assert decibels[0] > 40
    assert decibels[-1] > decibels[0] + 6
