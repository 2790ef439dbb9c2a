"""Whether what is left of a waveform is noise, once the nets under the spot are taken out of it.

Three questions, a probability each of a residual at least this strange if nothing but white noise is left: does a net
that is not under the spot show in it (Student t of the partial regression, Bonferroni over the nets), is it larger
than the noise within the cycles (F test; noise as half the difference of a cycle's two halves), and do neighbouring
cycles resemble each other (G. M. Ljung and G. E. P. Box, Biometrika 65, 1978).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from analysis.waveforms.comparison import Observation
from analysis.waveforms.unmixing import remove_baseline

LAGS = 5
_LEAST_LEFT = 0.05
"""Part of a net's variance that the nets under the spot must leave for it to be told from them."""
_FEWEST = 8

Array = NDArray[np.float64]


@dataclass(frozen=True)
class ResidualTests:
    """What the residual looks like; a probability is ``None`` where the test cannot be made.

    Attributes:
        stranger: place of the net, among those asked for, that shows most in the residual; ``None`` without any.
        p_stranger: after Bonferroni's correction.
        p_excess: of the residual's size against the noise within the cycles.
        excess: that ratio of variances.
        p_memory: of the correlation of neighbouring cycles.
    """

    stranger: int | None
    p_stranger: float | None
    p_excess: float | None
    excess: float | None
    p_memory: float | None


def examine_residual(
    observation: Observation, fitted: Array, others: Array, within_variance: float | None
) -> ResidualTests:
    """Return how the residual of ``observation`` looks once ``fitted`` nets are taken out by least squares.

    Args:
        fitted: float64 ``(nets, cycles)``, what the nets under the spot do.
        others: float64 ``(nets, cycles)``, what any other nets do.
        within_variance: of a cycle's level by the noise within the cycles, in the waveform's unit squared; ``None``
            where that is not known.
    """
    columns = remove_baseline(observation, fitted)
    basis, strengths, _ = np.linalg.svd(columns.T, full_matrices=False)
    basis = basis[:, strengths > 1e-9 * max(1.0, float(strengths.max(initial=0.0)))]
    rest = observation.residual - basis @ (basis.T @ observation.residual)
    freedom = observation.freedom - basis.shape[1]
    squares = float(rest @ rest)
    if freedom < _FEWEST or not squares > 0.0:
        return ResidualTests(None, None, None, None, None)
    stranger, p_stranger = _find_stranger(rest, remove_baseline(observation, others), basis, freedom)
    excess = squares / freedom / within_variance if within_variance else None
    p_excess = None if excess is None else float(stats.f.sf(excess, freedom, max(1, rest.size - 1)))
    return ResidualTests(stranger, p_stranger, p_excess, excess, _memory(rest))


def _find_stranger(rest: Array, others: Array, basis: Array, freedom: int) -> tuple[int | None, float | None]:
    before = (others**2).sum(axis=1)
    left = before - ((others @ basis) ** 2).sum(axis=1)
    usable = left > _LEAST_LEFT * np.maximum(before, 1e-9)
    if not usable.any():
        return None, None
    squared = np.zeros(len(others))
    squared[usable] = (others[usable] @ rest) ** 2 / (left[usable] * float(rest @ rest))
    strongest = int(np.argmax(squared))
    part = min(float(squared[strongest]), 1 - 1e-12)
    statistic = np.sqrt(part * (freedom - 1) / (1 - part))
    return strongest, min(1.0, 2 * float(stats.t.sf(statistic, freedom - 1)) * int(usable.sum()))


def _memory(rest: Array) -> float:
    count = rest.size
    correlations = np.asarray([float(rest[lag:] @ rest[:-lag]) for lag in range(1, LAGS + 1)]) / float(rest @ rest)
    statistic = count * (count + 2) * float((correlations**2 / (count - np.arange(1, LAGS + 1))).sum())
    return float(stats.chi2.sf(statistic, LAGS))


def variance_within(
    values: Array, times: Sequence[float], cycle_s: float, cycles: int, window: tuple[float, float]
) -> float | None:
    """Return the variance of a cycle's level by the noise within cycles, from the difference of its two halves.

    Noise that lasts longer than half of the window is not seen; ``None`` where halves hold less than two samples.

    Args:
        values: float64 ``(samples,)``.
        times: of the first sample and between samples, seconds.
        cycle_s: seconds of a cycle.
        cycles: their number.
        window: the part of a cycle that levels are read in.
    """
    t0_s, dt_s = times
    start, stop = window
    place = (t0_s + dt_s * np.arange(values.size)) / cycle_s - start
    cycle = np.floor(place).astype(np.int64)
    part = (place - cycle) / (stop - start)
    halves = []
    for low, high in ((0.0, 0.5), (0.5, 1.0)):
        inside = (part >= low) & (part < high) & (cycle >= 0) & (cycle < cycles)
        counts = np.bincount(cycle[inside], minlength=cycles)
        sums = np.bincount(cycle[inside], weights=values[inside], minlength=cycles)
        halves.append(np.where(counts >= 2, sums / np.maximum(counts, 1), np.nan))
    difference = (halves[0] - halves[1])[np.isfinite(halves[0] - halves[1])]
    return float(np.var(difference) / 4) if difference.size >= _FEWEST else None
