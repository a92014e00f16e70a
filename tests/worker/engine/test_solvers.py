"""worker.engine.solvers against the diffusers schedulers of the same names, driven by a fake denoiser."""

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, DPMSolverMultistepScheduler, LCMScheduler

from worker.engine.loop import denoise
from worker.engine.solvers import Update, alphas_cumprod, make_plan
from worker.errors import EditionRefused, InputRefused

# diffusers 0.42 hands NumPy 2 a tensor in a way that NumPy means to give up.
pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword"),
    pytest.mark.filterwarnings("ignore:__array_wrap__ must accept context"),
]

# The schedule of SD 1.5, as its scheduler_config.json has it.
SD_15: dict[str, Any] = {
    "num_train_timesteps": 1000,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "steps_offset": 1,
    "set_alpha_to_one": False,
    "clip_sample": False,
}
SCHEDULERS = {"ddim": DDIMScheduler, "dpm-solver++": DPMSolverMultistepScheduler}
LCM = {name: value for name, value in SD_15.items() if name != "steps_offset"}

ROUNDING = 5e-6
"""Largest relative difference allowed: at most 50 float32 steps, and diffusers multiplies its ᾱ up in float32, we in
float64. 2.6e-6 is the most that was seen; a wrong formula, timestep or order shows as 1e-4 or more."""

CASES = [
    (solver, prediction, zero_snr, spacing, steps)
    for solver, prediction, zero_snr, spacing, steps in itertools.product(
        SCHEDULERS,
        ("epsilon", "v_prediction"),
        (False, True),
        ("leading", "trailing", "linspace"),
        (8, 20, 50),
    )
    if not (prediction == "epsilon" and zero_snr)  # no solver can run it: DDIM divides by zero; refused here
    and not (solver == "ddim" and spacing == "linspace")  # has a test of its own
]


def fake(latents: torch.Tensor, timestep: torch.Tensor) -> torch.Tensor:
    """A denoiser that any mistake shows through: smooth, bounded, not linear, different at every timestep."""
    return 0.7 * torch.tanh(latents) + 0.3 * torch.sin(3 * latents + timestep / 150)


def start() -> torch.Tensor:
    return torch.randn((2, 4, 8, 10), generator=torch.Generator().manual_seed(1))


def ours(solver: str, config: dict[str, Any], steps: int) -> tuple[list[int], list[torch.Tensor]]:
    """The timesteps and the latents after every step, as our loop has them."""
    plan = make_plan(solver, config, steps)
    return [update.timestep for update in plan], [step.latents for step in denoise(fake, plan, start())]


def theirs(scheduler: Any) -> tuple[list[int], list[torch.Tensor]]:
    """The timesteps and the latents after every step, as a diffusers scheduler has them."""
    latents, trail = start(), []
    for timestep in scheduler.timesteps:
        latents = scheduler.step(fake(latents, timestep), timestep, latents).prev_sample
        trail.append(latents)
    return [int(t) for t in scheduler.timesteps], trail


def difference(found: list[torch.Tensor], expected: list[torch.Tensor]) -> float:
    """The largest difference after any step, relative to the largest value there."""
    pairs = zip(found, expected, strict=True)
    return max(float((a - b).abs().max() / b.abs().max()) for a, b in pairs)


@pytest.mark.parametrize(("solver", "prediction", "zero_snr", "spacing", "steps"), CASES)
def test_it_computes_what_the_diffusers_scheduler_of_the_same_name_computes(
    solver: str, prediction: str, zero_snr: bool, spacing: str, steps: int
) -> None:
    config = {
        **SD_15,
        "prediction_type": prediction,
        "timestep_spacing": spacing,
        "rescale_betas_zero_snr": zero_snr,
    }
    scheduler = SCHEDULERS[solver](**known(solver, config))
    scheduler.set_timesteps(steps)
    timesteps, found = ours(solver, config, steps)
    expected_timesteps, expected = theirs(scheduler)
    assert timesteps == expected_timesteps
    largest = difference(found, expected)
    print(f"{solver} {prediction} zero-SNR {zero_snr} {spacing} {steps} steps: {largest:.1e}")
    assert largest < ROUNDING


@pytest.mark.parametrize("config", [{}, {"prediction_type": "v_prediction", "rescale_betas_zero_snr": True}])
def test_its_steps_lie_where_they_are_put(config: dict[str, Any]) -> None:
    chosen = [999, 930, 840, 720, 600, 480, 350, 230, 110, 40]
    plan = make_plan("dpm-solver++", {**SD_15, **config}, len(chosen), chosen)
    scheduler = DPMSolverMultistepScheduler(**known("dpm-solver++", {**SD_15, **config}))
    scheduler.set_timesteps(timesteps=chosen)
    expected_timesteps, expected = theirs(scheduler)
    assert [update.timestep for update in plan] == expected_timesteps
    assert difference([step.latents for step in denoise(fake, plan, start())], expected) < ROUNDING
    in_order = [update.timestep for update in make_plan("ddim", {**SD_15, **config}, len(chosen), chosen)]
    assert in_order == chosen


@pytest.mark.parametrize("steps", [8, 20, 50])
def test_ddim_with_linspace_ends_each_step_at_the_noise_of_the_next_timestep(steps: int) -> None:
    """diffusers' own DDIMScheduler goes down by ⌊1000 / steps⌋ there, whatever timestep comes next, so the reference is
    its first-order DPM-Solver++, which is DDIM, over the same timesteps."""
    config = {**SD_15, "timestep_spacing": "linspace"}
    timesteps, found = ours("ddim", config, steps)
    fixed = known("dpm-solver++", config)
    first_order = DPMSolverMultistepScheduler(**fixed, solver_order=1, final_sigmas_type="sigma_min")
    first_order.set_timesteps(timesteps=timesteps)
    largest = difference(found, theirs(first_order)[1])

    same_name = DDIMScheduler(**known("ddim", config))
    same_name.set_timesteps(steps)
    expected_timesteps, expected = theirs(same_name)
    assert timesteps == expected_timesteps
    print(f"ddim linspace {steps} steps: {largest:.1e}; against DDIMScheduler {difference(found, expected):.1e}")
    assert largest < ROUNDING


@pytest.mark.parametrize("solver", SCHEDULERS)
@pytest.mark.parametrize("spacing", ["leading", "trailing", "linspace"])
def test_its_timesteps_are_those_of_diffusers_for_every_number_of_steps(solver: str, spacing: str) -> None:
    config = {**SD_15, "timestep_spacing": spacing}
    scheduler = SCHEDULERS[solver](**known(solver, config))
    for steps in range(1, 129):
        scheduler.set_timesteps(steps)
        expected = scheduler.timesteps.tolist()
        if len(expected) > steps:  # diffusers rounds its way to one step too many, at timestep −1
            assert (spacing, expected.pop()) == ("trailing", -1)
        assert [update.timestep for update in make_plan(solver, config, steps)] == expected


@pytest.mark.parametrize("solver", SCHEDULERS)
def test_it_takes_the_spacing_of_the_diffusers_scheduler_where_the_config_names_none(solver: str) -> None:
    scheduler = SCHEDULERS[solver](**known(solver, SD_15))
    scheduler.set_timesteps(20)
    assert [update.timestep for update in make_plan(solver, SD_15, 20)] == scheduler.timesteps.tolist()


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"beta_schedule": "linear", "beta_start": 0.0001, "beta_end": 0.02},
        {"beta_schedule": "squaredcos_cap_v2"},
        {"trained_betas": np.linspace(0.001, 0.03, 1000).tolist()},
        {"rescale_betas_zero_snr": True},
        {"beta_schedule": "linear", "num_train_timesteps": 400},
    ],
)
def test_it_reads_the_noise_schedule_from_the_config_as_diffusers_does(change: dict[str, Any]) -> None:
    config = {**SD_15, **change}
    found = alphas_cumprod(config)
    expected = DDIMScheduler(**known("ddim", config)).alphas_cumprod.double().numpy()
    assert found.shape == expected.shape
    # Absolute, in units of ᾱ ≤ 1: diffusers sums up to 1,000 float32 roundings.
    assert float(np.abs(found - expected).max()) < 1e-5


def test_zero_terminal_snr_is_exactly_zero() -> None:
    assert alphas_cumprod({**SD_15, "rescale_betas_zero_snr": True})[-1] == 0.0


@pytest.mark.parametrize(
    ("change", "steps"),
    [
        ({"solver_order": 1}, 20),
        ({"final_sigmas_type": "sigma_min"}, 8),
        ({"final_sigmas_type": "sigma_min"}, 20),
        ({"lower_order_final": False, "final_sigmas_type": "sigma_min"}, 8),
        ({"euler_at_final": True, "final_sigmas_type": "sigma_min"}, 20),
    ],
)
def test_dpm_solver_follows_the_other_switches_of_the_config(change: dict[str, Any], steps: int) -> None:
    config = {**SD_15, **change}
    scheduler = DPMSolverMultistepScheduler(**known("dpm-solver++", config))
    scheduler.set_timesteps(steps)
    assert difference(ours("dpm-solver++", config, steps)[1], theirs(scheduler)[1]) < ROUNDING


def test_the_last_step_of_dpm_solver_is_the_predicted_picture() -> None:
    last = make_plan("dpm-solver++", SD_15, 20)[-1]
    assert (last.keep, last.to_predicted, last.to_previous) == (0.0, 1.0, 0.0)


def test_one_step_of_ddim_by_hand() -> None:
    """With one timestep of ᾱ = ¼ and no noise left behind: x₀ = 2x − √3·ε, and the step ends there."""
    config = {"trained_betas": [0.75], "timestep_spacing": "leading"}
    assert make_plan("ddim", config, 1) == (Update(0, 2.0, -(0.75**0.5) / 0.5, 0.0, 1.0, 0.0),)


@pytest.mark.parametrize(
    ("solver", "change", "said"),
    [
        ("ddim", {"clip_sample": True}, "clip_sample"),
        ("dpm-solver++", {"use_karras_sigmas": True}, "use_karras_sigmas"),
        ("ddim", {"rescale_betas_zero_snr": True}, "zero terminal SNR"),
        ("dpm-solver++", {"rescale_betas_zero_snr": True}, "zero terminal SNR"),
        ("ddim", {"prediction_type": "sample"}, "prediction_type"),
        ("dpm-solver++", {"prediction_type": "sample"}, "prediction_type"),
        ("ddim", {"timestep_spacing": "quadratic"}, "timestep_spacing"),
        ("ddim", {"beta_schedule": "sigmoid"}, "beta_schedule"),
        ("dpm-solver++", {"algorithm_type": "sde-dpmsolver++"}, "algorithm_type"),
        ("dpm-solver++", {"solver_order": 3}, "solver_order"),
        ("euler", {}, "ddim or dpm-solver"),
    ],
)
def test_it_refuses_a_config_that_asks_for_more(solver: str, change: dict[str, Any], said: str) -> None:
    config = {**SD_15, "timestep_spacing": "trailing", **change}
    with pytest.raises(EditionRefused, match=said):
        make_plan(solver, config, 8)


@pytest.mark.parametrize("solver", SCHEDULERS)
def test_it_refuses_more_steps_than_the_model_has_timesteps(solver: str) -> None:
    with pytest.raises(InputRefused, match="trained on 40 timesteps cannot be run for 60 steps"):
        make_plan(solver, {**SD_15, "num_train_timesteps": 40}, 60)


LCM_CASES: list[tuple[dict[str, Any], int]] = [
    ({}, 1),
    ({}, 4),
    ({}, 7),
    ({"prediction_type": "v_prediction", "rescale_betas_zero_snr": True}, 8),
    ({"original_inference_steps": 100, "timestep_scaling": 3.0}, 48),
]


@pytest.mark.parametrize(("change", "steps"), LCM_CASES)
def test_it_computes_what_the_lcm_scheduler_of_diffusers_computes_from_the_same_noise(
    change: dict[str, Any], steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    noise = torch.randn((steps, *start().shape), generator=torch.Generator().manual_seed(4))
    scheduler = LCMScheduler(**LCM, **change)
    scheduler.set_timesteps(steps)
    left = iter(noise)
    monkeypatch.setattr("diffusers.schedulers.scheduling_lcm.randn_tensor", lambda *_, **__: next(left))
    latents, expected, denoised = start(), [], []
    for timestep in scheduler.timesteps:
        stepped = scheduler.step(fake(latents, timestep), timestep, latents)
        latents = stepped.prev_sample
        expected.append(latents)
        denoised.append(stepped.denoised)
    plan = make_plan("lcm", {**LCM, **change}, steps)
    assert [update.timestep for update in plan] == scheduler.timesteps.tolist()
    found = list(denoise(fake, plan, start(), lambda step: noise[step - 1]))
    largest = difference([step.latents for step in found], expected)
    print(f"lcm {change} {steps} steps: {largest:.1e}")
    assert largest < ROUNDING
    assert difference([step.predicted for step in found], denoised) < ROUNDING
    assert len(list(left)) == 1, "noise after every step but the last"


def test_the_timesteps_of_lcm_are_those_of_diffusers_for_every_number_of_steps() -> None:
    scheduler = LCMScheduler(**LCM)
    for steps in range(1, 51):
        scheduler.set_timesteps(steps)
        assert [update.timestep for update in make_plan("lcm", LCM, steps)] == scheduler.timesteps.tolist()


@pytest.mark.parametrize(
    ("change", "steps", "error", "said"),
    [
        ({}, 52, InputRefused, r"distilled on 50 timesteps \(original_inference_steps\) cannot be run for 52 steps"),
        ({"original_inference_steps": 2000}, 4, EditionRefused, "should be 1 to 1000, and is 2000"),
    ],
)
def test_lcm_refuses_what_its_model_was_not_distilled_for(
    change: dict[str, Any], steps: int, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        make_plan("lcm", {**LCM, **change}, steps)


def known(solver: str, config: dict[str, Any]) -> dict[str, Any]:
    """The part of a config that the diffusers scheduler of this solver takes."""
    names = SCHEDULERS[solver].__init__.__wrapped__.__annotations__
    return {name: value for name, value in config.items() if name in names}
