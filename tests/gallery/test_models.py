"""gallery.models and its migrations: a library of an older release keeps its pages."""

import os
import sqlite3
from pathlib import Path

import pytest
from django.core.management import call_command

from tests.forked import commands


def migrate(data: Path, *target: str) -> None:
    environment = os.environ | {"BABELIA_DATA": str(data)}
    environment.pop("DATABASE_URL", None)
    commands().manage(environment, "migrate", "-v", "0", *target)


def test_a_page_keeps_its_name_through_the_renaming_of_its_field_and_back(tmp_path: Path) -> None:
    migrate(tmp_path, "gallery", "0002")
    row = ("d" * 64, "pocket-1/prompt/a dog/1", "pocket-1", "prompt", "a dog", "m" * 26, "r", "p" * 64, 20)
    names = "digest, address, edition, kind, {name}, mark, rendition, pixel_digest, steps"
    with sqlite3.connect(tmp_path / "library.sqlite3") as database:
        columns = f"{names.format(name='volume')}, printed_at, opened, hidden, flagged"
        database.execute(
            f"INSERT INTO gallery_page ({columns}) VALUES (?,?,?,?,?,?,?,?,?, '2026-11-05 09:07:33', 7, 1, 0)", row
        )
    database.close()
    for target, name in (((), "name"), (("gallery", "0002"), "volume"), ((), "name")):
        migrate(tmp_path, *target)
        with sqlite3.connect(tmp_path / "library.sqlite3") as database:
            found = database.execute(f"SELECT {names.format(name=name)}, opened, hidden FROM gallery_page").fetchall()
            indexed = database.execute("SELECT sql FROM sqlite_master WHERE name LIKE 'page_%'").fetchall()
        database.close()
        assert found == [(*row, 7, 1)]
        assert sum(f'"kind", "{name}")' in sql for (sql,) in indexed) == 1


@pytest.mark.django_db
def test_the_migrations_make_the_model_as_it_is() -> None:
    call_command("makemigrations", "gallery", check=True, dry_run=True, verbosity=0)
