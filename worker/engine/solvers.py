"""Solvers: the numbers of every step of the loop, worked out in float64 before it starts. NumPy and worker.errors only.

Notation: a latent at timestep t is x = α·x₀ + σ·ε with α = √ᾱ(t), σ = √(1 − ᾱ(t)); ᾱ comes from the model's own
`scheduler_config.json`. All solvers are linear in what the model says, so a step is three sums:

    predicted = update.of_latents · x + update.of_output · output          (x₀ as the model sees it now)
    x         = update.keep · x + update.to_predicted · predicted + update.to_previous · (predicted of the step before)
              + update.to_noise · (normal numbers; worker.catalogue.noise)

A `Plan` is one `Update` a step. Nothing here touches a tensor, so nothing here can make a device wait.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from worker.errors import EditionRefused, InputRefused

Doubles = npt.NDArray[np.float64]

ALMOST_ZERO: Final = 2.0**-24
"""ᾱ of the last timestep under zero terminal SNR, where log(α/σ) is needed: the smallest float16, as in diffusers."""

PREDICTIONS: Final = ("epsilon", "v_prediction")

_SPACING_DEFAULT: Final = {"ddim": "leading", "dpm-solver++": "linspace"}
"""The spacing of each solver where the config names none: that of the diffusers scheduler of the same name."""

_UNKNOWN: Final = (
    *("clip_sample", "thresholding", "use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas"),
    *("use_lu_lambdas", "use_flow_sigmas", "use_dynamic_shifting"),
)
"""Switches of a scheduler config that would change the pictures and that no solver here knows."""


@dataclass(frozen=True)
class Update:
    """One step: what the model is told (`timestep`) and the six numbers of the module's two lines."""

    timestep: int
    of_latents: float
    of_output: float
    keep: float
    to_predicted: float
    to_previous: float
    to_noise: float = 0.0
    """Of a standard deviation of 1; none in a solver that follows one path from the latents to the picture."""


Plan = tuple[Update, ...]


def make_plan(solver: str, config: Mapping[str, Any], steps: int, timesteps: Sequence[int] | None = None) -> Plan:
    """The plan of `steps` steps of "ddim", "dpm-solver++" or "lcm" under a model's scheduler config.

    With `timesteps`, falling, as many as steps, the steps lie there and not where the config's spacing has them. Raises
    EditionRefused where the config asks for what no solver here does, InputRefused where the model's training had too
    few timesteps for so many steps.
    """
    _refuse_models_no_solver_can_run(config)
    if solver == "ddim":
        return ddim(config, steps, timesteps)
    if solver == "dpm-solver++":
        return dpm_solver(config, steps, timesteps)
    if solver == "lcm":
        return lcm(config, steps, timesteps)
    raise EditionRefused(f"A solver should be ddim or dpm-solver++ or lcm, and is {solver!r}.")


def _refuse_models_no_solver_can_run(config: Mapping[str, Any]) -> None:
    """Raise EditionRefused for what the model's own config says that holds for every solver alike."""
    for switch in _UNKNOWN:
        if config.get(switch):
            raise EditionRefused(f"The scheduler config has {switch} switched on, which no solver here does.")
    prediction = config.get("prediction_type", "epsilon")
    if prediction not in PREDICTIONS:
        raise EditionRefused(
            f"prediction_type in the scheduler config should be {' or '.join(PREDICTIONS)}, and is {prediction!r}."
        )
    if prediction == "epsilon" and config.get("rescale_betas_zero_snr"):
        raise EditionRefused(
            "The scheduler config has zero terminal SNR and a model that predicts epsilon: where there is no picture"
            " left in the latents, the noise in them says nothing of one.",
            hint="Such models predict v (prediction_type v_prediction).",
        )


def alphas_cumprod(config: Mapping[str, Any]) -> Doubles:
    """ᾱ(t) = ∏ (1 − β) for every training timestep, (T,), falling.

    β is "linear", "scaled_linear" (linear in √β, Rombach et al. 2022), "squaredcos_cap_v2" (Nichol & Dhariwal 2021)
    or the list `trained_betas`. With `rescale_betas_zero_snr` √ᾱ is shifted so that its last value is 0 and
    stretched so that its first stays (Lin et al. 2023, algorithm 1).
    """
    total = int(config.get("num_train_timesteps", 1000))
    start, end = float(config.get("beta_start", 0.0001)), float(config.get("beta_end", 0.02))
    kind = config.get("beta_schedule", "linear")
    if config.get("trained_betas") is not None:
        betas = np.asarray(config["trained_betas"], dtype=np.float64)
    elif kind == "linear":
        betas = np.linspace(start, end, total)
    elif kind == "scaled_linear":
        betas = np.linspace(math.sqrt(start), math.sqrt(end), total) ** 2
    elif kind == "squaredcos_cap_v2":
        bar = [math.cos((i / total + 0.008) / 1.008 * math.pi / 2) ** 2 for i in range(total + 1)]
        betas = np.array([min(1 - after / before, 0.999) for before, after in pairwise(bar)])
    else:
        raise EditionRefused(
            "beta_schedule in the scheduler config should be linear, scaled_linear or squaredcos_cap_v2,"
            f" and is {kind!r}."
        )
    alphas = np.cumprod(1.0 - betas, dtype=np.float64)
    if config.get("rescale_betas_zero_snr"):
        roots = np.sqrt(alphas)
        alphas = ((roots - roots[-1]) * (roots[0] / (roots[0] - roots[-1]))) ** 2
    return alphas


def ddim(config: Mapping[str, Any], steps: int, chosen: Sequence[int] | None = None) -> Plan:
    """DDIM with η = 0 (Song et al. 2021, eq. 12):  x' = α'·x₀ + σ'·ε,  ε = (x − α·x₀) / σ.

    Written over x and x₀:  x' = (σ'/σ)·x + (α' − α·σ'/σ)·x₀.  Each step ends at the noise of the timestep that the
    model is told next, the last one at ᾱ = 1 (`set_alpha_to_one`) or ᾱ(0).

    That is what diffusers' DDIMScheduler does too, but where T / steps is no whole number or the spacing is
    linspace: there it goes down by ⌊T / steps⌋ whatever comes next, and the model is told another noise than it is
    given. We do not follow it in that.
    """
    alphas = alphas_cumprod(config)
    timesteps = _timesteps_ddim(config, len(alphas), steps) if chosen is None else _chosen(chosen, len(alphas), steps)
    last = 1.0 if config.get("set_alpha_to_one", True) else float(alphas[0])
    bars = [*(float(alphas[t]) for t in timesteps), last]
    prediction = config.get("prediction_type", "epsilon")
    plan = []
    for t, bar, after in zip(timesteps, bars, bars[1:], strict=False):
        alpha, sigma = math.sqrt(bar), math.sqrt(1.0 - bar)
        keep = math.sqrt(1.0 - after) / sigma
        to_predicted = math.sqrt(after) - alpha * keep
        plan.append(Update(t, *_predicted(prediction, alpha, sigma), keep, to_predicted, 0.0))
    return tuple(plan)


def dpm_solver(config: Mapping[str, Any], steps: int, chosen: Sequence[int] | None = None) -> Plan:
    """DPM-Solver++(2M), midpoint (Lu et al. 2022, algorithm 2), with λ = log(α/σ), h = λ' − λ, r = h(before) / h:

        x' = (σ'/σ)·x + φ·D,   φ = α'·(1 − e⁻ʰ) = α' − α·σ'/σ,   D = (1 + 1/2r)·x₀ − (1/2r)·x₀(before)

    The first step is of first order (D = x₀, which is DDIM), and so is the last one where it ends without noise
    (`final_sigmas_type` zero, the default), where there are fewer than 15 steps (`lower_order_final`, the default) or
    where `euler_at_final` says so. Under zero terminal SNR ᾱ of the last timestep is 2⁻²⁴, not 0.
    """
    expected = {"algorithm_type": "dpmsolver++", "solver_type": "midpoint"}
    for name, value in expected.items():
        if config.get(name, value) != value:
            raise EditionRefused(f"{name} in the scheduler config should be {value!r}, and is {config[name]!r}.")
    order, final = config.get("solver_order", 2), config.get("final_sigmas_type", "zero")
    if order not in (1, 2) or final not in ("zero", "sigma_min"):
        raise EditionRefused(
            "solver_order in the scheduler config should be 1 or 2 and final_sigmas_type zero or sigma_min;"
            f" they are {order!r} and {final!r}."
        )
    alphas = alphas_cumprod(config)
    if config.get("rescale_betas_zero_snr"):
        alphas[-1] = ALMOST_ZERO
    timesteps = _timesteps_dpm(config, len(alphas), steps) if chosen is None else _chosen(chosen, len(alphas), steps)
    bars = [*(float(alphas[t]) for t in timesteps), 1.0 if final == "zero" else float(alphas[0])]
    first_at_end = final == "zero" or config.get("euler_at_final", False)
    first_at_end = first_at_end or (config.get("lower_order_final", True) and steps < 15)
    prediction = config.get("prediction_type", "epsilon")

    plan = []
    before: float | None = None  # λ of the step before
    for index, (t, bar, after) in enumerate(zip(timesteps, bars, bars[1:], strict=False)):
        alpha, sigma = math.sqrt(bar), math.sqrt(1.0 - bar)
        keep = math.sqrt(1.0 - after) / sigma
        phi = math.sqrt(after) - alpha * keep
        half = 0.0  # 1 / 2r
        here = _log_snr(bar)
        if order == 2 and before is not None and not (index == steps - 1 and first_at_end):
            half = (_log_snr(after) - here) / (here - before) / 2
        plan.append(Update(t, *_predicted(prediction, alpha, sigma), keep, phi * (1 + half), -phi * half))
        before = here
    return tuple(plan)


def lcm(config: Mapping[str, Any], steps: int, chosen: Sequence[int] | None = None) -> Plan:
    """Multistep sampling of a latent consistency model (Luo et al. 2023, algorithm 3), of fresh noise z at each step:

        predicted = c_skip·x + c_out·x₀,   c_skip = ¼ / (s² + ¼),   c_out = s / √(s² + ¼),   s = timestep_scaling · t
        x' = α'·predicted + σ'·z,   and after the last step  x' = predicted

    c_skip and c_out are the boundary conditions of a consistency model (Song et al. 2023, appendix C, σ_data = ½),
    under which it leaves alone what has no noise. The model was distilled on `original_inference_steps` (50) timesteps,
    t = k − 1, 2k − 1, … with k = ⌊T / 50⌋, and steps are spread over those from the top, as diffusers' LCMScheduler
    does. Raises InputRefused for more steps than there are.
    """
    alphas = alphas_cumprod(config)
    timesteps = _timesteps_lcm(config, len(alphas), steps) if chosen is None else _chosen(chosen, len(alphas), steps)
    prediction, scaling = config.get("prediction_type", "epsilon"), float(config.get("timestep_scaling", 10.0))
    plan = []
    for t, after in zip(timesteps, [*timesteps[1:], None], strict=True):
        alpha, sigma = math.sqrt(alphas[t]), math.sqrt(1.0 - alphas[t])
        scaled = scaling * t
        skip, out = 0.25 / (scaled**2 + 0.25), scaled / math.sqrt(scaled**2 + 0.25)
        of_latents, of_output = _predicted(prediction, alpha, sigma)
        bar = 1.0 if after is None else float(alphas[after])
        noise = math.sqrt(1.0 - bar)
        plan.append(Update(t, skip + out * of_latents, out * of_output, 0.0, math.sqrt(bar), 0.0, noise))
    return tuple(plan)


def _log_snr(bar: float) -> float:
    """λ = log(α/σ) = ½·log(ᾱ / (1 − ᾱ))."""
    return 0.5 * math.log(bar / (1.0 - bar))


def _predicted(prediction: object, alpha: float, sigma: float) -> tuple[float, float]:
    """x₀ over (x, output): (x − σ·ε)/α where the model predicts ε, α·x − σ·v where it predicts v = α·ε − σ·x₀
    (Salimans & Ho 2022, appendix D)."""
    if prediction == "epsilon":
        return 1.0 / alpha, -sigma / alpha
    return alpha, -sigma


def _timesteps_ddim(config: Mapping[str, Any], total: int, steps: int) -> list[int]:
    """Falling timesteps (Lin et al. 2023, table 2), as diffusers' DDIMScheduler counts them."""
    spacing = config.get("timestep_spacing", _SPACING_DEFAULT["ddim"])
    if spacing == "linspace":
        return _checked(np.linspace(0, total - 1, steps)[::-1], total)
    if spacing == "leading":
        return _checked(np.arange(steps)[::-1] * (total // steps) + int(config.get("steps_offset", 0)), total)
    return _checked(_trailing(spacing, total, steps), total)


def _timesteps_dpm(config: Mapping[str, Any], total: int, steps: int) -> list[int]:
    """Falling timesteps as diffusers' DPMSolverMultistepScheduler counts them: one interval more than steps, the
    lowest timestep left out."""
    spacing = config.get("timestep_spacing", _SPACING_DEFAULT["dpm-solver++"])
    if spacing == "linspace":
        return _checked(np.linspace(0, total - 1, steps + 1)[:0:-1], total)
    if spacing == "leading":
        low = int(config.get("steps_offset", 0))
        return _checked(np.arange(1, steps + 1)[::-1] * (total // (steps + 1)) + low, total)
    return _checked(_trailing(spacing, total, steps), total)


def _timesteps_lcm(config: Mapping[str, Any], total: int, steps: int) -> list[int]:
    """Falling timesteps as diffusers' LCMScheduler counts them: of those that the model was distilled on, the top."""
    distilled = int(config.get("original_inference_steps", 50))
    if not 1 <= distilled <= total:
        raise EditionRefused(
            f"original_inference_steps in the scheduler config should be 1 to {total}, and is {distilled}."
        )
    if steps > distilled:
        raise InputRefused(
            f"A model distilled on {distilled} timesteps (original_inference_steps) cannot be run for {steps} steps.",
            hint="The step_limit in its edition.toml may say so; 4 to 8 steps are what such models are for.",
        )
    falling = np.arange(distilled, 0, -1) * (total // distilled) - 1
    return _checked(falling[np.floor(np.linspace(0, distilled, steps, endpoint=False)).astype(int)], total)


def _trailing(spacing: object, total: int, steps: int) -> Doubles:
    if spacing != "trailing":
        raise EditionRefused(
            f"timestep_spacing in the scheduler config should be leading, trailing or linspace, and is {spacing!r}."
        )
    return np.arange(total, 0, -total / steps, dtype=np.float64)[:steps].round() - 1


def _chosen(timesteps: Sequence[int], total: int, steps: int) -> list[int]:
    assert len(timesteps) == steps, f"{len(timesteps)} timesteps for {steps} steps"
    return _checked(np.asarray(timesteps), total)


def _checked(timesteps: npt.NDArray[Any], total: int) -> list[int]:
    """The timesteps as whole numbers. Raises InputRefused where two of them would be the same or lie outside."""
    rounded = [int(t) for t in timesteps.round()]
    if any(a <= b for a, b in pairwise(rounded)) or not 0 <= rounded[-1] <= rounded[0] < total:
        raise InputRefused(f"A model trained on {total} timesteps cannot be run for {len(rounded)} steps.")
    return rounded
