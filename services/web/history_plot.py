"""What each probe changed, as geometry for an SVG: a column for each step, parted by who holds the probability."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MOST_NAMED = 5
MOST_STEPS = 24
"""The last steps are drawn; all are in the table."""
LEAST_DRAWN = 0.002


@dataclass(frozen=True)
class Segment:
    """A part of a column, from ``top`` to ``top + height`` (0..1 downwards), with its style and what it says."""

    top: float
    height: float
    style: str
    title: str


@dataclass(frozen=True)
class HistoryColumn:
    """A step with its segments."""

    label: str
    segments: list[Segment]


@dataclass(frozen=True)
class HistoryStep:
    """A row of the table: the step, its likeliest sites, what it left and how much it took, in bits."""

    number: int
    net: str | None
    sites: list[Mapping[str, Any]]
    no_fault: float
    unmodelled: float
    bits: float
    gained: float | None


@dataclass(frozen=True)
class History:
    """The drawing: ``legend`` has (style, name) of what is drawn; ``steps`` is the table."""

    columns: list[HistoryColumn]
    legend: list[tuple[str, str]]
    steps: list[HistoryStep]


def draw_history(history: Sequence[Mapping[str, Any]] | None) -> History | None:
    """Return the drawing of a localization's ``history``; ``None`` where there is none, or a single step."""
    if not history or len(history) < 2:
        return None
    named = _named(history)
    columns = [_column(step, named) for step in history[-MOST_STEPS:]]
    used = {segment.style for column in columns for segment in column.segments}
    styles = [*((f"site-{place}", net) for place, net in enumerate(named, 1))]
    styles += [("site-rest", "other sites"), ("site-outside", "outside the model"), ("site-none", "no fault")]
    before: list[float | None] = [None, *(step["bits"] for step in history[:-1])]
    steps = [
        HistoryStep(
            step["waveforms"],
            step["net"],
            step["sites"][:3],
            step["no_fault"],
            step["unmodelled"],
            step["bits"],
            None if earlier is None else earlier - step["bits"],
        )
        for step, earlier in zip(history, before, strict=True)
    ]
    return History(columns, [each for each in styles if each[0] in used], steps)


def _named(history: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the nets that held most at any step, those of the last step first."""
    most: dict[str, float] = {}
    for step in history:
        for site in step["sites"]:
            most[site["net"]] = max(most.get(site["net"], 0.0), site["posterior"])
    last = {site["net"]: site["posterior"] for site in history[-1]["sites"]}
    order = sorted(most, key=lambda net: (-last.get(net, 0.0) - 0.01 * most[net], net))
    return [net for net in order if most[net] >= LEAST_DRAWN][:MOST_NAMED]


def _column(step: Mapping[str, Any], named: Sequence[str]) -> HistoryColumn:
    held = {site["net"]: site["posterior"] for site in step["sites"]}
    parts = [(f"site-{place}", net, held.get(net, 0.0)) for place, net in enumerate(named, 1)]
    known = sum(share for _, _, share in parts) + step["no_fault"] + step["unmodelled"]
    parts += [
        ("site-rest", "other sites", max(0.0, 1.0 - known)),
        ("site-outside", "outside the model", step["unmodelled"]),
        ("site-none", "no fault", step["no_fault"]),
    ]
    segments, top = [], 0.0
    for style, name, share in parts:
        if share >= LEAST_DRAWN:
            segments.append(Segment(round(top, 4), round(share, 4), style, f"{name}: {share:.3g}"))
        top += share
    return HistoryColumn(step["net"] or "fail log", segments)
