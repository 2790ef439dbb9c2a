"""Readouts of units and where they are going, as geometry for an SVG: paths measured, bands of what follows."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from services.web.plot_frame import PlotFrame, axis_ticks, polyline, widen, write_hours

Series = Mapping[str, Sequence[tuple[float, float]]]
"""By unit, hours and values in order of time."""
FRAME = PlotFrame(height=460.0, left=78.0, right=884.0, bottom=416.0)


@dataclass(frozen=True)
class Fan:
    """One unit: its readouts, the middle of what follows, and the band around it."""

    unit: str
    measured: str
    middle: str
    band: str


@dataclass(frozen=True, kw_only=True)
class FanPlot(PlotFrame):
    """What the template draws, in the units of its view box."""

    fans: list[Fan]
    others: list[str]
    threshold_y: float | None
    x_ticks: list[tuple[float, str]]
    y_ticks: list[tuple[float, str]]
    summary: str


def plot_fans(
    measured: Series, forecast: Sequence[Mapping[str, Any]], chosen: Sequence[str], threshold: float | None
) -> FanPlot | None:
    """Return the drawing of the ``chosen`` units among all ``measured`` ones; ``None`` where nothing is known of any.

    ``forecast`` has rows of unit, time_h, value, low and high.
    """
    rows = {unit: [row for row in forecast if row["unit"] == unit] for unit in chosen}
    pairs = [pair for series in measured.values() for pair in series]
    pairs += [(row["time_h"], row[name]) for of in rows.values() for row in of for name in ("value", "low", "high")]
    if not pairs:
        return None
    last = max(hours for hours, _ in pairs) or 1.0
    low, high = widen([value for _, value in pairs] + ([threshold] if threshold is not None else []), 0.05)

    def x_of(hours: float) -> float:
        return FRAME.across(hours / last)

    def y_of(value: float) -> float:
        return FRAME.up((value - low) / (high - low))

    def line(series: Sequence[tuple[float, float]]) -> str:
        return polyline((x_of(hours), y_of(value)) for hours, value in series)

    fans = [_fan(unit, measured.get(unit, ()), rows[unit], line) for unit in chosen]
    return FanPlot(
        **asdict(FRAME),
        fans=fans,
        others=[line(series) for unit, series in measured.items() if unit not in rows],
        threshold_y=None if threshold is None else y_of(threshold),
        x_ticks=[(x_of(each), write_hours(each)) for each in axis_ticks(0.0, last)],
        y_ticks=[(y_of(each), f"{each:.5g}") for each in axis_ticks(low, high)],
        summary=f"{len(measured)} units measured, what follows for {len(fans)} of them",
    )


def _fan(unit: str, series: Sequence[tuple[float, float]], rows: Sequence[Mapping[str, Any]], line: Any) -> Fan:
    ahead = [(row["time_h"], row["value"]) for row in rows]
    low, high = ([(row["time_h"], row[name]) for row in rows] for name in ("low", "high"))
    return Fan(unit, line(series), line(ahead), line([*low, *reversed(high)]))
