"""gallery.holds.views: the page says what the file says, claims nothing of other weights, and shows nothing hidden."""

import html
import re
from pathlib import Path
from statistics import median

import numpy as np
import pytest

from gallery.holds import views
from tests import ROOT
from tests.gallery.views.conftest import InProcess, library
from worker.editions.edition import load_edition
from worker.editions.holdings import Holdings, Part, read_holdings
from worker.editions.repertoire import printed_with
from worker.store import hidden

__all__ = ["library"]
pytestmark = pytest.mark.django_db(transaction=True)
SHIPPED = read_holdings(ROOT / "editions" / "pocket-1")
assert SHIPPED is not None


def words_of(library: InProcess, path: str = "/about/holds/") -> str:
    """The text of a page, without its tags, with single spaces."""
    answer = library.get(path)
    assert answer.status_code == 200
    return " ".join(html.unescape(re.sub(r"<[^>]+>", "", answer.content.decode())).split())


def test_the_page_shows_what_the_file_says(library: InProcess) -> None:
    """Each figure is worked out here a second time, in another way, from the rows themselves."""
    text, parts = words_of(library), SHIPPED.parts
    for part in parts.values():
        assert part.measured in text and part.how["rendition"] in text
    rows = parts["mush"].rows
    line = np.percentile([scene["evidence"] for row in rows for scene in row["scenes"]], 5)
    stacks = np.array([row["stacks"]["evidence"] < line for row in rows if "stacks" in row])
    assert f"Of {len(stacks)} of their pages, {stacks.sum()} are mush" in text
    error = 100 * stacks.std() / len(stacks) ** 0.5
    assert f"{100 * stacks.mean():.1f} % of the stacks, give or take {error:.1f} points" in text
    flips = [flip for row in parts["bits"].rows for flip in row["flips"]]
    assert f"On {len(parts['bits'].rows)} page" in text and f"{len(flips)} bits were flipped" in text
    signs = [flip for flip in flips if (flip["field"], flip["bit"]) == ("latents", 0)]
    cell = f"{median(f['rms'] for f in signs):.2g}, {max(f['largest'] for f in signs)}, {len(signs)}"
    assert cell in text.partition("Sign")[2].partition("Exponent")[0]
    spectra = [row["latents"] for row in parts["dimension"].rows]
    level = (3 * 640 * 416) ** 0.5
    counts = [16_640 * sum(np.array(s["shares"])[np.array(s["strengths"]) >= level]) for s in spectra]
    assert (
        f"The noise has 16,640 numbers, so a picture could be moved in as many directions. About {np.mean(counts):.0f} "
        in text
    )
    assert f"at {len(spectra)} page" in text


def test_pairs_are_shown_with_their_pictures(library: InProcess) -> None:
    text = library.get("/about/holds/").content.decode()
    shown = re.findall(r'src="(/about/holds/[^"]+\.webp)"', text)
    rows = SHIPPED.parts["pictures"].rows if "pictures" in SHIPPED.parts else ()
    assert len(shown) == 2 * sum("files" in row for row in rows)
    for path in shown[:4]:
        answer = library.get(path)
        assert (answer.status_code, answer["content-type"]) == (200, "image/webp")
    assert library.get("/about/holds/nothing.webp").status_code == 404


def own(folder: Path, weights: str | None = None) -> Holdings:
    """Measurements of one picture, a page of this library; with the weights that ship unless others are named."""
    for name in ("asked", "found"):
        (folder / f"{name}.webp").write_bytes(b"picture")
    row = {"kind": "pages", "name": "One page", "dB": {"bound": 40.0, "quick": 41.0}, "mark": "a" * 26}
    row |= {"files": {"asked": "asked", "found": "found"}, "address": "pocket-1/key/borges/1"}
    part = Part({"rendition": "by hand"}, "2026-11-28", [row])
    edition = load_edition("pocket-1", folder)
    return Holdings(folder, weights or SHIPPED.weights, printed_with(edition), "by hand", {"pictures": part})


@pytest.mark.parametrize("by", ["address", "mark"])
def test_a_hidden_page_is_shown_neither_as_what_was_asked_for_nor_as_what_was_found(
    library: InProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    found = own(tmp_path)
    monkeypatch.setattr(views, "read_holdings", lambda folder: found)
    assert "One page: 41.0 dB" in words_of(library)
    assert library.get("/about/holds/found.webp").content == b"picture"
    row = found.parts["pictures"].rows[0]
    name = hidden.name_of_key(row["mark"])
    if by == "address":
        name = hidden.name_of_address(views.Address.parse(row["address"]))
    hidden.hide(library.data, [name])
    assert "One page" not in words_of(library)
    for file in ("asked", "found"):
        assert library.get(f"/about/holds/{file}.webp").status_code == 410


def test_nothing_is_claimed_of_other_weights(
    library: InProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = own(tmp_path, weights="0" * 64)
    monkeypatch.setattr(views, "read_holdings", lambda folder: found)
    text = words_of(library)
    assert "Nothing is known of the weights that are here" in text and "dB" not in text and "Measured" not in text
    assert library.get("/about/holds/found.webp").status_code == 404


def test_about_leads_there(library: InProcess) -> None:
    assert 'href="/about/holds/"' in library.get("/about/").content.decode()
    assert "Allow: /about/holds/\n" in library.get("/robots.txt").content.decode()
