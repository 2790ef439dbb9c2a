"""Cramér-Rao bounds of the skew benchmark: numerical derivatives of the generator's own waveform, true covariance.

Of one edge: everything but its delay is known. Of a waveform: its delay, with swing, offset, and the weights and delays
of the other nets unknown too (Kay, "Fundamentals of Statistical Signal Processing" I, 1993, 3.9: ``s' C^-1 s``).
"""

from dataclasses import replace

import numpy as np
from scipy.linalg import solve_toeplitz, toeplitz

from benchmarks.skew_trials.waveforms import Case, Floats, Made, Net, autocovariance, make, shine

_SMALL_PS = 0.05
_WINDOW_PS = 1500.0


def edge_bound_ps(case: Case, seed: int = 0) -> float:
    """Return the bound of one edge: the root mean square over the edges of a waveform of ``case``."""
    made = _example(case, seed)
    net, times = made.nets[0], case.times_ps
    variances = []
    for place, cycle in enumerate(net.edges):
        at = cycle * case.cycle_ps + net.delays_ps[place]
        near = np.abs(times - at) < _WINDOW_PS / 2
        moved = [net.delays_ps + (np.arange(net.delays_ps.size) == place) * side for side in (-_SMALL_PS, _SMALL_PS)]
        ends = [shine(case, replace(net, delays_ps=delays), made.bend, times)[near] for delays in moved]
        slope = (ends[1] - ends[0]) / (2 * _SMALL_PS)
        covariance = toeplitz(autocovariance(case, slope.size))
        variances.append(1 / (slope @ np.linalg.solve(covariance, slope)))
    return float(np.sqrt(np.mean(variances)))


def waveform_bound_ps(case: Case, seed: int = 0) -> float:
    """Return the bound of the delay of a whole waveform, root mean square over five waveforms of ``case``."""
    return float(np.sqrt(np.mean([_waveform_variance(case, _example(case, seed + number)) for number in range(5)])))


def _example(case: Case, seed: int) -> Made:
    return make(replace(case, repeats=0, late=0.0, loops=0, trigger_ps=0.0), np.random.default_rng(seed))


def _waveform_variance(case: Case, made: Made) -> float:
    times = case.times_ps
    columns = [_slope(case, made.nets[0], made.bend) * made.nets[0].weight]
    columns += [shine(case, net, made.bend, times) for net in made.nets] + [np.ones(times.size)]
    columns += [_slope(case, net, made.bend) * net.weight for net in made.nets[1:]]
    jacobian = np.column_stack(columns)
    covariance = autocovariance(case, times.size)
    if case.correlation or case.smoothed > 1:
        information = jacobian.T @ solve_toeplitz(covariance, jacobian)
    else:
        information = jacobian.T @ jacobian / covariance[0]
    return float(np.linalg.inv(information)[0, 0])


def _slope(case: Case, net: Net, bend: float) -> Floats:
    late, early = (
        shine(case, replace(net, delays_ps=net.delays_ps + side), bend, case.times_ps)
        for side in (_SMALL_PS, -_SMALL_PS)
    )
    return np.asarray((late - early) / (2 * _SMALL_PS))
