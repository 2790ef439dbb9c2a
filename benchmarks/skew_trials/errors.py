"""Errors of a case, and what is said about them with the error that chance leaves."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

FAR = 5.0
"""An error of so many bounds is an outlier of a peer, which states no error."""
_BINS = 10


@dataclass
class Errors:
    """Errors in picoseconds and over their stated error, by edge and by waveform; peers by edge.

    ``edge_z`` has one list for each waveform: edges of one waveform share what was fitted. ``caught`` has for each
    edge whether it was made an outlier and the probability that was stated.
    """

    edge: list[float] = field(default_factory=list)
    edge_z: list[list[float]] = field(default_factory=list)
    edges: int = 0
    whole: list[float] = field(default_factory=list)
    whole_z: list[float] = field(default_factory=list)
    wholes: int = 0
    stated_bound: list[float] = field(default_factory=list)
    correlation: list[float] = field(default_factory=list)
    crossing: list[float] = field(default_factory=list)
    caught: list[tuple[bool, float]] = field(default_factory=list)
    edge_bound: float = 0.0
    whole_bound: float = 0.0

    def extend(self, other: "Errors") -> None:
        """Add another's; bounds are taken from it."""
        for name, value in vars(other).items():
            own = getattr(self, name)
            setattr(self, name, own + value if not name.endswith("_bound") or isinstance(value, list) else value)


def mean_square(z: Sequence[float]) -> tuple[float, float]:
    """Return the mean of ``z`` squared and its standard error."""
    squares = np.square(z)
    if squares.size < 2:
        return math.nan, math.nan
    return float(squares.mean()), float(squares.std(ddof=1) / math.sqrt(squares.size))


def clustered_mean_square(z: Sequence[Sequence[float]]) -> tuple[float, float]:
    """Return the mean square of all of ``z`` and its standard error, which allows for what a waveform's edges share."""
    sums = np.asarray([np.sum(np.square(each)) for each in z if len(each)])
    counts = np.asarray([len(each) for each in z if len(each)], float)
    if sums.size < 2:
        return math.nan, math.nan
    mean = sums.sum() / counts.sum()
    return float(mean), float(np.sqrt(np.sum((sums - mean * counts) ** 2)) / counts.sum())


def efficiency(errors: Sequence[float], bound: float) -> float:
    """Return ``bound`` over the standard deviation of ``errors``."""
    return bound / float(np.std(errors)) if len(errors) > 2 else math.nan


def calibration_error(caught: Sequence[tuple[bool, float]]) -> float:
    """Return the expected calibration error of outlier probabilities in ten bins."""
    told = np.asarray([probability for _, probability in caught])
    true = np.asarray([outlying for outlying, _ in caught], float)
    place = np.minimum((told * _BINS).astype(int), _BINS - 1)
    return float(
        sum(abs(told[place == each].sum() - true[place == each].sum()) for each in range(_BINS)) / max(1, told.size)
    )
