"""gallery.holds.figures: what is said, worked out from rows whose answer is known."""

from math import sqrt
from typing import Any

import pytest

from gallery.holds.figures import (
    VALUES,
    WHOLE,
    Share,
    bits_context,
    counted,
    counted_at_most,
    dimension_context,
    mush_context,
    pictures_context,
)
from worker.editions.holdings import Part


def part(*rows: dict[str, Any], **how: Any) -> Part:
    return Part(how, "2026-11-28", rows)


def test_a_share_has_its_error_and_an_interval_also_at_its_ends() -> None:
    half = Share(20, 40)
    assert (half.percent, half.error) == ("50.0 %", f"{100 * sqrt(0.25 / 40):.1f}")
    assert half.between == ("35.2", "64.8 %"), "Wilson's interval of 20 of 40"
    assert Share(40, 40).between == ("91.2", "100.0 %") and Share(40, 40).error == "0.0"


def test_directions_are_counted_above_a_strength_and_bounded_by_what_weaker_ones_may_hide() -> None:
    spectrum = {"strengths": [100.0, 10.0], "shares": [0.25, 0.75]}
    assert counted(spectrum, 1000, 50.0) == 250
    assert counted_at_most(spectrum, 1000, 50.0) == pytest.approx(250 + 750 * 0.04)
    told = dimension_context(
        part(
            *(
                {
                    "latents": {"strengths": [30 * WHOLE, 2 * WHOLE, 0.01 * WHOLE], "shares": [n / 16640, 0, 0.9]},
                    "embedding": {"strengths": [5 * WHOLE, 0.001 * WHOLE], "shares": [0.5, 0.5]},
                }
                for n in (4, 8)
            ),
            steps=4,
            rounds=3,
        )
    )
    latents = told["fields"][0]
    assert (latents["directions"], latents["least"], latents["least_error"]) == ("16,640", 6, "2")
    assert (latents["most"], latents["strongest"]) == (round(6 + 16640 * 0.9e-4), "30")
    assert sqrt(VALUES) == WHOLE and told["pages"] == 2
    assert all(curve.startswith("M") for curve in told["plot"].curves)


def flip(field: str, bit: int, rms: float, largest: int, differing: int = 1) -> dict[str, Any]:
    return {"field": field, "bit": bit, "number": 0, "rms": rms, "largest": largest, "differing": differing}


def low(field: str, bits: int, largest: int) -> dict[str, Any]:
    return {"field": field, "low": bits, "rms": 0.1, "largest": largest, "differing": 9}


def test_keys_share_a_picture_by_as_many_low_bits_as_moved_nothing_on_every_page() -> None:
    first = [low("embedding", 1, 0), low("embedding", 2, 1), low("embedding", 4, 3), low("latents", 1, 2)]
    second = [low("embedding", 1, 1), low("embedding", 2, 1), low("embedding", 4, 1), low("latents", 1, 0)]
    flips = [flip("steps", 0, 9.0, 99), flip("embedding", 0, 0.2, 4), flip("embedding", 14, 0.0, 0, 0)]
    rows = (
        {"flips": flips, "together": first},
        {"flips": [flip("embedding", 0, 0.4, 6)], "together": second},
    )
    told = bits_context(part(*rows))
    assert [(each["low"], each["tries"]) for each in told["shared"]] == [(2, 2)], "latents moved by 2 on one page"
    assert told["shared_power"] == "35,602", "2 bits of each of 59,134 numbers are 10^(118,268 · log 2)"
    assert told["table"][0]["cells"] == [{"count": 2, "rms": "0.3", "largest": 6, "same": 0}]
    assert (told["identical"].hits, told["identical"].of) == (1, 4)
    assert (told["lowest"].hits, told["lowest"].of, told["steps"]["rms"]) == (1, 1, "9")


def test_no_keys_are_said_to_share_a_picture_where_even_the_lowest_bits_move_it() -> None:
    row = {"flips": [flip("latents", 0, 0.2, 4)], "together": [low("latents", 1, 2), low("latents", 2, 1)]}
    told = bits_context(part(row))
    assert told["shared"] == [] and told["shared_power"] == ""


def seen(evidence: float) -> dict[str, float]:
    return {"evidence": evidence, "contrast": 20.0, "detail": 1.0}


def test_mush_is_what_lies_below_the_twentieth_part_of_the_rendered_scenes() -> None:
    rows = [
        {
            "stacks": seen(0.4 if n < 15 else 3.0),
            "key": seen(5.0),
            "prompt": seen(9.0),
            "scenes": [seen(float(5 * n + k)) for k in range(5)],
        }
        for n in range(20)
    ]
    told = mush_context(part(*rows))
    assert (told["scenes"], told["threshold"]) == (100, "5.0"), "scenes run from 0 to 99 evenly: a twentieth is 4.95"
    assert (told["stacks"].hits, told["stacks"].of, told["own"].hits) == (20, 20, 0)
    assert [group["count"] for group in told["groups"]] == [100, 20, 20, 20]


def test_pictures_stand_by_kind_with_medians_of_each_depth_and_pairs() -> None:
    def row(kind: str, bound: float, **depths: float) -> dict[str, Any]:
        files = {"asked": f"{kind}-asked", "found": f"{kind}-found"}
        return {"kind": kind, "name": "A thing", "dB": {"bound": bound, **depths}, "files": files}

    told = pictures_context(part(row("noise", 10.0, quick=9.0), row("pages", 40.0, quick=41.0, good=45.0)))
    assert told["series"] == ["the autoencoder alone", "quick", "good"], "what no picture was given is not shown"
    assert [(kind["kind"], kind["medians"]) for kind in told["kinds"]] == [
        ("pages", ["40.0", "41.0", "45.0"]),
        ("noise", ["10.0", "9.0", ""]),
    ]
    assert (told["kinds"][0]["pairs"][0]["depth"], told["kinds"][0]["pairs"][0]["dB"]) == ("good", "45.0")
