"""worker.films: what is in the file is the film: its pictures, in their order, for as long as they should be seen."""

import io

import av
import numpy as np
import pytest
from PIL import Image, ImageSequence

from worker.errors import InputRefused
from worker.films import Pixels, difference, encode_film, in_circle, kind_of


def frame(number: int) -> Pixels:
    """A smooth picture that differs from the next one."""
    rows, columns = np.mgrid[0:416, 0:640]
    picture = np.stack([rows * 255 // 416, columns * 255 // 640, np.full_like(rows, 40 + 30 * number)], axis=2)
    return picture.astype(np.uint8)


FRAMES = [frame(number) for number in range(5)]


def decibels(one: Pixels, other: Pixels) -> float:
    return float(20 * np.log10(255 / difference(one, other)))


def test_an_mp4_plays_on_telephones_and_shows_the_frames() -> None:
    film = encode_film(".mp4", FRAMES, pace=8)
    assert film.index(b"moov") < film.index(b"mdat"), "the index stands first"
    with av.open(io.BytesIO(film)) as container:
        (stream,) = container.streams
        assert (stream.codec_context.name, stream.profile, stream.pix_fmt) == ("h264", "High", "yuv420p")
        assert (stream.width, stream.height, stream.average_rate, stream.frames) == (640, 416, 8, 5)
        shown = [picture.to_ndarray(format="rgb24") for picture in container.decode(stream)]
    assert len(shown) == 5
    for one, other in zip(FRAMES, shown, strict=True):
        assert decibels(one, other) > 32


def test_an_mp4_of_odd_sides_has_even_ones() -> None:
    with av.open(io.BytesIO(encode_film(".mp4", [picture[:415, :639] for picture in FRAMES]))) as container:
        assert (container.streams.video[0].width, container.streams.video[0].height) == (638, 414)


@pytest.mark.parametrize("pace", [1, 7, 24])
def test_a_webp_shows_each_frame_for_its_time_and_begins_again(pace: int) -> None:
    with Image.open(io.BytesIO(encode_film(".webp", FRAMES, pace))) as film:
        assert (film.format, film.size, film.n_frames, film.info["loop"]) == ("WEBP", (640, 416), 5, 0)
        lengths = []
        for number, shown in enumerate(ImageSequence.Iterator(film)):
            picture = np.asarray(shown.convert("RGB"))
            lengths.append(shown.info["duration"])
            assert decibels(FRAMES[number], picture) > 32
    assert sum(lengths) == round(5000 / pace)


def test_a_strip_has_six_in_a_row() -> None:
    with Image.open(io.BytesIO(encode_film(".png", FRAMES * 2))) as strip:
        assert (strip.format, strip.size) == ("PNG", (6 * 328 + 8, 2 * 216 + 8))


def test_the_same_frames_make_the_same_file() -> None:
    for kind in (".mp4", ".webp", ".png"):
        assert encode_film(kind, FRAMES) == encode_film(kind, FRAMES), kind


def test_a_circle_shows_no_end_twice() -> None:
    assert in_circle(4) == [0, 1, 2, 3, 2, 1]
    assert in_circle(3) == [0, 1, 2, 1]


def test_two_pictures_are_as_far_apart_as_their_pixels() -> None:
    assert difference(FRAMES[0], FRAMES[0]) == 0
    assert difference(np.zeros((2, 2, 3), np.uint8), np.full((2, 2, 3), 255, np.uint8)) == 255


def test_a_name_says_what_kind_of_film_it_is() -> None:
    assert [kind_of(name) for name in ("walk.mp4", "a/B.WEBP", ".png")] == [".mp4", ".webp", ".png"]
    with pytest.raises(InputRefused, match=r"\.mp4, \.webp, \.png, and 'walk\.gif' ends in none"):
        kind_of("walk.gif")
