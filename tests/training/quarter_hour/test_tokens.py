"""The tokenizer in plain Python says what CLIPTokenizer says."""

import pytest
from transformers import CLIPTokenizer

from tests import ROOT
from training.quarter_hour.tokens import Tokenizer
from training.scenes.caption_source import CaptionSource
from training.scenes.sprites import open_pack

FOLDER = ROOT / "editions" / "pocket-1" / "tokenizer"


def test_captions_and_unknown_words_have_the_tokens_of_the_press():
    source = CaptionSource(open_pack(), 1)
    texts = [source.draw()[1].text for _ in range(300)] + source.words[:300]
    texts += ["", "A Dog.", "it's 12 o'clock -- don't!", "zebra " * 100, "  a   cat\n"]
    theirs = CLIPTokenizer.from_pretrained(str(FOLDER), local_files_only=True)
    expected = theirs(texts, padding="max_length", max_length=77, truncation=True).input_ids
    ours = Tokenizer(FOLDER)
    assert [ours(text) for text in texts] == expected


def test_a_caption_that_is_not_ascii_is_refused():
    with pytest.raises(ValueError, match="not ASCII"):
        Tokenizer(FOLDER)("ein Löwe")
