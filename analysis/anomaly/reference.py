"""A waveform of a suspect die against that of a good one on the same net, without any simulation.

Gain, sign, offset, slow drift and delay between the two are unknown, and both are noisy. The levels of the tester's
cycles are compared: ``suspect = offset + drift + gain * golden + noise``. The line is fitted robustly, so that cycles
in which the dies differ do not bend it (Tukey's bounded loss: Beaton and Tukey, Technometrics 16, 1974). What is left
of each cycle, over its standard error with the noise of both waveforms, is tested; false discoveries among the cycles
are controlled (:mod:`analysis.anomaly.thresholds`). The noise of a level is that of the
difference of its two halves, which neither the signal nor slow drift reaches.

A delay of up to a quarter of a cycle does not matter, since levels are read where they are settled. A loop that fits
only when shifted by whole cycles is refused: every cycle would differ, and a good die be called faulty.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats

from analysis.anomaly.thresholds import false_discovery_adjusted
from analysis.waveforms.cycles import CycleLevels, WaveformError, read_cycle_levels

LEAST_CYCLES = 12
BASELINE_TERMS = 3
DIFFERENT_BELOW = 0.05
"""False-discovery rate among the cycles of a waveform."""
_BIWEIGHT = 4.685
_MAD_OF_NORMAL = 0.6744898
_MAD_EFFICIENCY = 0.37
_RATIOS = (0.15, 6.0, 33)
_REWEIGHTINGS = 8
_EXPECTATIONS = 25
_MOST_INFLATION = 3.0
_TOGGLES_ABOVE = 1.5
_SHIFTED_ABOVE = 0.8


@dataclass(frozen=True)
class Recording:
    """A waveform: float64 of shape ``(samples,)``, any unit; sample ``i`` was taken at ``t0_s + i * dt_s`` seconds."""

    values: NDArray[np.float64]
    t0_s: float
    dt_s: float


@dataclass(frozen=True)
class GoldenComparison:
    """How a suspect's waveform differs from the golden one.

    Attributes:
        gain, gain_sigma: suspect's swing over the golden one's, negative when inverted, and its standard error.
        z: float64 of shape ``(cycles,)``: difference of each cycle over its standard error; NaN where not covered.
        adjusted: float64 of that shape: false-discovery adjusted p-values; NaN where not covered.
        p_value: that the whole waveform is the golden one (Simes).
        least_change: change of a cycle that would be seen at five standard errors, as a part of the golden swing.
        noise_inflation: factor by which residuals exceed the noise of the halves; 1 when they do not.
        correlation: plain correlation of the levels: the simple baseline.
        toggles: whether the golden waveform's levels differ beyond their noise.
    """

    gain: float
    gain_sigma: float
    z: NDArray[np.float64]
    adjusted: NDArray[np.float64]
    p_value: float
    least_change: float
    noise_inflation: float
    correlation: float
    toggles: bool

    @property
    def different(self) -> NDArray[np.int64]:
        """The cycles that differ, at the false-discovery rate :data:`DIFFERENT_BELOW`."""
        return np.flatnonzero(np.nan_to_num(self.adjusted, nan=1.0) <= DIFFERENT_BELOW)


@dataclass(frozen=True)
class MeasuredLevels:
    """Levels of the cycles, with the noise of one.

    Attributes:
        values: float64 of shape ``(cycles,)``, in the recording's unit; NaN where not covered.
        covered: bool of that shape.
        sigma: standard error of a level, in the recording's unit.
        freedom: degrees of freedom of ``sigma``.
    """

    values: NDArray[np.float64]
    covered: NDArray[np.bool_]
    sigma: float
    freedom: float


def compare_with_golden(
    golden: Sequence[Recording],
    suspect: Recording,
    cycle_s: float,
    cycles: int,
    neighbours: Sequence[Recording] = (),
) -> GoldenComparison:
    """Compare ``suspect`` with one or more ``golden`` waveforms of the same net.

    ``cycle_s`` is a tester cycle in seconds, ``cycles`` the number in the loop; cycle 0 begins at time 0 in all
    recordings. ``neighbours`` are golden waveforms of other nets that the spot may reach: a little of each may be in
    the suspect's waveform.

    Raises:
        WaveformError: there is no golden waveform, one cannot be read by cycles, too few cycles are in all of them, or
            the suspect's loop is the golden one shifted by whole cycles.
    """
    if not golden:
        raise WaveformError("there is no golden waveform to compare with")
    good = combine_levels([measure_levels(each, cycle_s, cycles) for each in golden])
    other = measure_levels(suspect, cycle_s, cycles)
    beside = [measure_levels(each, cycle_s, cycles) for each in neighbours]
    both = np.logical_and.reduce([good.covered, other.covered, *(each.covered for each in beside)])
    if both.sum() < LEAST_CYCLES + len(beside):
        raise WaveformError(f"{int(both.sum())} cycles are in both waveforms; {LEAST_CYCLES + len(beside)} are needed")
    place = np.linspace(-1.0, 1.0, cycles)[both]
    basis = np.stack([place**power for power in range(BASELINE_TERMS)], axis=1)
    return _compare(good, other, both, np.column_stack([basis, *(each.values[both] for each in beside)]))


def _compare(
    good: MeasuredLevels, other: MeasuredLevels, both: NDArray[np.bool_], nuisance: NDArray[np.float64]
) -> GoldenComparison:
    known, seen = good.values[both], other.values[both]
    known, seen = known - np.median(known), seen - np.median(seen)
    _refuse_shifted(known, seen)
    line = _Line(known, seen, nuisance, good.sigma, other.sigma)
    slope = line.best_slope()
    residual, weights, _ = line.fit(slope)
    sigma = line.sigma(slope)
    inflation = _inflation(residual / sigma)
    root = np.sqrt(weights)[:, None] * np.column_stack([known, nuisance])
    inverse = np.linalg.pinv(root.T @ root)
    leverage = np.clip(np.einsum("ij,jk,ik->i", root, inverse, root), 0.0, 0.9)
    z = np.full(both.size, np.nan)
    z[both] = residual / (sigma * inflation * np.sqrt(np.where(weights > 0, 1 - leverage, 1.0)))
    p_values = 2 * stats.t.sf(np.abs(z), min(good.freedom, other.freedom))
    adjusted = false_discovery_adjusted(p_values)
    change = abs(slope) * _swing(known)
    return GoldenComparison(
        gain=slope,
        gain_sigma=float(np.sqrt(inverse[0, 0])) * sigma * inflation,
        z=z,
        adjusted=adjusted,
        p_value=float(np.nanmin(adjusted)),
        least_change=5 * sigma * inflation / change if change > 0 else np.inf,
        noise_inflation=inflation,
        correlation=_correlation(known, seen),
        toggles=_toggles(known, nuisance[:, :BASELINE_TERMS], good.sigma),
    )


@dataclass(frozen=True)
class _Line:
    """Suspect's levels (``seen``) as a line in the golden ones (``known``), both noisy, over a baseline.

    The slope minimises Tukey's bounded loss of the residual over its standard error, in which the golden noise counts
    with the slope (total least squares): a slope that suits most cycles wins, however far off the others are.
    """

    known: NDArray[np.float64]
    seen: NDArray[np.float64]
    nuisance: NDArray[np.float64]
    known_sigma: float
    seen_sigma: float

    def sigma(self, slope: float) -> float:
        return float(np.hypot(self.seen_sigma, slope * self.known_sigma))

    def best_slope(self) -> float:
        """Look at slopes of both signs around the ratio of the swings, then closer around the best."""
        ratio = _swing(self.seen) / _swing(self.known) if _swing(self.known) > 0 else 0.0
        sizes = ratio * np.geomspace(*_RATIOS)
        grid = np.concatenate([-sizes[::-1], [0.0], sizes])
        losses = [self.fit(slope)[2] for slope in grid]
        best = int(np.argmin(losses))
        low, high = grid[max(0, best - 1)], grid[min(grid.size - 1, best + 1)]
        if not high > low:
            return 0.0
        found = optimize.minimize_scalar(lambda slope: self.fit(slope)[2], bounds=(low, high), method="bounded")
        return float(found.x if found.fun < losses[best] else grid[best])

    def fit(self, slope: float) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
        """Return residuals and biweight weights of the best baseline for ``slope``, and the loss."""
        level = self.seen - slope * self.known
        residual = level - np.median(level)
        limit = _BIWEIGHT * self.sigma(slope)
        for _ in range(_REWEIGHTINGS):
            weights = np.clip(1 - (residual / limit) ** 2, 0.0, None) ** 2
            weighted = weights[:, None] * self.nuisance
            gram = weighted.T @ self.nuisance
            gram += (1e-9 * np.trace(gram) + np.finfo(np.float64).tiny) * np.eye(len(gram))
            residual = level - self.nuisance @ np.linalg.solve(gram, weighted.T @ level)
        inside = np.clip(1 - (residual / limit) ** 2, 0.0, None)
        return residual, inside**2, float(np.sum(1 - inside**3))


def measure_levels(recording: Recording, cycle_s: float, cycles: int) -> MeasuredLevels:
    """Return the level of each of ``cycles`` cycles of ``cycle_s`` seconds in ``recording``, and its noise.

    Raises:
        WaveformError: the recording cannot be read by cycles, or is too coarse to tell its noise.
    """
    levels = read_cycle_levels(recording.values, recording.t0_s, recording.dt_s, cycle_s, cycles)
    halves = _half_levels(recording, cycle_s, levels)
    difference = halves[0] - halves[1]
    difference = difference[np.isfinite(difference)]
    if difference.size < LEAST_CYCLES:
        raise WaveformError("samples are too coarse to tell the noise of a level: two are needed in its settled part")
    spread = float(np.median(np.abs(difference - np.median(difference)))) / _MAD_OF_NORMAL
    scale = float(np.abs(recording.values - recording.values.mean()).max())
    sigma = max(spread / 2, 1e-9 * scale, np.finfo(np.float64).tiny)
    return MeasuredLevels(levels.levels, levels.covered, sigma, max(3.0, _MAD_EFFICIENCY * difference.size))


def _half_levels(recording: Recording, cycle_s: float, levels: CycleLevels) -> list[NDArray[np.float64]]:
    """Return the means of the early and the late half of the settled part of each cycle."""
    start, stop = levels.window
    position = (recording.t0_s + recording.dt_s * np.arange(recording.values.size)) / cycle_s - start
    cycle = np.floor(position).astype(np.int64)
    part = (position - cycle) / (stop - start)
    known = (cycle >= 0) & (cycle < levels.levels.size)
    means = []
    for low, high in ((0.0, 0.5), (0.5, 1.0)):
        inside = known & (part >= low) & (part < high)
        counts = np.bincount(cycle[inside], minlength=levels.levels.size)
        sums = np.bincount(cycle[inside], weights=recording.values[inside], minlength=levels.levels.size)
        means.append(np.where(counts > 0, sums / np.maximum(counts, 1), np.nan))
    return means


def combine_levels(levels: Sequence[MeasuredLevels]) -> MeasuredLevels:
    """Return the mean of repeated waveforms (``levels``), each brought to the first one's gain and offset.

    Raises:
        WaveformError: too few cycles are in all of them.
    """
    first = levels[0]
    if len(levels) == 1:
        return first
    covered = np.logical_and.reduce([each.covered for each in levels])
    if covered.sum() < LEAST_CYCLES:
        raise WaveformError(f"{int(covered.sum())} cycles are in all repeated waveforms; {LEAST_CYCLES} are needed")
    scaled, variances = [first.values], [first.sigma**2]
    for each in levels[1:]:
        gain, offset = np.polyfit(each.values[covered], first.values[covered], 1)
        scaled.append(gain * each.values + offset)
        variances.append((gain * each.sigma) ** 2)
    spread = np.stack(scaled)[:, covered]
    between = float(np.mean(np.var(spread, axis=0, ddof=1)))
    sigma = float(np.sqrt(max(between, float(np.mean(variances))) / len(levels)))
    return MeasuredLevels(np.mean(scaled, axis=0), covered, sigma, sum(each.freedom for each in levels))


def _swing(levels: NDArray[np.float64]) -> float:
    low, high = np.percentile(levels, (5, 95))
    return float(high - low)


def _refuse_shifted(known: NDArray[np.float64], seen: NDArray[np.float64]) -> None:
    """Refuse when one cyclic shift explains nearly all, and no shift hardly anything."""
    if np.ptp(known) == 0 or np.ptp(seen) == 0:
        return
    product = np.fft.irfft(np.conj(np.fft.rfft(known - known.mean())) * np.fft.rfft(seen - seen.mean()), known.size)
    alike = np.abs(product) / (known.std() * seen.std() * known.size)
    best = int(np.argmax(alike))
    if alike[best] > _SHIFTED_ABOVE and alike[0] < 0.5 * alike[best]:
        raise WaveformError(
            f"the loop is the golden one shifted by {best} of {known.size} cycles: let both start at cycle 0"
        )


def _inflation(z: NDArray[np.float64]) -> float:
    """Return how far residuals of cycles that do not differ exceed their noise, 1 if they do not.

    By expectation and maximisation of a normal distribution and a uniform one over the range of ``z``, for the others.
    """
    width = max(float(np.ptp(z)), 1.0)
    scale, part = 1.0, 0.1
    for _ in range(_EXPECTATIONS):
        usual = (1 - part) * stats.norm.pdf(z, scale=scale)
        share = usual / (usual + part / width)
        part = float(np.clip(1 - share.mean(), 1e-3, 0.6))
        scale = float(np.clip(np.sqrt(np.sum(share * z**2) / max(share.sum(), 1.0)), 1.0, _MOST_INFLATION))
    return scale


def _toggles(levels: NDArray[np.float64], baseline: NDArray[np.float64], sigma: float) -> bool:
    basis, _ = np.linalg.qr(baseline)
    return bool((levels - basis @ (basis.T @ levels)).std() > _TOGGLES_ABOVE * sigma)


def _correlation(left: NDArray[np.float64], right: NDArray[np.float64]) -> float:
    if np.ptp(left) == 0 or np.ptp(right) == 0:
        return 0.0
    return float(np.corrcoef(left, right)[0, 1])
