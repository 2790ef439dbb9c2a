"""When edges come: the level between the settled parts of the cycles, of a good die, of late nets, and as measured.

A net that is late by little has the settled levels of a good one; between them its edges show (decision 0015).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from analysis.waveforms.comparison import Expectations, Observation, evidence_by_ratio, observe_both
from analysis.waveforms.cycles import CycleLevels, WaveformError, levels_within
from analysis.waveforms.edges import Record

LEAST_BETWEEN = 0.2
"""Least part of a cycle between the settled ones that is read; less of it are the edges of a settled tester."""
TIMINGS = 4
"""Timings of a good die's cells, the likeliest, in which static suspects are compared."""


@dataclass(frozen=True)
class EdgePrediction:
    """What the nets under a spot do between the settled parts of the cycles, where edges come.

    Attributes:
        good: float32 of shape ``(timings, 1 + k, cycles)``, without a fault: the level from the settled part of the
            cycle before to that of each, one timing of the cells as likely as another.
        late_levels: the same under the late suspects, float32 of shape
            ``(late suspects, activities, shifts, 1 + k, cycles)``.
    """

    good: NDArray[np.float32]
    late_levels: NDArray[np.float32]


def between(window: tuple[float, float]) -> tuple[float, float]:
    """Return the part of a cycle that is not settled, from the end of the settled ``window`` in the cycle before."""
    return window[1] - 1.0, window[0]


def observe_edges(record: Record, cycle_s: float, levels: CycleLevels) -> Observation | None:
    """Return the observation of ``levels`` and of those between; ``None`` where these tell nothing.

    That is where too little lies between, where it is not covered, and where it has one level without any noise.
    ``levels`` were read from ``record``, whose tester's cycle is ``cycle_s`` seconds;
    they can be compared by themselves.
    """
    begin, end = between(levels.window)
    if end - begin < LEAST_BETWEEN:
        return None
    edges = levels_within(record, cycle_s, len(levels.covered), (begin, end))
    if not edges.covered[1:].all():
        return None
    try:
        return observe_both(levels, edges)
    except WaveformError:
        return None


def likely_timings(
    observation: Observation,
    ratios: NDArray[np.float64],
    good: NDArray[np.float64],
    spreads: NDArray[np.float64],
    edges: EdgePrediction,
) -> list[NDArray[np.float32] | None]:
    """Return the timings of ``edges`` in which the nets of a good die would be likeliest, :data:`TIMINGS` at most.

    ``good`` is float64 ``(1 + k, cycles)``, what these nets do; ``observation`` has both levels of a cycle, ``ratios``
    and ``spreads`` are as in :func:`~analysis.waveforms.comparison.evidence_by_ratio` and what it is given.
    """
    values = np.stack([in_time(observation, good, good, timing) for timing in edges.good])
    found = logsumexp(evidence_by_ratio(observation, Expectations(values, spreads), ratios), axis=1)
    return [edges.good[place] for place in np.argsort(-found, kind="stable")[:TIMINGS].tolist()]


def halfway(observation: Observation, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return settled ``values``, float64 ``(nets, cycles)``, laid out as ``observation`` is: ``(nets, its levels)``.

    Where it has the levels between, edges come in the middle of these.
    """
    if len(observation.sizes) == 1:
        return values
    return observation.lay_out(values, (values + np.roll(values, 1, axis=-1)) / 2)


def in_time(
    observation: Observation,
    values: NDArray[np.float64],
    good: NDArray[np.float64],
    timing: NDArray[np.float32] | None,
) -> NDArray[np.float64]:
    """Return settled ``values`` of shape ``(..., 1 + k, cycles)`` with what comes before them, laid out.

    Where a net does in a cycle and in the one before what it does in a ``good`` one, its level between is that of
    ``timing``; elsewhere its edge comes when its edges usually do.
    ``timing`` is one of :attr:`EdgePrediction.good`; without one ``values`` are returned as they are.
    Shapes: ``good`` and ``timing`` ``(1 + k, cycles)``, the result float64 ``(..., 1 + k, levels of observation)``.
    """
    if timing is None:
        return values
    step = good - np.roll(good, 1, axis=-1)
    energy = np.square(step).sum(axis=-1)
    early = ((timing - np.roll(good, 1, axis=-1)) * step).sum(axis=-1)
    part = np.clip(np.divide(early, energy, out=np.full_like(energy, 0.5), where=energy > 0), 0.0, 1.0)[:, None]
    before = np.roll(values, 1, axis=-1)
    same = values == good
    known = same & np.roll(same, 1, axis=-1)
    between = np.where(known, timing, before + part * (values - before))
    return observation.lay_out(values, between)
