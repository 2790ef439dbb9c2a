"""Where the laser stops and the ion beam goes on: as many passes as keep the layer below safe, and what that saves.

The depth after ``n`` passes is ``kappa G_n(x)``: ``G_n`` is the law's depth, ``x`` the doubt of threshold and fluence,
``kappa`` that of the penetration, of incubation (to first order) and of the run. The layer is harmed when the deepest
place of the floor with its heat-affected zone reaches it. Its probability is integrated over ``x`` and the layer's own
depth on a grid and over ``kappa`` in closed form; a Monte Carlo run over every constant stands beside it.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from analysis.repair.ablation import (
    DepthCurve,
    Law,
    OutsideModel,
    Shot,
    depth_curve,
    pulses_per_place,
)
from analysis.repair.margin import Surroundings

Array = NDArray[np.float64]
_REACH = 6.5
_NODES = 131
_STEP = 1e-3
_SURPRISE = 1e-4
MOST_PASSES = 100_000
MOST_PULSES = 2e8


@dataclass(frozen=True)
class Scan:
    """How the spot is moved.

    Attributes:
        radius_um: of the spot: 1/e2 radius of a Gaussian, radius of a top-hat.
        pitch_x_um, pitch_y_um: steps along and between lines.
        pulses_per_pixel: at each step.
        repetition_rate_hz: pulses a second that are used; ``None`` when times are not asked for.
    """

    radius_um: float
    pitch_x_um: float
    pitch_y_um: float
    pulses_per_pixel: float = 1.0
    repetition_rate_hz: float | None = None

    @property
    def pulses_per_place(self) -> float:
        """Pulses of one pass that cover a place; raises what :func:`pulses_per_place` raises."""
        return pulses_per_place(self.radius_um, self.pitch_x_um, self.pitch_y_um, self.pulses_per_pixel)


@dataclass(frozen=True)
class Layer:
    """What must not be harmed.

    Attributes:
        depth_um: of its top below the surface.
        sigma_um: standard deviation of that.
    """

    depth_um: float
    sigma_um: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.depth_um) and self.depth_um > 0):
            raise ValueError(f"the layer's depth is above 0 um, not {self.depth_um}")
        if not (math.isfinite(self.sigma_um) and self.sigma_um >= 0):
            raise ValueError(f"the standard deviation of the layer's depth is at least 0 um, not {self.sigma_um}")


@dataclass(frozen=True)
class MeasuredDepth:
    """A depth that was measured after some passes.

    Attributes:
        passes: that had been made.
        depth_um, sigma_um: of the floor's mean, with its standard deviation, at most half of it.
    """

    passes: float
    depth_um: float
    sigma_um: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.passes * self.depth_um) and self.passes > 0 and self.depth_um > 0):
            raise ValueError(f"a depth is measured after passes and above 0 um, not {self.passes}, {self.depth_um}")
        if not 0 < self.sigma_um <= self.depth_um / 2:
            raise ValueError(
                f"a depth of {self.depth_um:g} um needs a standard deviation above 0 and at most half of it, "
                f"not {self.sigma_um:g} um"
            )

    @property
    def log_sigma(self) -> float:
        """Standard deviation of the logarithm of the depth, to first order."""
        return self.sigma_um / self.depth_um


@dataclass(frozen=True)
class DepthModel:
    """The depth's distribution as a function of passes.

    Attributes:
        law, shot, pulses_per_pass: what is done; ``pulses_per_pass`` on a place.
        x_sigma: standard deviation of the logarithm of threshold over fluence.
        kappa_sigma: of the logarithm of the factor on the depth, given ``x``.
        kappa_mean: float64 ``(k,)``, expected logarithm of that factor at each node: it moves with ``x`` where the two
            were learned together.
        bent: the part of ``kappa_sigma`` that incubation brings.
        nodes: float64 ``(k,)``, values of ``x``; ``weights`` their probabilities.
        curve: depths ``(k, pulses)`` for ``kappa`` of 1.
        measured: the depth that was measured on the way, if it was; ``unmeasured`` is the model before that.
    """

    law: Law
    shot: Shot
    pulses_per_pass: float
    x_sigma: float
    kappa_sigma: float
    kappa_mean: Array
    bent: float
    nodes: Array
    weights: Array
    curve: DepthCurve
    measured: "MeasuredDepth | None" = None
    unmeasured: "DepthModel | None" = None

    def depth_um(self, passes: float) -> Array:
        """Return the depth of each node after ``passes``, um, ``(k,)``, at the median factor."""
        depth = self.curve.at(passes * self.pulses_per_pass) * 1e-3
        return np.asarray(depth * np.exp(self.kappa_mean))

    def moments(self, passes: float) -> tuple[float, float, float]:
        """Return median, mean and standard deviation of the depth after ``passes``, um."""
        depth, factor = self.depth_um(passes), math.exp(self.kappa_sigma**2 / 2)
        mean = float(self.weights @ depth) * factor
        square = float(self.weights @ depth**2) * factor**4
        return self.quantile(passes, 0.5), mean, math.sqrt(max(0.0, square - mean**2))

    def probability_deeper(self, passes: float, than_um: Array) -> Array:
        """Return the probability that the depth after ``passes`` is above each of ``than_um``, ``(m,)``."""
        than = np.asarray(than_um, np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.log(np.maximum(than, 0.0))[:, None] - np.log(self.depth_um(passes))[None, :]
            tail = np.asarray(ndtr(-ratio / self.kappa_sigma))
        # A node that does not ablate stays at depth 0: it is deeper than a depth below 0 only.
        tail = np.where(self.depth_um(passes)[None, :] > 0, tail, (than[:, None] < 0).astype(np.float64))
        return np.asarray(tail @ self.weights)

    def quantile(self, passes: float, probability: float) -> float:
        """Return the depth after ``passes`` that is not passed with ``probability``, um."""
        low, high = 0.0, float(self.depth_um(passes).max(initial=1e-9)) * math.exp(9 * self.kappa_sigma)
        for _ in range(80):
            middle = (low + high) / 2
            deeper = float(self.probability_deeper(passes, np.array([middle]))[0])
            low, high = (low, middle) if deeper < 1 - probability else (middle, high)
        return high


def model_depth(
    law: Law,
    shot: Shot,
    scan: Scan,
    *,
    fluence_log_sigma: float,
    most_passes: int,
    correlation: float = 0.0,
    bent_at: float | None = None,
) -> DepthModel:
    """Return the depth's distribution for up to ``most_passes`` passes.

    Args:
        law: of the material; its constants carry the spread.
        shot: the pulses.
        scan: the way of the spot.
        fluence_log_sigma: standard deviation of the logarithm of the fluence that is set.
        most_passes: up to where the model is asked.
        correlation: of the logarithms of threshold and penetration, where both were learned from the same runs.
        bent_at: passes for which the doubt that incubation brings is reckoned; ``None``: for the most.

    Raises:
        OutsideModel: not one pulse in ten ablates for certain, or there are too many pulses.
    """
    if not -1 < correlation < 1:
        raise ValueError(f"a correlation lies between -1 and 1, not {correlation}")
    pulses = scan.pulses_per_place
    if pulses * most_passes > MOST_PULSES:
        raise OutsideModel(f"{most_passes} passes of {pulses:.3g} pulses on a place are more than {MOST_PULSES:g}")
    threshold, depth = law.threshold_j_cm2.log_sigma, law.penetration_nm.log_sigma
    x_sigma = math.hypot(threshold, fluence_log_sigma)
    shared = correlation * threshold * depth
    slope = shared / x_sigma**2 if x_sigma else 0.0
    inherited = depth**2 - (shared**2 / x_sigma**2 if x_sigma else 0.0)
    _refuse_without_ablation(law, shot, x_sigma)
    shape = (law.incubation.value, law.floor_ratio.value)
    nodes = np.linspace(-_REACH, _REACH, _NODES) * x_sigma if x_sigma else np.zeros(1)
    weights = np.exp(-((np.linspace(-_REACH, _REACH, _NODES)) ** 2) / 2) if x_sigma else np.ones(1)
    curve = depth_curve(law, shot, pulses * most_passes, shape, np.exp(nodes))
    bent = _sensitivity_to_shape(law, shot, pulses * (most_passes if bent_at is None else bent_at))
    kappa = math.sqrt(max(0.0, inherited) + law.run_scatter.value**2 + bent**2)
    if kappa == 0:
        raise OutsideModel(f"{law.name} claims to know its depth exactly: give run_scatter or a spread")
    return DepthModel(law, shot, pulses, x_sigma, kappa, slope * nodes, bent, nodes, weights / weights.sum(), curve)


def condition_on_depth(model: DepthModel, measured: MeasuredDepth, bent_at: float) -> DepthModel:
    """Return ``model`` with what a depth ``measured`` on the way says.

    What stays in doubt is the measurement itself, and what incubation does between there and ``bent_at`` passes.

    Raises:
        OutsideModel: the measured depth is beyond what the model expects, or the model ends before it.
    """
    pulses = measured.passes * model.pulses_per_pass
    if pulses > model.curve.pulses[-1]:
        raise OutsideModel(f"{measured.passes:g} passes are more than the model was asked for")
    chances = model.probability_deeper(measured.passes, np.array([measured.depth_um]))[0]
    if not _SURPRISE < chances < 1 - _SURPRISE:
        raise OutsideModel(
            f"a depth of {measured.depth_um:g} um after {measured.passes:g} passes does not fit the constants, which "
            f"expect {model.quantile(measured.passes, 0.025):.3g} to {model.quantile(measured.passes, 0.975):.3g} um"
        )
    own = max(0.0, model.kappa_sigma**2)
    total = own + measured.log_sigma**2
    with np.errstate(divide="ignore"):
        expected = np.log(model.curve.at(pulses) * 1e-3) + model.kappa_mean
    off = np.where(np.isfinite(expected), math.log(measured.depth_um) - expected, 0.0)
    weights = np.where(np.isfinite(expected), model.weights * np.exp(-(off**2) / (2 * total)), 0.0)
    between = _sensitivity_to_shape(model.law, model.shot, bent_at * model.pulses_per_pass, pulses)
    return replace(
        model,
        kappa_mean=model.kappa_mean + off * own / total,
        kappa_sigma=math.sqrt(own * measured.log_sigma**2 / total + between**2),
        weights=weights / weights.sum(),
        measured=measured,
        unmeasured=model,
    )


def _refuse_without_ablation(law: Law, shot: Shot, x_sigma: float) -> None:
    """A pulse below, or in doubt below, its threshold cuts nothing, heats everything and has no depth to plan with."""
    margin = math.log(shot.fluence_j_cm2 / law.threshold_j_cm2.value)
    chance = float(ndtr(margin / x_sigma)) if x_sigma else float(margin > 0)
    if chance < 0.9:
        raise OutsideModel(
            f"a fluence of {shot.fluence_j_cm2:g} J/cm2 exceeds the threshold of {law.name}, "
            f"{law.threshold_j_cm2.value:.3g} J/cm2 ({100 * law.threshold_j_cm2.log_sigma:.0f} %), "
            f"with a probability of {chance:.2f} only: there is no depth to plan with"
        )


def _sensitivity_to_shape(law: Law, shot: Shot, pulses: float, since: float | None = None) -> float:
    """Return the standard deviation of the logarithm of the depth that comes from incubation, to first order.

    With ``since`` of its ratio to the depth after those pulses.
    """
    total = 0.0
    for constant, other in ((law.incubation, law.floor_ratio), (law.floor_ratio, law.incubation)):
        low, high = max(1e-3, constant.value - constant.sigma), min(1.0, constant.value + constant.sigma)
        if high - low < _STEP * constant.sigma or constant.sigma == 0:
            continue
        ends = []
        for value in (low, high):
            shape = (value, other.value) if constant is law.incubation else (other.value, value)
            curve = depth_curve(law, shot, max(pulses, since or 0.0), shape)
            ends.append(math.log(float(curve.at(pulses))) - (math.log(float(curve.at(since))) if since else 0.0))
        total += ((ends[1] - ends[0]) / (high - low) * constant.sigma) ** 2
    return math.sqrt(total)


def probability_of_damage(model: DepthModel, layer: Layer, around: Surroundings, passes: float) -> float:
    """Return the probability that ``passes`` of ``model`` with what lies ``around`` the pit reach ``layer``."""
    reserve = around.haz_um.value + around.roughness_um.value
    grid = np.linspace(-_REACH, _REACH, _NODES) if layer.sigma_um else np.zeros(1)
    weights = np.exp(-(grid**2) / 2)
    allowed = layer.depth_um + layer.sigma_um * grid - reserve
    return float(model.probability_deeper(passes, allowed) @ weights / weights.sum())


@dataclass(frozen=True)
class Handoff:
    """Where to stop.

    Attributes:
        passes: most passes within the bound; 0 when not even one is.
        depth_um: median, mean and standard deviation of the depth.
        depth_interval_um: 95 % of the depth.
        remaining_um: mean and standard deviation of what is left above the layer.
        remaining_interval_um: 95 % of it, from normal tails for the layer and the depth's own quantiles.
        p_damage: probability of harm to the layer after ``passes``; ``p_damage_next`` after one more.
    """

    passes: int
    depth_um: tuple[float, float, float]
    depth_interval_um: tuple[float, float]
    remaining_um: tuple[float, float]
    remaining_interval_um: tuple[float, float]
    p_damage: float
    p_damage_next: float


def find_handoff(model: DepthModel, layer: Layer, around: Surroundings, bound: float, most_passes: int) -> Handoff:
    """Return the most passes whose probability of harm to ``layer`` is at most ``bound``.

    Args:
        model: of the depth, for at least ``most_passes`` passes.
        layer: what must not be harmed.
        around: what a pit does to its surroundings.
        bound: of the probability, between 0 and 0.5.
        most_passes: that are considered.

    Raises:
        OutsideModel: the layer lies deeper than the law holds, or more passes than ``most_passes`` would be safe.
        ValueError: the bound is not between 0 and 0.5.
    """
    if not 0 < bound < 0.5:
        raise ValueError(f"the bound of the probability of damage is between 0 and 0.5, not {bound}")
    if probability_of_damage(model, layer, around, most_passes) <= bound:
        raise OutsideModel(
            f"even {most_passes} passes ({model.quantile(most_passes, 0.5):.3g} um) stay above the layer at "
            f"{layer.depth_um:g} um: ask for more passes, or a higher fluence"
        )
    low, high = 0, most_passes
    while high - low > 1:
        middle = (low + high) // 2
        if probability_of_damage(model, layer, around, middle) <= bound:
            low = middle
        else:
            high = middle
    median, mean, sigma = model.moments(low)
    if median > model.law.depth_max_um:
        raise OutsideModel(
            f"{median:.3g} um is deeper than {model.law.depth_max_um:g} um, up to which {model.law.name} holds"
        )
    ends = (model.quantile(low, 0.025), model.quantile(low, 0.975))
    left = layer.depth_um - mean, math.hypot(sigma, layer.sigma_um)
    return Handoff(
        low,
        (median, mean, sigma),
        ends,
        left,
        _remaining_interval(layer, median, ends),
        probability_of_damage(model, layer, around, low),
        probability_of_damage(model, layer, around, low + 1),
    )


def _remaining_interval(layer: Layer, median: float, ends: tuple[float, float]) -> tuple[float, float]:
    """Return 95 % of what is left: each side's distance is combined with the layer's in quadrature."""
    middle, own = layer.depth_um - median, 1.959964 * layer.sigma_um
    return middle - math.hypot(ends[1] - median, own), middle + math.hypot(median - ends[0], own)


@dataclass(frozen=True)
class SimulatedDepths:
    """What drawing every constant gives, to stand beside the integrated figures.

    Attributes:
        mean_um, sigma_um: of the depth.
        p_damage: part of the draws that reach the layer; ``p_standard_error`` its standard error.
        draws: how many; with a measured depth, how many they are worth.
    """

    mean_um: float
    sigma_um: float
    p_damage: float
    p_standard_error: float
    draws: int


def simulate_depths(
    model: DepthModel,
    layer: Layer,
    around: Surroundings,
    passes: int,
    generator: np.random.Generator,
    draws: int = 4000,
) -> SimulatedDepths:
    """Return the depth after ``passes`` with every constant of ``model`` drawn, incubation's too.

    ``layer`` and ``around`` say what harm is, ``generator`` is the source of chance, ``draws`` how many are made.
    """
    law, before = model.law, model.unmeasured or model
    x = generator.normal(0.0, model.x_sigma, draws)
    rest = math.sqrt(max(0.0, before.kappa_sigma**2 - before.bent**2))
    moved = np.interp(x, before.nodes, before.kappa_mean) if before.nodes.size > 1 else np.zeros(draws)
    kappa = np.exp(moved + generator.normal(0.0, rest, draws))
    exponent = np.clip(generator.normal(law.incubation.value, law.incubation.sigma, draws), 1e-3, 1.0)
    floor = np.clip(generator.normal(law.floor_ratio.value, law.floor_ratio.sigma, draws), 1e-3, 1.0)
    pulses, measured = passes * model.pulses_per_pass, model.measured
    seen = pulses if measured is None else measured.passes * model.pulses_per_pass
    depth, weights = np.empty(draws), np.ones(draws)
    for draw in range(draws):
        shape = (float(exponent[draw]), float(floor[draw]))
        curve = depth_curve(law, model.shot, max(pulses, seen), shape, float(np.exp(x[draw])))
        depth[draw] = float(curve.at(pulses)) * kappa[draw] * 1e-3
        if measured is not None:
            then = float(curve.at(seen)) * kappa[draw] * 1e-3
            off = math.log(measured.depth_um / then) / measured.log_sigma if then > 0 else math.inf
            weights[draw] = math.exp(-(off**2) / 2)
    weights /= weights.sum()
    count = 1 / float(weights @ weights)
    top = generator.normal(layer.depth_um, layer.sigma_um, draws)
    harmed = float(weights @ (depth + around.haz_um.value + around.roughness_um.value > top))
    error = math.sqrt(max(harmed * (1 - harmed), 1 / count) / count)
    mean = float(weights @ depth)
    return SimulatedDepths(mean, math.sqrt(float(weights @ (depth - mean) ** 2)), harmed, error, round(count))
