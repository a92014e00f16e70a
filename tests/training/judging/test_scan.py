"""training.judging.scan: its own way is the engine's, what arms share changes nothing, the table says differences."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from training.judging.scan import Arm, Painter, Rule, dense_timesteps, difference, questions, table
from worker.catalogue.address import Address
from worker.catalogue.key import Key
from worker.editions.edition import Edition
from worker.engine.engine import Engine
from worker.engine.solvers import make_plan

OWN = Arm(steps=4, scale=5.0)
"""The way of the edition tiny."""


@pytest.fixture
def dog(tiny_engine: Engine) -> Key:
    return tiny_engine.resolve(Address.parse("tiny/prompt/a dog/1"))


def latents(engine: Engine, key: Key) -> torch.Tensor:
    *_, last = engine.run([key])
    return last.latents


def test_an_arm_is_read_from_its_settings() -> None:
    assert Arm.parse("") == Arm()
    arm = Arm.parse("steps=3,low=250,scale=3,weak=old,weak_scale=1.5,weak_blind=True,at=900/400/100")
    assert arm == Arm(3, 3.0, low=250, at="900/400/100", weak="old", weak_scale=1.5, weak_blind=True)
    assert arm.timesteps == [900, 400, 100]
    assert [arm.rule(t) for t in (250, 249)] == [Rule(3.0, "old", 1.5, True), Rule()]
    assert arm.rows([900, 400, 100]) == 7
    with pytest.raises(ValueError, match="'stepz' is no setting"):
        Arm.parse("stepz=3")


def test_steps_lie_closer_where_they_are_asked_to() -> None:
    config = {"timestep_spacing": "trailing"}
    for steps in (8, 20, 50):
        assert dense_timesteps(steps, 250, 750, 1) == [u.timestep for u in make_plan("ddim", config, steps)]
    dense = dense_timesteps(20, 250, 750, 3)
    assert dense[0] == 999 and len(dense) == 20
    assert sum(250 <= t < 750 for t in dense) == 15


def test_outside_its_interval_a_step_is_the_page_s_own_row_alone(
    tiny_edition: Edition, tiny_engine: Engine, dog: Key
) -> None:
    unguided = Engine(replace(tiny_edition, guidance=1.0, early_guidance=1.0), device="cpu", threads=1)
    expected = [latents(tiny_engine, dog), latents(unguided, dog)]
    (_, own), (_, none), (_, partly) = Painter(tiny_engine, None).page(
        dog, [OWN, replace(OWN, low=1000), replace(OWN, low=600)]
    )
    assert torch.equal(own, expected[0])
    torch.testing.assert_close(none, expected[1], rtol=1e-4, atol=1e-4)
    assert not torch.equal(partly, own) and not torch.equal(partly, none)


def test_a_net_that_is_as_good_guides_nowhere_and_one_arm_does_not_change_another(
    tiny_engine: Engine, tiny_weights: Path, dog: Key
) -> None:
    twin = replace(OWN, weak=tiny_weights.name, weak_scale=3.0)
    blind = replace(twin, scale=1.0, weak_scale=5.0, weak_blind=True)
    moved = replace(OWN, net=f"{tiny_weights.name}:0.5")
    found = dict(Painter(tiny_engine, tiny_weights.parent).page(dog, [moved, twin, replace(OWN, low=600), OWN, blind]))
    for arm in (twin, moved, blind):
        torch.testing.assert_close(found[arm], found[OWN], rtol=1e-3, atol=1e-3)
    assert torch.equal(found[OWN], latents(tiny_engine, dog))


def test_the_first_half_of_the_pages_has_half_of_every_kind() -> None:
    asked = questions()
    assert len({question.prompt for question in asked}) == len(asked) == 188
    for kind, number in (("thing", 100), ("count", 36), ("colour", 28), ("side", 24)):
        found = sum(question.kind == kind for question in asked[:94])
        assert abs(found - number / 2) <= 1, kind


def test_a_difference_is_paired() -> None:
    mean, error = difference([1, 2, 3, 5], [0, 1, 2, 3])
    assert mean == 1.25 and error == pytest.approx(0.25)


def test_the_table_compares_on_the_pages_that_both_have(tmp_path: Path) -> None:
    lines = [
        {"arm": "", "page": 0, "grey": True, "log": -0.5},
        {"arm": "", "page": 1, "grey": False, "log": -1.5},
        {"arm": "", "page": 2, "grey": False, "log": -9.0},
        {"arm": "steps=10,low=500", "page": 0, "grey": True, "log": -0.25},
        {"arm": "steps=10,low=500", "page": 1, "grey": True, "log": -1.25},
    ]
    (tmp_path / "verdicts-0.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n", encoding="utf-8")
    *_, own, cut = table(tmp_path).splitlines()
    assert own.startswith("| as it is | 40 | 3 | 33.3 | -3.67 |")
    assert cut.startswith("| steps=10,low=500 | 15 | 2 | 100.0 (+50.0 ± 50.0) | -0.75 (+0.25 ± 0.00) |")
