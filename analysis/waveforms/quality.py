"""Quality of a waveform before anybody believes it: levels, noise, clipping, drift, dropouts.

Levels are the two modes of the histogram (IEEE Std 181-2011, section 5.2); noise is the median absolute deviation of
second differences, which neither edges nor drift disturb.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

CLIPPED_PART = 0.005
DRIFT_PART = 0.5
DROPOUT_SAMPLES = 64
_BINS = 128


@dataclass(frozen=True)
class WaveformQuality:
    """What a waveform looks like, in its own unit.

    Attributes:
        low_level, high_level: the two state levels; equal when there is only one.
        noise: standard deviation of one sample.
        sample_snr: level difference over the noise of one sample.
        clipped_part: part of the samples at the highest or lowest code, beyond what chance would put there.
        drift: change of the baseline from the first to the last quarter, as a part of the level difference.
        longest_constant: samples in the longest run of one value.
        problems: what is wrong, in words; empty when nothing is.
    """

    low_level: float
    high_level: float
    noise: float
    sample_snr: float
    clipped_part: float
    drift: float
    longest_constant: int
    problems: tuple[str, ...]


def assess_quality(values: NDArray[np.float64]) -> WaveformQuality:
    """Return the quality of ``values`` (float64, shape ``(samples,)``, any unit).

    Raises:
        ValueError: there are fewer than 16 samples, or one is not finite.
    """
    if values.size < 16 or not np.isfinite(values).all():
        raise ValueError(f"a waveform needs at least 16 finite samples, this one has {values.size}")
    low, high = _state_levels(values)
    second = np.diff(values, 2)
    noise = float(np.median(np.abs(second))) / 0.6745 / np.sqrt(6)
    swing = high - low
    clipped = _clipped_part(values)
    quarter = values.size // 4
    shift = abs(float(np.median(values[-quarter:]) - np.median(values[:quarter])))
    drift = shift / swing if swing > 0 else 0.0
    longest = _longest_constant(values)
    problems = []
    if swing <= 3 * noise / np.sqrt(values.size):
        problems.append("no two levels can be told apart")
    if clipped > CLIPPED_PART:
        problems.append(f"clipped: {clipped:.1%} of the samples are at the end of the range")
    if drift > DRIFT_PART and swing > noise:
        problems.append(f"the baseline drifts by {drift:.0%} of the swing")
    if noise > 0 and longest >= DROPOUT_SAMPLES:
        problems.append(f"{longest} samples in a row have one value: a dropout")
    snr = swing / noise if noise > 0 else float("inf") if swing > 0 else 0.0
    return WaveformQuality(low, high, noise, min(snr, 1e9), clipped, drift, longest, tuple(problems))


def _state_levels(values: NDArray[np.float64]) -> tuple[float, float]:
    """Return the modes of the lower and the upper half of the range between the 1st and 99th percentile."""
    bottom, top = (float(item) for item in np.percentile(values, (1, 99)))
    if not top > bottom:
        return bottom, top
    counts, edges = np.histogram(values, _BINS, (bottom, top))
    smooth = np.convolve(counts, np.ones(9) / 9, mode="same")
    middle = _BINS // 2
    centres = (edges[:-1] + edges[1:]) / 2
    return float(centres[np.argmax(smooth[:middle])]), float(centres[middle + np.argmax(smooth[middle:])])


def _clipped_part(values: NDArray[np.float64]) -> float:
    """Return the part of the samples that repeat an extreme value in a row, as a saturated input does."""
    part = 0.0
    for extreme in (values.min(), values.max()):
        hit = values == extreme
        part += float((hit[1:] & hit[:-1]).mean())
    return part if np.unique(values[:4096]).size > 4 else 0.0


def _longest_constant(values: NDArray[np.float64]) -> int:
    changes = np.flatnonzero(np.diff(values)) + 1
    return int(np.diff(np.concatenate(([0], changes, [values.size]))).max())
