"""Intervals of level and signal-to-noise ratio that hold at every look at once: averaging may stop at any of them.

Both belong to a waveform whose net is known to do what a hypothesis says. The level's is the t-test with a normal
mixture (Lai, "On confidence sequences", Ann. Statist. 4, 1976; Lindon et al., "Anytime-valid inference in linear
models", 2022); the ratio's takes all ratios whose prior probability has not risen above their posterior one by more
than the error allows (the prior-posterior-ratio martingale in Waudby-Smith & Ramdas, "Confidence sequences for sampling
without replacement", NeurIPS 2020).
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from analysis.waveforms.repeats import RepeatedLevels, log_scale_integral

EXPECTED_RATIO = 1.0
"""Ratio of swing to noise of one cycle in one repeat for which the level's interval is tightest."""
RATIO_PRIOR = (0.02, 50.0)
_RATIOS = 2401


@dataclass(frozen=True)
class Interval:
    """An estimate with the interval that holds with the stated confidence at every look; infinite where unbounded."""

    estimate: float
    low: float
    high: float


@dataclass(frozen=True)
class _Regression:
    """The net's own part: its fitted swing, the energy of what no neighbour shares, residual power and freedom."""

    swing: float
    energy: float
    left: float
    freedom: int


def _regress(repeats: RepeatedLevels, values: NDArray[np.float64]) -> _Regression | None:
    """Fit the repeats by ``values``, float64 of shape ``(1 + k, cycles)``; ``None`` where the net does not show."""
    columns = repeats.without_baseline(values).T
    own, others = columns[:, 0], columns[:, 1:]
    taken, _, rank, _ = np.linalg.lstsq(others, np.column_stack([own, repeats.mean]), rcond=1e-9)
    alone, mean = (np.column_stack([own, repeats.mean]) - others @ taken).T
    energy = repeats.count * float(alone @ alone)
    freedom = repeats.freedom - int(rank)
    if not energy > 1e-9 * max(1, own.size) or freedom < 2:
        return None
    swing = repeats.count * float(alone @ mean) / energy
    explained = repeats.count * float((others @ taken[:, 1]) @ (others @ taken[:, 1])) + swing**2 * energy
    return _Regression(swing, energy, max(repeats.power - explained, 1e-300), freedom)


def bound_swing(repeats: RepeatedLevels, values: NDArray[np.float64], error: float) -> Interval | None:
    """Return the swing of the probed net in the unit of the waveform that ``repeats`` are of, with its sign.

    ``values`` is float64 of shape ``(1 + k, cycles)``: what the probed net and its neighbours do; ``error`` the most
    probability that the interval ever misses the swing. ``None`` where the net never changes but with its neighbours.

    Raises:
        ValueError: there is no repeat, or ``error`` is not between 0 and 1.
    """
    _check(repeats, error)
    fit = _regress(repeats, values)
    if fit is None:
        return None
    precision = 1 / EXPECTED_RATIO**2
    shrunk = precision / (precision + fit.energy)
    growth = math.exp(-(2 * math.log(error) + math.log(shrunk)) / fit.freedom)
    room = 1 - growth * shrunk
    if not room > 0:
        return Interval(fit.swing, -math.inf, math.inf)
    reach = math.sqrt(fit.left * (growth - 1) / room / fit.energy)
    return Interval(fit.swing, fit.swing - reach, fit.swing + reach)


def bound_ratio(repeats: RepeatedLevels, values: NDArray[np.float64], error: float) -> Interval | None:
    """Return the absolute ratio of swing to the noise of one cycle in the mean of all ``repeats``.

    ``values`` and ``error`` are as in :func:`bound_swing`. ``None`` where the net never changes but with its
    neighbours.

    Raises:
        ValueError: there is no repeat, or ``error`` is not between 0 and 1.
    """
    _check(repeats, error)
    fit = _regress(repeats, values)
    if fit is None:
        return None
    low, high = RATIO_PRIOR
    positive = np.geomspace(low, high, _RATIOS)
    ratios = np.concatenate([-positive[::-1], [0.0], positive])
    total = fit.left + fit.swing**2 * fit.energy
    cosine = fit.swing * fit.energy / math.sqrt(total)
    score = log_scale_integral(ratios * cosine, ratios**2 * fit.energy, np.asarray(float(fit.freedom)))
    score = score - (logsumexp(score) - math.log(ratios.size))
    kept = np.abs(ratios[score >= math.log(error)])
    scale = math.sqrt(repeats.count)
    estimate = abs(fit.swing) / math.sqrt(fit.left / fit.freedom) * scale
    least, most = (float(kept.min()), float(kept.max())) if kept.size else (0.0, math.inf)
    step = (high / low) ** (1 / (_RATIOS - 1))
    return Interval(
        estimate,
        0.0 if least <= low else least / step * scale,
        math.inf if most >= high else most * step * scale,
    )


def _check(repeats: RepeatedLevels, error: float) -> None:
    if not repeats.count:
        raise ValueError("an interval needs at least one repeat")
    if not 0 < error < 1:
        raise ValueError(f"the chance that an interval misses is between 0 and 1, not {error}")
