"""Films: the pictures of a corridor in one file, as animated WebP, as MP4 or side by side. Imports worker.errors alone.

MP4 is made by PyAV (FFmpeg and x264 as libraries): pictures go in as arrays, in this process, where imageio-ffmpeg has
to find, start, feed and watch a program of 80 MB. H.264 of the High profile in yuv420p with even sides plays on every
phone; the index stands first, so that it plays while it is loaded. What is encoded is the same from run to run.
"""

import io
import itertools
import math
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from worker.errors import InputRefused

Pixels = npt.NDArray[np.uint8]
"""A picture, (416, 640, 3) RGB."""

KINDS: Final = {".mp4": "video/mp4", ".webp": "image/webp", ".png": "image/png"}
"""What a film can be, by the end of its file's name, and its media type."""
PACE: Final = 8
"""Pictures a second, where nobody says otherwise."""
PACE_MOST: Final = 60
_COLUMNS: Final = 6
_GAP: Final = 8


def encode_film(kind: str, frames: Sequence[Pixels], pace: int = PACE) -> bytes:
    """Return a film of frames in their order, each shown for 1/`pace` seconds; a WebP begins again at its end.

    `kind` is a key of `KINDS`; a PNG has the frames side by side, six in a row, at half their size.
    """
    assert frames, "a film has pictures"
    if kind == ".mp4":
        return _mp4(frames, pace)
    return _webp(frames, pace) if kind == ".webp" else _strip(frames)


def kind_of(name: str) -> str:
    """Return the kind of film that a file's name asks for. Raises InputRefused."""
    kind = next((kind for kind in KINDS if name.lower().endswith(kind)), None)
    if kind is None:
        raise InputRefused(f"A corridor is written as {', '.join(KINDS)}, and {name!r} ends in none of these.")
    return kind


def in_circle(count: int) -> list[int]:
    """Return the order in which frames are shown there and back again: neither end is shown twice in a row."""
    return [*range(count), *range(count - 2, 0, -1)]


def difference(one: Pixels, other: Pixels) -> float:
    """Return how far two pictures are from each other: the root of the mean square of what differs, 0 to 255."""
    apart = one.astype(np.int64) - other.astype(np.int64)
    return math.sqrt(int((apart * apart).sum()) / apart.size)


def _webp(frames: Sequence[Pixels], pace: int) -> bytes:
    out = io.BytesIO()
    first, *rest = (Image.fromarray(np.ascontiguousarray(frame)) for frame in frames)
    # What is as it was counts for longer, so that ends are rounded together and the film takes its time.
    ends = [round(1000 * number / pace) for number in range(len(frames) + 1)]
    lengths = [end - start for start, end in itertools.pairwise(ends)]
    first.save(
        out,
        "WEBP",
        save_all=True,
        append_images=rest,
        duration=lengths,
        loop=0,
        quality=82,
        method=3,
        minimize_size=False,
    )
    return out.getvalue()


def _mp4(frames: Sequence[Pixels], pace: int) -> bytes:
    import av  # 36 MB, and only where somebody takes a film home
    from av.video.reformatter import ColorRange, Colorspace

    height, width = (side - side % 2 for side in frames[0].shape[:2])  # yuv420p has one colour for two by two
    with tempfile.TemporaryDirectory() as folder:  # FFmpeg reads what it wrote to put the index first
        file = Path(folder) / "film.mp4"
        with av.open(file, "w", format="mp4", options={"movflags": "+faststart"}) as container:
            options = {"crf": "18", "preset": "medium", "profile": "high"}
            stream = container.add_stream("libx264", rate=pace, options=options)
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            coding = stream.codec_context
            coding.thread_count = 1
            coding.colorspace = coding.color_primaries = coding.color_trc = Colorspace.ITU709
            coding.color_range = ColorRange.MPEG
            for frame in frames:
                picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame[:height, :width]), format="rgb24")
                coded = picture.reformat(
                    format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG
                )
                container.mux(stream.encode(coded))
            container.mux(stream.encode())
        return file.read_bytes()


def _strip(frames: Sequence[Pixels]) -> bytes:
    height, width = (side // 2 for side in frames[0].shape[:2])
    columns = min(_COLUMNS, len(frames))
    rows = -(-len(frames) // columns)
    size = (columns * (width + _GAP) + _GAP, rows * (height + _GAP) + _GAP)
    sheet = Image.new("RGB", size, "white")
    for number, frame in enumerate(frames):
        row, column = divmod(number, columns)
        small = Image.fromarray(np.ascontiguousarray(frame)).resize((width, height), Image.Resampling.BOX)
        sheet.paste(small, (_GAP + column * (width + _GAP), _GAP + row * (height + _GAP)))
    out = io.BytesIO()
    sheet.save(out, "PNG")
    return out.getvalue()
