"""Delay of a waveform against the edges that it should have, with its standard error.

Template: the looped values of the net with Gaussian-smoothed edges. Least squares over delay, amplitude and offset; the
error is that of the linearised fit, ``sigma^2 (J'J)^-1``, widened by the correlation of the residual. For white noise
it is the Cramér-Rao bound ``sigma^2 / sum s'(t)^2`` (Kay, "Fundamentals of Statistical Signal Processing", 1993, 3.5).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import erf

from analysis.waveforms.cycles import MOST_DELAY

_EDGE_WIDTHS = (0.02, 0.05, 0.1)
_GRID = 41
_REFINEMENTS = 8
_CONVERGED = 1e-3


@dataclass(frozen=True)
class Skew:
    """A delay in seconds and its standard error; both ``None`` when the net has no edge or nothing was found."""

    skew_s: float | None
    sigma_s: float | None


def edge_template(
    times_s: NDArray[np.float64], bits: NDArray[np.float64], cycle_s: float, edge_s: float
) -> NDArray[np.float64]:
    """Return the looped waveform of ``bits`` (shape ``(cycles,)``, 0..1) at ``times_s`` (shape ``(samples,)``).

    Times and ``cycle_s`` are seconds, ``edge_s`` the standard deviation of the Gaussian that smooths each edge.
    """
    nearest = np.rint(times_s / cycle_s).astype(np.int64)
    after = bits[nearest % bits.size]
    before = bits[(nearest - 1) % bits.size]
    rise = 0.5 * (1 + erf((times_s - nearest * cycle_s) / (np.sqrt(2) * edge_s)))
    return np.asarray(before + (after - before) * rise, np.float64)


def estimate_skew(
    values: NDArray[np.float64], t0_s: float, dt_s: float, cycle_s: float, bits: NDArray[np.float64]
) -> Skew:
    """Return the delay of ``values`` (shape ``(samples,)``) against ``bits`` (shape ``(cycles,)``, 0..1).

    ``t0_s``, ``dt_s`` and ``cycle_s`` are seconds. Positive means later than simulated; the edge width is fitted.
    """
    if not np.ptp(bits) > 0:
        return Skew(None, None)
    times = np.asarray(t0_s + dt_s * np.arange(values.size), np.float64)
    inside = (times >= 0) & (times < bits.size * cycle_s)
    times, observed = times[inside], values[inside] - values[inside].mean()
    middle = _EDGE_WIDTHS[1] * cycle_s
    grid = np.linspace(-MOST_DELAY, MOST_DELAY, _GRID) * cycle_s
    delay = min(grid, key=lambda item: _misfit(times - item, observed, bits, cycle_s, middle))
    edges = [width * cycle_s for width in _EDGE_WIDTHS]
    edge_s = min(edges, key=lambda item: _misfit(times - delay, observed, bits, cycle_s, item))
    return _refine(times, observed, bits, cycle_s, (float(delay), edge_s))


def _misfit(
    times: NDArray[np.float64], observed: NDArray[np.float64], bits: NDArray[np.float64], cycle_s: float, edge_s: float
) -> float:
    template = edge_template(times, bits, cycle_s, edge_s)
    template -= template.mean()
    energy = float(template @ template)
    return float(observed @ observed) - (float(template @ observed) ** 2 / energy if energy > 0 else 0.0)


def _refine(
    times: NDArray[np.float64],
    observed: NDArray[np.float64],
    bits: NDArray[np.float64],
    cycle_s: float,
    start: tuple[float, float],
) -> Skew:
    """Gauss-Newton on the delay with amplitude and offset solved in each step."""
    delay, edge_s = start
    step_s = edge_s / 10
    for _ in range(_REFINEMENTS):
        template = edge_template(times - delay, bits, cycle_s, edge_s)
        ahead = edge_template(times - delay - step_s, bits, cycle_s, edge_s)
        behind = edge_template(times - delay + step_s, bits, cycle_s, edge_s)
        slope = (ahead - behind) / (2 * step_s)
        columns = np.stack([template, np.ones_like(template)], axis=1)
        (amplitude, offset), *_ = np.linalg.lstsq(columns, observed, rcond=None)
        jacobian = np.column_stack([amplitude * slope, columns])
        residual = observed - amplitude * template - offset
        update, *_ = np.linalg.lstsq(jacobian, residual, rcond=None)
        delay += float(np.clip(update[0], -edge_s, edge_s))
        if abs(update[0]) < _CONVERGED * edge_s:
            break
    if abs(delay) > MOST_DELAY * cycle_s * 1.2:
        return Skew(None, None)
    covariance = np.linalg.pinv(jacobian.T @ jacobian)
    variance = float(residual @ residual) / max(1, residual.size - 3) * _correlation_inflation(residual)
    sigma = float(np.sqrt(max(0.0, covariance[0, 0]) * variance))
    return Skew(delay, sigma) if 0 < sigma < MOST_DELAY * cycle_s else Skew(None, None)


def _correlation_inflation(residual: NDArray[np.float64]) -> float:
    """Return how much correlated samples widen the variance: ``1 + 2 sum of autocorrelations``."""
    centred = residual - residual.mean()
    power = float(centred @ centred)
    if power <= 0:
        return 1.0
    total = 1.0
    for lag in range(1, min(50, centred.size // 4)):
        value = float(centred[:-lag] @ centred[lag:]) / power
        if value < 2 / np.sqrt(centred.size):
            break
        total += 2 * value
    return total
