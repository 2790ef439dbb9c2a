"""The job on stored test data: the same answer as offline, stored once with provenance and findings."""

import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from db.schema.files import raw_file
from db.schema.work import finding, result
from instruments.electrical.atdf import AtdfAdapter
from instruments.electrical.e142_map import E142MapAdapter
from instruments.electrical.readouts import ReadoutsAdapter
from services.pipelines.context import JobRefused
from services.pipelines.kinds import handler
from services.pipelines.reliability.screening import screen_parts
from services.pipelines.reliability.screening_requests import LabelledPart, ScreenRequest, StoredScreenRequest
from services.pipelines.reliability.tested_parts import collect_parts
from services.pipelines.table_source import SourceTable
from tests.instruments.electrical.wafer_map_writer import e142
from tests.instruments.mask.sources import read_all, written
from tests.pipelines.bench import Bench, reader
from tests.pipelines.simulated_wafers import simulate_wafer, write_atdf
from tests.workers.scenery import add_ingest, add_job, make_program, store_original


def store(bench: Bench, program: uuid.UUID, folder: Path, adapter: Any, name: str, text: str) -> uuid.UUID:
    _, found = read_all(adapter(), written(folder, name, text))
    file_id = store_original(bench.engine, bench.blobs, program, name, text.encode())
    bench.ingest(add_ingest(bench.engine, program, {"raw_file_id": str(file_id)}), reader(*found))
    return file_id


def perform(bench: Bench, program: uuid.UUID, file_id: uuid.UUID, **asked: Any) -> Any:
    question = StoredScreenRequest(**asked).model_dump(mode="json")
    payload = {"raw_file_id": str(file_id), "question": question}
    context = bench.claim(add_job(bench.engine, program, "screening", payload=payload))
    bench.finish(context, handler("screening")(context))
    return bench.rows(result)[-1]


def test_a_stored_log_gives_the_offline_answer(bench: Bench, program_id: uuid.UUID, tmp_path: Path) -> None:
    wafers = [simulate_wafer(1, "W1"), simulate_wafer(2, "W2")]
    text = write_atdf(wafers)
    file_id = store(bench, program_id, tmp_path, AtdfAdapter, "lot.atdf", text)
    truth = [
        LabelledPart(lot="LOT1", wafer=w.name, part=f"{w.name}-{n}", defective=n in w.planted)
        for w in wafers
        for n in range(w.column.size - 1)
    ]
    asked = {"screens": ["part-average", "bad-neighbourhood"], "quartiles": "hazen"}
    answer = perform(bench, program_id, file_id, labels=truth, **asked)
    assert (answer.kind, answer.verdict, answer.simulated) == ("screening", "outliers", True)
    assert answer.provenance["inputs"] == [row.sha256 for row in bench.rows(raw_file)]
    assert answer.provenance["parameters"]["quartiles"] == "hazen"
    tables = [
        SourceTable(each, "lot.atdf", "", "") for each in read_all(AtdfAdapter(), written(tmp_path, "l", text))[1]
    ]
    offline = screen_parts(collect_parts(tables), ScreenRequest(**asked))
    assert answer.body["outliers"] == offline["outliers"]
    assert answer.body["groups"] == offline["groups"]
    quality = answer.body["quality"]["rows"][0]
    assert (quality["defective"], quality["escaped"]) == (6, 0)
    found = bench.rows(finding)
    assert [row.subject for row in found if row.kind == "screen"] == ["part-average", "bad-neighbourhood"]
    outliers = sorted((row for row in found if row.kind == "outlier"), key=lambda row: row.rank)
    assert len(outliers) == len(offline["outliers"])
    assert outliers[0].score == max(row.score for row in outliers) > 6


def test_a_stored_map_is_screened_a_foreign_one_not(bench: Bench, program_id: uuid.UUID, tmp_path: Path) -> None:
    mine = store(bench, program_id, tmp_path, E142MapAdapter, "map.xml", e142())
    answer = perform(bench, program_id, mine, fail_threshold=2.0)
    assert answer.body["headline"]["passed"] == 10
    other = store(bench, make_program(bench.engine, "other"), tmp_path, E142MapAdapter, "map2.xml", e142() + "\n")
    with pytest.raises(JobRefused, match="has no table of the kinds test_run"):
        perform(bench, program_id, mine, other_file_ids=[other])


def readouts(drift: dict[int, float], result: str = "") -> str:
    numbers = np.random.default_rng(3)
    lines = ["# simulated: true", "device_id,lot_id,time_h,parameter,value,unit,high_limit,result,stress,temperature_c"]
    for device in range(40):
        start = 0.4 + 0.01 * numbers.normal()
        for hours in (0, 168):
            value = start + (hours > 0) * (0.005 + 0.001 * numbers.normal() + drift.get(device, 0.0))
            lines.append(f"D{device},L1,{hours},vth,{value:.6f},V,0.7,{result},HTOL,125")
    return "\n".join(lines) + "\n"


def test_readouts_are_screened_by_time_and_failed_devices_left_out(
    bench: Bench, program_id: uuid.UUID, tmp_path: Path
) -> None:
    file_id = store(bench, program_id, tmp_path, ReadoutsAdapter, "r.csv", readouts({7: 0.2, 8: 0.5}))
    answer = perform(bench, program_id, file_id, screens=["part-average"])
    assert (answer.simulated, answer.body["headline"]["passed"], answer.body["headline"]["failed"]) == (True, 39, 1)
    (outlier,) = answer.body["outliers"]
    assert (outlier["lot"], outlier["part"]) == ("L1", "D7")
    assert [each["test"] for each in outlier["reasons"]] == ["vth at 168 h, HTOL 125 °C"]


def test_a_question_whose_answer_is_too_long_is_refused(
    bench: Bench, program_id: uuid.UUID, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.pipelines.reliability.screening_job.MOST_GROUPS", 5)
    file_id = store(bench, program_id, tmp_path, AtdfAdapter, "lot.atdf", write_atdf([simulate_wafer(1)]))
    with pytest.raises(JobRefused, match="6 rows of limits, of which an answer holds 5: name fewer tests"):
        perform(bench, program_id, file_id, screens=["part-average", "neighbour-residual"])
    assert perform(bench, program_id, file_id, screens=["part-average"], tests=["100"]).verdict == "outliers"
