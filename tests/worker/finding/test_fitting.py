"""Reading a picture that somebody brings: every file ends in a picture or in one sentence."""

import io
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from tests import ROOT
from worker.catalogue.limits import PICTURE_FILE_BYTES, PICTURE_MEMORY
from worker.errors import InputRefused
from worker.finding.fitting import Fitted, How, fit_picture, read_picture

RED, BLUE = (200, 30, 30), (30, 30, 200)


def halves(size: tuple[int, int] = (64, 48), mode: str = "RGB") -> Image.Image:
    """A picture that is red on its left half and blue on its right."""
    image = Image.new("RGB", size, BLUE)
    image.paste(RED, (0, 0, size[0] // 2, size[1]))
    return image.convert(mode)


def saved(image: Image.Image, kind: str = "PNG", **more: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **more)
    return file.getvalue()


def colours(fitted: Fitted) -> list[list[int]]:
    """The left and the right quarter's middle."""
    return [fitted.pixels[208, x].tolist() for x in (160, 480)]


def is_like(found: list[list[int]], wanted: list[tuple[int, ...]], by: int = 12) -> bool:
    return bool(np.abs(np.array(found) - np.array(wanted)).max() <= by)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "AVIF", "GIF", "TIFF", "BMP"])
def test_every_kind_that_is_expected_is_read(kind: str) -> None:
    fitted = fit_picture(saved(halves((640, 416)), kind))
    assert fitted.pixels.shape == (416, 640, 3)
    assert is_like(colours(fitted), [RED, BLUE])
    assert fitted.notes == ()
    name = {"WEBP": "WebP"}.get(kind, kind)
    assert f" {name} picture of 640 × 416 pixels." in fitted.sentence


@pytest.mark.parametrize(
    ("how", "corner", "middle"),
    [("fill", RED, RED), ("fit", (255, 255, 255), RED), ("stretch", RED, RED)],
)
def test_another_shape_fills_fits_or_stretches(how: How, corner: tuple[int, ...], middle: tuple[int, ...]) -> None:
    fitted = fit_picture(saved(Image.new("RGB", (100, 300), RED)), how)
    assert tuple(fitted.pixels[0, 0]) == corner
    assert tuple(fitted.pixels[208, 320]) == middle
    assert (fitted.width, fitted.height, fitted.how) == (100, 300, how)


def test_a_telephones_picture_is_turned_as_its_exif_says() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: what is left in the file is above
    fitted = fit_picture(saved(halves((64, 48)), "JPEG", exif=exif, quality=95), "stretch")
    above, below = fitted.pixels[100, 320].tolist(), fitted.pixels[316, 320].tolist()
    assert is_like([above, below], [RED, BLUE])
    assert (fitted.width, fitted.height) == (48, 64)
    assert "turned" in fitted.sentence


def test_what_is_transparent_lies_on_white() -> None:
    image = halves(mode="RGBA")
    image.paste((0, 0, 0, 0), (0, 0, 32, 48))
    for data in (saved(image), saved(image, "WEBP", lossless=True), saved(image.quantize(8))):
        fitted = fit_picture(data)
        assert is_like(colours(fitted), [(255, 255, 255), BLUE])
        assert "laid on white" in fitted.sentence
    assert fit_picture(saved(halves(mode="RGBA"))).notes == ()


@pytest.mark.parametrize(
    ("data", "wanted"),
    [
        (saved(halves(mode="CMYK"), "JPEG", quality=95), [RED, BLUE]),
        (saved(halves().quantize(4)), [RED, BLUE]),
        (saved(halves(mode="L")), [(81, 81, 81), (49, 49, 49)]),
        (saved(halves(mode="1")), None),
        (saved(Image.fromarray(np.full((48, 64), 40_000, np.uint16))), [(156, 156, 156)] * 2),
        (saved(Image.fromarray(np.tile(np.linspace(-3, 9, 64, dtype=np.float32), (48, 1))), "TIFF"), None),
    ],
    ids=["CMYK", "palette", "grey", "one bit", "16 bit", "float"],
)
def test_other_ways_to_write_colours_become_rgb(data: bytes, wanted: list[tuple[int, ...]] | None) -> None:
    fitted = fit_picture(data, "stretch")
    assert fitted.pixels.dtype == np.uint8
    if wanted is not None:
        assert is_like(colours(fitted), wanted)
    else:
        assert fitted.pixels.min() < 60
        assert fitted.pixels.max() > 195


def test_colours_of_a_profile_are_brought_to_srgb_and_a_broken_profile_changes_nothing() -> None:
    image = Image.new("RGB", (64, 48), (10, 200, 10))
    linear = ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ")).tobytes()
    assert tuple(fit_picture(saved(image, icc_profile=b"no profile")).pixels[0, 0]) == (10, 200, 10)
    assert fit_picture(saved(image, icc_profile=linear)).pixels.shape == (416, 640, 3)


def test_of_an_animation_the_first_picture_is_taken() -> None:
    frames = [Image.new("RGB", (64, 48), colour) for colour in (RED, BLUE, (9, 9, 9))]
    for kind in ("GIF", "WEBP"):
        fitted = fit_picture(saved(frames[0], kind, save_all=True, append_images=frames[1:]))
        assert is_like(colours(fitted), [RED, RED])
        assert "Of its 3 pictures the first was taken." in fitted.sentence


def bomb(width: int, height: int) -> bytes:
    """A PNG whose header promises so many pixels of nought; its data would inflate to them."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(10_000)))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "empty; a PNG, JPEG"),
        (b"a poem", "This file is text; a PNG, JPEG"),
        (b"\x80\x81\x82", "is no picture that is known here; a PNG, JPEG"),
        (b"<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'/>", "is an SVG drawing; a PNG, JPEG"),
        (b"%PDF-1.7 and more", "is a PDF document; a PNG, JPEG"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "is a HEIC picture; a PNG, JPEG"),
        (b"\0\0\0\x18ftypmp42\0\0\0\0", "is a film; a PNG, JPEG"),
        (bomb(100_000, 100_000), "a PNG picture of more than 50,000,000 pixels"),
        (bomb(400_000, 2), "a side may have 65,500"),
        (bomb(640, 416), "a PNG picture, and it is damaged or cut short"),
        (b"\xff\xd8\xff\xe0 and nothing more", "a JPEG picture, and it is damaged or cut short"),
        (b"x" * (PICTURE_FILE_BYTES + 1), "more than 16,777,216 bytes"),
    ],
    ids=["empty", "text", "no text", "SVG", "PDF", "HEIC", "film", "bomb", "long", "short data", "no JPEG", "large"],
)
def test_what_is_no_picture_is_refused_in_a_sentence(data: bytes, said: str) -> None:
    with pytest.raises(InputRefused) as refused:
        fit_picture(data)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("data", "remedy"),
    [
        (b"<svg >", "save it there as a PNG"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "save it there as a PNG"),
        (b"PK\x03\x04", "Take the picture out of it"),
        (b"<!doctype html>", "screenshot"),
        (b"a poem", "search box"),
    ],
)
def test_what_to_do_about_a_file_of_another_kind_is_said(data: bytes, remedy: str, tmp_path: Path) -> None:
    (tmp_path / "mine").write_bytes(data)
    with pytest.raises(InputRefused) as refused:
        read_picture(tmp_path / "mine")
    assert remedy in refused.value.hint


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "AVIF", "GIF", "TIFF", "BMP"])
def test_a_file_cut_anywhere_or_with_bytes_turned_ends_in_a_picture_or_a_sentence(kind: str) -> None:
    data = saved(halves((96, 64)), kind)
    rng = np.random.default_rng(1)
    for _ in range(25):
        cut = data[: rng.integers(1, len(data))]
        turned = bytearray(data)
        for place in rng.integers(0, len(data), 3):
            turned[place] = rng.integers(0, 256)
        for broken in (cut, bytes(turned)):
            try:
                assert fit_picture(broken).pixels.shape == (416, 640, 3)
            except InputRefused as refused:
                assert str(refused).endswith(".")
    with pytest.raises(InputRefused):
        fit_picture(data[: len(data) // 3])


def test_the_largest_picture_takes_no_more_memory_than_is_stated(tmp_path: Path) -> None:
    """One of 49 million pixels with alpha, in a process of its own: the worst that Pillow has to hold twice."""
    path = tmp_path / "large.png"
    Image.new("RGBA", (7000, 7000), (200, 30, 30, 128)).save(path, compress_level=1)
    code = """
import resource, sys
from pathlib import Path
from worker.finding.fitting import read_picture
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
before = peak()
read_picture(Path(sys.argv[1]))
print(peak() - before)
"""
    done = subprocess.run([sys.executable, "-c", code, str(path)], cwd=ROOT, capture_output=True, text=True, check=True)
    assert int(done.stdout) < PICTURE_MEMORY


def test_a_refusal_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "note.png").write_text("no picture", encoding="ascii")
    (tmp_path / "page.png").write_bytes(saved(halves()))
    for name, said in (
        ("note.png", "note.png cannot be used. This file"),
        ("gone.png", "There is no file"),
        (".", "is a folder"),
    ):
        with pytest.raises(InputRefused, match=said):
            read_picture(tmp_path / name)
    data, fitted = read_picture(tmp_path / "page.png")
    assert data == (tmp_path / "page.png").read_bytes()
    assert fitted.width == 64
