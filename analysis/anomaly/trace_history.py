"""Runs of a process step against the runs of the same step before them: nothing from after is learned from.

The older part of the history is learned (:func:`analysis.anomaly.process_trace.learn_runs`), the rest of it says how
strange runs are that were not learned from. A run's score is its strangest sample's; against those of the later part
of the history it has a conformal p-value. The promise holds as long as runs before and after are alike but for faults:
a slow drift is an alarm sooner or later, rightly or not.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.anomaly.process_trace import LONG_WINDOWS, learn_runs
from analysis.anomaly.thresholds import Threshold, conformal_p_values, conformal_threshold

LEARNED = 0.5
"""Part of the runs of a history that is learned; the later rest calibrates."""
SHORTEST_WINDOW, LONGEST_WINDOW = 4, 32
_MAD_OF_NORMAL = 0.6744898


@dataclass(frozen=True)
class RunJudgement:
    """What is said of one run.

    Attributes:
        score: of its strangest sample; 0 is usual.
        p_value: of its being like the runs before.
        alarm: whether its score is above the threshold.
        strange: int64: the samples above the threshold.
        peak: the strangest sample.
        baseline: largest distance of a sample from the median of the learned runs, in robust standard deviations.
        baseline_p_value: of that; the simple way, for comparison.
    """

    score: float
    p_value: float
    alarm: bool
    strange: NDArray[np.int64]
    peak: int
    baseline: float
    baseline_p_value: float


@dataclass(frozen=True)
class HistoryJudgement:
    """Runs judged by a history: the window in samples, runs learned from, the threshold, and each run in turn."""

    window: int
    learned: int
    threshold: Threshold
    runs: tuple[RunJudgement, ...]


def judge_runs(
    history: Sequence[NDArray[np.float64]],
    asked: Sequence[NDArray[np.float64]],
    alpha: float,
    window: int | None = None,
) -> HistoryJudgement:
    """Judge the ``asked`` runs by those of ``history``, which is in the order of time.

    Each run is float64 of shape ``(n,)``, all in one unit and at one interval; ``alpha`` is the part of good runs that
    may be alarms. ``window`` is in samples; without it a third of the shortest learned run, between 4 and 32.

    Raises:
        TraceError: a run is shorter than three windows, too few samples to learn from, or one is not finite.
        analysis.anomaly.thresholds.CalibrationError: the history has too few runs for ``alpha``.
    """
    first = int(np.ceil(LEARNED * len(history)))
    learned, later = history[:first], history[first:]
    conformal_threshold(np.zeros(len(later)), alpha)
    width = window if window is not None else choose_window(learned)
    model = learn_runs(learned, width)
    together = np.concatenate(learned)
    centre = float(np.median(together))
    spread = float(np.median(np.abs(together - centre))) / _MAD_OF_NORMAL or float(together.std()) or 1.0
    known = np.asarray([model.score(run).max() for run in later])
    plain = np.asarray([np.abs(run - centre).max() / spread for run in later])
    threshold = conformal_threshold(known, alpha)
    judged = []
    for run in asked:
        scores = model.score(run)
        score, simple = scores.max(), np.abs(run - centre).max() / spread
        judged.append(
            RunJudgement(
                score=float(score),
                p_value=float(conformal_p_values(np.asarray([score]), known)[0]),
                alarm=bool(score > threshold.value),
                strange=np.flatnonzero(scores > threshold.value),
                peak=int(scores.argmax()),
                baseline=float(simple),
                baseline_p_value=float(conformal_p_values(np.asarray([simple]), plain)[0]),
            )
        )
    return HistoryJudgement(width, len(learned), threshold, tuple(judged))


def choose_window(runs: Sequence[NDArray[np.float64]]) -> int:
    """Return a window in samples for ``runs`` (float64, shape ``(n,)`` each): a third of the shortest, from 4 to 32."""
    shortest = min(run.size for run in runs)
    return int(np.clip(shortest // LONG_WINDOWS, SHORTEST_WINDOW, LONGEST_WINDOW))
