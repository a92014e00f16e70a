"""Editions: the shipped ones are whole, own ones are found, and what is wrong in one is said."""

from pathlib import Path

import pytest

from tests.conftest import write_edition
from worker.catalogue.expansion import Lexicon, volume_phrases
from worker.editions.edition import SHIPPED, all_editions, edition_slugs, load_edition
from worker.errors import EditionRefused, WeightsRefused

SHIPPED_SLUGS = sorted(path.parent.name for path in SHIPPED.glob("*/edition.toml"))


@pytest.mark.parametrize("slug", SHIPPED_SLUGS)
def test_ten_thousand_short_keys_give_ten_thousand_different_pairs(slug: str, tmp_path: Path) -> None:
    lexicon = load_edition(slug, tmp_path).lexicon
    assert len({volume_phrases(f"key-{number}", lexicon)[:2] for number in range(10_000)}) == 10_000


@pytest.mark.parametrize("slug", SHIPPED_SLUGS)
def test_a_shipped_edition_says_everything_that_a_person_wants_to_know(slug: str, tmp_path: Path) -> None:
    edition = load_edition(slug, tmp_path)
    assert edition.title
    assert edition.summary
    assert edition.licence
    assert "cpu" in edition.precision
    assert 2 <= edition.default_steps <= edition.step_limit <= 128


def test_sd_1_5_is_pinned_to_one_commit_and_every_file_to_its_content(tmp_path: Path) -> None:
    edition = load_edition("sd-1.5", tmp_path)
    assert edition.hub is not None
    assert edition.hub.name == "stable-diffusion-v1-5/stable-diffusion-v1-5"
    assert edition.hub.revision == "451f4fe16113bff5a5d2269ed5ad43b0592e9a14"
    assert (edition.guidance, edition.licence) == (7.5, "creativeml-openrail-m")
    assert edition.safety_checker
    assert edition.weights == tmp_path / "weights" / "sd-1.5"
    assert not [name for name in edition.hub.files if name.endswith((".bin", ".ckpt", ".py"))]
    assert {name.partition("/")[0] for name in edition.hub.files} >= {
        *("unet", "vae", "text_encoder", "tokenizer", "scheduler", "safety_checker", "feature_extractor")
    }


def test_an_edition_whose_weights_are_away_is_known_and_not_installed(tmp_path: Path) -> None:
    edition = load_edition("sd-1.5", tmp_path)
    assert not edition.installed
    with pytest.raises(EditionRefused, match="not installed") as refused:
        edition.check()
    assert "fetch_edition sd-1.5" in refused.value.hint


def test_an_own_edition_is_found_beside_the_shipped_ones(tiny_data: Path, tiny_weights: Path) -> None:
    assert {"sd-1.5", "tiny"} <= set(edition_slugs(tiny_data))
    edition = load_edition("tiny", tiny_data)
    assert edition.weights == tiny_weights
    assert edition.installed
    assert edition.prediction == "epsilon"
    assert edition.batch == {"cpu": 1, "cuda": 1, "mps": 1}
    assert edition.lexicon == Lexicon(
        ("a dog", "a cat", "a tower", "a boat"), ("on a beach", "in the snow", "at night"), ("",)
    )


def test_the_default_edition_comes_first(tmp_path: Path) -> None:
    slugs = edition_slugs(tmp_path)
    assert slugs == sorted(slugs, key=lambda slug: (slug != "pocket-1", slug))


@pytest.mark.parametrize("slug", ["nowhere", "", "../tiny", "Tiny", "prompt", "tiny/../tiny", "ti ny", "a" * 80])
def test_an_unknown_or_impossible_name_is_refused_with_the_names_that_there_are(slug: str, tiny_data: Path) -> None:
    with pytest.raises(EditionRefused, match="no edition") as refused:
        load_edition(slug, tiny_data)
    assert "sd-1.5" in refused.value.hint


def test_an_own_edition_cannot_take_the_place_of_a_shipped_one(tmp_path: Path, tiny_weights: Path) -> None:
    write_edition(tmp_path, "sd-1.5", str(tiny_weights))
    assert load_edition("sd-1.5", tmp_path).title == "Stable Diffusion 1.5"


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ('title = "Tiny"', "", "title .* missing"),
        ('solver = "dpm-solver++"', 'solver = "euler"', "solver .* one of ddim, dpm-solver"),
        ("guidance = 5.0", 'guidance = "much"', "guidance .* number"),
        ("guidance = 5.0", "guidance = nan", "guidance .* number"),
        ("default_steps = 4", "default_steps = 5", "default_steps .* even"),
        ("default_steps = 4", "default_steps = 66", "default_steps .* from 2 to 64"),
        ("step_limit = 64", "step_limit = 129", "step_limit .* from 2 to 128"),
        ('cpu = "float32"', 'cpu = "int8"', "precision.cpu .* float32"),
        ('cpu = "float32"', 'tpu = "float32"', "precision .* cpu, cpu_bf16, cuda, mps"),
        ('cpu = "float32"', "", "precision .* missing"),
        ("[weights]", "[weights]\nrevision = 'main'", "both a folder"),
        ("step_limit = 64", "step_limit = 64\nstep_limits = 64", "unknown setting 'step_limits'"),
        ("[weights]", "[batch]\ncpu = 0\n[weights]", "batch.cpu .* from 1 to 64"),
        ("[weights]", "[preview]\nmatrix = [[1, 2, 3]]\n[weights]", "preview.matrix .* four rows"),
        ("[weights]", "[early]\nguidance = 1.5\n[weights]", "early.above .* missing"),
        ("[weights]", "[early]\nguidance = 1.5\nabove = 1000\n[weights]", "early.above .* from 0 to 999"),
        ("[weights]", "[early]\nguidance = -1\nabove = 860\n[weights]", "early.guidance .* number"),
        ("[weights]", "[late]\nbelow = 0\n[weights]", "late.below .* from 1 to 999"),
        ("[weights]", "[late]\nabove = 250\n[weights]", "unknown setting 'above'"),
        ("[weights]", "[weights]\ndigest = 'abc'", "weights.digest .* 64 hex"),
        ("[weights]", "[weights", "cannot be read"),
    ],
)
def test_what_is_wrong_in_edition_toml_is_said_with_its_name(
    old: str, new: str, sentence: str, tmp_path: Path, tiny_weights: Path
) -> None:
    write_edition(tmp_path, "broken", str(tiny_weights), lambda text: text.replace(old, new))
    with pytest.raises(EditionRefused, match=sentence):
        load_edition("broken", tmp_path)


@pytest.mark.parametrize(
    ("weights", "sentence"),
    [
        ('hub = "one"\nrevision = "main"', "owner/name"),
        ('hub = "a/b"\nrevision = "main"', "full commit of 40"),
        ('hub = "a/b"\nrevision = "' + "0" * 40 + '"', "files to fetch"),
        (
            'hub = "a/b"\nrevision = "' + "0" * 40 + '"\nfiles."../x" = { bytes = 1, git = "' + "0" * 40 + '" }',
            "relative",
        ),
        ('hub = "a/b"\nrevision = "' + "0" * 40 + '"\nfiles.x = { bytes = 1 }', "sha256"),
    ],
)
def test_a_hub_is_pinned_or_refused(weights: str, sentence: str, tmp_path: Path) -> None:
    write_edition(tmp_path, "hubbed", "MODEL", lambda text: text.replace('model = "MODEL"', weights))
    with pytest.raises(EditionRefused, match=sentence):
        load_edition("hubbed", tmp_path)


def test_a_broken_own_edition_takes_none_of_the_others_away(
    tmp_path: Path, tiny_weights: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_edition(tmp_path, "broken", str(tiny_weights), lambda text: "title = 1")
    assert [edition.slug for edition in all_editions(tmp_path)] == [
        slug for slug in edition_slugs(tmp_path) if slug != "broken"
    ]
    assert "broken is left out" in caplog.text


@pytest.mark.parametrize(
    ("lexicon", "sentence"),
    [
        ("", "subjects"),
        ('subjects = ["a dog", "a dog"]', "'a dog' twice"),
        ('subjects = ["a dog", ""]', "one is missing"),
        ('subjects = ["a dog"]\nsettings = []', "settings"),
        ('subjects = ["a dog"]\nverbs = ["runs"]', "unknown list 'verbs'"),
        ("subjects = [1]", "list of phrases"),
    ],
)
def test_what_is_wrong_in_a_lexicon_is_said(lexicon: str, sentence: str, tmp_path: Path, tiny_weights: Path) -> None:
    folder = write_edition(tmp_path, "words", str(tiny_weights))
    (folder / "lexicon.toml").write_text(lexicon, encoding="utf-8")
    with pytest.raises(EditionRefused, match=sentence):
        load_edition("words", tmp_path)
    (folder / "lexicon.toml").unlink()
    with pytest.raises(EditionRefused, match=r"no lexicon\.toml"):
        load_edition("words", tmp_path)


def test_weights_with_another_digest_than_the_edition_states_are_refused(tmp_path: Path, tiny_weights: Path) -> None:
    stated = "0" * 64
    write_edition(
        tmp_path, "other", str(tiny_weights), lambda text: text.replace("[weights]", f'[weights]\ndigest = "{stated}"')
    )
    with pytest.raises(WeightsRefused, match=f"digest {stated} and have [0-9a-f]{{64}}"):
        load_edition("other", tmp_path).check()


def test_the_digest_that_the_check_finds_can_be_stated(tmp_path: Path, tiny_edition, tiny_weights: Path) -> None:
    digest = tiny_edition.check().digest
    write_edition(
        tmp_path, "same", str(tiny_weights), lambda text: text.replace("[weights]", f'[weights]\ndigest = "{digest}"')
    )
    assert load_edition("same", tmp_path).check().digest == digest
