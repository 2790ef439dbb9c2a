"""When a unit's path passes a threshold: a distribution of its time.

With the probability that it does not within the horizon.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analysis.degradation.errors import DegradationError, ExtrapolationUnsupported
from analysis.degradation.forecasting import DRAWS, Forecaster
from analysis.degradation.readout_paths import Floats, ReadoutPaths, Targets

RISING, FALLING = 1, -1
FARTHEST = 10.0
"""Multiples of the longest time seen beyond which no time is given."""

_GRID = 96
_UNITS_AT_ONCE = 64
_LEAST_KEPT = 0.05


@dataclass(frozen=True)
class Threshold:
    """A value that means failure.

    Attributes:
        value: in the readouts' unit.
        direction: :data:`RISING` where values above fail, :data:`FALLING` where values below do.
    """

    value: float
    direction: int

    def beyond(self, values: Floats) -> np.ndarray:
        """Return where ``values``, any shape, have failed."""
        return (values - self.value) * self.direction >= 0


@dataclass(frozen=True)
class Crossing:
    """What is known of one unit's time to the threshold.

    Attributes:
        unit: its name.
        state: ``crossed`` where readouts show it, ``expected`` where it lies ahead.
        probability: of passing it by the horizon. Of a unit that crossed it is 1 or 0, and in proportion to time where
            the horizon lies between the two readouts.
        low, high: of that probability: over all methods that were fitted, and the error of so many draws; 0 and 1 where
            a unit crossed between two readouts about the horizon.
        quantiles_h: hours by part of the distribution (0.05, 0.5, 0.95); ``None`` where not within the horizon.
        after_h, before_h: last readout before and first one after it, of a unit that crossed.
        hours: float64 ``(draws,)``, drawn times, infinite where not within the horizon; empty where it crossed.
    """

    unit: str
    state: str
    probability: float
    low: float
    high: float
    quantiles_h: dict[float, float | None]
    after_h: float | None
    before_h: float | None
    hours: Floats


def choose_side(paths: ReadoutPaths, value: float) -> Threshold:
    """Return the threshold at ``value`` with the side that the readouts of ``paths`` start from as the good one.

    Raises:
        DegradationError: they start on both sides, or on the threshold.
    """
    starts = paths.value[paths.first_row]
    above, below = starts > value, starts < value
    if not (above.all() or below.all()):
        raise DegradationError(
            f"{int(above.sum())} of {paths.units} units start above {value:g}, {int(below.sum())} below: say whether "
            "values above or below it fail"
        )
    return Threshold(value, FALLING if above.all() else RISING)


def first_crossings(draws: Floats, grid_h: Floats, threshold: Threshold) -> Floats:
    """Return when paths ``draws`` ``(…, times)`` on ``grid_h`` first pass ``threshold``, shape ``(…)``.

    Infinite for never.

    Between two times the path is taken as straight.
    """
    ahead = (draws - threshold.value) * threshold.direction
    beyond = ahead >= 0
    first = np.argmax(beyond, axis=-1)
    ever = beyond.any(axis=-1)
    before = np.maximum(first - 1, 0)
    here, there = (np.take_along_axis(ahead, each[..., None], axis=-1)[..., 0] for each in (before, first))
    with np.errstate(divide="ignore", invalid="ignore"):
        part = np.where(first > before, np.clip(-here / (there - here), 0.0, 1.0), 0.0)
    return np.where(ever, grid_h[before] + part * (grid_h[first] - grid_h[before]), np.inf)


def cross(
    fitted: Sequence[Forecaster],
    history: ReadoutPaths,
    threshold: Threshold,
    horizon_h: float,
    stretches: Sequence[float] = (),
    seed: int = 0,
) -> list[Crossing]:
    """Return of each unit of ``history`` when it passes ``threshold``, as far as ``horizon_h``.

    ``fitted`` is the method that is used, then others that bound its probability; ``stretches`` are what the spread of
    each about its median is multiplied by, where that is more than one, from its calibration; ``seed`` makes it
    repeatable. Times are of the path, without the error of a readout. A unit whose readouts have not passed is known to
    have lasted until its last one.

    Raises:
        ExtrapolationUnsupported: the horizon is more than :data:`FARTHEST` times the longest time seen.
    """
    seen = float(history.time_h.max())
    if horizon_h > FARTHEST * seen:
        raise ExtrapolationUnsupported(horizon_h, seen, FARTHEST)
    observed = [_observed(history, unit, threshold) for unit in range(history.units)]
    ahead = [unit for unit, found in enumerate(observed) if found is None]
    widths = [*stretches, *[1.0] * (len(fitted) - len(stretches))]
    drawn = [
        _draw_hours(each, history, ahead, (threshold, horizon_h, width), seed)
        for each, width in zip(fitted, widths, strict=True)
    ]
    found = []
    for unit, seen_there in enumerate(observed):
        name = history.names[unit]
        if seen_there is not None:
            found.append(_crossed(name, seen_there, horizon_h))
            continue
        place = ahead.index(unit)
        found.append(_expected(name, [each[place] for each in drawn], horizon_h))
    return found


def _observed(history: ReadoutPaths, unit: int, threshold: Threshold) -> tuple[float, float] | None:
    """The readouts around the crossing, where the unit's last readout is beyond the threshold."""
    own = slice(int(history.first_row[unit]), int(history.last_row[unit]) + 1)
    time, beyond = history.time_h[own], threshold.beyond(history.value[own])
    if not len(beyond) or not beyond[-1]:
        return None
    inside = np.flatnonzero(~beyond)
    first = inside[-1] + 1 if len(inside) else 0
    return (float(time[first - 1]) if first else 0.0), float(time[first])


def _crossed(name: str, between: tuple[float, float], horizon_h: float) -> Crossing:
    """What readouts ``between`` which a unit crossed say of crossing by the horizon, which may lie before them."""
    after, before = between
    passed, waits = before <= horizon_h, after >= horizon_h
    part = 1.0 if passed else 0.0 if waits else (horizon_h - after) / (before - after)
    hours = {0.05: after, 0.5: (after + before) / 2, 0.95: before}
    inside = {each: value if value <= horizon_h else None for each, value in hours.items()}
    return Crossing(name, "crossed", part, float(passed), float(not waits), inside, after, before, np.zeros(0))


def _draw_hours(
    fitted: Forecaster, history: ReadoutPaths, units: list[int], asked: tuple[Threshold, float, float], seed: int
) -> list[Floats]:
    """Times at which the paths of ``units`` pass, given that none has by its last readout."""
    found: list[Floats] = []
    for first in range(0, len(units), _UNITS_AT_ONCE):
        few = np.isin(history.unit, units[first : first + _UNITS_AT_ONCE])
        found += _draw_few(fitted, history.take(few), asked, seed)
    return found


def _draw_few(
    fitted: Forecaster, history: ReadoutPaths, asked: tuple[Threshold, float, float], seed: int
) -> list[Floats]:
    """The same of all units of ``history``."""
    threshold, horizon_h, width = asked
    units = range(history.units)
    last = history.last_h
    parts = np.linspace(0.0, 1.0, _GRID) ** 1.5
    grids = last[:, None] + np.maximum(horizon_h - last[:, None], 0.0) * parts
    targets = Targets(np.repeat(np.arange(history.units, dtype=np.int64), _GRID), grids.ravel())
    draws = fitted.draw(history, targets, DRAWS, seed).reshape(DRAWS, len(units), _GRID)
    if width > 1.0:
        middle = np.median(draws, axis=0)
        draws = middle + width * (draws - middle)
    found = []
    for place in range(len(units)):
        gone = threshold.beyond(draws[:, place, 0])
        kept = draws[~gone, place] if (~gone).mean() > _LEAST_KEPT else draws[:, place]
        hours = first_crossings(kept, grids[place], threshold)
        found.append(np.where(hours <= horizon_h, hours, np.inf))
    return found


def _expected(name: str, hours: list[Floats], horizon_h: float) -> Crossing:
    own = hours[0]
    bounds = []
    for each in hours:
        size, part = len(each), float(np.isfinite(each).mean())
        # Wilson's interval at 90 %: the error of so many draws.
        square = 1.645**2
        centre = (part + square / (2 * size)) / (1 + square / size)
        half = 1.645 * np.sqrt(part * (1 - part) / size + square / (4 * size**2)) / (1 + square / size)
        bounds.append((max(centre - half, 0.0), min(centre + half, 1.0)))
    quantiles: dict[float, float | None] = {}
    for part in (0.05, 0.5, 0.95):
        value = float(np.quantile(own, part, method="inverted_cdf"))
        quantiles[part] = value if value <= horizon_h else None
    return Crossing(
        name,
        "expected",
        float(np.isfinite(own).mean()),
        min(low for low, _ in bounds),
        max(high for _, high in bounds),
        quantiles,
        None,
        None,
        own,
    )
