"""Strange stretches of a long process trace: a sensor of a tool, learned from the time when nobody complained.

Three views of the neighbourhood of a sample are scored and averaged on one scale (:mod:`analysis.anomaly.scale`):

* level, spread, slope, extremes and roughness of each window, as Mahalanobis's distance from the learned windows
  (Hotelling's T squared; Montgomery, "Introduction to Statistical Quality Control", chapter 11);
* the same of the window and of one three times as long around it;
* the distance of the window's samples to the third nearest learned window (Sub-KNN of the TSB-AD comparison).

A window's score counts for each of its samples, so that a sample's score is known ``window`` samples later. Which views
to take was decided by faults put into the learning part of a trace: ``benchmarks/anomaly.py`` says how.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from analysis.anomaly.population import neighbour_distances
from analysis.anomaly.scale import LogScale

LONG_WINDOWS = 3
LEAST_WINDOWS = 4
_NEIGHBOUR = 3
_STRIDE = 4
_RIDGE = 1e-3
_MAD_OF_NORMAL = 0.6744898


class TraceError(ValueError):
    """A trace is too short or holds samples that are not finite; the message says which."""


@dataclass(frozen=True)
class _Distance:
    """Mahalanobis's distance in features that were brought to unit spread."""

    centre: NDArray[np.float64]
    spread: NDArray[np.float64]
    mean: NDArray[np.float64]
    precision: NDArray[np.float64]

    @staticmethod
    def of(features: NDArray[np.float64]) -> "_Distance":
        centre = np.median(features, axis=0)
        spread = np.median(np.abs(features - centre), axis=0) / _MAD_OF_NORMAL
        spread = np.where(spread > 0, spread, np.where(features.std(axis=0) > 0, features.std(axis=0), 1.0))
        scaled = (features - centre) / spread
        covariance = np.cov(scaled.T) + _RIDGE * np.eye(features.shape[1])
        precision = np.asarray(np.linalg.inv(covariance), np.float64)
        return _Distance(centre, spread, scaled.mean(axis=0), precision)

    def measure(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        away = (features - self.centre) / self.spread - self.mean
        return np.asarray(np.sqrt(np.einsum("ij,jk,ik->i", away, self.precision, away)), np.float64)


@dataclass(frozen=True)
class TraceModel:
    """What a trace usually looks like.

    Attributes:
        window: samples of a window.
        learned: samples that it was learned from.
        shapes: float64 of shape ``(k, window)``: every fourth of its windows.
    """

    window: int
    learned: int
    shapes: NDArray[np.float64]
    _short: _Distance
    _both: _Distance
    _scales: tuple[LogScale, ...]

    def score(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return how strange each sample's neighbourhood is: float64 of shape ``(n,)``, 0 is usual.

        ``values`` is float64 of shape ``(n,)``, in the unit and at the sample interval of the learned trace.

        Raises:
            TraceError: fewer samples than a long window, or one is not finite.
        """
        values = _checked(values, LONG_WINDOWS * self.window)
        views = self._views(values)
        return np.asarray(
            np.mean([scale.standardise(view) for scale, view in zip(self._scales, views, strict=True)], axis=0)
        )

    def _views(self, values: NDArray[np.float64]) -> list[NDArray[np.float64]]:
        short = self._short.measure(window_features(values, self.window))
        both = self._both.measure(_features_around(values, self.window))
        shapes = neighbour_distances(_windows(values, self.window), self.shapes, _NEIGHBOUR)
        return [
            _spread_over_samples(short, values.size, self.window),
            _moving_mean(both, self.window),
            _spread_over_samples(shapes, values.size, self.window),
        ]


def learn_trace(values: NDArray[np.float64], window: int) -> TraceModel:
    """Learn from ``values`` (float64, shape ``(n,)``, any unit, equal intervals) with windows of ``window`` samples.

    A window should be as long as what is looked for, and a third of the slowest usual cycle.

    Raises:
        TraceError: a window of fewer than 4 samples, a trace of fewer than 4 long windows (of three windows each), or
            a sample that is not finite.
    """
    return learn_runs([_checked(values, LEAST_WINDOWS * LONG_WINDOWS * window)], window)


def learn_runs(runs: Sequence[NDArray[np.float64]], window: int) -> TraceModel:
    """Learn from ``runs`` of the same process (float64, shape ``(n,)`` each) with windows of ``window`` samples.

    Raises:
        TraceError: a window of fewer than 4 samples, a run shorter than a long window (three windows), runs that
            together are shorter than four, or a sample that is not finite.
    """
    if window < 4:
        raise TraceError(f"a window of {window} samples is too short; 4 are needed")
    runs = [_checked(run, LONG_WINDOWS * window) for run in runs]
    total = sum(run.size for run in runs)
    if total < LEAST_WINDOWS * LONG_WINDOWS * window:
        raise TraceError(f"{LEAST_WINDOWS * LONG_WINDOWS * window} samples are needed to learn from, there are {total}")
    model = TraceModel(
        window=window,
        learned=total,
        shapes=np.ascontiguousarray(np.concatenate([_windows(run, window) for run in runs])[::_STRIDE]),
        _short=_Distance.of(np.concatenate([window_features(run, window) for run in runs])),
        _both=_Distance.of(np.concatenate([_features_around(run, window) for run in runs])),
        _scales=(),
    )
    views = zip(*(model._views(run) for run in runs), strict=True)
    return replace(model, _scales=tuple(LogScale.of(np.concatenate(view)) for view in views))


def window_features(values: NDArray[np.float64], window: int) -> NDArray[np.float64]:
    """Return mean, standard deviation, slope per half window, least, most, and mean absolute step of each window.

    ``values`` is float64 of shape ``(n,)``, ``window`` in samples; the answer has the shape ``(n - window + 1, 6)``, in
    the unit of the values.
    """
    parts = _windows(values, window)
    place = np.linspace(-1.0, 1.0, window)
    steps = np.abs(np.diff(parts, axis=1)).mean(axis=1)
    slope = parts @ place / (place @ place)
    return np.column_stack([parts.mean(axis=1), parts.std(axis=1), slope, parts.min(axis=1), parts.max(axis=1), steps])


def block_maxima(scores: NDArray[np.float64], block: int) -> NDArray[np.float64]:
    """Return the highest of each ``block`` consecutive ``scores`` (float64, shape ``(n,)``); a short last one is left.

    Neighbouring scores share windows and are no independent examples; maxima of blocks much longer than a window nearly
    are, and a conformal threshold on them bounds the part of blocks with a false alarm.
    """
    count = scores.size // block
    return np.asarray(scores[: count * block].reshape(count, block).max(axis=1), np.float64)


def _windows(values: NDArray[np.float64], window: int) -> NDArray[np.float64]:
    return np.lib.stride_tricks.sliding_window_view(values, window)


def _features_around(values: NDArray[np.float64], window: int) -> NDArray[np.float64]:
    """Return the features of the short and the long window around each sample; at the ends, of the last ones."""
    columns = []
    for width in (window, LONG_WINDOWS * window):
        features = window_features(values, width)
        columns.append(features[np.clip(np.arange(values.size) - width // 2, 0, len(features) - 1)])
    return np.hstack(columns)


def _spread_over_samples(scores: NDArray[np.float64], samples: int, window: int) -> NDArray[np.float64]:
    """Return for each sample the mean score of the windows that cover it."""
    total = np.concatenate([[0.0], np.cumsum(scores)])
    place = np.arange(samples)
    first, last = np.maximum(0, place - window + 1), np.minimum(scores.size - 1, place)
    return np.asarray((total[last + 1] - total[first]) / (last - first + 1), np.float64)


def _moving_mean(scores: NDArray[np.float64], window: int) -> NDArray[np.float64]:
    """Return the mean over ``window`` samples around each, fewer at the ends."""
    total = np.concatenate([[0.0], np.cumsum(scores)])
    place = np.arange(scores.size)
    first = np.maximum(0, place - window // 2)
    last = np.minimum(scores.size, place - window // 2 + window)
    return np.asarray((total[last] - total[first]) / (last - first), np.float64)


def _checked(values: NDArray[np.float64], least: int) -> NDArray[np.float64]:
    values = np.asarray(values, np.float64)
    if values.ndim != 1 or values.size < least:
        raise TraceError(f"a trace of {least} samples is needed, this one has the shape {values.shape}")
    if not np.isfinite(values).all():
        raise TraceError(f"sample {int(np.flatnonzero(~np.isfinite(values))[0])} of the trace is not finite")
    return values
