"""A due time becomes a job, the job a report with files, an event and deliveries; frozen, repeatable, compared."""

import json
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, insert, select, update

from db.identifiers import uuid7
from db.schema.events import event
from db.schema.files import raw_file
from db.schema.reports import report, report_delivery, report_schedule
from services.pipelines.kinds import handler
from services.pipelines.reliability.report_requests import ask_report
from services.reports.occurrences import attend_to_schedules
from tests.pipelines.bench import Bench
from tests.pipelines.test_life_job import store

LIFETIMES = """# simulated: true
status,time_h,lower_h,upper_h,count,lot_id,stress,temperature_c,mode
interval,,48,168,1,L1,HTOL,125,oxide
right,1000,,,230,L1,HTOL,125,
"""
LATER = "status,time_h,count,stress,temperature_c\nright,1000,77,HTOL,125\n"
NOW = datetime.now(UTC)


def add_schedule(engine: Engine, program_id: uuid.UUID, **values: Any) -> uuid.UUID:
    identity = uuid7()
    row: dict[str, Any] = {
        "name": "monthly", "cron": "0 6 1 * *", "time_zone": "Europe/Berlin", "catch_up": "all",
        "content": ask_report({}).model_dump(mode="json"), "recipients": ["ada@fab.example"],
        "next_due_at": NOW - timedelta(hours=1), "created_by": "account:ada",
    }  # fmt: skip
    with engine.begin() as connection:
        connection.execute(insert(report_schedule).values(id=identity, program_id=program_id, **(row | values)))
    return identity


def make_all(bench: Bench) -> list[Any]:
    """Run the job of every report that waits; the reports as they are then."""
    for row in bench.rows(report):
        if row.state == "due":
            context = bench.claim(row.job_id)
            bench.finish(context, handler("report")(context))
    return bench.rows(report)


def read(bench: Bench, row: Any, form: str) -> bytes:
    file = row.files[form]
    return bench.blobs.read_range(file["key"], 0, file["bytes"])


def test_a_due_time_becomes_a_report_with_what_was_in_at_the_freeze(
    bench: Bench, program_id: uuid.UUID, tmp_path: Path
) -> None:
    store(bench, program_id, tmp_path, LIFETIMES)
    store(bench, program_id, tmp_path, LATER)
    first, second = bench.rows(raw_file)
    frozen = NOW - timedelta(hours=1)
    with bench.engine.begin() as connection:
        for identity, arrived in ((first.id, frozen - timedelta(days=1)), (second.id, frozen + timedelta(minutes=1))):
            connection.execute(update(raw_file).where(raw_file.c.id == identity).values(created_at=arrived))
    add_schedule(bench.engine, program_id)
    assert attend_to_schedules(bench.engine, bench.settings, bench.announced.append) == 1
    assert attend_to_schedules(bench.engine, bench.settings, bench.announced.append) == 0
    (row,) = make_all(bench)
    assert (row.state, row.freeze_at, row.simulated) == ("ready", frozen, True)
    assert [due.job_id for due in bench.announced] == [row.job_id]
    document = json.loads(read(bench, row, "document"))
    assert [each["sha256"] for each in document["inputs"] if each["what"] == "lifetime"] == [first.sha256]
    assert document["sections"]["rates"]["device_hours"] == 48 + 230 * 1000
    assert read(bench, row, "pdf").startswith(b"%PDF-")
    assert b"SIMULATED DATA" in read(bench, row, "html")
    (delivery,) = bench.rows(report_delivery)
    assert (delivery.recipient, delivery.state) == ("ada@fab.example", "waiting")
    (told,) = bench.rows(event)
    assert (told.kind, told.subject_id, told.data["files"]["pdf"]["sha256"]) == (
        "report.ready", row.id, row.files["pdf"]["sha256"],
    )  # fmt: skip


def test_the_same_inputs_give_the_same_bytes_and_the_next_report_compares(
    bench: Bench, program_id: uuid.UUID, tmp_path: Path
) -> None:
    store(bench, program_id, tmp_path, LIFETIMES)
    with bench.engine.begin() as connection:
        connection.execute(update(raw_file).values(created_at=NOW - timedelta(days=60)))
    for name in ("one", "two"):
        add_schedule(bench.engine, program_id, name="monthly" if name == "one" else "Monthly ")
    with bench.engine.begin() as connection:
        connection.execute(update(report_schedule).values(name=report_schedule.c.name))
    attend_to_schedules(bench.engine, bench.settings, bench.announced.append)
    with bench.engine.begin() as connection:
        connection.execute(update(report).values(title="monthly"))
    one, two = make_all(bench)
    assert {form: file["sha256"] for form, file in one.files.items()} == {
        form: file["sha256"] for form, file in two.files.items()
    }
    assert one.inputs_sha256 == two.inputs_sha256


def test_the_next_report_is_compared_with_the_last(bench: Bench, program_id: uuid.UUID, tmp_path: Path) -> None:
    store(bench, program_id, tmp_path, LIFETIMES)
    store(bench, program_id, tmp_path, LATER)
    moments = [NOW - timedelta(days=40), NOW - timedelta(days=3)]
    with bench.engine.begin() as connection:
        for row, arrived in zip(bench.rows(raw_file), moments, strict=True):
            connection.execute(update(raw_file).where(raw_file.c.id == row.id).values(created_at=arrived))
    add_schedule(bench.engine, program_id, cron="0 6 * * MON", next_due_at=NOW - timedelta(days=8))
    attend_to_schedules(bench.engine, bench.settings, bench.announced.append)
    first, *_, last = make_all(bench)
    with bench.engine.connect() as connection:
        made = connection.execute(
            select(report.c.previous_id, report.c.period_from).where(report.c.id == last.id)
        ).one()
    assert made.previous_id is not None
    assert made.period_from >= first.freeze_at
    fit = {row["key"]: row for row in last.scorecard}["fit"]
    assert fit["trend"]["before"] == pytest.approx({row["key"]: row for row in first.scorecard}["fit"]["value"])
    assert fit["value"] < fit["trend"]["before"]
    assert fit["trend"]["text"].startswith("down from")
