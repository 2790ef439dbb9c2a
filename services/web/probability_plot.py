"""A life fit on probability paper as geometry for an SVG: points, the model's line and band, other models' lines."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import NormalDist
from typing import Any, Literal

from services.web.plot_frame import PlotFrame, axis_ticks, polyline, write_hours

FRAME = PlotFrame(height=460.0, left=78.0, right=884.0, bottom=416.0)
Paper = Literal["weibull", "lognormal", "linear"]
PAPERS: dict[Paper, str] = {"weibull": "Weibull", "lognormal": "lognormal", "linear": "linear"}
_PARTS = (*(step * 10.0**power for power in range(-8, -1) for step in (1, 2, 5)), 0.1, 0.2, 0.5, 0.8, 0.9, 0.99, 0.999)
_MOST_TICKS = 8
_LEAST, _MOST = 1e-9, 1 - 1e-9
_NORMAL = NormalDist()


@dataclass(frozen=True)
class PlotPoint:
    """Part failed by one readout or failure time; ``begin_x`` is where its readout began, ``low_y`` is below."""

    x: float
    y: float
    begin_x: float
    low_y: float
    high_y: float
    title: str


@dataclass(frozen=True, kw_only=True)
class ProbabilityPlot(PlotFrame):
    """What the template draws, in the units of its view box; ``asked`` is where the headline's hours are."""

    points: list[PlotPoint]
    line: str
    band: str
    others: list[tuple[str, str]]
    asked_x: float | None
    x_ticks: list[tuple[float, str]]
    y_ticks: list[tuple[float, str]]
    summary: str


@dataclass(frozen=True)
class _Axes:
    """From hours and parts to places in the drawing."""

    place: Callable[[float], float]
    height: Callable[[float], float]
    first: float
    last: float
    low: float
    high: float

    def x(self, hours: float) -> float:
        """Return the place of ``hours``, the edge for what lies before it."""
        share = (self.place(hours) - self.first) / (self.last - self.first)
        return FRAME.across(min(max(share, 0.0), 1.0))

    def y(self, part: float) -> float:
        """Return the place of the part failed, the edge for what lies beyond it."""
        return min(max(self.free_y(part), FRAME.top), FRAME.bottom)

    def free_y(self, part: float) -> float:
        """Return the place of the part failed, outside of the axes for what lies there: lines are clipped."""
        share = (self.height(min(max(part, _LEAST), _MOST)) - self.low) / (self.high - self.low)
        return FRAME.up(share)


def plot_life(document: Mapping[str, Any], paper: Paper, *, others: bool = False) -> ProbabilityPlot | None:
    """Return the drawing of a life fit's answer on ``paper``; ``None`` where nothing was kept to draw."""
    plot = document.get("plot")
    if not plot or not (plot["band"] or plot["points"]):
        return None
    band = [row for row in plot["band"] if 0 < row["fraction"] < 1]
    points = [row for row in plot["points"] if 0 < row["fraction"] < 1]
    hours = [row["hours"] for row in (*band, *points)]
    if not hours:
        return None
    parts = [row[name] for row in (*band, *points) for name in ("fraction", "low", "high")]
    axes = _axes(paper, hours, [part for part in parts if _LEAST < part < _MOST])
    ends = [(axes.x(row["hours"]), axes.y(row["low"])) for row in band]
    ends += [(axes.x(row["hours"]), axes.y(row["high"])) for row in reversed(band)]
    asked = document["headline"]["hours"]
    return ProbabilityPlot(
        **asdict(FRAME),
        points=[_point(row, axes) for row in points],
        line=_line(_rows(plot) if "hours" in plot else band, axes),
        band=polyline(ends),
        others=[(each["name"], _line(_rows(plot | each), axes)) for each in plot["others"]] if others else [],
        asked_x=axes.x(asked) if min(hours) <= asked <= max(hours) else None,
        x_ticks=[(axes.x(each), write_hours(each)) for each in _hour_ticks(paper, min(hours), max(hours))],
        y_ticks=[(axes.y(each), write_part(each)) for each in _part_ticks(paper, axes)],
        summary=f"{len(points)} points; the line of {plot['model']} with its {100 * plot['level']:g} % band",
    )


def write_part(part: float) -> str:
    """Return a part of the units as people say it: ppm below a tenth of a percent."""
    return f"{1e6 * part:.6g} ppm" if part < 1e-3 else f"{100 * part:.6g} %"


def _axes(paper: Paper, hours: Sequence[float], parts: Sequence[float]) -> _Axes:
    place: Callable[[float], float] = float if paper == "linear" else lambda value: math.log(max(value, 1e-12))
    heights: dict[Paper, Callable[[float], float]] = {
        "weibull": lambda part: math.log(-math.log1p(-part)),
        "lognormal": _NORMAL.inv_cdf,
        "linear": float,
    }
    height = heights[paper]
    low, high = (height(each) for each in ((min(parts), max(parts)) if parts else (1e-6, 0.9)))
    first, last = place(0.0 if paper == "linear" else min(hours)), place(max(hours))
    pad = (high - low or 1.0) * 0.04
    bottom = 0.0 if paper == "linear" else low - pad
    return _Axes(place, height, first, last if last > first else first + 1.0, bottom, high + pad)


def _point(row: Mapping[str, Any], axes: _Axes) -> PlotPoint:
    begin = row["begin_h"]
    when = write_hours(row["hours"]) if begin >= row["hours"] else f"{begin:g} to {write_hours(row['hours'])}"
    title = (
        f"{when}: {row['failures']} of {row['at_risk']} failed; in all {write_part(row['fraction'])} "
        f"({write_part(row['low'])} to {write_part(row['high'])})"
    )
    x, y = axes.x(row["hours"]), axes.y(row["fraction"])
    return PlotPoint(x, y, axes.x(begin), axes.y(row["low"]), axes.y(row["high"]), title)


def _line(rows: Sequence[Mapping[str, Any]], axes: _Axes) -> str:
    shown = [row for row in rows if 0 < row["fraction"] < 1]
    return polyline((axes.x(row["hours"]), axes.free_y(row["fraction"])) for row in shown)


def _rows(curve: Mapping[str, Any]) -> list[dict[str, float]]:
    pairs = zip(curve["hours"], curve["fraction"], strict=True)
    return [{"hours": hours, "fraction": fraction} for hours, fraction in pairs]


def _hour_ticks(paper: Paper, first: float, last: float) -> list[float]:
    if paper == "linear":
        return axis_ticks(0.0, last)
    decades = range(math.floor(math.log10(first)), math.ceil(math.log10(last)) + 1)
    steps = (1.0,) if len(decades) > 5 else (1.0, 2.0, 5.0)
    found = [factor * 10.0**decade for decade in decades for factor in steps]
    return [each for each in found if first * 0.999 <= each <= last * 1.001]


def _part_ticks(paper: Paper, axes: _Axes) -> list[float]:
    if paper == "linear":
        return axis_ticks(0.0, axes.high)
    found = [part for part in _PARTS if axes.low <= axes.height(part) <= axes.high]
    if len(found) > _MOST_TICKS:
        found = [part for part in found if part >= 0.1 or math.isclose(math.log10(part), round(math.log10(part)))]
    return found
