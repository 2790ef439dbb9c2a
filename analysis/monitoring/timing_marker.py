"""A timing marker of an instrument: a waveform's swing between its two levels, and when it first changes.

Source: IEEE Std 181-2011, sections 5.2 (state levels) and 5.3.3 (reference level instants): the instant of the 50 %
level between samples by linear interpolation. A transition counts once it has left the lower tenth of the swing for
the upper one or the other way round, so that noise around the middle is none. Levels are the medians of the samples on
either side of the middle: the modes of a histogram are as coarse as its bins.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LEAST_RATIO = 6.0
"""Swing over the noise of one sample below which noise alone might cross a tenth of the swing."""
LOWER, MIDDLE, UPPER = 0.1, 0.5, 0.9
_MEDIAN_ERROR = math.sqrt(math.pi / 2.0)
"""Standard error of a median of normal values over that of their mean."""


@dataclass(frozen=True)
class Swing:
    """The two levels, in the unit of the values; ``sigma`` is the standard error of their difference by the noise."""

    low: float
    high: float
    sigma: float

    @property
    def amplitude(self) -> float:
        """The difference of the levels."""
        return self.high - self.low


@dataclass(frozen=True)
class EdgePosition:
    """The first transition.

    Attributes:
        time_s: of its 50 % instant, on the waveform's own time axis (0: the trigger), seconds.
        sigma_s: standard error by the noise of the two samples around it, seconds.
        rising: whether it goes up.
    """

    time_s: float
    sigma_s: float
    rising: bool


class NoMarker(ValueError):  # noqa: N818
    """The waveform has no levels, or no transition, that can be told from noise; the message says why."""


def measure_swing(values: NDArray[np.float64], levels: tuple[float, float], noise: float) -> Swing:
    """Return the levels of ``values`` (float64, shape ``(samples,)``, any unit).

    ``levels`` are a first estimate of the low and the high level and ``noise`` the standard deviation of one sample,
    in the unit of the values (:func:`analysis.waveforms.quality.assess_quality`).

    Raises:
        NoMarker: the swing is less than :data:`LEAST_RATIO` times the noise.
        ValueError: a value is not finite.
    """
    if not np.isfinite(values).all() or not np.isfinite([*levels, noise]).all():
        raise ValueError("values, levels and noise are to be finite")
    swing = levels[1] - levels[0]
    if not swing > 0 or swing < LEAST_RATIO * noise:
        ratio = swing / noise if noise > 0 else 0.0
        raise NoMarker(f"the swing is {ratio:.3g} times the noise of a sample, {LEAST_RATIO:g} are needed")
    middle = levels[0] + MIDDLE * swing
    below, above = values[values < middle], values[values >= middle]
    if not below.size or not above.size:
        raise NoMarker("the waveform stays at one level")
    sigma = _MEDIAN_ERROR * noise * math.sqrt(1.0 / below.size + 1.0 / above.size)
    return Swing(float(np.median(below)), float(np.median(above)), sigma)


def find_first_edge(values: NDArray[np.float64], t0_s: float, dt_s: float, swing: Swing, noise: float) -> EdgePosition:
    """Return the first transition of ``values`` (float64, shape ``(samples,)``, any unit).

    Sample ``i`` was taken at ``t0_s + i * dt_s`` seconds; ``swing`` is from :func:`measure_swing`, ``noise`` the
    standard deviation of one sample, in the unit of the values.

    Raises:
        NoMarker: the waveform stays at one level.
        ValueError: a value or a time is not finite, or ``dt_s`` is not positive.
    """
    if not np.isfinite(values).all() or not np.isfinite([t0_s, dt_s, noise]).all() or not dt_s > 0:
        raise ValueError("values and times are to be finite, and the sample interval positive")
    low, height = swing.low, swing.amplitude
    above = values > low + UPPER * height
    settled = np.flatnonzero(above | (values < low + LOWER * height))
    change = np.flatnonzero(above[settled] != above[settled[:1]])
    if not change.size:
        raise NoMarker("the waveform stays at one level")
    before, after = settled[change[0] - 1], settled[change[0]]
    middle = low + MIDDLE * height
    beyond = values[before : after + 1] > middle
    left = int(before + np.flatnonzero(beyond[1:] != beyond[:-1])[-1])
    step = float(values[left + 1] - values[left])
    part = (middle - float(values[left])) / step
    sigma_s = dt_s * noise * math.hypot(part, 1.0 - part) / abs(step)
    return EdgePosition(t0_s + (left + part) * dt_s, sigma_s, bool(above[after]))
