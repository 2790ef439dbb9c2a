"""A Kolmogorov-Arnold network of drift: a sum of splines, through a spline, in place of a law.

Liu et al. 2024, cut to what a law of drift is: inputs are the logarithm of time and, with several temperatures, the
inverse temperature; the inner edges are cubic B-splines of each, one outer spline takes their sum to the drift of the
median unit. Units have amplitudes, and levels unless all readouts start at one value, as under the laws. It is
learned by Levenberg-Marquardt steps; splines are kept smooth by a penalty on their second differences whose weight is
chosen by generalized cross-validation. Beyond the readouts inner and outer edges go on straight.
"""

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import BSpline

from analysis.degradation.errors import NotFitted
from analysis.degradation.law_fit import thin_units
from analysis.degradation.mixed_effects import Block, arrange
from analysis.degradation.readout_paths import Floats, ReadoutPaths, Scale, Targets, measure_scale

INNER, OUTER = 6, 7
"""Coefficients of an inner edge, and of the outer one."""

_PENALTIES = (1e-4, 1e-2, 1.0)
_ROUNDS = 40
_EARLIEST = 1e-3
"""Times before this part of the longest are taken as this, for their logarithm."""


def spline_basis(x: Floats, count: int) -> tuple[Floats, Floats]:
    """Return ``count`` cubic B-splines on [0, 1] at ``x``, any shape, with their slopes, ``(…, count)``.

    Straight beyond.
    """
    inner = np.linspace(0, 1, count - 2)
    knots = np.concatenate([[0.0] * 3, inner, [1.0] * 3])
    inside = np.clip(x, 0.0, 1.0)
    flat = inside.ravel()
    value, slope = np.empty((flat.size, count)), np.empty((flat.size, count))
    for place in range(count):
        one = BSpline(knots, np.eye(count)[place], 3)
        value[:, place], slope[:, place] = one(flat), one.derivative()(flat)
    value, slope = value.reshape(*x.shape, count), slope.reshape(*x.shape, count)
    return value + (x - inside)[..., None] * slope, slope


@dataclass(frozen=True)
class SplineNetwork:
    """The shape that was learned.

    Attributes:
        coefficients: of the inner edges one after the other, then of the outer edge.
        latest: logarithm of the scaled time that the first inner edge ends at.
        span: least inverse temperature and its range; ``None`` with one temperature.
    """

    coefficients: Floats
    latest: float
    span: tuple[float, float] | None

    def shape(self, time: Floats, inverse: Floats) -> tuple[Floats, Floats]:
        """Return drift and its slopes by the coefficients at scaled ``time`` and ``inverse`` temperature.

        Same shape.
        """
        log_first = np.log(_EARLIEST)
        x = (np.log(np.maximum(time, _EARLIEST)) - log_first) / (self.latest - log_first)
        edges = [spline_basis(x, INNER)[0]]
        if self.span is not None:
            edges.append(spline_basis((inverse - self.span[0]) / self.span[1], INNER)[0])
        bases = np.concatenate(edges, axis=-1)
        split = bases.shape[-1]
        outer, slopes = spline_basis(bases @ self.coefficients[:split], OUTER)
        value = outer @ self.coefficients[split:]
        by_inner = (slopes @ self.coefficients[split:])[..., None] * bases
        return value, np.concatenate([by_inner, outer], axis=-1)


def _start(block: Block, *, several: bool) -> SplineNetwork:
    inverse = block.inverse_temperature
    span = (float(inverse.min()), float(np.ptp(inverse))) if several else None
    inner = np.linspace(0.0, 0.8 if several else 1.0, INNER)
    if several:
        inner = np.concatenate([inner, np.linspace(0.2, 0.0, INNER)])
    return SplineNetwork(
        np.concatenate([inner, np.linspace(0.0, 1.0, OUTER) ** 2]), float(np.log(block.time.max())), span
    )


@dataclass(frozen=True)
class NetworkForecaster:
    """A learned network with the units' amplitudes about it.

    Attributes:
        scale: of the readouts.
        network: the shape.
        level: whether units have a level of their own.
        mean: float64 ``(2,)``, level and amplitude of the median unit.
        spread: ``(2, 2)``, their covariance between units.
        sigma: error of a scaled readout.
        penalty: weight of the smoothness, as chosen.
    """

    scale: Scale
    network: SplineNetwork
    level: bool
    mean: Floats
    spread: Floats
    sigma: float
    penalty: float
    name: str = "spline-network"

    @property
    def noise(self) -> float:
        """Standard deviation of a readout about its path, in the readouts' unit."""
        return self.sigma * self.scale.value

    @property
    def parameters(self) -> int:
        """How many numbers were estimated."""
        return len(self.network.coefficients) + (5 if self.level else 2) + 1

    def draw(self, history: ReadoutPaths, targets: Targets, count: int, seed: int = 0) -> Floats:
        """Return ``count`` paths ``(count, rows)`` at ``targets``, given the readouts in ``history``; by ``seed``."""
        block = arrange(history, self.scale)
        shape, _ = self.network.shape(block.time, np.broadcast_to(block.inverse_temperature, block.time.shape))
        mean, root = _posterior(block, shape, self.mean, self.spread, self.sigma)
        generator = np.random.default_rng(seed)
        effects = mean + np.einsum("upq,nuq->nup", root, generator.standard_normal((count, *mean.shape)))
        inverse = block.inverse_temperature[targets.unit, 0]
        drift, _ = self.network.shape(targets.time_h / self.scale.time_h, inverse)
        path = effects[:, targets.unit, 0] + effects[:, targets.unit, 1] * drift
        return np.asarray(self.scale.origin + self.scale.value * path)


def _posterior(block: Block, shape: Floats, mean: Floats, spread: Floats, sigma: float) -> tuple[Floats, Floats]:
    """Means ``(units, 2)`` of level and amplitude given readouts, and roots of their covariances."""
    design = np.stack([np.ones_like(shape), shape], axis=-1) * block.there[..., None]
    precision = np.linalg.inv(spread)
    curvature = np.einsum("ump,umq->upq", design, design) / sigma**2 + precision
    pull = np.einsum("ump,um->up", design, block.value * block.there) / sigma**2 + precision @ mean
    middle = np.linalg.solve(curvature, pull[..., None])[..., 0]
    return middle, np.linalg.inv(np.linalg.cholesky(curvature)).transpose(0, 2, 1)


def fit_spline_network(paths: ReadoutPaths) -> NetworkForecaster:
    """Return the network learned from ``paths``.

    Raises:
        NotFitted: there are too few readouts for its splines.
        BadReadouts: there is nothing to fit.
    """
    scale = measure_scale(paths)
    block = arrange(thin_units(paths), scale)
    several = scale.reference_k is not None
    needed = INNER * (2 if several else 1) + OUTER + 4
    if block.there.sum() < 2 * needed or len(np.unique(block.time[block.there > 0])) < 6:
        raise NotFitted("spline-network", f"{int(block.there.sum())} readouts are too few for {needed} numbers")
    found = [_learn(block, scale, several=several, penalty=penalty) for penalty in _PENALTIES]
    finite = [each for each in found if np.isfinite(each[0])]
    if not finite:
        raise NotFitted("spline-network", "its splines did not settle")
    return min(finite, key=lambda each: each[0])[1]


def _learn(block: Block, scale: Scale, *, several: bool, penalty: float) -> tuple[float, NetworkForecaster]:
    """Return the generalized cross-validation score and the network of one ``penalty``."""
    network = _start(block, several=several)
    level = not scale.fixed_origin
    inverse = np.broadcast_to(block.inverse_temperature, block.time.shape)
    roughness = _roughness(len(network.coefficients), several=several) * penalty
    mean, spread, sigma = np.asarray([0.0, 1.0]), np.diag([0.3 if level else 1e-12, 0.3]), 0.3
    damping, freedom = 1e-2, 0.0
    loss = np.inf
    for _ in range(_ROUNDS):
        shape, slopes = network.shape(block.time, inverse)
        middle, root = _posterior(block, shape, mean, spread, sigma)
        off = (block.value - middle[:, :1] - middle[:, 1:] * shape) * block.there
        # The amplitude of the median unit is one: the outer edge carries the size.
        design = (middle[:, 1:, None] * slopes * block.there[..., None]).reshape(-1, slopes.shape[-1])
        gram = design.T @ design
        gradient = design.T @ off.ravel() - roughness @ network.coefficients
        curvature = gram + roughness
        step = np.linalg.solve(curvature + damping * (np.diag(np.diag(gram)) + 1e-9 * np.eye(len(gram))), gradient)
        moved = SplineNetwork(network.coefficients + step, network.latest, network.span)
        there, _ = moved.shape(block.time, inverse)
        off_moved = (block.value - middle[:, :1] - middle[:, 1:] * there) * block.there
        loss = float((off**2).sum() + network.coefficients @ roughness @ network.coefficients)
        if float((off_moved**2).sum() + moved.coefficients @ roughness @ moved.coefficients) < loss:
            network, off, damping = moved, off_moved, max(damping / 4, 1e-9)
        else:
            damping *= 8
        covariance = np.einsum("upq,urq->upr", root, root)
        design_2 = np.stack([np.ones_like(shape), shape], axis=-1) * block.there[..., None]
        extra = np.einsum("ump,upq,umq->", design_2, covariance, design_2)
        sigma = float(np.sqrt(((off**2).sum() + extra) / block.there.sum()))
        deviation = middle - mean
        spread = (deviation.T @ deviation + covariance.sum(axis=0)) / len(middle) + 1e-12 * np.eye(2)
        mean = np.asarray([middle[:, 0].mean() if level else 0.0, 1.0])
        if not level:
            spread[0, :], spread[:, 0] = 0.0, 0.0
            spread[0, 0] = 1e-12
        freedom = float(np.trace(np.linalg.solve(curvature + 1e-9 * np.eye(len(gram)), gram)))
    rows = float(block.there.sum())
    left = float((off**2).sum())
    used = freedom + (2 if level else 1) * len(block.time)
    score = rows * left / max(rows - used, 1.0) ** 2 if rows > used else np.inf
    return score, NetworkForecaster(scale, network, level, mean, spread, sigma, penalty)


def _roughness(size: int, *, several: bool) -> Floats:
    """Sums of squared second differences along each edge."""
    found = np.zeros((size, size))
    first = 0
    for count in (*([INNER] * (2 if several else 1)), OUTER):
        second = np.diff(np.eye(count), n=2, axis=0)
        found[first : first + count, first : first + count] = second.T @ second
        first += count
    return found
