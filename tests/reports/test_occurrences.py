"""Due times become reports: caught up by policy, once however many schedulers look, all or nothing."""

import threading
import uuid
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, select, text, update

from db.schema.reports import report, report_schedule
from db.schema.work import job
from services.reports import occurrences
from services.reports.occurrences import attend_to_schedules
from services.settings import Settings
from tests.pipelines.bench import Bench
from tests.reports.conftest import NOW
from tests.reports.test_report_job import add_schedule

HOURLY = {"cron": "0 * * * *", "time_zone": "UTC"}
TOP = NOW.replace(minute=0, second=0, microsecond=0)


def attend(engine: Engine, **settings: Any) -> int:
    return attend_to_schedules(engine, Settings(**settings), lambda _due: None)


@pytest.mark.parametrize(
    ("policy", "made", "skipped"),
    [("all", [4, 3, 2, 1, 0], []), ("latest", [0], [4, 3, 2, 1]), ("skip", [], [4, 3, 2, 1, 0])],
)
def test_missed_due_times_are_caught_up_by_policy(
    engine: Engine, program_id: uuid.UUID, policy: str, made: list[int], skipped: list[int]
) -> None:
    add_schedule(engine, program_id, **HOURLY, catch_up=policy, next_due_at=TOP - timedelta(hours=4))
    # With no grace every due time of an hourly schedule is missed; the one of this hour, too.
    assert attend(engine, report_grace_s=0) == 5
    with engine.connect() as connection:
        rows = connection.execute(select(report).order_by(report.c.due_at)).all()
        following = connection.execute(select(report_schedule.c.next_due_at)).scalar_one()
        jobs = connection.execute(select(job.c.payload)).scalars().all()
    hours_ago = {row.id: round((TOP - row.due_at).total_seconds() / 3600) for row in rows}
    assert [hours_ago[row.id] for row in rows if row.state == "due"] == made
    assert [hours_ago[row.id] for row in rows if row.state == "skipped"] == skipped
    assert all("missed by" in row.reason for row in rows if row.state == "skipped")
    assert sorted(each["report_id"] for each in jobs) == sorted(str(row.id) for row in rows if row.state == "due")
    assert following == TOP + timedelta(hours=1)
    assert attend(engine) == 0


def test_skip_makes_what_is_seen_in_time(engine: Engine, program_id: uuid.UUID) -> None:
    add_schedule(engine, program_id, **HOURLY, catch_up="skip", next_due_at=TOP - timedelta(hours=1))
    attend(engine, report_grace_s=3600.0)
    with engine.connect() as connection:
        rows = connection.execute(select(report.c.state).order_by(report.c.due_at)).scalars().all()
    assert rows == ["skipped", "due"]


def test_a_report_tells_from_the_freeze_of_the_one_before(engine: Engine, program_id: uuid.UUID) -> None:
    """What happened while reports were skipped is in the one that is made: no hour is told of twice or not at all."""
    add_schedule(engine, program_id, **HOURLY, catch_up="all", next_due_at=TOP - timedelta(hours=1))
    attend(engine)
    behind = {"next_due_at": TOP - timedelta(minutes=30), "cron": "30,45 * * * *", "catch_up": "latest"}
    with engine.begin() as connection:
        connection.execute(
            update(report)
            .where(report.c.due_at == TOP)
            .values(due_at=TOP - timedelta(minutes=50), freeze_at=TOP - timedelta(minutes=50))
        )
        connection.execute(update(report_schedule).values(**behind))
    attend(engine)
    with engine.connect() as connection:
        made = connection.execute(select(report).where(report.c.state == "due").order_by(report.c.due_at)).all()
    assert [row.period_from for row in made[1:]] == [row.freeze_at for row in made[:-1]]
    assert made[0].period_from == TOP - timedelta(hours=2)


def test_many_schedulers_make_each_due_time_once(engine: Engine, program_id: uuid.UUID) -> None:
    for number in range(5):
        first = TOP - timedelta(hours=9)
        add_schedule(engine, program_id, name=f"s{number}", **HOURLY, catch_up="all", next_due_at=first)
    threads = [threading.Thread(target=attend, args=(engine,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    attend(engine)
    with engine.connect() as connection:
        counted = connection.execute(
            text("SELECT count(*), count(DISTINCT (schedule_id, due_at)) FROM faultlight.report")
        )
        assert tuple(counted.one()) == (50, 50)
        assert connection.execute(text("SELECT count(*) FROM faultlight.job")).scalar_one() == 50


def test_a_scheduler_that_dies_leaves_nothing_half_done(
    engine: Engine, program_id: uuid.UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_schedule(engine, program_id, **HOURLY, catch_up="all", next_due_at=TOP - timedelta(hours=3))

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(occurrences.report_schedules, "move_on", die)
        with pytest.raises(KeyboardInterrupt):
            attend(engine)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM faultlight.report")).scalar_one() == 0
        assert connection.execute(text("SELECT count(*) FROM faultlight.job")).scalar_one() == 0
    assert attend(engine) == 4


def test_paused_schedules_make_nothing_and_unknown_zones_stop_nobody(engine: Engine, program_id: uuid.UUID) -> None:
    add_schedule(engine, program_id, name="paused", enabled=False)
    add_schedule(engine, program_id, name="elsewhere", time_zone="Mars/Olympus", next_due_at=NOW - timedelta(days=9))
    add_schedule(engine, program_id, name="monthly")
    assert attend(engine) == 1


def test_a_long_outage_is_caught_up_in_pieces(engine: Engine, program_id: uuid.UUID, bench: Bench) -> None:
    add_schedule(engine, program_id, **HOURLY, catch_up="latest", next_due_at=TOP - timedelta(hours=249))
    assert attend(engine) == 250
    with engine.connect() as connection:
        rows = connection.execute(select(report.c.state, report.c.due_at).order_by(report.c.due_at)).all()
    assert [row.state for row in rows] == ["skipped"] * 249 + ["due"]
    assert rows[-1].due_at == TOP
