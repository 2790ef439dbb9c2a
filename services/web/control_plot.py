"""A control chart as geometry for an SVG: points in their order, limits, and what fired."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from services.web.formatting import parse_moment
from services.web.plot_frame import PlotFrame, axis_ticks, polyline, widen

FRAME = PlotFrame(height=200.0, left=62.0, right=888.0, bottom=172.0)
TITLES = {
    "individuals": "Individual values",
    "ewma": "EWMA",
    "cusum-high": "CUSUM, upward",
    "cusum-low": "CUSUM, downward",
}


@dataclass(frozen=True)
class Point:
    """One reading in the drawing; ``bar``: from and to where one standard error reaches, where that is known."""

    x: float
    y: float
    out: bool
    judged: bool
    title: str
    bar: tuple[float, float] | None = None


@dataclass(frozen=True, kw_only=True)
class Plot(PlotFrame):
    """What the template draws, in the units of its view box."""

    title: str
    points: list[Point]
    line: str
    lower: str
    upper: str
    centre_y: float | None
    ticks: list[tuple[float, str]]
    dates: list[tuple[float, str]]
    summary: str


def plot_charts(evaluation: Mapping[str, Any], unit: str) -> list[Plot]:
    """Return a drawing for each chart of an evaluation; before there are limits, of the readings alone."""
    points = evaluation["points"]
    if not points:
        return []
    fired = {(each["chart"], each["reading_id"]) for each in evaluation["signals"]}
    charts = evaluation["charts"] or [
        {"kind": "readings", "statistic": [point["value"] for point in points], "lower": [], "upper": [],
         "centre": None}
    ]  # fmt: skip
    return [_plot(chart, points, fired, unit) for chart in charts]


def _plot(
    chart: Mapping[str, Any], points: Sequence[Mapping[str, Any]], fired: set[tuple[str, str]], unit: str
) -> Plot:
    kind = str(chart["kind"])
    # Readings that were made before the limits are drawn too, on the chart that has their scale.
    raw = kind in ("individuals", "readings")
    values = [
        point["value"] if value is None and raw else value
        for value, point in zip(chart["statistic"], points, strict=True)
    ]
    finite = [value for value in (*values, *chart["lower"], *chart["upper"], chart["centre"]) if value is not None]
    if raw:
        errors = [(point["value"], point["sigma"]) for point in points if point.get("sigma")]
        finite += [value + side * sigma for value, sigma in errors for side in (-1, 1)]
    low, high = widen(finite or (0.0, 1.0), 0.08)

    def x_of(at: int) -> float:
        return FRAME.across((at + 0.5) / len(points))

    def y_of(value: float) -> float:
        return FRAME.up((value - low) / (high - low))

    drawn = [
        Point(
            x_of(at),
            y_of(value),
            (kind, point["reading_id"]) in fired,
            chart["statistic"][at] is not None,
            f"{_date(point['observed_at'])}: {value:.6g}{_spread(point) if raw else ''} {unit if raw else ''}".strip(),
            (y_of(value - point["sigma"]), y_of(value + point["sigma"])) if raw and point.get("sigma") else None,
        )
        for at, (value, point) in enumerate(zip(values, points, strict=True))
        if value is not None
    ]
    out = sum(point.out for point in drawn)
    return Plot(
        **asdict(FRAME),
        title=f"{TITLES.get(kind, kind.replace('-', ' ').capitalize())}, {unit}",
        points=drawn,
        line=polyline((point.x, point.y) for point in drawn),
        lower=_steps(chart["lower"], x_of, y_of),
        upper=_steps(chart["upper"], x_of, y_of),
        centre_y=None if chart["centre"] is None else y_of(chart["centre"]),
        ticks=[(y_of(value), f"{value:.6g}") for value in axis_ticks(low, high)],
        dates=[(x_of(at), _date(points[at]["observed_at"])) for at in _few(len(points))],
        summary=f"{len(drawn)} points, {out} of which a rule fired at",
    )


def _spread(point: Mapping[str, Any]) -> str:
    return f" \N{PLUS-MINUS SIGN} {point['sigma']:.2g}" if point.get("sigma") else ""


def _steps(values: Sequence[float | None], x_of: Any, y_of: Any) -> str:
    return polyline((x_of(at), y_of(value)) for at, value in enumerate(values) if value is not None)


def _few(count: int) -> list[int]:
    return sorted({0, count // 2, count - 1}) if count > 2 else list(range(count))


def _date(value: Any) -> str:
    moment = parse_moment(value)
    return "" if moment is None else f"{moment:%Y-%m-%d %H:%M}"
