"""Peers of the skew benchmark, edge by edge: cross-correlation, and the crossing of half the level.

Both know the sign of the waveform and look 400 ps either way; the first knows the edge's width.
"""

import numpy as np

from benchmarks.skew_trials.waveforms import Case, Floats, Made, phi

_REACH_PS = 400.0


def time_by_peers(case: Case, made: Made) -> tuple[list[float], list[float]]:
    """Return the errors in picoseconds of cross-correlation, and of the crossing, for each edge of ``made``."""
    net = made.nets[0]
    times = case.times_ps
    level = net.bits[np.asarray(times // case.cycle_ps, np.int64)]
    sign = 1.0 if np.corrcoef(made.values, level)[0, 1] > 0 else -1.0
    half = round(case.cycle_ps / 2 / case.dt_ps) - 1
    correlation, crossing = [], []
    for place, cycle in enumerate(net.edges):
        rising = net.bits[cycle] - net.bits[cycle - 1]
        centre = int(np.argmin(np.abs(times - cycle * case.cycle_ps)))
        off = float(times[centre] - cycle * case.cycle_ps)
        first = max(0, centre - half)
        piece = rising * sign * made.values[first : centre + half]
        truth = net.delays_ps[place] - off
        correlation.append(_cross_correlate(case, piece, first - centre) - truth)
        crossing.append(_cross_half(case, piece, first - centre) - truth)
    return correlation, crossing


def _cross_correlate(case: Case, piece: Floats, start: int) -> float:
    """Return the delay at the peak of the correlation with a step, by a parabola through it."""
    span = round(_REACH_PS / case.dt_ps)
    shape = phi(np.arange(-span // 2, span // 2 + 1) * case.dt_ps / case.sigma_ps)
    score = np.correlate(piece - piece.mean(), shape - shape.mean(), mode="valid")
    place = np.arange(score.size) + start + shape.size // 2
    score = np.where(np.abs(place) <= span, score, -np.inf)
    best = int(np.argmax(score))
    shift = 0.0
    if 0 < best < score.size - 1 and np.isfinite(score[best - 1 : best + 2]).all():
        left, middle, right = score[best - 1 : best + 2]
        curve = left - 2 * middle + right
        shift = 0.5 * (left - right) / curve if curve else 0.0
    return float((place[best] + shift) * case.dt_ps)


def _cross_half(case: Case, piece: Floats, start: int) -> float:
    """Return where a mean of three crosses half the level (IEEE Std 181-2011, mid-reference-level instant)."""
    smooth = np.convolve(piece, np.ones(3) / 3, mode="same")
    quarter = piece.size // 4
    half = (piece[:quarter].mean() + piece[-quarter:].mean()) / 2
    up = np.flatnonzero((smooth[1:-2] < half) & (smooth[2:-1] >= half)) + 1
    if not up.size:
        return _REACH_PS
    place = up[np.argmin(np.abs(up + start))]
    part = (half - smooth[place]) / (smooth[place + 1] - smooth[place])
    return float((place + start + part) * case.dt_ps)
