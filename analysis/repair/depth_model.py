"""How deep a laser cuts after so many passes, as a distribution, and what a depth measured on the way says.

The depth after ``n`` passes is ``kappa G_n(x)``: ``G_n`` is the law's depth, ``x`` the doubt of threshold and fluence,
``kappa`` that of the penetration, of incubation (to first order) and of the run. ``x`` lies on a grid; ``kappa`` is
lognormal at each of its nodes.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from analysis.repair.ablation import DepthCurve, Law, OutsideModel, Shot, depth_curve, pulses_per_place

Array = NDArray[np.float64]
REACH = 6.5
NODES = 131
"""The grid of a normal quantity: so many standard deviations to each side, and so many nodes."""
_STEP = 1e-3
_SURPRISE = 1e-4
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
        bent_at: passes for which the measurement was taken into account.
        evidence: density of the measured depth, up to a factor that is the same for all kinds of runs.
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
    bent_at: float = 0.0
    evidence: float = 1.0

    def depth_um(self, passes: float) -> Array:
        """Return the depth of each node after ``passes``, um, ``(k,)``, at the median factor."""
        depth = self.curve.at(passes * self.pulses_per_pass) * 1e-3
        return np.asarray(depth * np.exp(self.kappa_mean))

    def of_scattered_run(self, times: float) -> "DepthModel":
        """Return the depth of a run whose scatter is ``times``, at least 1, its like's, with the same measurement.

        Learning takes a small part of the runs to be such (:mod:`analysis.repair.learning`).
        """
        before = self.unmeasured or self
        more = (times**2 - 1) * self.law.run_scatter.value**2
        wide = replace(before, kappa_sigma=math.sqrt(before.kappa_sigma**2 + more))
        return wide if self.measured is None else _weigh(wide, self.measured, self.bent_at)

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
    nodes = np.linspace(-REACH, REACH, NODES) * x_sigma if x_sigma else np.zeros(1)
    weights = np.exp(-((np.linspace(-REACH, REACH, NODES)) ** 2) / 2) if x_sigma else np.ones(1)
    curve = depth_curve(law, shot, pulses * most_passes, shape, np.exp(nodes))
    bent = float(np.linalg.norm(_bends(law, shot, pulses * (most_passes if bent_at is None else bent_at))))
    kappa = math.sqrt(max(0.0, inherited) + law.run_scatter.value**2 + bent**2)
    if kappa == 0:
        raise OutsideModel(f"{law.name} claims to know its depth exactly: give run_scatter or a spread")
    return DepthModel(law, shot, pulses, x_sigma, kappa, slope * nodes, bent, nodes, weights / weights.sum(), curve)


def condition_on_depth(model: DepthModel, measured: MeasuredDepth, bent_at: float) -> DepthModel:
    """Return ``model`` with what a depth ``measured`` on the way says.

    What stays in doubt is the measurement itself, what it leaves of the constants' own doubt, and what incubation does
    between there and ``bent_at`` passes.

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
    return _weigh(model, measured, bent_at)


def _weigh(model: DepthModel, measured: MeasuredDepth, bent_at: float) -> DepthModel:
    """Return ``model`` given ``measured``: what incubation does until then and until ``bent_at`` goes together."""
    pulses = measured.passes * model.pulses_per_pass
    with np.errstate(divide="ignore"):
        expected = np.log(model.curve.at(pulses) * 1e-3) + model.kappa_mean
    off = np.where(np.isfinite(expected), math.log(measured.depth_um) - expected, 0.0)
    seen = _bends(model.law, model.shot, pulses)
    later = _bends(model.law, model.shot, bent_at * model.pulses_per_pass)
    rest = max(0.0, model.kappa_sigma**2 - model.bent**2)
    total = rest + float(seen @ seen) + measured.log_sigma**2
    shared = rest + float(seen @ later)
    likely = np.where(np.isfinite(expected), model.weights * np.exp(-(off**2) / (2 * total)), 0.0)
    return replace(
        model,
        kappa_mean=model.kappa_mean + off * shared / total,
        kappa_sigma=math.sqrt(rest + float(later @ later) - shared**2 / total),
        weights=likely / likely.sum(),
        measured=measured,
        unmeasured=model,
        bent_at=bent_at,
        evidence=float(likely.sum()) / math.sqrt(total),
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


def _bends(law: Law, shot: Shot, pulses: float) -> Array:
    """Return by how much one standard deviation of incubation's exponent and floor move the logarithm of the depth."""
    moves = []
    for constant, other in ((law.incubation, law.floor_ratio), (law.floor_ratio, law.incubation)):
        low, high = max(1e-3, constant.value - constant.sigma), min(1.0, constant.value + constant.sigma)
        if high - low < _STEP * constant.sigma or constant.sigma == 0:
            moves.append(0.0)
            continue
        ends = []
        for value in (low, high):
            shape = (value, other.value) if constant is law.incubation else (other.value, value)
            ends.append(math.log(float(depth_curve(law, shot, pulses, shape).at(pulses))))
        moves.append((ends[1] - ends[0]) / (high - low) * constant.sigma)
    return np.asarray(moves)
