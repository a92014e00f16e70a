"""The command line: sentences for what goes wrong."""

import pytest

from training import __main__ as command
from training.errors import TrainingError
from training.presets import preset_named


def test_a_bad_preset_name_is_one_sentence_and_exit_2(capsys):
    assert command.main(["status", "--preset", "huge"]) == 2
    assert capsys.readouterr().err == "There is no preset 'huge'. The presets are smoke, cpu, gpu.\n"
    with pytest.raises(TrainingError):
        preset_named("")


def test_no_threads_is_refused(capsys):
    assert command.main(["next", "--threads", "0"]) == 2
    assert "must be at least 1" in capsys.readouterr().err
