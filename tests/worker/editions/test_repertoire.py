"""worker.editions.repertoire: what an edition draws by name, and how a prompt is read with it."""

import json
from pathlib import Path

import pytest
from PIL import Image

from tests import ROOT
from worker.editions import words
from worker.editions.edition import load_edition
from worker.editions.repertoire import FILE, FOLDER, PICTURE, Reading, Repertoire, read_repertoire
from worker.editions.weights import weights_digest
from worker.editions.words import Words
from worker.errors import EditionRefused

POCKET = ROOT / "editions" / "pocket-1"


@pytest.fixture(scope="module")
def pocket() -> Repertoire:
    found = read_repertoire(POCKET)
    assert found is not None
    return found


def told(repertoire: Repertoire, prompt: str) -> list[tuple[str, str | None]]:
    return [(each.text, None if each.entry is None else each.entry.name) for each in repertoire.read(prompt)]


@pytest.fixture(scope="module")
def table() -> Words:
    return Words(POCKET / words.FILE)


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("The Queen’s hound in a jungle!", [("Queen", "crown"), ("hound", "dog"), ("jungle", "forest")]),
        ("two hounds", [("two", "2"), ("hounds", "dog")]),
        ("a sea lion in the sea", [("sea lion", "dolphin"), ("in the sea", "sea")]),
        ("a hot air balloon", [("hot air balloon", "balloon")]),
        ("a big apple", [("big", "big"), ("apple", "apple")]),
        ("a t-rex", [("t-rex", "dinosaur")]),
        ("a city hall", [("city hall", "house")]),
        ("at night club", [("night club", "city")]),
        ("a hot-dog", [("hot-dog", "hot dog")]),
        ("a hot, dog", [("hot", None), ("dog", "dog")]),
        ("❤️dog", [("❤️", None), ("dog", "dog")]),
        ("dog\u200bcat", [("dog", "dog"), ("cat", "cat")]),
        ("正面朝向的小鸡", [("正面朝向的小鸡", "chick")]),
        ("don’t draw a don", [("don’t", None), ("draw", None), ("don", "top hat")]),
        ("a beautiful, qwertz-like dog", [("beautiful", None), ("qwertz-like", None), ("dog", "dog")]),
        ("一只狗在海滩上", [("一只", None), ("狗", "dog"), ("在", None), ("海滩上", "beach")]),
        ("ein Hund am Strand", [("Hund", "dog"), ("am Strand", "beach")]),
    ],
)
def test_with_a_table_other_words_are_read_too(
    pocket: Repertoire, table: Words, prompt: str, expected: list[tuple[str, str | None]]
) -> None:
    assert [(each.text, each.entry and each.entry.name) for each in pocket.read(prompt, table)] == expected


def test_what_is_read_and_has_no_entry_is_named_all_the_same(pocket: Repertoire, table: Words) -> None:
    (read,) = pocket.read("sadness", table)
    assert read == Reading("sadness", None, "weather", "rain")
    assert pocket.read("beautiful", table) == [Reading("beautiful", None)] == pocket.read("beautiful")


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("a dog", [("dog", "dog")]),
        (
            "Two Foxes in the snow at night",
            [("Two", "2"), ("Foxes", "fox"), ("in the snow", "snow"), ("at night", "night")],
        ),
        ("a hound", [("hound", "dog")]),
        ("two hounds", [("two", "2"), ("hounds", "dog")]),
        ("a hot dog, and a dog.", [("hot dog", "hot dog"), ("dog", "dog")]),
        ("a hot-dog", [("hot-dog", "hot dog")]),
        ("a jack-o-lantern", [("jack-o-lantern", "pumpkin")]),
        ("a t-rex", [("t-rex", None)]),
        ("a queen's cat", [("queen", None), ("cat", "cat")]),
        ("a red car on a blue background", [("red", "red"), ("car", "car"), ("blue", "blue"), ("background", "plain")]),
        ("a robot in the background", [("robot", "robot"), ("in the background", "far")]),
        ("a photo of the sea", [("the sea", "sea")]),
        ("a dog without a tail", [("dog", "dog"), ("without", None), ("tail", None)]),
        ("a cat 🐶🐱, 犬 and कुत्ता", [("cat", "cat"), ("🐶🐱", None), ("犬", None), ("कुत्ता", None)]),
        ("👩‍🚀", [("👩‍🚀", None)]),
        ("!? … —", []),
    ],
)
def test_a_prompt_is_read_word_by_word(pocket: Repertoire, prompt: str, expected: list[tuple[str, str | None]]) -> None:
    assert told(pocket, prompt) == expected


def test_the_repertoire_that_ships_is_true_of_the_weights_that_ship(pocket: Repertoire, tmp_path: Path) -> None:
    edition = load_edition("pocket-1", tmp_path)
    assert pocket.weights == weights_digest(edition.weights) == edition.digest
    assert pocket.fits(edition, pocket.weights) and pocket.fits(edition, None)
    assert not pocket.fits(edition, "0" * 64), "another checkpoint under this slug"


def test_it_is_true_of_one_way_of_printing_alone(pocket: Repertoire, tmp_path: Path) -> None:
    folder = tmp_path / "editions" / "mine"
    folder.mkdir(parents=True)
    text = (POCKET / "edition.toml").read_text(encoding="utf-8").replace('model = "."', f'model = "{POCKET}"')
    (folder / "lexicon.toml").write_bytes((POCKET / "lexicon.toml").read_bytes())
    for now, fits in (("default_steps = 20", True), ("default_steps = 8", False)):
        (folder / "edition.toml").write_text(text.replace("default_steps = 20", now), encoding="utf-8")
        assert pocket.fits(load_edition("mine", tmp_path), pocket.weights) is fits


def test_every_entry_has_its_whole_picture_and_together_they_are_small(pocket: Repertoire) -> None:
    files = {entry.file for entry in pocket.entries}
    assert len(files) == len(list(pocket.entries)) > 180, "each prompt once"
    assert {path.stem for path in (POCKET / FOLDER).glob("*.webp")} == files
    for file in files:
        path = pocket.picture(file)
        assert path is not None
        with Image.open(path) as image:
            assert image.size == PICTURE, file
    assert PICTURE[0] * 416 == PICTURE[1] * 640, "nothing is cut off"
    assert sum(path.stat().st_size for path in (POCKET / FOLDER).glob("*.webp")) <= 700_000
    assert pocket.picture("../edition") is None and pocket.picture("nothing") is None


def test_its_prompts_are_made_of_what_it_knows(pocket: Repertoire) -> None:
    assert not [
        entry.prompt for entry in pocket.entries if any(each.entry is None for each in pocket.read(entry.prompt))
    ]
    things = [entry for entry in pocket.entries if entry.kind == "thing"]
    assert len(things) == 127
    for entry in things:
        assert told(pocket, entry.prompt) == [(entry.words[0], entry.name)]


def test_an_edition_without_one_has_none_and_a_broken_one_is_refused(tmp_path: Path) -> None:
    assert read_repertoire(tmp_path) is None
    (tmp_path / FOLDER).mkdir()
    whole = json.loads((POCKET / FOLDER / FILE).read_text(encoding="utf-8"))
    strange = whole | {
        "groups": [{"title": "A", "entries": [{"kind": "taste", "name": "x", "prompt": "x", "words": [], "mark": ""}]}]
    }
    climbing = whole | {
        "groups": [
            {"title": "A", "entries": [{"kind": "thing", "name": "x", "prompt": "../x", "words": [], "mark": ""}]}
        ]
    }
    for text in ("", "[]", "{}", json.dumps(strange), json.dumps(climbing)):
        (tmp_path / FOLDER / FILE).write_text(text, encoding="utf-8")
        with pytest.raises(EditionRefused, match="is no repertoire"):
            read_repertoire(tmp_path)
