"""Quality of a waveform before anybody believes it: levels, noise, clipping, drift, dropouts.

Nothing is known of what the net should do. Drift is a parabola over the record. Noise comes from second differences,
which neither edges nor drift disturb much. The two state levels come from moments, which need no gap between them: the
autocovariance at small lags is the signal's alone, so that with its value ``s^2`` at lag zero and the third central
moment ``m3``, which symmetric noise leaves alone, a waveform of two levels has ``swing^2 = 4 s^2 + (m3 / s^2)^2``.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

CLIPPED_PART = 0.005
DRIFT_PART = 0.5
DROPOUT_SAMPLES = 64
SURE = 4.0
"""Standard errors from which on a drift is believed, and levels are told apart."""
_LAGS = 5
_SPANS = (5, 20)
_TOLD_APART = 0.2
"""Scatter around two levels, as a part of the swing, up to which samples show which of them they have."""
_OUTLYING = 3.0
_ROUNDS = 8
_INNER = 0.25


@dataclass(frozen=True)
class WaveformQuality:
    """What a waveform looks like, in its own unit.

    Attributes:
        low_level, high_level: the two state levels; equal when there is only one. Where several nets are in the
            waveform, they are two levels with its variance and skewness.
        noise: standard deviation of one sample.
        sample_snr: level difference over the noise of one sample.
        clipped_part: part of the samples at the highest or lowest code, beyond what chance would put there.
        drift: largest change of the baseline, a parabola, as a part of the level difference.
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


@dataclass(frozen=True)
class _Baseline:
    """A parabola, and the standard error that the waveform's own changes leave in its largest change."""

    values: NDArray[np.float64]
    change: float
    sigma: float


def assess_quality(values: NDArray[np.float64]) -> WaveformQuality:
    """Return the quality of ``values`` (float64, shape ``(samples,)``, any unit).

    Raises:
        ValueError: there are fewer than 16 samples, or one is not finite.
    """
    if values.size < 16 or not np.isfinite(values).all():
        raise ValueError(f"a waveform needs at least 16 finite samples, this one has {values.size}")
    unit = float(np.abs(values).max()) or 1.0
    scaled = values / unit
    noise = _noise(scaled)
    baseline = _baseline(scaled)
    low, high, sure = _state_levels(scaled - baseline.values, noise)
    middle = float(baseline.values.mean())
    swing = high - low
    clipped, noisy = _clipped_part(values)
    longest = _longest_constant(values)
    drift = min(baseline.change / swing, 1e9) if swing > 0 else 0.0
    problems = []
    if not sure:
        problems.append("no two levels can be told apart")
    if clipped > CLIPPED_PART:
        doubt = "" if noisy else ", or the levels have no noise"
        problems.append(f"clipped: {clipped:.1%} of the samples are at the end of the range{doubt}")
    if drift > DRIFT_PART and baseline.change > SURE * baseline.sigma and sure:
        problems.append(f"the baseline drifts by {drift:.0%} of the swing")
    if noise > 0 and longest >= DROPOUT_SAMPLES:
        problems.append(f"{longest} samples in a row have one value: a dropout")
    snr = swing / noise if noise > 0 else float("inf") if swing > 0 else 0.0
    levels = (unit * (middle + low), unit * (middle + high))
    return WaveformQuality(*levels, unit * noise, min(snr, 1e9), clipped, drift, longest, tuple(problems))


def _noise(values: NDArray[np.float64]) -> float:
    """Return the noise of a sample from the median of second differences, those of plain edges left out."""
    second = np.abs(np.diff(values, 2))
    noise = float(np.median(second)) / 0.6745
    for _ in range(_ROUNDS):
        kept = second[second <= _OUTLYING * noise]
        if not kept.size:
            break
        noise = float(np.median(kept)) / 0.6745
    return noise / float(np.sqrt(6))


def _baseline(values: NDArray[np.float64]) -> _Baseline:
    """Fit a parabola; its error is that of as many independent samples as the rest's correlation leaves."""
    place = np.linspace(-1.0, 1.0, values.size)
    columns = np.stack([np.ones_like(place), place, 1.5 * place**2 - 0.5], axis=1)
    weights, *_ = np.linalg.lstsq(columns, values, rcond=None)
    fitted = columns @ weights
    rest = values - fitted
    known = _between_levels(values, columns, rest)
    if known is not None:
        return _Baseline(known, float(np.ptp(known)), 0.0)
    spectrum = np.abs(np.fft.rfft(rest, 2 * values.size)) ** 2
    covariance = np.fft.irfft(spectrum)[: values.size] / values.size
    falls = np.flatnonzero(covariance <= 0)
    length = int(falls[0]) if falls.size else values.size
    # The long-run variance over the number of samples is that of the mean; of the slope it is three times as much.
    of_mean = max(0.0, 2 * float(covariance[:length].sum()) - float(covariance[0])) / values.size
    return _Baseline(np.asarray(fitted, np.float64), float(np.ptp(fitted)), 2 * float(np.sqrt(3 * of_mean)))


def _between_levels(
    values: NDArray[np.float64], columns: NDArray[np.float64], rest: NDArray[np.float64]
) -> NDArray[np.float64] | None:
    """Return the parabola of ``columns`` under two levels where every sample shows which of them it has, else ``None``.

    Samples are parted at the middle, baseline and swing are fitted together, and so on, from the waveform itself and
    from the ``rest`` of a plain parabola: ones that are not even over the loop look like drift to the latter.
    """
    best, found = _TOLD_APART, None
    for start in (values, rest):
        upper = start > (start.max() + start.min()) / 2
        for _ in range(_ROUNDS):
            if not 0 < upper.mean() < 1:
                break
            joint = np.column_stack([columns, upper])
            weights, *_ = np.linalg.lstsq(joint, values, rcond=None)
            left = values - joint @ weights
            spread = float(np.median(np.abs(left))) / 0.6745
            if weights[3] > 0 and spread / weights[3] < best:
                best, found = spread / weights[3], columns @ weights[:3] + weights[3] * float(upper.mean())
            upper = values - columns @ weights[:3] > weights[3] / 2
    return None if found is None else np.asarray(found, np.float64)


def _state_levels(values: NDArray[np.float64], noise: float) -> tuple[float, float, bool]:
    """Return two levels with the variance and skewness that the signal in ``values`` has, and whether there is one.

    Signal is what correlates over :data:`_LAGS` lags, continued to lag zero by a straight line: that of a signal whose
    changes come at random. What the noise alone leaves in the third moment is taken off its square; less than two
    standard errors of it count as none.
    """
    count = values.size
    centred = values - values.mean()
    lags = np.arange(1, _LAGS + 1)
    covariances = np.asarray([centred[:-lag] @ centred[lag:] / (count - lag) for lag in lags])
    total = float(centred @ centred) / count
    intercept = float(np.polyfit(lags, covariances, 1)[1])
    power = min(max(intercept, 0.0), total)
    sure = _is_signal(centred, total) if noise > 0 else power > 0
    if not power > 1e-24:
        return 0.0, 0.0, False
    third = float(np.mean(centred**3))
    by_chance = 6 * total**3 / count
    skewed = np.sign(third) * np.sqrt(third**2 - by_chance) / power if third**2 > 4 * by_chance else 0.0
    swing = float(np.sqrt(4 * power + skewed**2))
    upper = 0.5 * (1 - skewed / swing)
    return -swing * float(upper), swing * float(1 - upper), bool(sure)


def _is_signal(centred: NDArray[np.float64], total: float) -> bool:
    """Return whether the mean autocovariance over some of :data:`_SPANS` is beyond that of white noise."""
    means = []
    for span in _SPANS:
        lags = range(1, min(span, centred.size // 2) + 1)
        mean = float(np.mean([centred[:-lag] @ centred[lag:] / (centred.size - lag) for lag in lags]))
        means.append(mean / total * float(np.sqrt(centred.size * len(lags))))
    return max(means) > SURE


def _clipped_part(values: NDArray[np.float64]) -> tuple[float, bool]:
    """Return the part of the samples that repeat an extreme value in a row, as a saturated input does.

    Where the other samples have no noise either, a repeated extreme says nothing: the part is 0. The second answer is
    whether there are enough other samples to say so.
    """
    part = 0.0
    extreme = np.zeros(values.size, np.bool_)
    for end in (values.min(), values.max()):
        hit = values == end
        extreme |= hit
        part += float((hit[1:] & hit[:-1]).mean())
    inner = ~(extreme[:-2] | extreme[1:-1] | extreme[2:])
    enough = bool(inner.mean() > _INNER)
    quiet = enough and not float(np.median(np.abs(np.diff(values, 2))[inner])) > 0
    return (0.0 if quiet or np.unique(values[:4096]).size <= 4 else part), enough


def _longest_constant(values: NDArray[np.float64]) -> int:
    changes = np.flatnonzero(np.diff(values)) + 1
    return int(np.diff(np.concatenate(([0], changes, [values.size]))).max())
