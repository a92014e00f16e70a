"""Fixtures that several test files share: small weights of random numbers and an edition over them."""

from collections.abc import Callable
from pathlib import Path

import pytest

from worker.edition import Edition, load_edition

EDITION_TOML = """
title = "Tiny"
summary = "Random numbers in the shape of a model: its pages mean nothing."
licence = "mit"
solver = "dpm-solver++"
guidance = 5.0
default_steps = 4
step_limit = 64

[precision]
cpu = "float32"

[weights]
model = "{model}"
"""

LEXICON_TOML = """
subjects = ["a dog", "a cat", "a tower", "a boat"]
settings = ["on a beach", "in the snow", "at night"]
"""


@pytest.fixture(scope="session")
def tiny_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A weights folder of SD 1.5's layout with 7 million random parameters. Read only: copy it to change it."""
    from bench.random_weights import write

    return write(tmp_path_factory.mktemp("weights") / "tiny", "tiny", say=lambda line: None)


@pytest.fixture(scope="session")
def tiny_data(tiny_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with one own edition, `tiny`, over `tiny_weights`."""
    data_dir = tmp_path_factory.mktemp("data")
    write_edition(data_dir, "tiny", str(tiny_weights))
    return data_dir


@pytest.fixture(scope="session")
def tiny_edition(tiny_data: Path) -> Edition:
    """The edition `tiny` of `tiny_data`."""
    return load_edition("tiny", tiny_data)


def write_edition(data_dir: Path, slug: str, model: str, change: Callable[[str], str] = str) -> Path:
    """Write `<data_dir>/editions/<slug>/` over the weights folder `model`; `change` alters edition.toml's text."""
    folder = data_dir / "editions" / slug
    folder.mkdir(parents=True)
    (folder / "edition.toml").write_text(change(EDITION_TOML.format(model=model)), encoding="utf-8")
    (folder / "lexicon.toml").write_text(LEXICON_TOML, encoding="utf-8")
    return folder
