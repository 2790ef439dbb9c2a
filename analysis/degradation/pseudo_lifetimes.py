"""Pseudo-lifetimes: a curve through each unit's readouts, taken to the threshold (Meeker & Escobar 1998, sec. 13.9).

The textbook's two-step way, for comparison with it and for a life distribution of units: each unit's own least
squares, no error of extrapolation. Curves but the straight one are fitted on the scale that makes them straight.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from analysis.degradation.errors import BadReadouts
from analysis.degradation.readout_paths import Floats, ReadoutPaths
from analysis.degradation.thresholds import FARTHEST, Threshold

Change = Callable[[Floats], Floats]


def _same(values: Floats) -> Floats:
    return values


def _inverse(values: Floats) -> Floats:
    return np.asarray(1.0 / values)


CURVES: dict[str, tuple[str, Change, Change]] = {
    "linear": ("y = b + a t", _same, _same),
    "exponential": ("log y = b + a t", _same, np.log),
    "power": ("log y = b + a log t", np.log, np.log),
    "logarithmic": ("y = b + a log t", np.log, _same),
    "lloyd-lipow": ("y = b + a / t", _inverse, _same),
}
"""By name: formula, and what becomes of time and value."""


@dataclass(frozen=True)
class PseudoLifetime:
    """When one unit's curve meets the threshold.

    Attributes:
        unit: its name.
        hours: the pseudo-lifetime; ``None`` where the curve does not get there, and the unit lasted ``last_h``, or
            where the curve is ``dead``.
        last_h: its last readout.
        slope, intercept: of the straight line.
        r_squared: of the line.
        reason: why there is no pseudo-lifetime.
        dead: whether the curve is beyond the threshold from its beginning: the unit did not last, and has no lifetime.
    """

    unit: str
    hours: float | None
    last_h: float
    slope: float
    intercept: float
    r_squared: float
    reason: str = ""
    dead: bool = False


def find_pseudo_lifetimes(paths: ReadoutPaths, threshold: Threshold, curve: str = "linear") -> list[PseudoLifetime]:
    """Return the pseudo-lifetime of every unit of ``paths`` at ``threshold`` by ``curve`` of :data:`CURVES`.

    A readout at 0 h counts where the curve exists there: leaving it out of straight lines moves published
    pseudo-lifetimes by more than one per cent.

    Raises:
        BadReadouts: there is no such curve, it does not exist for these values, or a unit has too few readouts.
    """
    if curve not in CURVES:
        raise BadReadouts(f"there is no curve {curve!r}; there are {', '.join(CURVES)}")
    _, change_time, change_value = CURVES[curve]
    if change_value is np.log and (threshold.value <= 0 or (paths.value[paths.time_h > 0] <= 0).any()):
        raise BadReadouts(f"the {curve} curve needs values above 0, and so must the threshold be")
    first, last = paths.first_row, paths.last_row
    rows = [slice(int(first[unit]), int(last[unit]) + 1) for unit in range(paths.units)]
    return [
        _one(paths.names[unit], paths.time_h[own], paths.value[own], threshold, (change_time, change_value))
        for unit, own in enumerate(rows)
    ]


def _one(name: str, time: Floats, value: Floats, threshold: Threshold, change: tuple[Change, Change]) -> PseudoLifetime:
    change_time, change_value = change
    last = float(time.max())
    kept = np.ones(len(time), np.bool_)
    if change_time is not _same:
        kept &= time > 0
    if change_value is np.log:
        kept &= value > 0
    x, y = change_time(time[kept]), change_value(value[kept])
    if len(np.unique(x)) < 2:
        raise BadReadouts(f"the unit {name} has readouts at {len(np.unique(x))} times: a line needs two")
    slope, intercept = (float(each) for each in np.polyfit(x, y, 1))
    spread = float(((y - y.mean()) ** 2).sum())
    left = float(((y - intercept - slope * x) ** 2).sum())
    fit = 1.0 - left / spread if spread > 0 else 0.0
    goal = float(change_value(np.asarray(threshold.value)))
    meets = (goal - intercept) / slope if slope != 0 else np.inf
    if change_time is np.log:
        meets = float(np.exp(min(meets, 700.0)))
    elif change_time is _inverse:
        meets = 1.0 / meets if meets > 0 else np.inf
    # Whether the curve leads from the good side to the failing one: the inverse of time turns it round.
    towards = slope * threshold.direction * (-1 if change_time is _inverse else 1) > 0
    begins = (intercept + slope * float(x[np.argmin(time[kept])]) - goal) * threshold.direction
    dead = begins >= 0 and (not towards or meets <= 0)
    reason = ""
    if dead:
        reason = "its curve is beyond the threshold from the beginning"
    elif not towards or not meets > 0 or not np.isfinite(meets):
        reason = "its curve does not lead to the threshold"
    elif meets > FARTHEST * last:
        reason = f"its curve meets the threshold after {meets:.4g} h, more than {FARTHEST:g} times its last readout"
    return PseudoLifetime(name, None if reason else float(meets), last, slope, intercept, fit, reason, dead)
