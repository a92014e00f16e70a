"""bench.holds.record: rows are kept as they come, go on, and belong to one set of weights and one way."""

import dataclasses
import json
from pathlib import Path

import pytest

from bench.holds.record import Record
from worker.editions.edition import Edition
from worker.editions.holdings import read_holdings
from worker.errors import InputRefused


def test_rows_go_on_where_they_were_and_parts_do_not_disturb_each_other(tiny_edition: Edition, tmp_path: Path) -> None:
    folder = tmp_path / "holds"
    first, second = (Record(tiny_edition, "abc", "by hand", folder) for _ in range(2))
    assert first.begin("mush", {"scenes": 1}, anew=False) == []
    first.write("mush", 0, {"a": 1})
    second.begin("bits", {}, anew=False)
    second.write("bits", 0, {"b": 0})
    second.write("bits", 0, {"b": 1}, {"one.webp": b"picture"})
    first.write("mush", 1, {"a": 2})
    again = Record(tiny_edition, "abc", "by hand", folder)
    assert again.begin("mush", {"scenes": 1}, anew=False) == [{"a": 1}, {"a": 2}]
    assert again.begin("bits", {}, anew=False) == [{"b": 1}]
    assert (folder / "one.webp").read_bytes() == b"picture"
    assert again.begin("bits", {}, anew=True) == []
    found = read_holdings(tmp_path)
    assert found is not None and found.fits(tiny_edition, "abc") and not found.fits(tiny_edition, "def")
    assert [dict(row) for row in found.parts["mush"].rows] == [{"a": 1}, {"a": 2}]


@pytest.mark.parametrize(
    ("weights", "how", "rendition", "told"),
    [
        ("def", {}, "by hand", "with the weights abc, and this is tiny with def"),
        ("abc", {"steps": 4}, "by hand", "was measured with another steps"),
        ("abc", {}, "elsewhere", "was measured with another rendition"),
    ],
)
def test_another_model_or_another_way_is_refused(
    tiny_edition: Edition, tmp_path: Path, weights: str, how: dict[str, int], rendition: str, told: str
) -> None:
    record = Record(tiny_edition, "abc", "by hand", tmp_path)
    record.begin("bits", {}, anew=False)
    record.write("bits", 0, {})
    before = record.path.read_bytes()
    with pytest.raises(InputRefused, match=told):
        Record(tiny_edition, weights, rendition, tmp_path).begin("bits", how, anew=False)
    assert record.path.read_bytes() == before


@pytest.mark.parametrize("text", ["", "[]", '{"parts": {}}'])
def test_a_file_that_holds_no_measurements_is_named(tiny_edition: Edition, tmp_path: Path, text: str) -> None:
    (tmp_path / "holds.json").write_text(text)
    with pytest.raises(InputRefused, match="should hold measurements"):
        Record(tiny_edition, "abc", "by hand", tmp_path)


def test_another_guidance_is_another_edition(tiny_edition: Edition, tmp_path: Path) -> None:
    record = Record(tiny_edition, "abc", "by hand", tmp_path)
    record.begin("bits", {}, anew=False)
    record.write("bits", 0, {})
    assert json.loads(record.path.read_text())["settings"]["guidance"] == 5.0
    with pytest.raises(InputRefused, match="prints in another way"):
        Record(dataclasses.replace(tiny_edition, guidance=2.0), "abc", "by hand", tmp_path)
