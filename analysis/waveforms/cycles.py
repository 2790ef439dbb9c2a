"""From samples to one number per tester cycle: the settled level."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.waveforms.edges import Record

MOST_DELAY = 0.25
"""Largest delay looked for, as a part of a cycle."""
LARGEST = 1e100
"""Size of a sample from which its powers overflow; one over it underflows as well."""
SETTLED = (0.3, 0.75)
"""Part of a cycle, from its beginning, that is settled whatever the delay, and free of edges and spikes."""
LEAST_COVERED = 0.9
"""Part of the cycles that a waveform must cover."""
USUAL = (0.25, 0.95)
"""The part that is taken where the level is too noisy to see how far it is settled."""
_STEP = 0.2
_FOLLOWS = (0.5, 0.9)
_SIGNIFICANT = 2.0
_SHIFTS = (0.0, 0.2, 0.4)


class WaveformError(ValueError):
    """A waveform cannot be compared with a simulation; the message says what is wrong with it."""


@dataclass(frozen=True)
class CycleLevels:
    """Levels of a waveform by cycle.

    Attributes:
        levels: float64 of shape ``(cycles,)``, mean of the settled part, in the waveform's unit; NaN where not covered.
        covered: bool of shape ``(cycles,)``.
        window: the part of a cycle that was taken as settled, from and to, 0..1 and a little beyond.
    """

    levels: NDArray[np.float64]
    covered: NDArray[np.bool_]
    window: tuple[float, float]


def read_cycle_levels(
    values: NDArray[np.float64], t0_s: float, dt_s: float, cycle_s: float, cycles: int
) -> CycleLevels:
    """Return the level of each of ``cycles`` cycles of ``cycle_s`` seconds.

    ``values`` is float64 of shape ``(samples,)``, in any unit; sample ``i`` was taken at ``t0_s + i * dt_s`` seconds
    and cycle 0 begins at time 0. The level is the mean over :data:`SETTLED`, widened to either side for as long as the
    samples there follow that level from cycle to cycle: it needs no knowledge of what the levels should be.

    Raises:
        WaveformError: a time is not finite or not positive, a sample is not finite, samples are too coarse or cover too
            few of the cycles.
    """
    if not values.size or not np.isfinite(values).all():
        raise WaveformError(
            "the waveform has no samples" if not values.size else "the waveform has samples that are not finite"
        )
    _check_size(values)
    if not (np.isfinite([t0_s, dt_s, cycle_s]).all() and dt_s > 0 and cycle_s > 0 and cycles > 0):
        raise WaveformError(f"a cycle of {cycle_s} s, samples of {dt_s} s from {t0_s} s on cannot be compared")
    if cycle_s / dt_s < 3:
        raise WaveformError(f"{cycle_s / dt_s:.3g} samples in a cycle are too few; 3 are needed")
    position = np.asarray((t0_s + dt_s * np.arange(values.size)) / cycle_s, np.float64)
    offset = float(values.mean())
    centred = np.asarray(values - offset, np.float64)
    window = _settled_window(centred, position, cycles)
    levels, covered = _mean_within(centred, position, cycles, window)
    if covered.mean() < LEAST_COVERED:
        count = int(covered.sum())
        raise WaveformError(f"the waveform covers {count} of the {cycles} cycles of the pattern loop")
    return CycleLevels(levels + offset, covered, window)


def levels_within(record: Record, cycle_s: float, cycles: int, window: tuple[float, float]) -> CycleLevels:
    """Return the level of each of ``cycles`` cycles of ``cycle_s`` seconds over a given ``window`` of a cycle.

    ``window`` is that of another waveform of the same net, see :class:`CycleLevels`: of a mean that ``record`` went
    into.

    Raises:
        WaveformError: a sample is not finite.
    """
    if not np.isfinite(record.values).all():
        raise WaveformError("the waveform has samples that are not finite")
    _check_size(record.values)
    offset = float(record.values.mean())
    levels, covered = _mean_within(record.values - offset, record.times_s / cycle_s, cycles, window)
    return CycleLevels(levels + offset, covered, window)


def _check_size(values: NDArray[np.float64]) -> None:
    """Refuse samples whose squares, or whose steps' squares, are no numbers any more."""
    largest, span = float(np.abs(values).max()), float(np.ptp(values))
    if largest > LARGEST or 0 < span < 1 / LARGEST:
        raise WaveformError(f"the waveform's samples (up to {largest:.3g}, over {span:.3g}) are too large or too alike")


def _mean_within(
    values: NDArray[np.float64], position: NDArray[np.float64], cycles: int, window: tuple[float, float]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return each cycle's mean over ``window`` and whether enough samples are there; ``position`` is in cycles."""
    start, stop = window
    cycle = np.floor(position - start).astype(np.int64)
    inside = (position - start - cycle < stop - start) & (cycle >= 0) & (cycle < cycles)
    counts = np.bincount(cycle[inside], minlength=cycles)[:cycles]
    sums = np.bincount(cycle[inside], weights=values[inside], minlength=cycles)[:cycles]
    usual = float(np.median(counts[counts > 0])) if counts.any() else 1.0
    covered = counts >= max(1.0, usual / 2)
    levels = np.full(cycles, np.nan)
    levels[covered] = sums[covered] / counts[covered]
    return levels, covered


def _settled_window(values: NDArray[np.float64], position: NDArray[np.float64], cycles: int) -> tuple[float, float]:
    """Widen :data:`SETTLED` by fifths of a cycle while their regression on the level there is 1 but for noise.

    The variance of the level without noise is the covariance of its two halves.
    """
    (start, stop), variance, error = _settled_core(values, position, cycles)
    if not variance > _SIGNIFICANT * error:
        return USUAL
    core, _ = _mean_within(values, position, cycles, (start, stop))

    def follows(begin: float, end: float) -> bool:
        piece, _ = _mean_within(values, position, cycles, (begin, end))
        shared, doubt = _covariance(piece, core)
        least, most = _FOLLOWS
        return shared / variance > min(most, max(least, 1 - 2 * doubt / variance))

    while start - _STEP >= -MOST_DELAY and follows(start - _STEP, start):
        start -= _STEP
    while stop + _STEP <= start + 1 and follows(stop, stop + _STEP):
        stop += _STEP
    return start, stop


def _settled_core(
    values: NDArray[np.float64], position: NDArray[np.float64], cycles: int
) -> tuple[tuple[float, float], float, float]:
    """Return the core whose halves agree best, with the variance of the level there and its error.

    A net far behind the inputs settles late in a fast cycle: :data:`SETTLED` moves back where that shows clearly more.
    """
    found = []
    for shift in _SHIFTS:
        start, stop = SETTLED[0] + shift, SETTLED[1] + shift
        middle = (start + stop) / 2
        early, _ = _mean_within(values, position, cycles, (start, middle))
        late, _ = _mean_within(values, position, cycles, (middle, stop))
        found.append(((start, stop), *_covariance(early, late)))
    usual, best = found[0], max(found, key=lambda item: item[1])
    return best if best[1] > usual[1] + _SIGNIFICANT * max(usual[2], best[2]) else usual


def _covariance(left: NDArray[np.float64], right: NDArray[np.float64]) -> tuple[float, float]:
    """Return the covariance over the cycles that both cover, and its standard error; zero for fewer than four."""
    both = np.isfinite(left) & np.isfinite(right)
    count = int(both.sum())
    if count < 4:
        return 0.0, 0.0
    products = (left[both] - left[both].mean()) * (right[both] - right[both].mean())
    return float(products.mean()), float(products.std() / np.sqrt(count))
