"""What failed by when, without a model: the part failed at each failure time or readout, for probability plots.

The product-limit estimate over readouts that do not overlap (life table; Kaplan & Meier, J. Am. Stat. Assoc. 53, 1958),
with Clopper-Pearson bounds while nobody has withdrawn, and Greenwood's variance on the scale of the log cumulative
hazard after that (Kalbfleisch & Prentice, "The Statistical Analysis of Failure Time Data", 2nd ed., ch. 1).
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.special import ndtri

from analysis.reliability.errors import LifeDataError
from analysis.reliability.failure_rate import fraction_bounds
from analysis.reliability.life_data import Floats, LifeData


@dataclass(frozen=True)
class PartFailed:
    """The part failed by one time.

    Attributes:
        begin_h, hours: the failures since the step before were seen after ``begin_h`` and by ``hours``.
        at_risk, failures: devices watched in this step, and those that failed in it.
        fraction: failed by ``hours``.
        low, high: its two-sided interval.
    """

    begin_h: float
    hours: float
    at_risk: int
    failures: int
    fraction: float
    low: float
    high: float


def part_failed(data: LifeData, level: float = 0.9) -> list[PartFailed]:
    """Return the part of the devices of ``data`` that failed by each failure time or readout, with two-sided ``level``.

    Raises:
        LifeDataError: counts are not whole, devices were watched in part of time only, or readouts overlap, so that
            when a device failed within one is not the same question for all.
    """
    if data.truncated.any() or (data.count != np.round(data.count)).any():
        raise LifeDataError("the part failed by a readout needs whole devices that were watched from the start")
    failed = ~data.right
    steps = _steps(data.lower[failed], data.upper[failed])
    leaving, leavers = data.lower[data.right], data.count[data.right]
    total, dead, log_alive, greenwood = float(data.devices), 0.0, 0.0, 0.0
    found = []
    for begin, end in steps:
        inside = (leaving > begin) & (leaving < end)
        if inside.any():
            raise LifeDataError(f"devices were taken out at {leaving[inside][0]:g} h, between two readouts of others")
        number = float(data.count[failed & (data.lower == begin) & (data.upper == end)].sum())
        gone = float(leavers[leaving < end].sum())
        risk = total - dead - gone
        dead += number
        log_alive += float(np.log1p(-number / risk)) if number < risk else -np.inf
        greenwood += number / (risk * (risk - number)) if number < risk else np.inf
        fraction = float(-np.expm1(log_alive))
        low, high = _interval(fraction, (int(dead), int(total), gone > 0), greenwood, level)
        found.append(PartFailed(float(begin), float(end), int(risk), int(number), fraction, low, high))
    return found


def _steps(lower: Floats, upper: Floats) -> list[tuple[float, float]]:
    steps = sorted({(float(low), float(high)) for low, high in zip(lower, upper, strict=True)})
    for before, after in pairwise(steps):
        if after[0] < before[1]:
            raise LifeDataError(
                f"readouts overlap: failures between {before[0]:g} and {before[1]:g} h, and between {after[0]:g} and "
                f"{after[1]:g} h"
            )
    return steps


def _interval(fraction: float, seen: tuple[int, int, bool], greenwood: float, level: float) -> tuple[float, float]:
    dead, total, withdrawn = seen
    if not withdrawn:
        bounds = fraction_bounds(dead, total, level, "two")
        return bounds.low, bounds.high
    if fraction >= 1:
        return 0.0, 1.0
    hazard = -np.log1p(-fraction)
    error = float(ndtri(0.5 + level / 2)) * np.sqrt(greenwood) / hazard
    return float(-np.expm1(-hazard * np.exp(-error))), float(-np.expm1(-hazard * np.exp(error)))
