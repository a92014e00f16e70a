"""The presets agree with what the trainings expect of them."""

from training.presets import PRESETS


def test_every_preset_learns_crops_before_pages_and_calls_no_two_stages_the_same():
    for preset in PRESETS.values():
        kinds = [plan.shares[0].kind for plan in preset.unet]
        assert kinds[0] == "crops" and kinds[-1] == "pages"
        assert len(set(preset.stages)) == len(preset.stages)
