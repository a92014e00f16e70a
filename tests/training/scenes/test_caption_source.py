"""Words that mean nothing in a caption."""

from training.scenes.caption_source import noise_words


def test_unknown_words_are_none_that_a_caption_uses(pack):
    words = noise_words(pack)
    assert len(words) > 1000
    assert not {"dog", "puppy", "dogs"} & set(words)
