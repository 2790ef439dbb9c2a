"""The overview of operations: queues, workers with their cards, cases by stage, turnaround."""

import uuid
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, insert, select, update

from db.identifiers import uuid7
from db.repositories import case_load
from db.repositories.workers import FORGET_AFTER, GraphicsCard, WorkerSign, keep_sign, take_away
from db.schema import cases, people, work, workers
from tests.api.conftest import Api
from tests.api.population import add_account, add_program, add_row

NOW = datetime.now(UTC)
CARD = GraphicsCard(0, "NVIDIA H200", 150 << 30, 3 << 30, 0.25)
SIGN = WorkerSign("gpu-worker@rack4:17", ("cpu", "gpu"), (CARD,), "1.2", NOW)


def look(api: Api, key: str | None = None) -> dict[str, Any]:
    """Return the overview, by default as a member of every program sees it."""
    if key is None:
        with api.engine.connect() as connection:
            programs = connection.execute(select(people.program.c.id)).scalars().all()
        key = add_account(api.engine, uuid.uuid4().hex, ["read"], dict.fromkeys(programs, "viewer"))
    answer = api.call("get", "/api/v1/operations", key)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def give_sign(engine: Engine, sign: WorkerSign = SIGN, ago: timedelta = timedelta(0)) -> None:
    with engine.begin() as connection:
        keep_sign(connection, sign)
        given = update(workers.worker).where(workers.worker.c.name == sign.name)
        connection.execute(given.values(seen_at=datetime.now(UTC) - ago))


def add_job(engine: Engine, program: uuid.UUID, **values: object) -> uuid.UUID:
    """Add a job of the queue ``cpu`` that was asked for an hour ago."""
    row: dict[str, object] = {
        "job_key": uuid.uuid4().hex, "program_id": program, "kind": "localize", "queue": "cpu", "payload": {},
        "requested_by": "test", "created_at": NOW - timedelta(hours=1),
    }  # fmt: skip
    return add_row(engine, work.job, **(row | values))


def run_on(worker: str) -> dict[str, object]:
    lease = {"lease_token": uuid.uuid4(), "lease_expires_at": NOW + timedelta(hours=1)}
    return {"state": "running", "worker": worker, "started_at": NOW, **lease}


def test_a_worker_is_idle_runs_or_is_silent_and_goes(api: Api) -> None:
    program = add_program(api.engine, "p")
    give_sign(api.engine)
    (worker,) = look(api)["workers"]
    assert (worker["state"], worker["queues"], worker["job"]) == ("idle", ["cpu", "gpu"], None)
    assert worker["cards"] == [
        {"index": 0, "name": "NVIDIA H200", "memory_bytes": 150 << 30, "used_bytes": 3 << 30, "busy_part": 0.25}
    ]
    job = add_job(api.engine, program, **run_on(SIGN.name))
    give_sign(api.engine)
    (worker,) = look(api)["workers"]
    assert (worker["state"], worker["job"]["id"], worker["job"]["kind"]) == ("running", str(job), "localize")
    give_sign(api.engine, ago=timedelta(minutes=1))
    assert look(api)["workers"][0]["state"] == "silent"
    with api.engine.begin() as connection:
        take_away(connection, SIGN.name)
    assert look(api)["workers"] == []


def test_a_worker_that_is_long_silent_is_forgotten_at_the_next_sign_of_any(api: Api) -> None:
    give_sign(api.engine, replace(SIGN, name="killed@rack1:2"), FORGET_AFTER + timedelta(minutes=1))
    assert [each["name"] for each in look(api)["workers"]] == ["killed@rack1:2"]
    give_sign(api.engine)
    assert [each["name"] for each in look(api)["workers"]] == [SIGN.name]


def test_what_a_worker_does_for_a_foreign_program_is_not_told(api: Api) -> None:
    mine, foreign = add_program(api.engine, "mine"), add_program(api.engine, "foreign")
    key = add_account(api.engine, "ada", ["read"], {mine: "operator"})
    give_sign(api.engine)
    add_job(api.engine, foreign, **run_on(SIGN.name))
    add_job(api.engine, foreign)
    found = look(api, key)
    assert (found["workers"][0]["state"], found["workers"][0]["job"]) == ("running", None)
    assert all(each["waiting"] == each["running"] == 0 for each in found["queues"])


def test_queues_tell_what_waits_and_how_long_jobs_took(api: Api) -> None:
    program = add_program(api.engine, "p")
    asked = NOW - timedelta(hours=1)
    for seconds in (1, 2, 3, 4, 100):
        began = asked + timedelta(seconds=10 * seconds)
        add_job(
            api.engine, program, state="succeeded", started_at=began, finished_at=began + timedelta(seconds=seconds)
        )
    add_job(api.engine, program, state="dead", started_at=asked, finished_at=asked, created_at=NOW - timedelta(days=2))
    add_job(api.engine, program, state="failed", started_at=asked, finished_at=asked)
    add_job(api.engine, program, queue="gpu")
    cpu, gpu = (next(row for row in look(api)["queues"] if row["queue"] == name) for name in ("cpu", "gpu"))
    assert (cpu["waiting"], cpu["succeeded"], cpu["failed"]) == (0, 5, 1)
    assert (cpu["wait_median_s"], cpu["run_median_s"]) == (25.0, 2.5)
    assert cpu["run_slow_s"] == 4 + 0.75 * 96
    assert gpu["waiting"] == 1
    assert gpu["oldest_waiting_s"] == pytest.approx((datetime.now(UTC) - asked).total_seconds(), abs=60)
    assert gpu["run_median_s"] is None


def add_case(engine: Engine, program: uuid.UUID, title: str, began: datetime, **values: object) -> uuid.UUID:
    return add_row(engine, cases.fa_case, program_id=program, title=title, created_at=began, **values)


def add_step(engine: Engine, case: uuid.UUID, program: uuid.UUID, kind: str, began: datetime, hours: float) -> None:
    """Add a step of so many hours; one of zero goes on."""
    ended = began + timedelta(hours=hours) if hours else None
    with engine.begin() as connection:
        connection.execute(
            insert(cases.case_step).values(
                id=uuid7(), program_id=program, case_id=case, kind=kind, person="ada", recorded_by="account:ada",
                began_at=began, ended_at=ended,
            )
        )  # fmt: skip


def test_open_cases_stand_at_a_stage_and_closed_ones_make_the_turnaround(api: Api) -> None:
    program = add_program(api.engine, "p")
    began = NOW - timedelta(hours=40)
    waiting, idle = (add_case(api.engine, program, title, began) for title in ("waiting", "idle"))
    add_step(api.engine, waiting, program, "intake", began, 2)
    add_step(api.engine, waiting, program, "waiting", began + timedelta(hours=2), 0)
    add_step(api.engine, idle, program, "review", began, 1)
    concluded = {"mechanism": "short", "root_cause": "process", "conclusion": "bridge", "state": "closed"}
    for hours in (10, 20, 30):
        closed = add_case(api.engine, program, "done", began, closed_at=began + timedelta(hours=hours), **concluded)
        add_step(api.engine, closed, program, "review", began, hours / 2)
    add_case(
        api.engine, program, "long ago", NOW - timedelta(days=200), closed_at=NOW - timedelta(days=100), **concluded
    )
    found = look(api)["cases"]
    assert found["open_cases"] == 2
    assert found["stages"] == {"waiting": 1, "no step under way": 1}
    first, second = found["open_rows"]
    assert (first["title"], first["stage"], first["person"]) == ("waiting", "waiting", "ada")
    assert abs(first["worked_s"] - 7200) < 1
    assert (second["stage"], second["person"]) == ("no step under way", None)
    assert datetime.fromisoformat(second["since"]) == began + timedelta(hours=1)
    closed = found["closed"]
    assert (closed["cases"], closed["of_cases"]) == (3, 3)
    assert (closed["total_median_s"], closed["total_slow_s"]) == (72000.0, 108000.0)
    assert (closed["worked_median_s"], closed["worked_part"]) == (36000.0, 0.5)
    assert closed["steps"] == [{"kind": "review", "cases": 3, "median_s": 36000.0}]


def add_closed(engine: Engine, program: uuid.UUID, hours: Sequence[int]) -> None:
    """Add cases that were signed off after so many hours, each with two steps of a quarter of them."""
    began = NOW - timedelta(hours=40)
    concluded = {"mechanism": "short", "root_cause": "process", "conclusion": "bridge", "state": "closed"}
    for taken in hours:
        case = add_case(engine, program, f"{taken} h", began, closed_at=began + timedelta(hours=taken), **concluded)
        for begins in (0, taken / 2):
            add_step(engine, case, program, "review", began + timedelta(hours=begins), taken / 4)


@pytest.mark.parametrize(
    ("limit", "most", "read"),
    [("MOST_CLOSED", 2, 2), ("MOST_STEPS", 5, 2), ("MOST_STEPS", 4, 2), ("MOST_STEPS", 3, 1), ("MOST_STEPS", 1, 1)],
)
def test_of_more_cases_than_are_read_the_newest_count_with_all_of_their_steps(
    api: Api, monkeypatch: pytest.MonkeyPatch, limit: str, most: int, read: int
) -> None:
    add_closed(api.engine, add_program(api.engine, "p"), (8, 24, 16))
    monkeypatch.setattr(case_load, limit, most)
    closed = look(api)["cases"]["closed"]
    assert (closed["cases"], closed["of_cases"]) == (read, 3)
    assert datetime.fromisoformat(closed["since"]) == NOW - timedelta(hours={1: 16, 2: 24}[read])
    assert closed["total_slow_s"] == 24 * 3600
    assert closed["worked_part"] == 0.5
    assert closed["steps"] == [{"kind": "review", "cases": read, "median_s": {1: 12, 2: 10}[read] * 3600}]


def test_the_oldest_open_cases_are_told_with_all_of_their_steps(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    program = add_program(api.engine, "p")
    for title in ("old", "new"):
        case = add_case(api.engine, program, title, NOW)
        for hours in (1, 0):
            add_step(api.engine, case, program, "review", NOW - timedelta(hours=2), hours)
    monkeypatch.setattr(case_load, "MOST_STEPS", 3)
    found = look(api)["cases"]
    assert found["open_cases"] == 2
    assert [(row["title"], row["stage"]) for row in found["open_rows"]] == [("old", "review")]
    assert found["stages"] == {"review": 1}


def test_cases_are_told_to_nobody_who_may_not_read_records(api: Api) -> None:
    program = add_program(api.engine, "p")
    add_case(api.engine, program, "secret", NOW)
    key = add_account(api.engine, "olaf", ["read"], {program: "operator"})
    assert look(api, key)["cases"] == {"open_cases": 0, "open_rows": [], "stages": {}, "closed": None}
