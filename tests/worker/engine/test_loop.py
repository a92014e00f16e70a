"""The loop with a fake denoiser: what it yields, what it asks, that it can be left and that nothing survives it."""

import inspect

import pytest
import torch
from torch import Tensor

from worker.engine.loop import denoise
from worker.engine.solvers import Update, make_plan

CONFIG = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}


class Recorder:
    """A denoiser that remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def __call__(self, latents: Tensor, timestep: Tensor, number: int) -> Tensor:
        assert int(timestep) == number
        self.asked.append(number)
        return torch.tanh(latents)


def start() -> Tensor:
    return torch.randn((2, 4, 6, 5), generator=torch.Generator().manual_seed(3))


def test_it_yields_after_every_step() -> None:
    plan = make_plan("ddim", CONFIG, 8)
    recorder = Recorder()
    for count, step in enumerate(denoise(recorder, plan, start()), 1):
        assert (step.index, step.of) == (count, 8)
        assert step.latents.shape == step.predicted.shape == (2, 4, 6, 5)
        assert len(recorder.asked) == count
    assert recorder.asked == [update.timestep for update in plan]


def test_a_step_is_the_two_sums_of_the_plan() -> None:
    first, second = Update(900, 2.0, -0.5, 0.25, 3.0, 0.0), Update(400, 1.0, 1.0, 0.0, 2.0, -1.0)
    latents = torch.ones(1, 4, 2, 2)
    one, two = denoise(lambda x, t, _: x * t / 100, (first, second), latents)
    assert torch.equal(one.predicted, torch.full_like(latents, 2 - 0.5 * 9))
    assert torch.equal(one.latents, torch.full_like(latents, 0.25 - 3 * 2.5))
    assert torch.equal(two.predicted, torch.full_like(latents, -7.25 - 7.25 * 4))
    assert torch.equal(two.latents, torch.full_like(latents, 2 * -36.25 + 2.5))


def test_after_the_last_step_the_latents_are_the_predicted_picture() -> None:
    *_, last = denoise(Recorder(), make_plan("dpm-solver++", CONFIG, 8), start())
    assert torch.equal(last.latents, last.predicted)


@pytest.mark.parametrize("solver", ["ddim", "dpm-solver++"])
def test_the_same_latents_give_the_same_latents_after_other_work(solver: str) -> None:
    plan = make_plan(solver, CONFIG, 8)
    first = [step.latents for step in denoise(Recorder(), plan, start())]
    list(denoise(Recorder(), make_plan(solver, CONFIG, 20), start() * 2))
    again = [step.latents for step in denoise(Recorder(), plan, start())]
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))


def test_two_loops_at_once_do_not_disturb_each_other() -> None:
    plan = make_plan("dpm-solver++", CONFIG, 8)
    alone = [step.latents for step in denoise(Recorder(), plan, start())]
    pair = zip(denoise(Recorder(), plan, start()), denoise(Recorder(), plan, -start()), strict=True)
    assert all(torch.equal(a, b.latents) for a, (b, _) in zip(alone, pair, strict=True))


def test_it_leaves_the_latents_that_it_was_given() -> None:
    latents = start()
    list(denoise(Recorder(), make_plan("ddim", CONFIG, 8), latents))
    assert torch.equal(latents, start())


def test_it_can_be_left_after_any_step() -> None:
    recorder = Recorder()
    loop = denoise(recorder, make_plan("ddim", CONFIG, 20), start())
    next(loop)
    next(loop)
    loop.close()
    assert len(recorder.asked) == 2
    assert list(loop) == []


def test_it_does_no_work_before_it_is_asked() -> None:
    recorder = Recorder()
    denoise(recorder, make_plan("ddim", CONFIG, 8), start())
    assert recorder.asked == []


def test_between_steps_the_caller_has_its_own_autograd_mode() -> None:
    for _ in denoise(Recorder(), make_plan("ddim", CONFIG, 2), start()):
        assert not torch.is_inference_mode_enabled()
        assert torch.is_grad_enabled()


def test_it_draws_no_random_number() -> None:
    before = torch.get_rng_state()
    list(denoise(Recorder(), make_plan("ddim", CONFIG, 8), start()))
    assert torch.equal(torch.get_rng_state(), before)


def test_it_stays_short() -> None:
    assert len(inspect.getsource(denoise).splitlines()) <= 30
