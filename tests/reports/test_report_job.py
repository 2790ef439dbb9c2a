"""A due time becomes a job, the job a report with files, an event and deliveries; frozen, repeatable, compared."""

import json
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, insert, select, update

from db.blobs import BlobStore
from db.identifiers import uuid7
from db.repositories import models
from db.repositories.access import Caller
from db.repositories.report_inputs import Period
from db.schema.events import event
from db.schema.files import raw_file
from db.schema.models import model_version
from db.schema.reports import report, report_delivery, report_schedule
from services.pipelines.kinds import handler
from services.pipelines.reliability.report_job import describe_excursions
from services.pipelines.reliability.report_requests import ask_report
from services.pipelines.reliability.report_risk import describe_latent_risk
from services.reports import rendering
from services.reports.occurrences import attend_to_schedules
from tests.api.population import populate
from tests.pipelines.bench import Bench
from tests.pipelines.test_life_job import store
from tests.reports.conftest import NOW

LIFETIMES = """# simulated: true
status,time_h,lower_h,upper_h,count,lot_id,stress,temperature_c,mode
interval,,48,168,1,L1,HTOL,125,oxide
right,1000,,,230,L1,HTOL,125,
"""
LATER = "status,time_h,count,stress,temperature_c\nright,1000,77,HTOL,125\n"


FAR_DAY = (NOW + timedelta(days=14)).day
"""Of a month: the next due time is far from now, whatever the day."""


def add_schedule(engine: Engine, program_id: uuid.UUID, **values: Any) -> uuid.UUID:
    identity = uuid7()
    row: dict[str, Any] = {
        "name": "monthly", "cron": f"0 6 {FAR_DAY} * *", "time_zone": "Europe/Berlin", "catch_up": "all",
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


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports are not drawn: the tests of pages try that."""
    monkeypatch.setattr(rendering, "render_report", lambda _document: {"html": b"<p>", "pdf": b"%PDF-"})


@pytest.mark.usefixtures("stand_in")
def test_the_same_inputs_give_the_same_document(bench: Bench, program_id: uuid.UUID, tmp_path: Path) -> None:
    """Two schedules, two rows, two jobs: nothing of them is in the bytes."""
    store(bench, program_id, tmp_path, LIFETIMES)
    with bench.engine.begin() as connection:
        connection.execute(update(raw_file).values(created_at=NOW - timedelta(days=60)))
    for name in ("one", "two"):
        add_schedule(bench.engine, program_id, name=name)
    attend_to_schedules(bench.engine, bench.settings, bench.announced.append)
    with bench.engine.begin() as connection:
        connection.execute(update(report).values(title="monthly"))
    one, two = make_all(bench)
    assert one.files["document"]["sha256"] == two.files["document"]["sha256"]
    assert one.inputs_sha256 == two.inputs_sha256


@pytest.mark.usefixtures("stand_in")
def test_the_next_report_is_compared_with_the_last(bench: Bench, program_id: uuid.UUID, tmp_path: Path) -> None:
    store(bench, program_id, tmp_path, LIFETIMES)
    store(bench, program_id, tmp_path, LATER)
    moments = [NOW - timedelta(days=40), NOW - timedelta(days=3)]
    with bench.engine.begin() as connection:
        for row, arrived in zip(bench.rows(raw_file), moments, strict=True):
            connection.execute(update(raw_file).where(raw_file.c.id == row.id).values(created_at=arrived))
    hour_ago = NOW - timedelta(hours=1)
    weekly = f"{hour_ago.minute} {hour_ago.hour} * * {hour_ago.isoweekday()}"
    add_schedule(bench.engine, program_id, cron=weekly, time_zone="UTC", next_due_at=NOW - timedelta(days=9))
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


def test_a_report_tells_of_the_model_and_the_excursions_of_its_period(
    engine: Engine, blobs: BlobStore, program_id: uuid.UUID
) -> None:
    """What counted at the freeze is read off decisions, not off the state of today."""
    populate(engine, blobs, program_id)
    period = Period(program_id, NOW - timedelta(days=31), datetime.now(UTC) + timedelta(minutes=1))
    with engine.connect() as connection:
        risk = describe_latent_risk(connection, period)
        known = describe_excursions(connection, period)
        before = Period(program_id, NOW - timedelta(days=31), NOW - timedelta(days=1))
        assert describe_latent_risk(connection, before) is None
        assert describe_excursions(connection, before)["open_cases"] == 0
    assert risk is not None
    (model,) = risk["models"]
    assert (model["name"], model["number"], model["auc"], model["error"]) == ("risk", 2, 0.9, 0.01)
    assert model["drift"].startswith("stable on 20")
    assert (known["open_cases"], known["opened_cases"], len(known["events"])) == (1, 1, 1)


def test_a_model_that_did_not_count_takes_none_from_the_report_when_it_is_retired(
    engine: Engine, blobs: BlobStore, program_id: uuid.UUID
) -> None:
    populate(engine, blobs, program_id)
    caller = Caller(uuid.uuid4(), "account:boss", frozenset({"read", "write"}), {program_id: "admin"}, uuid.uuid4())
    with engine.begin() as connection:
        kept = connection.execute(select(model_version).where(model_version.c.state == "promoted")).mappings().one()
        candidate = {**kept, "id": uuid7(), "number": 99, "state": "candidate", "promoted_at": None}
        connection.execute(insert(model_version).values(**candidate))
        models.retire(connection, caller, candidate["id"], "it was never to count")
    later = Period(program_id, NOW - timedelta(days=31), datetime.now(UTC) + timedelta(minutes=1))
    with engine.connect() as connection:
        risk = describe_latent_risk(connection, later)
    assert risk is not None
    assert [each["number"] for each in risk["models"]] == [2]
    with engine.begin() as connection:
        models.retire(connection, caller, kept["id"], "nor is this one any more")
    with engine.connect() as connection:
        assert describe_latent_risk(connection, later) is None
