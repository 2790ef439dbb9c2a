"""Cron in a time zone: the days on which clocks change, against what the clock on the wall does."""

from datetime import UTC, datetime

import pytest

from services.reports.due_times import BadSchedule, check_schedule, last_due_before, list_due, next_due


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("cron", "zone", "after", "expected"),
    [
        # Berlin goes from 02:00 to 03:00 on 29 March 2026 (01:00 UTC): 02:30 does not exist that day.
        ("30 2 * * *", "Europe/Berlin", "2026-03-28T00:00", ["2026-03-28T01:30", "2026-03-29T01:00"]),
        ("30 2 * * *", "Europe/Berlin", "2026-03-29T01:00", ["2026-03-30T00:30"]),
        ("0,30 2 * * *", "Europe/Berlin", "2026-03-28T12:00", ["2026-03-29T01:00", "2026-03-30T00:00"]),
        ("0 3 * * *", "Europe/Berlin", "2026-03-28T12:00", ["2026-03-29T01:00", "2026-03-30T01:00"]),
        ("30 * * * *", "Europe/Berlin", "2026-03-29T00:00", ["2026-03-29T00:30", "2026-03-29T01:30"]),
        ("*/30 2 * * *", "Europe/Berlin", "2026-03-28T12:00", ["2026-03-30T00:00", "2026-03-30T00:30"]),
        # It goes back from 03:00 to 02:00 on 25 October (01:00 UTC): 02:30 comes twice.
        ("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00", ["2026-10-25T00:30", "2026-10-26T01:30"]),
        ("30 * * * *", "Europe/Berlin", "2026-10-25T00:00", ["2026-10-25T00:30", "2026-10-25T01:30"]),
        # Asked from within the second 02:xx, the first 02:45 is past and does not come again.
        ("45 2 * * *", "Europe/Berlin", "2026-10-25T01:30", ["2026-10-26T01:45"]),
        ("45 * * * *", "Europe/Berlin", "2026-10-25T01:30", ["2026-10-25T01:45", "2026-10-25T02:45"]),
        # New York: 14:00 on the first of the month is another instant after 1 November 2026, 06:00 UTC.
        ("0 14 1 * *", "America/New_York", "2026-09-30T00:00", ["2026-10-01T18:00", "2026-11-01T19:00"]),
        # Lord Howe shifts by half an hour on 4 October 2026, 02:00 to 02:30 (15:30 UTC the day before).
        ("15 2 * * *", "Australia/Lord_Howe", "2026-10-03T00:00", ["2026-10-03T15:30", "2026-10-04T15:15"]),
        # Apia had no 30 December 2011.
        ("0 6 30 12 *", "Pacific/Apia", "2011-01-01T00:00", ["2011-12-30T10:00", "2012-12-29T16:00"]),
        ("0 6 * * *", "UTC", "2026-03-29T05:59", ["2026-03-29T06:00"]),
        ("0 6 L * *", "Asia/Kolkata", "2026-02-01T00:00", ["2026-02-28T00:30"]),
    ],
)  # fmt: skip
def test_due_times(cron, zone, after, expected):
    assert list_due(cron, zone, utc(after), len(expected)) == [utc(each) for each in expected]


def test_a_day_has_as_many_due_times_as_hours():
    """An hourly schedule follows the elapsed hours: 23 and 25 on the days that clocks change."""
    days = (("2026-03-28T12:00", 23), ("2026-10-24T12:00", 25), ("2026-05-31T12:00", 24))
    for noon_before, hours in days:
        begin = next_due("0 0 * * *", "Europe/Berlin", utc(noon_before))
        end = next_due("0 0 * * *", "Europe/Berlin", begin)
        due = list_due("0 * * * *", "Europe/Berlin", begin, 30)
        assert sum(each <= end for each in due) == hours


@pytest.mark.parametrize(
    ("cron", "moment", "expected"),
    [
        ("0 6 1 * *", "2026-11-01T05:00", "2026-10-01T04:00"),
        ("30 2 * * *", "2026-03-29T12:00", "2026-03-29T01:00"),
        ("30 2 * * *", "2026-03-29T01:00", "2026-03-28T01:30"),
        ("30 2 * * *", "2026-10-25T12:00", "2026-10-25T00:30"),
    ],
)
def test_the_due_time_before(cron, moment, expected):
    assert last_due_before(cron, "Europe/Berlin", utc(moment)) == utc(expected)


@pytest.mark.parametrize(
    ("cron", "zone", "reason"),
    [
        ("0 0 30 2 *", "UTC", "Bad day-of-month"),
        ("* * * * * *", "UTC", "cron has five fields"),
        ("0 6 1 *", "UTC", "cron has five fields"),
        ("61 * * * *", "UTC", "Bad minute"),
        ("0 6 1 * *", "Mars/Olympus", "no time zone"),
        ("0 6 1 * *", "../../etc/passwd", "no time zone"),
        ("0 6 1 * *", "", "no time zone"),
    ],
)
def test_what_is_no_schedule_is_refused(cron, zone, reason):
    with pytest.raises(BadSchedule, match=reason):
        check_schedule(cron, zone)
