"""Forecasts of later readouts: methods side by side, judged on readouts they have not seen, with calibrated bands.

Nothing is judged on readouts that are earlier than any it was fitted to: readouts up to a time are given, those after
it are forecast. Bands are calibrated on the same kind of forecast within what is given (hierarchical conformal
prediction, Lee, Barber & Willett 2023: every unit counts the same, however many readouts it has).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from analysis.degradation.errors import BadReadouts, DegradationError
from analysis.degradation.law_fit import refused
from analysis.degradation.readout_paths import Floats, ReadoutPaths, Targets

DRAWS = 600
PART_GIVEN = 2 / 3
SMALLEST_STRETCH, LARGEST_STRETCH = 0.5, 20.0
MARGIN = 0.95
"""What a challenger's error must be below, as a part of the best baseline's."""


class Forecaster(Protocol):
    """What every method gives once it is fitted."""

    @property
    def name(self) -> str:
        """The method."""

    @property
    def noise(self) -> float:
        """Standard deviation of a readout about its path, in the readouts' unit."""

    def draw(self, history: ReadoutPaths, targets: Targets, count: int, seed: int = 0) -> Floats:
        """Return ``count`` paths ``(count, rows)`` at ``targets``, given the readouts in ``history``; by ``seed``."""


Method = Callable[[ReadoutPaths], Forecaster]


@dataclass(frozen=True)
class Bands:
    """Forecast readouts.

    Attributes:
        middle: float64 ``(rows,)``, medians.
        low, high: the same shape, two-sided bands.
        level: of the bands.
    """

    middle: Floats
    low: Floats
    high: Floats
    level: float


def forecast(
    fitted: Forecaster, history: ReadoutPaths, targets: Targets, level: float = 0.9, stretch: float = 1.0, seed: int = 0
) -> Bands:
    """Return what ``fitted`` says readouts at ``targets`` will be, given ``history``.

    ``level`` is that of the bands, ``stretch`` what their width is multiplied by, ``seed`` makes the draws repeatable.
    """
    draws = fitted.draw(history, targets, DRAWS, seed)
    noisy = draws + fitted.noise * np.random.default_rng(seed + 1).standard_normal(draws.shape)
    middle = np.median(draws, axis=0)
    low, high = np.quantile(noisy, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return Bands(
        middle, middle - stretch * np.maximum(middle - low, 0), middle + stretch * np.maximum(high - middle, 0), level
    )


@dataclass(frozen=True)
class Split:
    """Readouts given and readouts to be forecast.

    Attributes:
        fitted: what methods are fitted to.
        history: readouts of the units that are forecast, up to the cut.
        targets: where, with units of ``history``.
        truth: float64 ``(rows,)``, what was read there.
        cut_h: the cut.
    """

    fitted: ReadoutPaths
    history: ReadoutPaths
    targets: Targets
    truth: Floats
    cut_h: float


def cut_time(paths: ReadoutPaths, part: float = PART_GIVEN) -> float:
    """Return the hours up to which ``part`` of the readouts of ``paths`` were made, earlier than the last."""
    cut = float(np.quantile(paths.time_h, part, method="lower"))
    before = paths.time_h[paths.time_h < paths.time_h.max()]
    return min(cut, float(before.max())) if len(before) else cut


def split_later(paths: ReadoutPaths, cut_h: float) -> Split:
    """Return the split of ``paths`` at ``cut_h``: all readouts until then are given, later ones are forecast.

    Raises:
        BadReadouts: a side is empty, or no unit has readouts on both.
    """
    early = paths.time_h <= cut_h
    given = paths.take(early)
    return Split(given, given, *_later(paths, given, ~early), cut_h)


def split_units(paths: ReadoutPaths, cut_h: float, every: int = 4) -> Split:
    """Return the split of ``paths`` where one unit of ``every`` is new: read until ``cut_h`` only, the others fully.

    Raises:
        BadReadouts: there are too few units.
    """
    order = np.lexsort((np.arange(paths.units), paths.temperature_c))
    new = np.zeros(paths.units, np.bool_)
    new[order[every - 1 :: every]] = True
    if not new.any() or (~new).sum() < 2:
        raise BadReadouts(f"{paths.units} units are too few to hold one of {every} out")
    of_new = new[paths.unit]
    early = paths.time_h <= cut_h
    history = paths.take(of_new & early)
    return Split(paths.take(~of_new), history, *_later(paths, history, of_new & ~early), cut_h)


def _later(paths: ReadoutPaths, given: ReadoutPaths, rows: np.ndarray) -> tuple[Targets, Floats]:
    place = {name: number for number, name in enumerate(given.names)}
    known = np.asarray([paths.names[each] in place for each in paths.unit[rows]], np.bool_)
    if not known.any():
        raise BadReadouts("no unit has readouts both before and after the cut: there is nothing to judge a forecast by")
    unit = np.asarray([place[paths.names[each]] for each in paths.unit[rows][known]], np.int64)
    return Targets(unit, paths.time_h[rows][known]), paths.value[rows][known]


@dataclass(frozen=True)
class Judgement:
    """How a method did on readouts that it had not seen.

    Attributes:
        method: its name.
        error: root mean square, in the readouts' unit; ``None`` where it was refused, and ``reason`` says why.
        coverage: part of the readouts within the bands.
        width: mean width of the bands.
        interval_score: mean, Gneiting & Raftery 2007: width plus what lies outside, weighed by the level.
        stretch: what bands must be multiplied by to have held, unit by unit.
        rows, units: how many readouts of how many units.
    """

    method: str
    error: float | None
    coverage: float | None = None
    width: float | None = None
    interval_score: float | None = None
    stretch: float = 1.0
    rows: int = 0
    units: int = 0
    reason: str = ""


def judge(fitted: Forecaster, split: Split, level: float = 0.9, stretch: float = 1.0) -> Judgement:
    """Return how ``fitted`` forecasts the later readouts of ``split``, with bands of ``level`` times ``stretch``."""
    bands = forecast(fitted, split.history, split.targets, level, stretch)
    off = split.truth - bands.middle
    inside = (split.truth >= bands.low) & (split.truth <= bands.high)
    beyond = np.maximum(bands.low - split.truth, 0) + np.maximum(split.truth - bands.high, 0)
    width = bands.high - bands.low
    half = np.where(off > 0, bands.high - bands.middle, bands.middle - bands.low)
    ratio = np.abs(off) / np.maximum(half, 1e-12 * max(float(np.abs(split.truth).max()), 1e-300))
    return Judgement(
        fitted.name,
        float(np.sqrt(np.mean(off**2))),
        float(inside.mean()),
        float(width.mean()),
        float((width + 2 / (1 - level) * beyond).mean()),
        stretch_of(ratio, split.targets.unit, level),
        len(off),
        len(np.unique(split.targets.unit)),
    )


def stretch_of(ratio: Floats, unit: np.ndarray, level: float) -> float:
    """Return the quantile of ``ratio`` ``(rows,)`` at ``level`` when each of the units ``unit`` counts the same.

    A further unit, of which nothing is known, counts as infinite; the result is kept within
    :data:`SMALLEST_STRETCH` and :data:`LARGEST_STRETCH`.
    """
    names, place, counts = np.unique(unit, return_inverse=True, return_counts=True)
    weights = 1.0 / (counts[place] * (len(names) + 1))
    order = np.argsort(ratio, kind="stable")
    reached = np.cumsum(weights[order]) >= level - 1e-12
    found = float(ratio[order][np.argmax(reached)]) if reached.any() else float(ratio.max())
    return float(np.clip(found, SMALLEST_STRETCH, LARGEST_STRETCH))


@dataclass(frozen=True)
class Trial:
    """What a method was before anything later was seen.

    Attributes:
        judgements: by method, on the last part of what was given.
        selected: the method that is used; ``None`` where none could be fitted.
        why: in a sentence.
    """

    judgements: Mapping[str, Judgement]
    selected: str | None
    why: str


def try_methods(
    paths: ReadoutPaths, methods: Mapping[str, Method], challengers: Sequence[str], level: float = 0.9
) -> Trial:
    """Return how ``methods`` forecast the last third of the readouts of ``paths`` from those before, and the choice.

    The smallest error wins; one of ``challengers`` must fall below :data:`MARGIN` times the best error of all others.
    ``level`` is of the bands.

    Raises:
        BadReadouts: there is nothing later to forecast.
    """
    split = split_later(paths, cut_time(paths))
    judgements = {name: judge_method(name, method, split, level) for name, method in methods.items()}
    errors = {name: each.error for name, each in judgements.items() if each.error is not None}
    plain = {name: error for name, error in errors.items() if name not in challengers}
    if not errors:
        return Trial(judgements, None, "no method could be fitted")
    best = min(plain, key=lambda each: plain[each]) if plain else None
    bar = MARGIN * plain[best] if best else float("inf")
    winners = {name: error for name, error in errors.items() if name in challengers and error < bar}
    if winners:
        chosen = min(winners, key=lambda each: winners[each])
        return Trial(
            judgements, chosen, f"{chosen} beat the best baseline on held-out readouts by more than {1 - MARGIN:.0%}"
        )
    if best is None:
        return Trial(judgements, None, "no baseline could be fitted")
    return Trial(judgements, best, f"{best} had the smallest error on held-out readouts")


def judge_method(name: str, method: Method, split: Split, level: float = 0.9, stretch: float = 1.0) -> Judgement:
    """Return how the method called ``name``, fitted by ``method``, does on ``split``.

    Bands of ``level`` times ``stretch``.
    """
    try:
        return judge(method(split.fitted), split, level, stretch)
    except DegradationError as error:
        return Judgement(name, None, reason=refused(error))
