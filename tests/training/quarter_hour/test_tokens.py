"""The tokenizer in plain Python says of captions what the press's says."""

import pytest

from tests import ROOT
from training.quarter_hour.tokens import Tokenizer
from training.scenes.caption_source import CaptionSource
from training.scenes.sprites import open_pack
from worker.engine.networks.text_encoder import open_tokenizer

FOLDER = ROOT / "editions" / "pocket-1" / "tokenizer"


def test_captions_have_the_tokens_of_the_press():
    source = CaptionSource(open_pack(), 1)
    texts = [source.writer.write(source.draw()[0]).text for _ in range(600)]
    texts += ["", "A Dog.", "it's at night -- don't!", "zebra " * 100, "  a   cat\n", "a jack-o-lantern", "a qwertz"]
    theirs = open_tokenizer(FOLDER)
    expected = theirs(texts, padding="max_length", max_length=77, truncation=True).input_ids
    ours = Tokenizer(FOLDER)
    assert [ours(text) for text in texts] == expected


def test_what_captions_do_not_have_is_noise_to_them_whatever_the_press_reads():
    ours, theirs = Tokenizer(FOLDER), open_tokenizer(FOLDER)
    assert theirs("a skunk").input_ids == theirs("a fox").input_ids
    assert ours("a skunk") == ours("a qwertz") != ours("a fox")


def test_a_caption_that_is_not_ascii_is_refused():
    with pytest.raises(ValueError, match="not ASCII"):
        Tokenizer(FOLDER)("ein Löwe")
