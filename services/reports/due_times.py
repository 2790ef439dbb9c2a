"""When a schedule is due: cron in a time zone, with what happens where clocks are put forward or back.

A *fixed* schedule names its minutes and hours (neither field begins with ``*``). The rules are those of Debian's cron,
which cronsim implements:

* clocks go forward: a fixed due time in the hour that does not exist is due at the first moment after it, once, however
  many due times fell into the gap; other schedules just have no due time there;
* clocks go back: a fixed due time in the hour that comes twice is due the first time only; other schedules are due in
  both hours.

Due times are instants in UTC. Years without a due time are not searched for longer than fifty.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError


class BadSchedule(ValueError):  # noqa: N818
    """The cron expression or the time zone is none; the message says which and why."""


def check_schedule(cron: str, time_zone: str) -> None:
    """Refuse what is no schedule.

    Raises:
        BadSchedule: it is none, or is never due.
    """
    find_zone(time_zone)
    moment = datetime(2000, 1, 1, tzinfo=UTC)
    if next(due_after(cron, time_zone, moment), None) is None:
        raise BadSchedule(f"the cron expression {cron!r} is never due")


def find_zone(name: str) -> ZoneInfo:
    """Return the zone called ``name``, an IANA name such as ``Europe/Berlin``.

    Raises:
        BadSchedule: there is none.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise BadSchedule(f"there is no time zone {name!r}; it is an IANA name such as Europe/Berlin") from error


def due_after(cron: str, time_zone: str, moment: datetime) -> Iterator[datetime]:
    """Yield the due times later than ``moment`` in their order, in UTC.

    Raises:
        BadSchedule: ``cron`` is not five fields of cron, or there is no such time zone.
    """
    yield from _later(_walk(cron, time_zone, moment, reverse=False), moment)


def next_due(cron: str, time_zone: str, moment: datetime) -> datetime:
    """Return the first due time later than ``moment``; raises :class:`BadSchedule` as :func:`due_after`."""
    return next(due_after(cron, time_zone, moment))


def list_due(cron: str, time_zone: str, moment: datetime, count: int) -> list[datetime]:
    """Return the next ``count`` due times later than ``moment``; raises :class:`BadSchedule` as :func:`due_after`."""
    return list(islice(due_after(cron, time_zone, moment), count))


def describe_due(cron: str, time_zone: str, moment: datetime, count: int) -> dict[str, Any]:
    """Return in words what ``cron`` says, and the next ``count`` due times in UTC and on the clock on the wall.

    Raises:
        BadSchedule: it is no schedule.
    """
    check_schedule(cron, time_zone)
    zone = find_zone(time_zone)
    due = [
        {"due_at": each.isoformat(), "local": each.astimezone(zone).strftime("%Y-%m-%d %H:%M %Z")}
        for each in list_due(cron, time_zone, moment, count)
    ]
    return {"cron": cron, "time_zone": time_zone, "explanation": CronSim(cron, moment).explain(), "due": due}


def last_due_before(cron: str, time_zone: str, moment: datetime) -> datetime | None:
    """Return the last due time before ``moment``; ``None`` when there is none in fifty years.

    Raises:
        BadSchedule: as :func:`due_after`.
    """
    found: datetime | None = None
    for each in _walk(cron, time_zone, moment, reverse=True):
        at = each.astimezone(UTC)
        if at >= moment:
            continue
        # Backwards, what lies in a gap is not moved behind it: going forward from there decides.
        for due in due_after(cron, time_zone, at.replace(microsecond=0)):
            if due >= moment:
                break
            found = due
        return found or at
    return found


def _walk(cron: str, time_zone: str, moment: datetime, *, reverse: bool) -> CronSim:
    if len(cron.split()) != 5:
        raise BadSchedule(f"cron has five fields (minute, hour, day of month, month, day of week), not {cron!r}")
    try:
        return CronSim(cron, moment.astimezone(find_zone(time_zone)), reverse=reverse)
    except CronSimError as error:
        raise BadSchedule(f"{error} in the cron expression {cron!r}") from error


def _later(found: Iterator[datetime], moment: datetime) -> Iterator[datetime]:
    """Yield in UTC what of ``found`` lies later than ``moment``, each instant once.

    From within the hour that comes twice, cronsim counts on from its first coming.
    """
    last = moment
    for each in found:
        at = each.astimezone(UTC)
        if at > last:
            last = at
            yield at
