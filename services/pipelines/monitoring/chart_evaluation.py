"""How a control chart stands: its points with their limits, the rules that fired, and where each run of them began."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from analysis.monitoring.baseline import Baseline, estimate_baseline
from analysis.monitoring.control_charts import ControlChart, Signal, cusum_charts, ewma_chart, individuals_chart

POINTS_SHOWN = 250
"""The newest ones; all take part in the charts."""


@dataclass(frozen=True)
class Reading:
    """One point: ``value`` and its standard error in the chart's unit."""

    id: UUID
    observed_at: datetime
    value: float
    sigma: float | None


@dataclass(frozen=True)
class Limits:
    """Frozen limits: readings up to ``to_at`` are phase I, later ones are judged."""

    baseline: Baseline
    to_at: datetime
    parameters: Mapping[str, Any]


@dataclass(frozen=True)
class Excursion:
    """Points in a row that a rule fired at; the first is what is told of.

    Attributes:
        rule, meaning: which rule, and in words.
        readings: of the points, in order.
        since: the reading that the pattern began with.
        statistic: the chart's value at the first point.
        limits: of the chart there, lower and upper; ``None`` where there is none.
    """

    rule: str
    meaning: str
    readings: tuple[Reading, ...]
    since: Reading
    statistic: float
    limits: tuple[float | None, float | None]


@dataclass(frozen=True)
class Evaluation:
    """How a chart stands: ``state`` of the newest point, the document that is shown, every excursion."""

    state: str
    document: dict[str, Any]
    excursions: tuple[Excursion, ...]


def estimate_limits(
    readings: Sequence[Reading], from_at: datetime | None, to_at: datetime, *, robust: bool
) -> tuple[Baseline, int]:
    """Return centre and sigma of the readings of phase I, and how many there are.

    Raises:
        analysis.monitoring.baseline.NoBaseline: they are too few, or all equal.
    """
    chosen = [
        item.value
        for item in readings
        if item.observed_at <= to_at and (from_at is None or item.observed_at >= from_at)
    ]
    return estimate_baseline(np.asarray(chosen, np.float64), robust=robust), len(chosen)


def evaluate(readings: Sequence[Reading], limits: Limits | None) -> Evaluation:
    """Return how the chart of ``readings``, in the order of their times, stands under ``limits``.

    Without limits nothing is judged: a value is neither good nor bad before somebody has said what is usual.
    """
    if limits is None:
        return Evaluation("collecting", _document(readings, len(readings), (), ()), ())
    first = next((at for at, item in enumerate(readings) if item.observed_at > limits.to_at), len(readings))
    judged = readings[first:]
    values = np.asarray([item.value for item in judged], np.float64)
    charts = _draw(values, limits)
    pairs = [(chart, signal) for chart in charts for signal in chart.signals]
    newest = len(judged) - 1
    fired = any(signal.index == newest for _, signal in pairs)
    state = "collecting" if not judged else "out-of-control" if fired else "in-control"
    excursions = tuple(_excursions(judged, charts))
    return Evaluation(state, _document(readings, first, charts, pairs), excursions)


def _draw(values: NDArray[np.float64], limits: Limits) -> tuple[ControlChart, ...]:
    given = limits.parameters
    baseline = limits.baseline
    return (
        individuals_chart(values, baseline, given["rules"]),
        ewma_chart(values, baseline, weight=given["ewma_weight"], width=given["ewma_width"]),
        *cusum_charts(values, baseline, reference=given["cusum_reference"], decision=given["cusum_decision"]),
    )


def _excursions(judged: Sequence[Reading], charts: Sequence[ControlChart]) -> Iterator[Excursion]:
    """Yield each run of points at which one rule fired: an excursion that lasts is one, not one a point."""
    for chart in charts:
        by_rule: dict[str, list[Signal]] = {}
        for signal in chart.signals:
            by_rule.setdefault(signal.rule, []).append(signal)
        for signals in by_rule.values():
            for run in _runs(signals):
                at = run[0].index
                yield Excursion(
                    rule=run[0].rule,
                    meaning=run[0].meaning,
                    readings=tuple(judged[signal.index] for signal in run),
                    since=judged[run[0].start],
                    statistic=run[0].statistic,
                    limits=(_number(chart.lower[at]), _number(chart.upper[at])),
                )


def _runs(signals: Sequence[Signal]) -> Iterator[list[Signal]]:
    run: list[Signal] = []
    for signal in signals:
        if run and signal.index != run[-1].index + 1:
            yield run
            run = []
        run.append(signal)
    if run:
        yield run


def _document(
    readings: Sequence[Reading],
    first: int,
    charts: Sequence[ControlChart],
    pairs: Sequence[tuple[ControlChart, Signal]],
) -> dict[str, Any]:
    """Return what is shown; ``first`` is the place of the first point that is judged."""
    begin = max(0, len(readings) - POINTS_SHOWN)
    judged = readings[first:]
    return {
        "count": len(readings),
        "judged": len(judged),
        "points": [
            {
                "reading_id": str(item.id),
                "observed_at": item.observed_at.isoformat(),
                "value": item.value,
                "sigma": item.sigma,
                "phase": 1 if at < first else 2,
            }
            for at, item in enumerate(readings[begin:], begin)
        ],
        "charts": [_chart_document(chart, first, begin) for chart in charts],
        "signals": [
            {
                "chart": chart.kind,
                "rule": signal.rule,
                "meaning": signal.meaning,
                "statistic": signal.statistic,
                "reading_id": str(judged[signal.index].id),
                "observed_at": judged[signal.index].observed_at.isoformat(),
                "since_reading_id": str(judged[signal.start].id),
                "since": judged[signal.start].observed_at.isoformat(),
            }
            for chart, signal in pairs
            if first + signal.index >= begin
        ],
    }


def _chart_document(chart: ControlChart, first: int, begin: int) -> dict[str, Any]:
    """Return a chart with one number for each point that is shown, ``None`` where a point is not judged."""
    unjudged, skipped = max(0, first - begin), max(0, begin - first)

    def align(values: NDArray[np.float64]) -> list[float | None]:
        return [None] * unjudged + [_number(value) for value in values[skipped:]]

    return {
        "kind": chart.kind,
        "centre": chart.centre,
        "statistic": align(chart.statistic),
        "lower": align(chart.lower),
        "upper": align(chart.upper),
        "conventions": dict(chart.conventions),
    }


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
