"""Probability plots as SVG, the same bytes for the same data: letters are paths, ids are hashes, there is no date."""

import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

WIDTH_MM, HEIGHT_MM = 150.0, 88.0
_INCH_MM = 25.4
_PARTS = (1e-6, 3e-6, 1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 0.6, 0.9, 0.999)
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "path",
    "svg.hashsalt": "faultlight-report",
    "font.family": "DejaVu Sans",
    "font.size": 8,
    "axes.linewidth": 0.6,
    "lines.linewidth": 1.2,
}
_LINE, _BAND, _POINT = "#1f4e79", "#c9d8e8", "#222222"


def draw_probability_plot(life: Mapping[str, Any]) -> str:
    """Return the Weibull probability plot of a test as SVG.

    Points are the part failed by each failure or readout, with a bar over the readout and one for its interval; the
    line is the best model's, with the band of its pointwise intervals. Nothing that a file says is written in it: its
    letters may be none of the font's, and signs that matplotlib reads as mathematics.
    """
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(WIDTH_MM / _INCH_MM, HEIGHT_MM / _INCH_MM), layout="constrained")
        axes = figure.add_subplot()
        band = [row for row in life.get("band", ()) if 0 < row["fraction"] < 1]
        shown = [row for row in life["points"] if 0 < row["fraction"] < 1]
        _draw_band(axes, band, life)
        _draw_points(axes, shown)
        _set_axes(axes, band, shown)
        axes.set_title(f"{life['failures']} of {life['devices']} failed", fontsize=8, loc="left")
        sink = io.StringIO()
        figure.savefig(sink, format="svg", metadata={"Date": None, "Creator": None})
    return _bare(sink.getvalue())


def _scale(fractions: Sequence[float]) -> NDArray[np.float64]:
    return np.log(-np.log1p(-np.clip(np.asarray(fractions, np.float64), 1e-12, 1 - 1e-12)))


def _draw_band(axes: Axes, band: Sequence[Mapping[str, float]], life: Mapping[str, Any]) -> None:
    if not band:
        return
    hours = [row["hours"] for row in band]
    low, high = (_scale([row[name] for row in band]) for name in ("low", "high"))
    axes.fill_between(
        hours, low, high, color=_BAND, linewidth=0, label=f"{100 * life['level']:g} % interval, pointwise"
    )
    axes.plot(life["hours"], _scale(life["fraction"]), color=_LINE, label=life["model"])


def _draw_points(axes: Axes, points: Sequence[Mapping[str, float]]) -> None:
    if not points:
        return
    hours = np.asarray([row["hours"] for row in points])
    middle = _scale([row["fraction"] for row in points])
    low, high = (_scale([row[name] for row in points]) for name in ("low", "high"))
    axes.vlines(hours, low, high, color=_POINT, linewidth=0.6)
    readouts = [place for place, row in enumerate(points) if row["begin_h"] < row["hours"]]
    begins = [max(points[place]["begin_h"], 1e-3 * points[place]["hours"]) for place in readouts]
    axes.hlines(middle[readouts], begins, hours[readouts], color=_POINT, linewidth=0.6, linestyle=":")
    axes.plot(hours, middle, "o", color=_POINT, markersize=3.5, label="part failed, with its interval")


def _set_axes(axes: Axes, band: Sequence[Mapping[str, float]], points: Sequence[Mapping[str, float]]) -> None:
    axes.set_xscale("log")
    hours = [row["hours"] for row in (*band, *points)]
    values = _scale([row[name] for row in (*band, *points) for name in ("low", "high") if 1e-9 < row[name] < 1 - 1e-9])
    if hours:
        axes.set_xlim(min(hours) * 0.8, max(hours) * 1.25)
    low, high = (float(values.min()) - 0.4, float(values.max()) + 0.4) if values.size else (-10.0, 2.0)
    ticks = [part for part in _PARTS if low <= _scale([part])[0] <= high]
    axes.set_yticks(_scale(ticks), [f"{100 * part:g} %" for part in ticks])
    axes.set_ylim(low, high)
    axes.xaxis.set_major_formatter(mpl.ticker.FuncFormatter(lambda value, _place: f"{value:g}"))
    axes.xaxis.set_minor_formatter(mpl.ticker.NullFormatter())
    axes.set_xlabel("hours under stress")
    axes.set_ylabel("failed (Weibull scale)")
    axes.grid(visible=True, which="major", color="#dddddd", linewidth=0.4)
    axes.set_axisbelow(True)
    axes.legend(loc="lower right", fontsize=7, frameon=False)


def _bare(svg: str) -> str:
    """Return the drawing without prologue and metadata, so that it can stand in a page of HTML."""
    drawing = re.sub(r"\A.*?(?=<svg )", "", svg, flags=re.DOTALL)
    return re.sub(r"<metadata>.*?</metadata>", "", drawing, flags=re.DOTALL).strip()
