"""From samples to one number per tester cycle: the settled level, aligned to the cycle's beginning."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SETTLED_FROM = 0.3
"""Part of a cycle, from its beginning, that is left out: edges, spikes and what a small delay moves there."""
MOST_DELAY = 0.25
"""Largest delay looked for, as a part of a cycle."""
_PLATEAU = 0.97


class WaveformError(ValueError):
    """A waveform cannot be compared with a simulation; the message says what is wrong with it."""


@dataclass(frozen=True)
class CycleLevels:
    """Levels of a waveform by cycle.

    Attributes:
        levels: float64 of shape ``(cycles,)``, mean of the settled part, in the waveform's unit; NaN where not covered.
        covered: bool of shape ``(cycles,)``.
        shift_s: delay in seconds by which the cycles were shifted to be read where they have settled.
    """

    levels: NDArray[np.float64]
    covered: NDArray[np.bool_]
    shift_s: float


def read_cycle_levels(
    values: NDArray[np.float64], t0_s: float, dt_s: float, cycle_s: float, cycles: int
) -> CycleLevels:
    """Return the level of each of ``cycles`` cycles of ``cycle_s`` seconds.

    ``values`` is float64 of shape ``(samples,)``, in any unit; sample ``i`` was taken at ``t0_s + i * dt_s`` seconds
    and cycle 0 begins at time 0. Of the shifts up to a quarter of a cycle the smallest one is taken at which the levels
    differ as much between cycles as they do at the best one: it needs no knowledge of what the levels should be.

    Raises:
        WaveformError: the samples are not finite, too coarse, or cover less than nine tenths of the cycles.
    """
    if not np.isfinite(values).all():
        raise WaveformError("the waveform has samples that are not finite")
    if not dt_s > 0 or cycle_s / dt_s < 3:
        raise WaveformError(f"{cycle_s / dt_s:.3g} samples in a cycle are too few; 3 are needed")
    times = np.asarray(t0_s + dt_s * np.arange(values.size), np.float64)
    candidates = []
    for step in range(-8, 9):
        shift_s = step / 8 * MOST_DELAY * cycle_s
        levels, covered = _levels_at(values, times - shift_s, cycle_s, cycles)
        spread = float(np.var(levels[covered])) if covered.any() else 0.0
        candidates.append((spread, shift_s, levels, covered))
    largest = max(candidate[0] for candidate in candidates)
    best = min((c for c in candidates if c[0] >= _PLATEAU * largest), key=lambda c: abs(c[1]))
    if best[3].mean() < 0.9:
        count = int(best[3].sum())
        raise WaveformError(f"the waveform covers {count} of the {cycles} cycles of the pattern loop")
    return CycleLevels(best[2], best[3], best[1])


def _levels_at(
    values: NDArray[np.float64], times: NDArray[np.float64], cycle_s: float, cycles: int
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    position = times / cycle_s
    cycle = np.floor(position).astype(np.int64)
    settled = (position - cycle >= SETTLED_FROM) & (cycle >= 0) & (cycle < cycles)
    counts = np.bincount(cycle[settled], minlength=cycles)[:cycles]
    sums = np.bincount(cycle[settled], weights=values[settled], minlength=cycles)[:cycles]
    covered = counts >= max(1, int(np.median(counts[counts > 0])) // 2 if (counts > 0).any() else 1)
    levels = np.full(cycles, np.nan)
    levels[covered] = sums[covered] / counts[covered]
    return levels, covered
