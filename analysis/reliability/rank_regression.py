"""Probability plots fitted by a straight line: rank regression, with the convention of its ranks on record.

Suspended devices push the ranks of later failures apart (Johnson's adjusted ranks); the plotting position is Benard's
``(i - 0.3)/(N + 0.4)`` or the exact median of the order statistic; the line is fitted by least squares of time on
position (``X on Y``) or of position on time. They differ by several per mille (Abernethy, "The New Weibull Handbook",
ch. 2): the result says which it was. It has no interval; the likelihood has one.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import betaincinv, ndtri

from analysis.reliability.errors import LifeDataError, OneDistinctTime
from analysis.reliability.jets import Floats
from analysis.reliability.life_data import LifeData

RANKS = ("benard", "exact")
DIRECTIONS = ("x-on-y", "y-on-x")
_MOST_FAILURES = 1_000_000


@dataclass(frozen=True)
class PlotFit:
    """A line through a probability plot.

    Attributes:
        family: ``weibull`` or ``lognormal``.
        mu, sigma: location and scale of log hours.
        r_squared: of the line.
        ranks, direction: conventions, of :data:`RANKS` and :data:`DIRECTIONS`.
        hours, positions: float64 of shape ``(failures,)``: the points of the plot, positions as probabilities.
    """

    family: str
    mu: float
    sigma: float
    r_squared: float
    ranks: str
    direction: str
    hours: Floats
    positions: Floats


def plot_positions(data: LifeData, ranks: str = "benard") -> tuple[Floats, Floats]:
    """Return hours and plotting positions of the failures of ``data``, both ``(failures,)``, by ``ranks``.

    Raises:
        LifeDataError: there are readouts or truncation (times are needed), no failures, or more than a million.
    """
    if ranks not in RANKS:
        raise LifeDataError(f"ranks are {' or '.join(RANKS)}, not {ranks!r}")
    if data.interval.any() or data.truncated.any():
        raise LifeDataError("rank regression needs exact and right-censored times; fit readouts by likelihood")
    if not 1 <= data.failures <= _MOST_FAILURES or (data.count != np.round(data.count)).any():
        raise LifeDataError("rank regression needs between one and a million whole failures")
    # Failures come before devices suspended at the same time.
    order = np.lexsort((data.right, data.lower))
    total, rank, gone = data.devices, 0.0, 0.0
    hours: list[float] = []
    found: list[float] = []
    for row in order:
        number = data.count[row]
        if data.right[row]:
            gone += number
            continue
        for _ in range(int(number)):
            rank += (total + 1 - rank) / (1 + total - gone)
            gone += 1
            hours.append(float(data.lower[row]))
            found.append(rank)
    places = np.asarray(found)
    positions = (places - 0.3) / (total + 0.4) if ranks == "benard" else betaincinv(places, total - places + 1, 0.5)
    return np.asarray(hours), np.asarray(positions)


def fit_plot(data: LifeData, family: str = "weibull", ranks: str = "benard", direction: str = "x-on-y") -> PlotFit:
    """Return the line through the probability plot of ``data`` on paper of ``family``.

    ``ranks`` and ``direction`` are of :data:`RANKS` and :data:`DIRECTIONS`.

    Raises:
        LifeDataError: the data or the conventions do not allow it.
        OneDistinctTime: all failures are at one time.
    """
    if family not in ("weibull", "lognormal") or direction not in DIRECTIONS:
        raise LifeDataError(f"rank regression knows weibull and lognormal, {' and '.join(DIRECTIONS)}")
    hours, positions = plot_positions(data, ranks)
    x = np.log(hours)
    y = np.log(-np.log1p(-positions)) if family == "weibull" else np.asarray(ndtri(positions))
    if np.ptp(x) == 0:
        raise OneDistinctTime(family, data.failures)
    xx, yy = ((x - x.mean()) ** 2).sum(), ((y - y.mean()) ** 2).sum()
    xy = ((x - x.mean()) * (y - y.mean())).sum()
    sigma = xy / yy if direction == "x-on-y" else xx / xy
    mu = x.mean() - sigma * y.mean()
    return PlotFit(family, float(mu), float(sigma), float(xy**2 / (xx * yy)), ranks, direction, hours, positions)
