"""gallery.pages.drawings.postcards: the whole picture, the words, and a code that a telephone reads."""

import io

import numpy as np
import pytest
import zxingcpp
from PIL import Image, ImageDraw

from gallery.pages.drawings.lettering import draw_emblem
from gallery.pages.drawings.postcards import _PLATE, HEIGHT, LINK_LIMIT, WIDTH, _pieces, postcard
from worker.catalogue.address import Address
from worker.catalogue.png import address_among, encode_page, read_chunks

MARK = "numxaqqioe4lpfc6qxh46pi5yy"
RAMP = np.ascontiguousarray(np.broadcast_to(np.linspace(0, 255, 640, dtype=np.uint8)[None, :, None], (416, 640, 3)))
ADDRESSES = [
    Address("pocket-1", "prompt", "a dog on a beach at sunset", 1),
    Address("pocket-1", "prompt", 500 * "W", 410),
    Address("pocket-1", "mark", MARK, None),
]
HOSTS = [
    "http://127.0.0.1:8000",
    "https://a-rather-long-name.of-a-library.example.org/below/some/path",
    "https://" + "a" * (LINK_LIMIT - len("https:///pocket-1/mark//") - 26),  # as long as may be
]


@pytest.mark.parametrize("address", ADDRESSES, ids=lambda address: address.format()[:40])
@pytest.mark.parametrize("host", HOSTS)
def test_the_code_opens_the_link_and_the_picture_is_whole(address: Address, host: str) -> None:
    file = io.BytesIO()
    Image.fromarray(RAMP).save(file, "PNG")
    link = f"{host}/pocket-1/mark/{MARK}/"
    assert len(link) <= LINK_LIMIT
    with Image.open(io.BytesIO(postcard(address, file.getvalue(), link))) as card:
        assert (card.format, card.size, card.mode) == ("PNG", (WIDTH, HEIGHT), "RGB")
        (code,) = zxingcpp.read_barcodes(card, formats=zxingcpp.BarcodeFormat.QRCode)
        small = card.resize((WIDTH // 2, HEIGHT // 2))  # as a chat sends it
        (again,) = zxingcpp.read_barcodes(small, formats=zxingcpp.BarcodeFormat.QRCode)
        shown = np.asarray(card).astype(int)
    assert code.text == again.text == link
    left, top, width, height = _PLATE
    plate = shown[top : top + height, left : left + width, 0]
    assert abs(plate[::8, ::8] - np.asarray(RAMP)[::4, ::4, 0].astype(int)).max() <= 2


def test_the_mark_in_the_link_is_in_one_piece_and_the_emblem_has_its_picture() -> None:
    link = f"a-rather-long-name.of-a-library.example.org/below/some/path/pocket-1/mark/{MARK}"
    assert _pieces(ImageDraw.Draw(Image.new("RGB", (9, 9))), link)[-1] == MARK
    card = Image.new("RGB", (99, 99))
    draw_emblem(ImageDraw.Draw(card), (50, 50), 40, (255, 0, 0))
    along = [card.getpixel((50, y)) == (255, 0, 0) for y in range(99)]
    turns = [y for y in range(1, 99) if along[y] != along[y - 1]]
    assert len(turns) == 6, "down the middle: the edge, the picture, the edge"


@pytest.mark.parametrize("words", ["a dog", "ein Hund, 犬"])
def test_a_postcard_that_is_brought_back_opens_its_page(words: str) -> None:
    address = Address("pocket-1", "prompt", words, 3)
    picture = encode_page(RAMP, address=address.format(), mark=MARK, edition="pocket-1", rendition="by hand")
    texts = read_chunks(postcard(address, picture, f"http://127.0.0.1:8000/pocket-1/mark/{MARK}/"))
    assert address_among(texts) == address.format()
    assert texts["Babelia-Mark"] == MARK
