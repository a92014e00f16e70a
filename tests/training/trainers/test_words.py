"""Teaching the text encoder other words: the student's beginning, a pair's rows, a few steps of both stages."""

from pathlib import Path
from typing import Any

import pytest
import torch

from training.scenes.sprites import open_pack
from training.trainers import text_encoder as text
from training.trainers.words import (
    NOTHING,
    Aligner,
    Rows,
    WordsPlan,
    all_keys,
    canonical_words,
    export_edition,
    load_teacher,
    lower_layers,
    make_words_tokenizer,
    new_student,
    open_student,
    train,
    train_vectors,
)
from training.words.lexicon import Entry
from training.words.pairs import mark, parse
from worker.editions.edition import load_edition

ENTRIES = [Entry("hound", "thing", "dog", 3.4, "w"), Entry("jungle", "place", "forest", 4.1, "w"),
           Entry("wolverine", "thing", "bear", 2.7, "w"), Entry("old", "nothing", "-", 5.5, "w")]  # fmt: skip


@pytest.fixture(scope="module")
def teacher() -> tuple[Any, Any]:
    return load_teacher()


@pytest.fixture(scope="module")
def new(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("tokenizer")
    make_words_tokenizer(ENTRIES, folder, 1640)
    return text.open_tokenizer(folder)


def test_the_student_begins_as_the_teacher(teacher: tuple[Any, Any], new: Any) -> None:
    encoder, old = teacher
    student = new_student(encoder, old, new).eval()
    texts = ["two red apples on a beach at sunset", "a ghost left of a fire truck in space"]
    with torch.no_grad():
        before = encoder(input_ids=text.tokens_of(old, texts)).last_hidden_state
        after = student(input_ids=text.tokens_of(new, texts)).last_hidden_state
    assert torch.equal(before, after)


def test_the_lower_layers_are_the_models_own(teacher: tuple[Any, Any]) -> None:
    encoder, old = teacher
    ids = text.tokens_of(old, ["a dog on a beach"], 20)
    with torch.no_grad():
        states = encoder.get_input_embeddings()(ids) + encoder.get_parameter(text._POSITIONS)[:20]
        found = encoder.final_layer_norm(lower_layers(encoder, states, 1))
        # Two kernels of attention, so to the rounding of float32.
        torch.testing.assert_close(found, encoder(input_ids=ids).last_hidden_state, atol=1e-4, rtol=1e-4)


def test_rows_of_a_pair_are_matched_word_by_word(teacher: tuple[Any, Any], new: Any) -> None:
    _, old = teacher
    pair = parse(f"a {mark('dog', 'wolverine')} on a beach")
    canonical, free, rows, weights = Aligner(old, new).align(pair, 24)
    pieces = len(new.tokenize("wolverine"))
    assert (len(canonical), len(free), len(rows), len(weights)) == (24, 24, 24, 24)
    assert rows[:2] == [0, 1]
    assert rows[2 : 2 + pieces] == [1] * (pieces - 1) + [2]
    assert rows[2 + pieces : 5 + pieces] == [3, 4, 5]
    # From the end of both on, each row is the one of its own place.
    assert rows[5 + pieces :] == [max(r, 6) for r in range(5 + pieces, 24)]
    assert weights[2 + pieces :] == [1.0] * (22 - pieces)


def test_a_word_that_draws_nothing_stands_for_no_word(teacher: tuple[Any, Any], new: Any) -> None:
    _, old = teacher
    canonical, _, rows, _ = Aligner(old, new).align(parse(f"a {mark('', 'old')} dog"), 12)
    assert canonical[1:3] == old("a dog", add_special_tokens=False).input_ids
    assert rows[:4] == [0, 1, 1, 2] and rows[4:] == list(range(4, 12))


def test_words_in_a_row_ask_for_their_targets_at_their_ends(new: Any) -> None:
    keys = all_keys(ENTRIES)
    rows = Rows(ENTRIES, keys, new, 1)
    ids, targets = rows.draw(0, 8, 32)
    assert ids.shape == targets.shape == (8, 32)
    assert torch.equal(ids, rows.draw(0, 8, 32)[0]) and not torch.equal(ids, rows.draw(1, 8, 32)[0])
    last = new("wolverine", add_special_tokens=False).input_ids[-1]
    asked = {int(t) for t in targets[ids == last]}
    assert rows.numbers["thing", "bear", False] in asked
    assert (ids[:, 0] == new.bos_token_id).all() and (targets[:, 0] == -2).all()


def test_every_target_has_words_except_nothing() -> None:
    assert [k for k in all_keys(ENTRIES) if not canonical_words(k)] == [NOTHING]
    assert canonical_words(("thing", "mouse", True)) == "mice"
    assert canonical_words(("count", "3", False)) == "three"


def test_a_target_of_one_token_keeps_its_vector(teacher: tuple[Any, Any]) -> None:
    encoder, old = teacher
    keys = [("thing", "dog", False), NOTHING]
    vectors = train_vectors(WordsPlan(vector_steps=1), encoder, old, keys, open_pack())
    own = encoder.get_input_embeddings().weight[old("dog", add_special_tokens=False).input_ids[0]]
    assert torch.equal(vectors[0], own)
    assert not torch.equal(vectors[1], own)


def test_both_stages_run_stop_and_go_on(tmp_path: Path, teacher: tuple[Any, Any]) -> None:
    small = {
        "pieces": 1640,
        "vector_steps": 1,
        "join_batch": 2,
        "join_tokens": 12,
        "distil_batch": 2,
        "distil_tokens": 16,
        "report": 1,
        "keep_every": 1,
    }
    train(WordsPlan(join_steps=2, distil_steps=1, **small), tmp_path)  # type: ignore[arg-type]
    first = torch.load(tmp_path / "distil.pt")["student"]
    train(WordsPlan(join_steps=2, distil_steps=3, **small), tmp_path)  # type: ignore[arg-type]
    assert torch.load(tmp_path / "join.pt")["step"] == 2
    assert torch.load(tmp_path / "distil.pt")["step"] == 3
    size = export_edition(tmp_path, tmp_path / "editions" / "trial")
    edition = load_edition("trial", tmp_path)
    assert edition.check().digest == edition.digest != load_edition("pocket-1", tmp_path).digest
    assert 9_000_000 < size < 15_000_000
    student, _ = open_student(tmp_path, *teacher)
    changed = student.state_dict()
    assert any(not torch.equal(first[name], changed[name]) for name in first)
