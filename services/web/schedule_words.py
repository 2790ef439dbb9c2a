"""Schedules of reports in words: what their cron says, when they are due on their own clock, what of missed ones."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from services.reports.due_times import BadSchedule, describe_due, find_zone
from services.web.formatting import parse_moment

MISSED = {
    "latest": "the latest is made late, those before it are skipped",
    "all": "every one is made late",
    "skip": "none is made",
}
"""What becomes of due times that nobody saw in time, by policy."""
LATE = timedelta(minutes=2)
"""How long after its due time a report may have no row yet: schedulers look every few seconds."""


@dataclass(frozen=True)
class ScheduleWords:
    """A schedule as a page tells it.

    Attributes:
        cron: what the expression says.
        next_local: the next due time by the clock of the schedule's zone, ``None`` while it is paused.
        late: the next due time has passed and no scheduler has seen it.
        trouble: why this machine cannot tell, ``None`` when it can.
    """

    cron: str
    next_local: str | None
    late: bool
    trouble: str | None


def tell_schedule(row: Mapping[str, Any], now: datetime) -> ScheduleWords:
    """Return the words of a stored schedule; ``now`` is the database's time."""
    due = parse_moment(row["next_due_at"])
    assert due is not None
    try:
        words = describe_due(row["cron"], row["time_zone"], now, 1)["explanation"]
        local = f"{due.astimezone(find_zone(row['time_zone'])):%Y-%m-%d %H:%M %Z}"
    except BadSchedule as error:
        return ScheduleWords(row["cron"], None, late=False, trouble=str(error))
    enabled = bool(row["enabled"])
    return ScheduleWords(words, local if enabled else None, late=enabled and due < now - LATE, trouble=None)


def list_due_times(cron: str, time_zone: str, now: datetime, count: int) -> dict[str, Any]:
    """Return what the API's preview of due times does, or ``{"trouble": why}`` where there are none."""
    try:
        return describe_due(cron, time_zone, now, count)
    except BadSchedule as error:
        return {"trouble": str(error)}
