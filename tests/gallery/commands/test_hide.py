"""`manage.py hide`: what it writes and what it says. That the page is then gone is tested with the views."""

from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from gallery.models import Page
from worker.catalogue.address import Address
from worker.catalogue.expansion import stacks_key
from worker.keys import derive_key
from worker.store import hidden

DOG = Address("pocket-1", "prompt", "a dog", 1)


@pytest.fixture(autouse=True)
def library(settings: Any, tmp_path: Path) -> None:
    settings.DATA_DIR = tmp_path


@pytest.mark.django_db
@pytest.mark.parametrize(
    "spelling", ["prompt/a dog/1", "/pocket-1/prompt/a%20dog/1/", "https://x.org/pocket-1/prompt/a%20dog/1/"]
)
def test_a_page_is_hidden_by_any_spelling_of_its_address(spelling: str, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("hide", spelling)
    assert "pocket-1/prompt/a dog/1 is hidden" in capsys.readouterr().out
    assert Page.objects.filter(digest=DOG.digest, hidden=True).exists()


@pytest.mark.django_db
def test_a_page_that_was_never_opened_leaves_no_row_once_it_is_shown_again(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("hide", "prompt/a dog/1")
    call_command("hide", "prompt/a dog/1", show=True)
    assert "is shown again" in capsys.readouterr().out
    assert not Page.objects.exists()
    call_command("hide", "prompt/a dog/1", show=True)
    assert "was not hidden" in capsys.readouterr().out


@pytest.mark.django_db
def test_what_is_no_address_is_refused_with_a_sentence_and_code_2() -> None:
    with pytest.raises(CommandError, match="is no address") as refused:
        call_command("hide", "stacks/borges/1", "nonsense")
    assert refused.value.returncode == 2
    assert not Page.objects.exists()


@pytest.mark.django_db
def test_several_pages_are_hidden_and_shown_at_once(tmp_path: Path) -> None:
    pages = [Address("pocket-1", "stacks", "borges", page) for page in (1, 2)]
    call_command("hide", *(page.format() for page in pages))
    assert all(hidden.is_hidden(tmp_path, page, None) for page in pages)
    call_command("hide", *(page.format() for page in pages), show=True)
    assert not any(hidden.is_hidden(tmp_path, page, None) for page in pages)


@pytest.mark.django_db
def test_a_prompt_that_was_never_printed_is_hidden_by_its_key_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("hide", "prompt/a dog/1")
    mark = derive_key(DOG, tmp_path).mark
    out = capsys.readouterr().out
    assert "Working out the key of pocket-1/prompt/a dog/1" in out
    assert f"in every edition, by every address of its key {mark}" in out
    assert Page.objects.get(mark=mark, hidden=True, everywhere=True).address == DOG.format()
    assert hidden.is_hidden(tmp_path, Address("another", "mark", mark, None), mark)


@pytest.mark.django_db
def test_a_key_is_hidden_in_one_edition_where_that_is_asked_for(tmp_path: Path) -> None:
    call_command("hide", "stacks/borges/1", one_edition=True)
    mark = stacks_key("borges", 1).mark
    assert hidden.is_hidden(tmp_path, Address("pocket-1", "mark", mark, None), mark)
    assert not hidden.is_hidden(tmp_path, Address("another", "mark", mark, None), mark)
    call_command("hide", f"mark/{mark}", show=True)
    assert not hidden.is_hidden(tmp_path, Address("pocket-1", "mark", mark, None), mark)


@pytest.mark.django_db
def test_a_key_that_cannot_be_worked_out_here_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    address = Address("elsewhere", "prompt", "a dog", 1)
    call_command("hide", address.format())
    said = capsys.readouterr()
    assert "by this address alone" in said.out
    assert "Its key could not be worked out here: There is no edition 'elsewhere'" in said.err
    assert hidden.is_hidden(tmp_path, address, None)


@pytest.mark.django_db(transaction=True)
def test_without_the_database_the_page_is_hidden_all_the_same(tmp_path: Path) -> None:
    mark = stacks_key("borges", 1).mark
    with connection.schema_editor() as editor:
        editor.alter_db_table(Page, "gallery_page", "gone")
    try:
        with pytest.raises(CommandError, match="hidden by files in the data folder"):
            call_command("hide", f"mark/{mark}")
        assert hidden.is_hidden(tmp_path, Address("pocket-1", "stacks", "borges", 1), mark)
    finally:
        with connection.schema_editor() as editor:
            editor.alter_db_table(Page, "gone", "gallery_page")
