"""How long a case took, measured from its steps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

WAITING = "waiting"


@dataclass(frozen=True)
class Turnaround:
    """Seconds from opening (or the first step, if that was before) to sign-off, or to now, and where they went.

    ``worked_s`` counts overlapping steps once and leaves out those that are waiting; ``idle_s`` is the rest.
    ``by_kind_s`` is each kind's own union. What is after the sign-off does not count; after a reopening all does,
    and the time in which the case was closed is idle unless a step covers it.
    """

    total_s: float
    worked_s: float
    idle_s: float
    by_kind_s: Mapping[str, float]
    running: bool


def measure(
    opened_at: datetime, closed_at: datetime | None, steps: Sequence[Mapping[str, Any]], now: datetime | None = None
) -> Turnaround:
    """Return the turnaround of a case; a step without an end goes on until ``now`` (default: this moment)."""
    end = closed_at or now or datetime.now(UTC)
    start = min([opened_at, *(step["began_at"] for step in steps)])
    spans: dict[str, list[tuple[datetime, datetime]]] = {}
    for step in steps:
        began, ended = step["began_at"], min(step["ended_at"] or end, end)
        if ended > began:
            spans.setdefault(step["kind"], []).append((began, ended))
    total_s = max(0.0, (end - start).total_seconds())
    worked_s = _union_s([span for kind, found in spans.items() if kind != WAITING for span in found])
    by_kind_s = {kind: _union_s(found) for kind, found in spans.items()}
    return Turnaround(total_s, worked_s, total_s - worked_s, by_kind_s, closed_at is None)


def _union_s(spans: Sequence[tuple[datetime, datetime]]) -> float:
    """Return the seconds that at least one of the spans covers."""
    seconds, covered_to = 0.0, None
    for began, ended in sorted(spans):
        first = began if covered_to is None else max(began, covered_to)
        if ended > first:
            seconds += (ended - first).total_seconds()
        covered_to = ended if covered_to is None else max(covered_to, ended)
    return seconds
