"""Control charts: whether a quantity of an instrument is still what it was, and the rule that says no.

Shewhart charts see large jumps at once, EWMA and CUSUM charts small lasting ones soon. Sources: Montgomery,
Introduction to Statistical Quality Control, chapters 6 and 9; Nelson (1984) for the rules; S. W. Roberts (1959) for
EWMA; E. S. Page (1954) for CUSUM; NIST/SEMATECH e-Handbook 6.3.2. Missing values (NaN) take no part: runs and sums go
on over them.
Points are taken to be independent and normal; with autocorrelation every chart gives more false alarms than stated.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from analysis.monitoring.baseline import Baseline
from analysis.monitoring.nelson_rules import RULES, SPANS, find_patterns

ALL_RULES = tuple(RULES)


@dataclass(frozen=True)
class Signal:
    """A rule that fired.

    Attributes:
        index: of the point that completed the pattern, in the values that were given.
        start: of the first point of the pattern; for CUSUM the first after the sum was last zero, an estimate of when
            the change began.
        rule: ``nelson-1`` to ``nelson-8``, ``ewma-high``, ``ewma-low``, ``cusum-high`` or ``cusum-low``.
        statistic: the chart's value at ``index``, in the quantity's unit.
        meaning: the rule in words.
    """

    index: int
    start: int
    rule: str
    statistic: float
    meaning: str


@dataclass(frozen=True)
class ControlChart:
    """One chart.

    Attributes:
        kind: ``individuals``, ``x-bar``, ``ewma``, ``cusum-high`` or ``cusum-low``.
        statistic: float64 ``(n,)``, what is drawn, in the quantity's unit; NaN where the value was missing.
        centre: of the chart, in the same unit.
        lower, upper: float64 ``(n,)``, the limits at each point; NaN where there is none.
        signals: in the order of their index, then of their rule.
        conventions: parameters that the result depends on.
    """

    kind: str
    statistic: NDArray[np.float64]
    centre: float
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    signals: tuple[Signal, ...]
    conventions: dict[str, float | str]


def individuals_chart(
    values: NDArray[np.float64], baseline: Baseline, rules: Sequence[int] = ALL_RULES
) -> ControlChart:
    """Return the Shewhart chart of single values.

    Args:
        values: float64 ``(n,)`` in the order of time, in the baseline's unit; NaN: missing.
        baseline: centre and sigma, estimated beforehand from other values.
        rules: Nelson's, 1 to 8. In control, rule 1 alone fires once in 370 points, all eight once in 73.

    Raises:
        ValueError: a value is infinite, the array is not 1-D, or there is no such rule.
    """
    return _shewhart("individuals", _check(values), baseline, baseline.sigma, rules)


def subgroup_chart(values: NDArray[np.float64], baseline: Baseline, rules: Sequence[int] = ALL_RULES) -> ControlChart:
    """Return the Shewhart chart of the means of subgroups (X-bar).

    Args:
        values: float64 ``(subgroups, size)``, in the baseline's unit; a subgroup with a NaN is missing.
        baseline: from :func:`analysis.monitoring.baseline.estimate_subgroup_baseline`; its sigma is of a single value.
        rules: Nelson's, 1 to 8.

    Raises:
        ValueError: a value is infinite, the array is not 2-D with two or more columns, or there is no such rule.
    """
    array = np.asarray(values, np.float64)
    if array.ndim != 2 or array.shape[1] < 2:
        raise ValueError("subgroups are rows of two or more values")
    if np.isinf(array).any():
        raise ValueError("a value is infinite")
    return _shewhart("x-bar", array.mean(axis=1), baseline, baseline.sigma / np.sqrt(array.shape[1]), rules)


def ewma_chart(
    values: NDArray[np.float64], baseline: Baseline, *, weight: float = 0.2, width: float = 2.962
) -> ControlChart:
    """Return the exponentially weighted moving average, with exact limits that widen over the first points.

    Args:
        values: float64 ``(n,)`` in the order of time, in the baseline's unit; NaN: missing.
        baseline: centre and sigma.
        weight: of the newest value (lambda), above 0, at most 1; smaller sees smaller changes.
        width: of the limits in standard deviations of the average (L); 2.962 with 0.2 gives, with limits that are
            constant, about 500 points between false alarms and 10.5 to see one sigma (Montgomery, table 9.11).

    Raises:
        ValueError: a value is infinite, the array is not 1-D, or a parameter is out of its range.
    """
    if not 0.0 < weight <= 1.0 or not width > 0.0:
        raise ValueError("the weight is above 0 and at most 1, the width above 0")
    array = _check(values)
    present = np.flatnonzero(~np.isnan(array))
    deviation = array[present] - baseline.centre
    average = lfilter([weight], [1.0, weight - 1.0], deviation) if present.size else deviation
    count = np.arange(1, present.size + 1)
    half = width * baseline.sigma * np.sqrt(weight / (2.0 - weight) * (1.0 - (1.0 - weight) ** (2 * count)))
    statistic, lower, upper = (_spread(array.size, present, each) for each in (average, -half, half))
    signals = [
        Signal(int(present[at]), int(present[at]), rule, baseline.centre + float(average[at]), meaning)
        for rule, meaning, beyond in (
            ("ewma-high", "the weighted average is above its limit", average > half),
            ("ewma-low", "the weighted average is below its limit", average < -half),
        )
        for at in np.flatnonzero(beyond)
    ]
    centre = baseline.centre
    return ControlChart(
        "ewma",
        statistic + centre,
        centre,
        lower + centre,
        upper + centre,
        _sorted(signals),
        {"weight": weight, "width": width, "limits": "exact", "baseline": baseline.method},
    )


def cusum_charts(
    values: NDArray[np.float64], baseline: Baseline, *, reference: float = 0.5, decision: float = 5.0
) -> tuple[ControlChart, ControlChart]:
    """Return the tabular cumulative sums for changes upwards and downwards, each never below zero.

    Args:
        values: float64 ``(n,)`` in the order of time, in the baseline's unit; NaN: missing.
        baseline: centre and sigma.
        reference: half of the change that is to be seen, in sigma (k).
        decision: a sum above it is a signal, in sigma (h). 0.5 and 5 give 465 points between false alarms and 10.4 to
            see one sigma (Montgomery, table 9.3). The sums are not set back after a signal.

    Raises:
        ValueError: a value is infinite, the array is not 1-D, or a parameter is out of its range.
    """
    if not reference >= 0.0 or not decision > 0.0:
        raise ValueError("the reference is 0 or more, the decision above 0")
    array = _check(values)
    present = np.flatnonzero(~np.isnan(array))
    z = (array[present] - baseline.centre) / baseline.sigma
    conventions: dict[str, float | str] = {
        "reference": reference,
        "decision": decision,
        "head_start": 0.0,
        "baseline": baseline.method,
    }
    charts = []
    for rule, meaning, sign in (
        ("cusum-high", "the sum of what is above the centre is too large", 1.0),
        ("cusum-low", "the sum of what is below the centre is too large", -1.0),
    ):
        sums, starts = _accumulate(sign * z - reference)
        drawn = sums * baseline.sigma
        signals = [
            Signal(int(present[at]), int(present[starts[at]]), rule, float(drawn[at]), meaning)
            for at in np.flatnonzero(sums > decision)
        ]
        upper = np.full(array.size, decision * baseline.sigma)
        lower = np.full(array.size, np.nan)
        statistic = _spread(array.size, present, drawn)
        charts.append(ControlChart(rule, statistic, 0.0, lower, upper, _sorted(signals), conventions))
    return charts[0], charts[1]


def _accumulate(steps: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Return ``c[i] = max(0, c[i-1] + steps[i])`` and where each run above zero began.

    A loop: the closed form by running minima loses digits once the plain sum is large.
    """
    sums = np.empty(steps.size)
    starts = np.empty(steps.size, np.intp)
    total, start = 0.0, 0
    for index, step in enumerate(steps.tolist()):
        if total <= 0.0:
            start = index
        total = max(0.0, total + step)
        sums[index], starts[index] = total, start
    return sums, starts


def _shewhart(
    kind: str, points: NDArray[np.float64], baseline: Baseline, sigma: float, rules: Sequence[int]
) -> ControlChart:
    present = np.flatnonzero(~np.isnan(points))
    z = (points[present] - baseline.centre) / sigma
    signals = [
        Signal(
            int(present[at]),
            int(present[max(0, int(at) - SPANS[rule] + 1)]),
            f"nelson-{rule}",
            float(points[present[at]]),
            RULES[rule],
        )
        for rule in sorted(set(rules))
        for at in np.flatnonzero(find_patterns(z, rule))
    ]
    lower, upper = (np.full(points.size, baseline.centre + side * 3.0 * sigma) for side in (-1.0, 1.0))
    conventions: dict[str, float | str] = {
        "sigma_of_a_point": float(sigma),
        "rules": ",".join(str(rule) for rule in sorted(set(rules))),
        "baseline": baseline.method,
    }
    return ControlChart(kind, points, baseline.centre, lower, upper, _sorted(signals), conventions)


def _check(values: NDArray[np.float64]) -> NDArray[np.float64]:
    array = np.asarray(values, np.float64)
    if array.ndim != 1:
        raise ValueError(f"the values have {array.ndim} dimensions where 1 is needed")
    if np.isinf(array).any():
        raise ValueError("a value is infinite")
    return array


def _spread(size: int, present: NDArray[np.intp], values: NDArray[np.float64]) -> NDArray[np.float64]:
    spread = np.full(size, np.nan)
    spread[present] = values
    return spread


def _sorted(signals: list[Signal]) -> tuple[Signal, ...]:
    return tuple(sorted(signals, key=lambda each: (each.index, each.rule)))
