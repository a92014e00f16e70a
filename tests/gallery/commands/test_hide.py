"""`manage.py hide`: what it writes and what it says. That the page is then gone is tested with the views."""

import pytest
from django.core.management import CommandError, call_command

from gallery.models import Page
from worker.catalogue.address import Address

DOG = Address("pocket-1", "prompt", "a dog", 1)


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


def test_what_is_no_address_is_refused_with_a_sentence_and_code_2() -> None:
    with pytest.raises(CommandError, match="is no address") as refused:
        call_command("hide", "nonsense")
    assert refused.value.returncode == 2
