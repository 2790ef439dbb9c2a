"""Learning the constants from a laboratory's own runs: Bayes' rule on a grid, with the prior of the table.

The logarithm of a measured depth is that of the law plus a scatter between runs; a small part of the runs is taken
to be of five times the scatter (G. E. P. Box and G. C. Tiao, Biometrika 55, 119, 1968), so that a run that went
wrong neither pulls the constants nor hides itself. Unknown are a factor on both thresholds, a factor on both
penetrations, and the scatter. Depths that were too small to be measured count as below the smallest that could be.
Quantities that are measured directly (taper, heat-affected zone, milling rate) have a mean and a scatter, in the same
way.

A grid needs no sampler and its errors can be seen: the probability at its edges. It is laid anew around the posterior
until that is small; if it does not become small, that is an error.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr, logsumexp, ndtr

from analysis.repair.ablation import Law, Shot, depth_curve

Array = NDArray[np.float64]
OUTLYING_PART = 0.05
OUTLYING_SCALE = 5.0
FALSE_OUTLIERS = 0.05
MOST_RUNS = 1000
_EDGE = 1e-4
_NEGLIGIBLE = 1e-10
_MOST_HELD = 4_000_000
"""Numbers in one array: of so many nodes by runs at a time."""
_MOST_GRIDS = 8
_MOST_NODES = 101
_COARSEST = 1.5
"""Steps in standard deviations, across the ridge of two unknowns that go together: a sum is then right to 0.1 %."""
_REACH = 5.5


class LearningFailed(ValueError):  # noqa: N818
    """The runs do not determine a posterior; the message says why."""


@dataclass(frozen=True)
class AblationRun:
    """One measured laser run.

    Attributes:
        shot: its pulses.
        pulses: that a place got in all.
        depth_nm: what was measured; ``None`` when nothing was found at or above ``limit_nm``.
        limit_nm: smallest depth that could be measured.
    """

    shot: Shot
    pulses: float
    depth_nm: float | None
    limit_nm: float = 10.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.pulses) and self.pulses > 0 and math.isfinite(self.limit_nm) and self.limit_nm > 0):
            raise ValueError(f"a run has pulses and a limit above 0, not {self.pulses} and {self.limit_nm}")
        if self.depth_nm is not None and not (math.isfinite(self.depth_nm) and self.depth_nm > 0):
            raise ValueError(f"a measured depth is above 0 nm, not {self.depth_nm}")


@dataclass(frozen=True)
class Belief:
    """A quantity before or after the runs.

    Attributes:
        mean, sigma: of the quantity, or of its logarithm.
        low, high: 95 %.
    """

    mean: float
    sigma: float
    low: float
    high: float


@dataclass(frozen=True)
class Verdict:
    """One run beside the others.

    Attributes:
        p_value: two-sided, of the run in the predictive distribution that the others make.
        outlying: the p-value is below 5 % over the number of runs.
        p_outlying: posterior probability that the run is of the wide part.
        residual: measured less expected, in standard deviations of the prediction; ``None`` for one below its limit.
    """

    p_value: float
    outlying: bool
    p_outlying: float
    residual: float | None


@dataclass(frozen=True)
class Posterior:
    """What runs say about some unknowns.

    Attributes:
        names: of the unknowns, the scatter last.
        prior, posterior: by name; logarithms for factors, scatters and positive quantities.
        correlation: of the first two unknowns; 0 with one.
        runs: of each run, in order.
        edge: probability at the edges of the grid.
        grids: how often the grid was laid.
        p_fit: of the runs' p-values taken together (Kolmogorov and Smirnov against the uniform distribution).
    """

    names: tuple[str, ...]
    prior: dict[str, Belief]
    posterior: dict[str, Belief]
    correlation: float
    runs: tuple[Verdict, ...]
    edge: float
    grids: int
    p_fit: float


@dataclass(frozen=True)
class _Gaussian:
    """An unknown with a normal prior, in the coordinate of the grid."""

    name: str
    mean: float
    sigma: float


@dataclass(frozen=True)
class _Laid:
    """A grid with the posterior on it.

    Attributes:
        axes: one 1-D array for each unknown.
        weights: of the posterior, all axes flattened, sum 1.
        kept: indices of the nodes that hold more than next to nothing, ``(kept,)``.
        expected, scatter: of each run at each kept node, ``(runs, kept)`` and ``(kept,)``.
        log_likelihood: ``(runs, kept)``.
    """

    axes: tuple[Array, ...]
    weights: Array
    kept: NDArray[np.intp]
    expected: Array
    scatter: Array
    log_likelihood: Array


@dataclass(frozen=True)
class _Data:
    """Measured values in the coordinate of the model; where ``below`` they are upper limits."""

    values: Array
    below: NDArray[np.bool_]


def learn_ablation(law: Law, runs: Sequence[AblationRun], scatter_log_sigma: float = 0.7) -> Posterior:
    """Return what ``runs`` say about the factors on the threshold and penetration of ``law``, and its scatter.

    The prior of each factor is 1 with the spread of the law's constant; that of the scatter is the law's
    ``run_scatter`` with ``scatter_log_sigma``. Incubation keeps the table's values.

    Raises:
        LearningFailed: there are no or too many runs, none has ablated, or the grid does not hold the posterior.
    """
    if len(runs) > MOST_RUNS:
        raise LearningFailed(f"{len(runs)} runs are more than the {MOST_RUNS} that are learned from at once")
    if not any(run.depth_nm is not None for run in runs):
        raise LearningFailed(f"{len(runs)} runs, none of them with a measured depth, say nothing about {law.name}")
    depths = [run.limit_nm if run.depth_nm is None else run.depth_nm for run in runs]
    data = _Data(np.log(depths), np.array([run.depth_nm is None for run in runs]))
    shape = (law.incubation.value, law.floor_ratio.value)
    unknowns = (
        _Gaussian("threshold_factor", 0.0, max(law.threshold_j_cm2.log_sigma, 1e-3)),
        _Gaussian("penetration_factor", 0.0, max(law.penetration_nm.log_sigma, 1e-3)),
        _Gaussian("scatter", math.log(law.run_scatter.value), scatter_log_sigma),
    )

    def expect(axes: tuple[Array, ...]) -> Array:
        """Return the logarithm of the depth, runs by thresholds by penetrations."""
        depth = np.stack(
            [depth_curve(law, run.shot, run.pulses, shape, np.exp(axes[0])).at(run.pulses) for run in runs]
        )
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(depth)[:, :, None] + axes[1][None, None, :])

    return _learn(unknowns, data, expect, (31, 31, 19))


def learn_mean(values: Array, prior: tuple[float, float], scatter: tuple[float, float]) -> Posterior:
    """Return what measured ``values`` say about their mean and the scatter around it.

    Args:
        values: float64 ``(n,)``, at least one, in the unit of the prior (logarithms where that is of a logarithm).
        prior: mean and standard deviation of the mean.
        scatter: median of the scatter and standard deviation of its logarithm.

    Raises:
        LearningFailed: there are no or too many values, or the grid does not hold the posterior.
        ValueError: a value is not finite, or a spread is not above 0.
    """
    measured = np.asarray(values, np.float64)
    if measured.ndim != 1 or not np.isfinite(measured).all():
        raise ValueError("measured values are finite numbers in one row")
    if not 0 < measured.size <= MOST_RUNS:
        raise LearningFailed(f"{measured.size} measured values are none, or more than {MOST_RUNS}, to learn from")
    if min(prior[1], *scatter) <= 0:
        raise ValueError(f"the spreads of a prior are above 0, not {prior[1]}, {scatter}")
    unknowns = (_Gaussian("mean", *prior), _Gaussian("scatter", math.log(scatter[0]), scatter[1]))
    data = _Data(measured, np.zeros(measured.size, np.bool_))
    return _learn(unknowns, data, lambda axes: np.broadcast_to(axes[0], (measured.size, axes[0].size)), (61, 31))


def _learn(
    unknowns: tuple[_Gaussian, ...],
    data: _Data,
    expect: Callable[[tuple[Array, ...]], Array],
    sizes: tuple[int, ...],
) -> Posterior:
    spans = [(item.mean - _REACH * item.sigma, item.mean + _REACH * item.sigma) for item in unknowns]
    reach = [[_REACH, _REACH] for _ in unknowns]
    edge = 1.0
    for number in range(1, _MOST_GRIDS + 1):
        axes = tuple(np.linspace(*span, size) for span, size in zip(spans, sizes, strict=True))
        laid = _lay(unknowns, data, expect, axes)
        found = [_belief(axis, _marginal(laid, index)) for index, axis in enumerate(axes)]
        edges = [_edges(laid, index) for index in range(len(axes))]
        edge = max(map(sum, edges))
        steps = [axis[1] - axis[0] for axis in axes]
        ridge = math.sqrt(1 - min(0.9999, _correlation(laid) ** 2)) if len(axes) > 2 else 1.0
        narrow = [ridge * item.sigma for item in found[:-1]] + [found[-1].sigma]
        fine = all(step < _COARSEST * sigma for step, sigma in zip(steps, narrow, strict=True))
        if number > 1 and fine and edge < _EDGE:
            break
        if number > 1 and not fine:
            sizes = tuple(min(_MOST_NODES, round(1.4 * size)) for size in sizes)
        for sides, masses in zip(reach, edges, strict=True):
            sides[:] = [side * (1.4 if mass > _EDGE / 4 else 1.0) for side, mass in zip(sides, masses, strict=True)]
        widths = [max(item.sigma, 0.6 * step) for item, step in zip(found, steps, strict=True)]
        spans = [
            (item.mean - low * width, item.mean + high * width)
            for item, width, (low, high) in zip(found, widths, reach, strict=True)
        ]
    else:
        raise LearningFailed(
            f"after {_MOST_GRIDS} grids {100 * edge:.2g} % of the probability still lies at the edge: "
            "the runs and the model do not fit together"
        )
    return _report(unknowns, data, laid, edge, number)


def _lay(
    unknowns: tuple[_Gaussian, ...],
    data: _Data,
    expect: Callable[[tuple[Array, ...]], Array],
    axes: tuple[Array, ...],
) -> _Laid:
    mesh = np.meshgrid(*axes, indexing="ij")
    log_prior = sum(-0.5 * ((part - item.mean) / item.sigma) ** 2 for part, item in zip(mesh, unknowns, strict=True))
    scatter = np.exp(mesh[-1]).ravel()
    # Without the axis of the scatter, on which no run's expectation depends.
    flat = np.asarray(expect(axes)).reshape(data.values.size, -1)
    total, repeat = np.ravel(log_prior), axes[-1].size
    step = max(1, _MOST_HELD // scatter.size)
    for first in range(0, data.values.size, step):
        part = _Data(data.values[first : first + step], data.below[first : first + step])
        total = total + _log_likelihood(part, np.repeat(flat[first : first + step], repeat, axis=1), scatter).sum(
            axis=0
        )
    if not np.isfinite(total).any():
        raise LearningFailed("no value of the constants makes these runs possible: a depth was measured where none is")
    weights = np.exp(total - logsumexp(total))
    kept = np.flatnonzero(weights > _NEGLIGIBLE * weights.max())
    kept = kept[np.argsort(-weights[kept], kind="stable")][: max(1000, _MOST_HELD // data.values.size)]
    expected = flat[:, kept // repeat]
    return _Laid(axes, weights, kept, expected, scatter[kept], _log_likelihood(data, expected, scatter[kept]))


def _log_likelihood(data: _Data, expected: Array, scatter: Array) -> Array:
    """Return the contaminated normal's logarithm, ``(runs, nodes)``; of an upper limit its distribution function."""
    narrow = math.log(1 - OUTLYING_PART) + _component(data, expected, scatter)
    wide = math.log(OUTLYING_PART) + _component(data, expected, OUTLYING_SCALE * scatter)
    return np.asarray(np.logaddexp(narrow, wide))


def _component(data: _Data, expected: Array, width: Array) -> Array:
    """Return the logarithm of the normal density of each run, of its distribution function below a limit."""
    # A node without ablation expects minus infinity: no depth can be measured there, and none is what it predicts.
    z = (data.values[:, None] - expected) / width
    density = -0.5 * z**2 - np.log(width) - 0.5 * math.log(2 * math.pi)
    if data.below.any():
        density[data.below] = log_ndtr(z[data.below])
    return np.asarray(density)


def _marginal(laid: _Laid, index: int) -> Array:
    cube = laid.weights.reshape([axis.size for axis in laid.axes])
    return np.asarray(cube.sum(axis=tuple(other for other in range(cube.ndim) if other != index)))


def _edges(laid: _Laid, index: int) -> tuple[float, float]:
    marginal = _marginal(laid, index)
    return float(marginal[0]), float(marginal[-1])


def _belief(axis: Array, weights: Array) -> Belief:
    """Return moments and a 95 % interval; between nodes the distribution function is taken as linear."""
    mean = float(weights @ axis)
    sigma = math.sqrt(max(0.0, float(weights @ (axis - mean) ** 2)))
    middle = np.concatenate([[axis[0]], (axis[1:] + axis[:-1]) / 2, [axis[-1]]])
    reached = np.concatenate([[0.0], np.cumsum(weights)])
    low, high = np.interp([0.025, 0.975], reached, middle)
    return Belief(mean, sigma, float(low), float(high))


def _report(unknowns: tuple[_Gaussian, ...], data: _Data, laid: _Laid, edge: float, grids: int) -> Posterior:
    runs = _judge_all(data, laid)
    prior = {
        item.name: Belief(item.mean, item.sigma, item.mean - 1.959964 * item.sigma, item.mean + 1.959964 * item.sigma)
        for item in unknowns
    }
    posterior = {
        item.name: _belief(axis, _marginal(laid, index))
        for index, (item, axis) in enumerate(zip(unknowns, laid.axes, strict=True))
    }
    return Posterior(
        tuple(item.name for item in unknowns),
        prior,
        posterior,
        _correlation(laid) if len(unknowns) > 2 else 0.0,
        runs,
        edge,
        grids,
        _fit([run.p_value for run in runs]),
    )


def _correlation(laid: _Laid) -> float:
    cube = laid.weights.reshape([axis.size for axis in laid.axes]).sum(axis=2)
    first, second = laid.axes[0], laid.axes[1]
    means = cube.sum(axis=1) @ first, cube.sum(axis=0) @ second
    moved = first - means[0], second - means[1]
    spread = math.sqrt(float(cube.sum(axis=1) @ moved[0] ** 2) * float(cube.sum(axis=0) @ moved[1] ** 2))
    return float(moved[0] @ cube @ moved[1]) / spread if spread else 0.0


def _judge_all(data: _Data, laid: _Laid) -> tuple[Verdict, ...]:
    """Compare each run with what the others predict; nodes that hold next to nothing are left out."""
    held = laid.weights[laid.kept] / laid.weights[laid.kept].sum()
    wide = math.log(OUTLYING_PART) + _component(data, laid.expected, OUTLYING_SCALE * laid.scatter)
    shares = np.exp(np.where(np.isneginf(wide), -np.inf, wide - np.maximum(laid.log_likelihood, -1e300))) @ held
    return tuple(_judge(data, laid, index, float(shares[index])) for index in range(data.values.size))


def _judge(data: _Data, laid: _Laid, index: int, p_outlying: float) -> Verdict:
    """Compare one run with the others: its own likelihood is taken out of the weights."""
    others = np.log(laid.weights[laid.kept]) - laid.log_likelihood[index]
    weights = np.exp(others - logsumexp(others))
    below = float(weights @ ndtr((data.values[index] - laid.expected[index]) / laid.scatter))
    bound = FALSE_OUTLIERS / data.values.size
    if data.below[index]:
        # Only that nothing was found can be surprising: the others expect a depth far above the limit.
        return Verdict(below, below < bound, p_outlying, None)
    p_value = 2 * min(below, 1 - below)
    mean = float(weights @ laid.expected[index])
    variance = float(weights @ (laid.scatter**2 + (laid.expected[index] - mean) ** 2))
    residual = (float(data.values[index]) - mean) / math.sqrt(variance)
    return Verdict(p_value, p_value < bound, p_outlying, residual)


def _fit(p_values: Sequence[float]) -> float:
    """Return the probability of p-values as uneven as these, were the model right; 1 for fewer than five."""
    from scipy.stats import kstest  # noqa: PLC0415 (slow to import)

    return float(kstest(p_values, "uniform").pvalue) if len(p_values) >= 5 else 1.0
