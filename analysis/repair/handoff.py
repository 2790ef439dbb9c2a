"""Where the laser stops and the ion beam goes on: as many passes as keep the layer below safe.

The layer is harmed when the deepest place of the floor with its heat-affected zone reaches it. Its probability is
integrated over the depth's grid and the layer's own depth, and over the rest of the depth's doubt in closed form; a
Monte Carlo run over every constant stands beside it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analysis.repair.ablation import OutsideModel, depth_curve
from analysis.repair.depth_model import NODES, REACH, Array, DepthModel, MeasuredDepth
from analysis.repair.margin import Surroundings


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
class WrongRuns:
    """Runs gone wrong, as :mod:`analysis.repair.learning` takes them to be.

    Attributes:
        part: of all runs that they are, at least 0 and below 1.
        times: their scatter over that of the others, at least 1.
    """

    part: float
    times: float

    def __post_init__(self) -> None:
        if not (0 <= self.part < 1 and math.isfinite(self.times) and self.times >= 1):
            raise ValueError(
                "runs gone wrong are a part from 0 to 1 and scatter at least as others do, "
                f"not {self.part}, {self.times}"
            )


def probability_of_damage(
    model: DepthModel, layer: Layer, around: Surroundings, passes: float, wrong: WrongRuns | None = None
) -> float:
    """Return the probability that ``passes`` of ``model`` with what lies ``around`` the pit reach ``layer``.

    With ``wrong`` of a run of which nobody knows whether it goes wrong, but for what a depth measured on the way says.
    """
    return _mixed(kinds_of_runs(model, wrong), layer, around, passes)


def kinds_of_runs(model: DepthModel, wrong: WrongRuns | None) -> list[tuple[float, DepthModel]]:
    """Return the probability and the depth of a run like the others, and of one gone wrong where there are such.

    ``model`` is the depth of a run like the others, with what was measured on the way; ``wrong`` says how often runs
    go wrong, and by how much, ``None`` where that is unknown.

    By Bayes' rule a depth that was measured on the way says which of both it is, as far as it is exact.
    """
    if wrong is None or not wrong.part:
        return [(1.0, model)]
    other = model.of_scattered_run(wrong.times)
    part = wrong.part * other.evidence / (wrong.part * other.evidence + (1 - wrong.part) * model.evidence)
    return [(1 - part, model), (part, other)]


def _mixed(kinds: Sequence[tuple[float, DepthModel]], layer: Layer, around: Surroundings, passes: float) -> float:
    reserve = around.haz_um.value + around.roughness_um.value
    grid = np.linspace(-REACH, REACH, NODES) if layer.sigma_um else np.zeros(1)
    weights = np.exp(-(grid**2) / 2)
    allowed = layer.depth_um + layer.sigma_um * grid - reserve
    weights /= weights.sum()
    return math.fsum(part * float(kind.probability_deeper(passes, allowed) @ weights) for part, kind in kinds)


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


def find_handoff(
    model: DepthModel,
    layer: Layer,
    around: Surroundings,
    bound: float,
    most_passes: int,
    wrong: WrongRuns | None = None,
) -> Handoff:
    """Return the most passes whose probability of harm to ``layer`` is at most ``bound``.

    Args:
        model: of the depth, for at least ``most_passes`` passes.
        layer: what must not be harmed.
        around: what a pit does to its surroundings.
        bound: of the probability, between 0 and 0.5.
        most_passes: that are considered.
        wrong: the runs gone wrong that the bound is to hold with; without them it holds for a run like the others.

    Raises:
        OutsideModel: the layer lies deeper than the law holds, or more passes than ``most_passes`` would be safe.
        ValueError: the bound is not between 0 and 0.5.
    """

    if not 0 < bound < 0.5:
        raise ValueError(f"the bound of the probability of damage is between 0 and 0.5, not {bound}")
    kinds = kinds_of_runs(model, wrong)

    def harm(passes: int) -> float:
        return _mixed(kinds, layer, around, passes)

    if harm(most_passes) <= bound:
        raise OutsideModel(
            f"even {most_passes} passes ({model.quantile(most_passes, 0.5):.3g} um) stay above the layer at "
            f"{layer.depth_um:g} um: ask for more passes, or a higher fluence"
        )
    low, high = 0, most_passes
    while high - low > 1:
        middle = (low + high) // 2
        if harm(middle) <= bound:
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
        harm(low),
        harm(low + 1),
    )


def _remaining_interval(layer: Layer, median: float, ends: tuple[float, float]) -> tuple[float, float]:
    """Return 95 % of what is left: each side's distance is combined with the layer's in quadrature."""
    middle, own = layer.depth_um - median, 1.959964 * layer.sigma_um
    return middle - math.hypot(ends[1] - median, own), middle + math.hypot(median - ends[0], own)


@dataclass(frozen=True)
class SimulatedDepths:
    """What drawing every constant gives, to stand beside the integrated figures.

    Attributes:
        mean_um, sigma_um: of the depth of a run like the others.
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
    wrong: WrongRuns | None = None,
) -> SimulatedDepths:
    """Return the depth after ``passes`` with every constant of ``model`` drawn, incubation's too.

    ``layer`` and ``around`` say what harm is, ``generator`` is the source of chance, ``draws`` how many are made;
    ``wrong`` as in :func:`find_handoff`.
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
    reached, then = np.empty(draws), np.empty(draws)
    for draw in range(draws):
        shape = (float(exponent[draw]), float(floor[draw]))
        curve = depth_curve(law, model.shot, max(pulses, seen), shape, float(np.exp(x[draw])))
        reached[draw], then[draw] = float(curve.at(pulses)) * 1e-3, float(curve.at(seen)) * 1e-3
    depth, weights = reached * kappa, _likelihoods(then * kappa, measured)
    top = generator.normal(layer.depth_um, layer.sigma_um, draws) - around.haz_um.value - around.roughness_um.value
    chances, harms = weights, depth > top
    if wrong is not None and wrong.part:
        scattered = kappa * np.exp(generator.normal(0.0, math.sqrt(wrong.times**2 - 1) * law.run_scatter.value, draws))
        others = _likelihoods(then * scattered, measured)
        chances = np.concatenate([(1 - wrong.part) * weights, wrong.part * others])
        harms = np.concatenate([harms, reached * scattered > top])
    weights = weights / weights.sum()
    count = 1 / float(weights @ weights)
    harmed = float(chances @ harms) / float(chances.sum())
    error = math.sqrt(max(harmed * (1 - harmed), 1 / count) / count)
    mean = float(weights @ depth)
    return SimulatedDepths(mean, math.sqrt(float(weights @ (depth - mean) ** 2)), harmed, error, round(count))


def _likelihoods(depths_um: Array, measured: MeasuredDepth | None) -> Array:
    """Return how likely what was ``measured`` is with each of the depths then; 1 without a measurement."""
    if measured is None:
        return np.ones(len(depths_um))
    with np.errstate(divide="ignore"):
        off = (math.log(measured.depth_um) - np.log(depths_um)) / measured.log_sigma
    return np.asarray(np.exp(-(off**2) / 2))
