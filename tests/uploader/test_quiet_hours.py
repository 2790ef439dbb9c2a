"""Quiet hours: nothing is sent in them, across midnight, summer time and clocks that jump."""

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest

from services.uploader.journal import Journal, State
from services.uploader.quiet_hours import QuietCheck, QuietHours
from services.uploader.stopping import Stop, StopObserver
from services.uploader.watcher import Clockwork, Watcher, WatchOptions
from tests.uploader.conftest import PROGRAM, Bench

BERLIN = ZoneInfo("Europe/Berlin")


def quiet(*texts: str) -> QuietHours:
    return QuietHours.parse(texts)


def at(hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 5, 4, hour, minute)


def test_a_window_may_reach_across_midnight() -> None:
    night = quiet("22:00-06:00")
    assert [night.is_quiet(at(*time)) for time in [(21, 59), (22, 0), (23, 59), (0, 0), (5, 59), (6, 0)]] == [
        False, True, True, True, True, False,
    ]  # fmt: skip
    assert night.ends(at(23, 30)) == "06:00"
    assert quiet("00:00-06:30").ends(at(1)) == "06:30"
    assert quiet("18:00-24:00").is_quiet(at(23, 59))


def test_windows_add_up() -> None:
    both = quiet("22:00-02:00,12:00-13:00", "02:00-05:00")
    assert both.ends(at(22)) == "05:00"
    assert both.is_quiet(at(12, 30))
    assert not both.is_quiet(at(13))
    assert not quiet().is_quiet(at(3))


@pytest.mark.parametrize(
    "text", ["22-06", "22:00", "25:00-06:00", "22:60-06:00", "24:00-06:00", "06:00-06:00", "night"]
)
def test_what_is_no_window_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no window of the day"):
        quiet(text)


def test_hours_that_leave_no_time_to_send_are_refused() -> None:
    with pytest.raises(ValueError, match="leave no minute"):
        quiet("00:00-12:00", "12:00-24:00")


def quiet_minutes(hours: QuietHours, first: datetime, count: int) -> int:
    """How many of ``count`` minutes from ``first`` on are quiet in Berlin."""
    moments = ((first + timedelta(minutes=n)).astimezone(BERLIN) for n in range(count))
    return sum(hours.is_quiet(moment) for moment in moments)


def test_summer_time_moves_with_the_local_clock() -> None:
    night, skipped = quiet("22:00-06:00"), quiet("02:00-03:00")
    before_spring, before_autumn = datetime(2026, 3, 28, 12, tzinfo=UTC), datetime(2026, 10, 24, 12, tzinfo=UTC)
    assert quiet_minutes(night, before_spring, 1440) == 7 * 60
    assert quiet_minutes(night, before_autumn, 1440) == 9 * 60
    assert quiet_minutes(skipped, before_spring, 1440) == 0
    assert quiet_minutes(skipped, before_autumn, 1440) == 120


class Wall:
    """The PC's local time, which people and servers may set."""

    def __init__(self, local: datetime) -> None:
        self.now = local

    def __call__(self) -> datetime:
        return self.now


def make_watcher(bench: Bench, journal: Journal, wall: Wall, *texts: str) -> Watcher:
    hours = quiet(*texts)
    observer = StopObserver(Stop(), QuietCheck(hours, wall))
    options = WatchOptions(bench.folder, PROGRAM, settle_s=10.0, quiet=hours)
    clockwork = Clockwork(bench.time.sleep, bench.time.clock, local=wall)
    return Watcher(options, journal, lambda: bench.client(2, journal, observer), bench.tell, clockwork)


def test_nothing_is_sent_in_quiet_hours_and_everything_after(bench: Bench, journal: Journal) -> None:
    wall = Wall(at(23))
    watcher = make_watcher(bench, journal, wall, "22:00-06:00")
    for name in "abc":
        bench.write(name, name.encode())
    bench.settle(watcher, steps=50)
    assert bench.wire.seen == []
    assert {item.state for item in journal.known().values()} == {State.HASHED}, "hashing needs no line"
    assert [facts["until"] for facts in bench.told("quiet")] == ["06:00"]
    wall.now = at(6)
    watcher.step()
    assert len(bench.stored()) == 3
    assert len(bench.told("awake")) == 1


def test_a_clock_that_jumps_counts_at_once(bench: Bench, journal: Journal) -> None:
    wall = Wall(at(12))
    watcher = make_watcher(bench, journal, wall, "22:00-06:00")
    bench.write("a", b"a")
    bench.settle(watcher)
    assert len(bench.stored()) == 1
    for hour in (22, 5, 23):
        wall.now = at(hour)
        bench.write(f"b{hour}", str(hour).encode())
        bench.settle(watcher)
        assert len(bench.stored()) == 1, "forward into the night, and back into it"
    wall.now = datetime(1980, 1, 1, 12)
    bench.settle(watcher)
    assert len(bench.stored()) == 4


def test_an_upload_stops_between_two_chunks_and_goes_on_after(bench: Bench, journal: Journal) -> None:
    wall = Wall(at(21, 59))
    watcher = make_watcher(bench, journal, wall, "22:00-06:00")
    data = os.urandom(10 << 20)
    bench.write("a.bin", data)

    def act(request: httpx.Request, deliver: Callable[[], Any]) -> Any:
        if request.method == "PATCH":
            wall.now = at(22)
        return deliver()

    bench.wire.act = act
    bench.settle(watcher, steps=10)
    assert bench.wire.seen.count("PATCH") == 1
    assert bench.stored() == {}
    bench.wire.act = None
    wall.now = at(6)
    bench.settle(watcher, steps=1)
    assert len(bench.stored()) == 1
    assert bench.wire.body_bytes == len(data), "no byte went twice"
    assert bench.wire.seen.count("POST") == 1
