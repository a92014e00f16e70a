"""What the text encoder is asked while it is trained."""

from training.scenes.caption_source import CaptionSource
from training.scenes.sprites import open_pack, read_subjects
from training.trainers.text_encoder import fact_sizes, facts_of


def test_facts_are_answers_that_the_questions_have():
    source = CaptionSource(open_pack(), 9)
    sizes = fact_sizes(len(read_subjects()))
    for _ in range(500):
        facts = facts_of(*source.draw())
        assert facts.keys() == sizes.keys()
        assert all(0 <= value < sizes[name] for name, value in facts.items())
