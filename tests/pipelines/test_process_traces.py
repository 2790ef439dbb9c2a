"""``faultlight anomaly process`` and the job ``process-traces``: SIMULATED traces with planted faults."""

import io
import uuid
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from analysis.anomaly.thresholds import CalibrationError
from db.schema.work import finding, result
from services.pipelines.context import JobRefused
from services.pipelines.probing.process_traces import check_traces
from services.pipelines.probing.trace_job import run
from services.pipelines.probing.trace_request import TraceRequest
from services.pipelines.probing.trace_series import gather_series
from services.pipelines.table_source import SourceTable, TableRefused
from services.presentation.process_traces import print_traces
from tests.pipelines.bench import Bench, reader
from tests.pipelines.simulated_traces import RunScene, begin, make_sources, make_tables
from tests.workers.scenery import add_ingest, add_job, store_original

BEFORE = 60


def history(count: int = BEFORE) -> list[RunScene]:
    return [RunScene(number, "AB"[number % 2]) for number in range(count)]


def ask(sources: list[SourceTable], **asked: Any) -> dict[str, Any]:
    return check_traces(sources, TraceRequest.model_validate({"context": ["PPID"], "false_alarms": 0.1} | asked))


@pytest.fixture(scope="module")
def answered() -> dict[str, Any]:
    later = [RunScene(60, "A"), RunScene(61, "B", "bump"), RunScene(62, "A", "bump"), RunScene(63, "B")]
    return ask([*make_sources(history()), *make_sources(later, file="two")])


def test_planted_faults_are_found_where_they_are(answered: dict[str, Any]) -> None:
    alarms = {run["context"]: run for run in answered["runs"] if run["alarm"]}
    for recipe, number in (("PPID=B", 61), ("PPID=A", 62)):
        assert alarms[recipe]["begin"] == begin(number).isoformat(timespec="milliseconds")
        peak = (
            np.datetime64(alarms[recipe]["peak_at"][:-6]) - np.datetime64(begin(number).isoformat()[:-6])
        ) / np.timedelta64(1, "s")
        assert 10 <= peak <= 37
        assert alarms[recipe]["spans"]
    assert answered["verdict"] == "strange"
    assert answered["simulated"] is True
    assert answered["since"] == begin(60).isoformat(timespec="milliseconds")
    assert {(row["context"], row["runs_before"], row["runs_asked"]) for row in answered["series"]} == {
        ("PPID=A", 30, 2),
        ("PPID=B", 30, 2),
    }
    assert all(0 < run["baseline_p_value"] <= 1 for run in answered["runs"])


def test_nothing_from_after_is_learned(answered: dict[str, Any]) -> None:
    """Runs that come later, however strange, change nothing of what is said of those before."""
    later = [RunScene(60, "A"), RunScene(61, "B", "bump"), RunScene(62, "A", "bump"), RunScene(63, "B")]
    more = [RunScene(number, "AB"[number % 2], "bump") for number in range(64, 80)]
    found = ask([*make_sources(history()), *make_sources([*later, *more], file="two")], since=begin(60).isoformat())
    scores = {run["begin"]: run["score"] for run in found["runs"]}
    assert {run["begin"]: run["score"] for run in answered["runs"]}.items() <= scores.items()


def test_false_alarms_are_as_promised() -> None:
    """Of 120 good runs at 20 %, about 24 are alarms; with 15 to calibrate on, hardly more than 55."""
    alarms = 0
    for seed in range(3):
        sources = make_sources([RunScene(number) for number in range(70)], seed)
        alarms += ask(sources, since=begin(30).isoformat(), false_alarms=0.2)["alarms"]
    assert 3 <= alarms <= 55


def test_too_short_a_history_is_refused() -> None:
    with pytest.raises(CalibrationError, match=r"10 runs before.*5 normal examples cannot promise 0\.1 false alarms"):
        ask(make_sources([RunScene(number) for number in range(12)]), since=begin(10).isoformat())
    with pytest.raises(TableRefused, match="no trace or event has a variable Recipe; there are PPID, Pressure"):
        ask(make_sources(history(10)), context=["Recipe"])
    with pytest.raises(TableRefused, match="the files hold no trace"):
        ask(make_sources(history(10))[:1])


def test_units_holes_and_copies_are_told_apart() -> None:
    scenes = [*history(4), RunScene(4, "A", "hole"), RunScene(5, "B", unit="Pa")]
    sources = make_sources(scenes)
    series = gather_series([*sources, *make_sources(scenes, file="copy")], ["PPID"], [], 200)
    sizes = {(key.context, key.unit): [run.values.size for run in runs] for key, runs in series.items()}
    assert sizes == {
        ("PPID=A", "mTorr"): [40, 40, 20, 19],
        ("PPID=B", "mTorr"): [40, 40],
        ("PPID=B", "Pa"): [40],
    }
    cut = gather_series(make_sources([RunScene(0, samples=90)]), ["PPID"], [], 40)
    assert [run.values.size for runs in cut.values() for run in runs] == [45, 45]


def test_presentation(answered: dict[str, Any]) -> None:
    console = Console(width=200, file=io.StringIO(), record=True)
    print_traces(answered, console)
    told = console.export_text()
    assert "Verdict: strange" in told
    assert "(SIMULATED)" in told
    assert "PPID=B" in told


def test_the_job_stores_what_the_command_says(bench: Bench, program_id: uuid.UUID, answered: dict[str, Any]) -> None:
    files = []
    later = [RunScene(60, "A"), RunScene(61, "B", "bump"), RunScene(62, "A", "bump"), RunScene(63, "B")]
    for name, scenes in (("one", history()), ("two", later)):
        file_id = store_original(bench.engine, bench.blobs, program_id, f"{name}.secs.jsonl", name.encode())
        bench.ingest(add_ingest(bench.engine, program_id, {"raw_file_id": str(file_id)}), reader(*make_tables(scenes)))
        files.append(str(file_id))
    question = TraceRequest(context=["PPID"], false_alarms=0.1).model_dump(mode="json")
    payload = {"file_ids": files, "question": question}
    job_id = add_job(bench.engine, program_id, "process-traces", job_key=uuid.uuid4().hex, queue="cpu", payload=payload)
    context = bench.claim(job_id)
    bench.finish(context, run(context))
    (row,) = [row for row in bench.rows(result) if row.kind == "process-traces"]
    assert (row.simulated, row.verdict) == (True, "strange")
    assert row.body["runs"] == answered["runs"]
    told = [each for each in bench.rows(finding) if each.kind == "trace_anomaly"]
    assert len(told) == answered["alarms"]
    assert told[0].subject == "Pressure"
    payload = payload | {"file_ids": [str(uuid.uuid4())]}
    lost = add_job(bench.engine, program_id, "process-traces", job_key=uuid.uuid4().hex, queue="cpu", payload=payload)
    with pytest.raises(JobRefused, match="has no table of the kinds"):
        run(bench.claim(lost))
