"""The frame that drawings share: the view box, its axes, round numbers on them, lines as text of an SVG."""

import math
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class PlotFrame:
    """The view box of a drawing, and where within it the axes are: places, not margins."""

    width: float = 900.0
    height: float
    left: float
    right: float
    top: float = 14.0
    bottom: float

    def across(self, share: float) -> float:
        """Return the place that lies ``share`` of the way from the left axis to the right end."""
        return round(self.left + (self.right - self.left) * share, 2)

    def up(self, share: float) -> float:
        """Return the place that lies ``share`` of the way from the lower axis to the upper end."""
        return round(self.top + (self.bottom - self.top) * (1 - share), 2)


def axis_ticks(low: float, high: float) -> list[float]:
    """Return round numbers from ``low`` to ``high``, about four steps apart."""
    raw = (high - low) / 4
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * 0.999)
    first = math.ceil(low / step)
    return [at * step for at in range(first, math.floor(high / step) + 1)]


def widen(values: Iterable[float], part: float) -> tuple[float, float]:
    """Return the least and the greatest of ``values``, with ``part`` of their range more on either side."""
    low, high = min(values := list(values)), max(values)
    pad = (high - low or abs(high) or 1.0) * part
    return low - pad, high + pad


def polyline(places: Iterable[tuple[float, float]]) -> str:
    """Return ``places`` as the points of a line or an area."""
    return " ".join(f"{x},{y}" for x, y in places)


def write_hours(hours: float) -> str:
    """Return hours with a unit that suits a label."""
    return f"{hours / 1000:g}k h" if hours >= 10_000 else f"{hours:g} h"
