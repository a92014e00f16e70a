"""worker.jobs.preview: the format of the picture that goes with a print's progress."""

import io

import numpy as np
from PIL import Image

from worker.jobs import preview


def test_a_preview_is_a_small_file_of_the_type_that_it_is_sent_as() -> None:
    gradient = np.linspace(0, 255, 52 * 80 * 3).reshape(52, 80, 3).astype(np.uint8)
    data = preview.encode(gradient)
    with Image.open(io.BytesIO(data)) as image:
        assert image.get_format_mimetype() == preview.CONTENT_TYPE
        assert image.size == (80, 52)
        # Lossy: a colour may be off by a few grey levels, and a mean by less than two.
        assert abs(float(np.asarray(image).mean()) - float(gradient.mean())) < 2
    assert len(data) < 2000
