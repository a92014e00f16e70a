"""training.repertoire: the list that ships is the captions', and its pictures are this model's."""

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests import ROOT
from training.repertoire import Asked, Understanding, asked_groups, make_repertoire, silent_words
from worker.catalogue.address import Address
from worker.editions.edition import load_edition
from worker.editions.repertoire import PICTURE, Repertoire, read_repertoire
from worker.engine.engine import Engine

POCKET = ROOT / "editions" / "pocket-1"


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    threads = torch.get_num_threads()
    yield Engine(load_edition("pocket-1", tmp_path_factory.mktemp("data")), device="cpu", threads=1)
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(False)


@pytest.fixture(scope="module")
def shipped() -> Repertoire:
    found = read_repertoire(POCKET)
    assert found is not None
    return found


def test_it_lists_what_the_captions_of_the_training_name(shipped: Repertoire) -> None:
    asked = asked_groups()
    assert [group.title for group in shipped.groups] == list(asked)
    for group in shipped.groups:
        assert [(e.kind, e.name, e.prompt) for e in group.entries] == [
            (a.kind, a.name, a.prompt) for a in asked[group.title]
        ]
        for entry, each in zip(group.entries, asked[group.title], strict=True):
            assert set(entry.words) <= set(each.words) and entry.words, entry.prompt
            assert entry.coloured is each.coloured
    assert shipped.silent == silent_words()


def test_a_word_is_listed_only_where_the_text_encoder_understands_it(engine: Engine, shipped: Repertoire) -> None:
    knows = Understanding(engine)
    asked = {"snow": ("in the snow", True), "forest": ("in the jungle", True), "desert": ("sand", False)}
    for name, (word, expected) in asked.items():
        assert knows.understands("place", name, word) is expected, word
    listed = {word for entry in shipped.entries for word in entry.words}
    assert {"hound", "hounds", "puppies", "lorries", "in the snow"} <= listed
    assert not {"sand", "country", "walls"} & listed, "of no place by themselves"


def test_a_picture_is_page_1_of_its_prompt_by_this_model(engine: Engine, shipped: Repertoire) -> None:
    entry = next(entry for entry in shipped.entries if entry.prompt == "a hamburger")
    key = engine.resolve(Address("pocket-1", "prompt", entry.prompt, 1))
    assert key.mark == entry.mark
    path = shipped.picture(entry.file)
    assert path is not None
    with Image.open(path) as image:
        drawn = np.asarray(image.convert("RGB"), np.float32)
    page = Image.fromarray(engine.print_page(key).pixels).resize(PICTURE, Image.Resampling.LANCZOS)
    # WebP's loss alone is about 3 of 255; renditions differ by less than one; another page differs by more than 20.
    assert np.abs(drawn - np.asarray(page, np.float32)).mean() < 6


def test_the_command_writes_list_and_pictures_for_any_edition(engine: Engine, tmp_path: Path) -> None:
    folder = tmp_path / "editions" / "mine"
    folder.mkdir(parents=True)
    text = (POCKET / "edition.toml").read_text(encoding="utf-8").replace('model = "."', f'model = "{POCKET}"')
    (folder / "edition.toml").write_text(text.replace("default_steps = 20", "default_steps = 2"), encoding="utf-8")
    (folder / "lexicon.toml").write_bytes((POCKET / "lexicon.toml").read_bytes())
    lines: list[str] = []
    asked = {"How many": [Asked("count", "2", "two apples", ("two", "a pair of"))]}
    (folder / "repertoire").mkdir()
    (folder / "repertoire" / "old.webp").write_bytes(b"of an entry that is gone")
    size = make_repertoire(folder, tmp_path, asked, lines.append)
    found = read_repertoire(folder)
    assert found is not None and len(lines) == 1
    assert found.fits(load_edition("mine", tmp_path), None)
    (entry,) = found.entries
    assert (entry.prompt, entry.words) == ("two apples", ("two", "a pair of"))
    path = found.picture("two-apples")
    assert path is not None and path.stat().st_size == size
    with Image.open(io.BytesIO(path.read_bytes())) as image:
        assert image.size == PICTURE
    assert not (folder / "repertoire" / "old.webp").exists()
