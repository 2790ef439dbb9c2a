"""A wafer as geometry for an SVG: one path for all dies of a shade, marks for parts that fall out and signatures."""

import math
from collections import Counter
from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass
from statistics import quantiles
from typing import Any, Literal

Show = Literal["verdict", "hard-bin", "soft-bin", "value"]
SHOWS: dict[Show, str] = {
    "verdict": "verdicts", "hard-bin": "hard bins or the map's codes", "soft-bin": "soft bins", "value": "readings",
}  # fmt: skip
STEPS = 9
"""Shades of readings."""
MOST_BINS = 8
"""Bins with a colour of their own; the rarer ones share one."""
_VERDICTS = {"pass": "passed", "fail": "failed", "none": "no verdict"}


@dataclass(frozen=True)
class Shade:
    """Dies that look alike: the class of their path, what it says, how many."""

    style: str
    label: str
    path: str
    count: int


@dataclass(frozen=True)
class WaferDrawing:
    """What the template draws; a die is one unit wide and high, ``left`` and ``top`` are the drawing's corner.

    Attributes:
        shades: dies by look, the legend's rows.
        flagged, signature: outlines of parts that fall out, and of dies of signatures.
        columns, rows: place and number of what is written along the edges.
    """

    left: float
    top: float
    width: float
    height: float
    shades: list[Shade]
    flagged: str
    signature: str
    columns: list[tuple[float, str]]
    rows: list[tuple[float, str]]
    summary: str

    @property
    def letter(self) -> float:
        """The size of letters and strokes is measured by it."""
        return max(self.width, self.height) / 55


def draw_wafer(
    dies: Mapping[str, Any],
    show: Show,
    flagged: Collection[tuple[int, int]] = (),
    signature: Collection[tuple[int, int]] = (),
) -> WaferDrawing:
    """Return the drawing of the dies of one wafer, as the API tells them, shaded by ``show``.

    ``flagged`` and ``signature`` are places of dies.
    """
    xs, ys = dies["x"], dies["y"]
    places = list(zip(xs, ys, strict=True))
    margin = 0.2 + 0.055 * max(max(xs) - min(xs), max(ys) - min(ys), 4)
    left, top = min(xs) - margin, min(ys) - margin
    shades = _by_value(dies["value"], places) if show == "value" else _by_name(dies, show, places)
    known = set(places)
    return WaferDrawing(
        left=left,
        top=top,
        width=max(xs) - left + 1 + margin / 2,
        height=max(ys) - top + 1 + margin / 2,
        shades=shades,
        flagged=_outline(place for place in flagged if place in known),
        signature=_outline(place for place in signature if place in known),
        columns=[(x + 0.5, str(x)) for x in _few(min(xs), max(xs))],
        rows=[(y + 0.5, str(y)) for y in _few(min(ys), max(ys))],
        summary=", ".join(f"{shade.count} {shade.label}" for shade in shades[:MOST_BINS]),
    )


def _by_name(dies: Mapping[str, Any], show: Show, places: Sequence[tuple[int, int]]) -> list[Shade]:
    if show == "verdict":
        names = dies["verdict"]
        order = [name for name in ("pass", "fail", "none") if name in names]
        return [_shade(f"die-{name}", _VERDICTS[name], names, {name}, places) for name in order]
    bins = dies[show.replace("-", "_")]
    # Dies that pass look like dies that pass, whatever their bin; the colours are for what went wrong.
    names = [(name, verdict == "pass") for name, verdict in zip(bins, dies["verdict"], strict=True)]
    counts = Counter(names)
    good = [key for key, _ in counts.most_common() if key[1]]
    bad = [key for key, _ in counts.most_common() if not key[1]]
    shades = [_shade("die-pass", f"bin {key[0] or 'none'}, passing", names, {key}, places) for key in good]
    shades += [
        _shade(f"die-bin-{place}", f"bin {key[0] or 'none'}", names, {key}, places)
        for place, key in enumerate(bad[:MOST_BINS])
    ]
    rest = set(bad[MOST_BINS:])
    return [*shades, _shade("die-none", f"{len(rest)} rarer bins", names, rest, places)] if rest else shades


def _shade(
    style: str, label: str, names: Sequence[Hashable], wanted: Collection[Hashable], places: Sequence[tuple[int, int]]
) -> Shade:
    mine = [place for place, name in zip(places, names, strict=True) if name in wanted]
    return Shade(style, label, _squares(mine), len(mine))


def _by_value(values: Sequence[float | None] | None, places: Sequence[tuple[int, int]]) -> list[Shade]:
    """Shade readings between their second and ninety-eighth percentile in equal steps; what lies beyond joins in."""
    known = [value for value in values or () if value is not None]
    unread = [place for place, value in zip(places, values or [None] * len(places), strict=True) if value is None]
    shades = [Shade("die-none", "not read", _squares(unread), len(unread))] if unread else []
    if not known:
        return shades
    low, high = _range_of(known)
    step = (high - low) / STEPS
    groups: list[list[tuple[int, int]]] = [[] for _ in range(STEPS)]
    for place, value in zip(places, values or (), strict=True):
        if value is not None:
            groups[min(max(int((value - low) / step), 0), STEPS - 1) if step > 0 else 0].append(place)
    found = []
    for number, group in enumerate(groups):
        begin, end = low + number * step, low + (number + 1) * step
        label = f"{begin:.4g} to {end:.4g}"
        label = f"below {end:.4g}" if number == 0 else f"{begin:.4g} and above" if number == STEPS - 1 else label
        found.append(Shade(f"die-value-{number}", label if step > 0 else f"{low:.6g}", _squares(group), len(group)))
    return (found if step > 0 else found[:1]) + shades


def _range_of(known: Sequence[float]) -> tuple[float, float]:
    if len(known) < STEPS:
        return min(known), max(known)
    cuts = quantiles(known, n=50, method="inclusive")
    return cuts[0], cuts[-1]


def _squares(places: Sequence[tuple[int, int]]) -> str:
    return "".join(f"M{x + 0.04:g} {y + 0.04:g}h.92v.92h-.92z" for x, y in places)


def _outline(places: Any) -> str:
    return "".join(f"M{x:g} {y:g}h1v1h-1z" for x, y in sorted(places))


def _few(first: int, last: int) -> list[int]:
    step = max(1, math.ceil((last - first) / 8))
    start = math.ceil(first / step) * step
    return list(range(start, last + 1, step))
