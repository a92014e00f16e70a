"""The documents are held to the code: paths and links that are there, every key of an edition, each word once."""

import dataclasses
import re
import tomllib
from pathlib import Path

import pytest

from tests import ROOT
from worker.editions.edition import _KEYS, DEVICES, PRECISION_DEVICES, load_edition
from worker.editions.weights import FilePin

DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
FOLDERS = ("babelia", "bench", "docs", "editions", "gallery", "static", "templates", "tests", "training", "worker")


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_between_the_documents_leads_somewhere(document: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text(encoding="utf-8"))
    assert not [link for link in links if not (document.parent / link).exists()]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_path_that_a_document_names_is_there(document: Path) -> None:
    named = re.findall(rf"`((?:{'|'.join(FOLDERS)})/[\w./-]*)`", document.read_text(encoding="utf-8"))
    made_by_commands = "training/runs/"  # ignored by git: what trainings leave there
    assert not [path for path in named if not (ROOT / path).exists() and not path.startswith(made_by_commands)]


def test_each_of_the_eight_changes_is_in_the_file_that_the_architecture_names() -> None:
    table = text_of("docs/architecture.md").partition("## Eight changes")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (.+) \| `(.+)` \| `(.+)` \|$", table, re.MULTILINE)
    assert len(rows) == 8
    assert not [row for row in rows if not (ROOT / row[1]).exists() or row[2] not in text_of(row[1])]


def test_every_folder_of_code_is_in_the_list_of_where_a_change_goes() -> None:
    table = text_of("docs/architecture.md").partition("## Where a change goes")[2].partition("\n## ")[0]
    listed = set(re.findall(r"`([\w./]+)`", table))
    missing = []
    for file in (file.relative_to(ROOT) for name in FOLDERS for file in (ROOT / name).rglob("*.py")):
        if file.parts[0] != "tests" and file.name != "__init__.py" and "migrations" not in file.parts:
            missing += [] if {str(file), f"{file.parent}/"} & listed else [str(file)]
    assert not missing


def test_the_glossary_has_each_word_once() -> None:
    rows = re.findall(r"^\| ([^|]+) \|", text_of("docs/glossary.md"), re.MULTILINE)
    words = [word.strip() for row in rows if row not in ("word", "---") for word in row.split(",")]
    assert len(words) > 50
    assert not {word for word in words if words.count(word) > 1}


# -- editions


def blocks() -> list[str]:
    """The examples of docs/editions.md: a whole edition.toml, its [weights] with a hub, a lexicon.toml."""
    return re.findall(r"```toml\n(.*?)```", text_of("docs/editions.md"), re.DOTALL)


def test_every_key_of_an_edition_is_documented_and_no_other() -> None:
    told = re.findall(
        r"^\| `([a-z_.0-9]+)` \|", text_of("docs/editions.md").partition("## edition.toml")[2], re.MULTILINE
    )
    known = {f"{table}.{key}" if table else key for table, keys in _KEYS.items() for key in keys}
    known |= {f"precision.{device}" for device in PRECISION_DEVICES} | {f"batch.{device}" for device in DEVICES}
    known |= {f"weights.files.{entry.name}" for entry in dataclasses.fields(FilePin)}
    known |= {entry.name for entry in dataclasses.fields(load_edition("pocket-1", ROOT / "data").lexicon)}
    assert sorted(told) == sorted(known)


def test_the_example_of_an_edition_has_every_key_and_can_be_read(tmp_path: Path) -> None:
    whole, hub, lexicon = blocks()
    folder = tmp_path / "editions" / "mine"
    folder.mkdir(parents=True)
    (folder / "edition.toml").write_text(whole, encoding="utf-8")
    (folder / "lexicon.toml").write_text(lexicon, encoding="utf-8")
    edition = load_edition("mine", tmp_path)
    assert (edition.title, edition.early_above, edition.late_below) == ("My edition", 860, 250)
    assert edition.weights == folder
    assert edition.lexicon.styles == ("painted in oil", "")
    document = tomllib.loads(whole)
    assert document.keys() == _KEYS[""]
    assert all(document[table].keys() == _KEYS[table] for table in ("early", "late", "preview"))

    before, _, after = whole.partition("[weights]")
    (folder / "edition.toml").write_text(f"{before}{hub}[preview]{after.partition('[preview]')[2]}", encoding="utf-8")
    edition = load_edition("mine", tmp_path)
    assert edition.hub is not None
    assert edition.hub.name == "owner/name"
    assert len(edition.hub.files) == 2


# -- README and CHANGELOG


def test_the_readme_is_short() -> None:
    assert len(text_of("README.md").splitlines()) < 100


def test_the_changelog_has_the_version_of_the_project_below_what_is_not_released() -> None:
    headings = re.findall(r"^## (.+)$", text_of("CHANGELOG.md"), re.MULTILINE)
    version = tomllib.loads(text_of("pyproject.toml"))["project"]["version"]
    assert headings[0] == "Unreleased"
    assert re.fullmatch(rf"{re.escape(version)} \(\d{{4}}-\d\d-\d\d\)", headings[1])
