"""The job on stored lifetimes: the same answer as offline, stored once with provenance and findings."""

import math
import uuid
from pathlib import Path
from typing import Any

import pytest

from db.schema.data import data_table
from db.schema.files import raw_file
from db.schema.work import finding, result
from instruments.electrical.lifetimes import LifetimesAdapter
from services.pipelines.context import JobRefused
from services.pipelines.kinds import handler
from services.pipelines.reliability.life_data import fit_paths
from services.pipelines.reliability.life_requests import LifeRequest, StoredLifeRequest
from tests.instruments.mask.sources import read_all, written
from tests.pipelines.bench import Bench, reader
from tests.workers.scenery import add_ingest, add_job, make_program, store_original

LIFETIMES = (
    "status,time_h,count\nexact,12,1\nexact,40,2\nexact,95,1\nexact,300,1\nexact,420,1\nexact,700,1\nright,1000,993\n"
)


def store(bench: Bench, program: uuid.UUID, folder: Path, text: str) -> uuid.UUID:
    _, found = read_all(LifetimesAdapter(), written(folder, "lifetimes.csv", text))
    file_id = store_original(bench.engine, bench.blobs, program, "lifetimes.csv", text.encode())
    before = {row.id for row in bench.rows(data_table)}
    bench.ingest(add_ingest(bench.engine, program, {"raw_file_id": str(file_id)}), reader(*found))
    (table,) = {row.id for row in bench.rows(data_table)} - before
    return uuid.UUID(str(table))


def perform(bench: Bench, program: uuid.UUID, table: uuid.UUID, question: StoredLifeRequest) -> Any:
    payload = {"table_id": str(table), "question": question.model_dump(mode="json")}
    context = bench.claim(add_job(bench.engine, program, "life-data", payload=payload))
    bench.finish(context, handler("life-data")(context))
    return bench.rows(result)[-1]


def test_a_stored_table_gives_the_offline_answer(bench: Bench, program_id: uuid.UUID, tmp_path: Path) -> None:
    table = store(bench, program_id, tmp_path, LIFETIMES)
    answer = perform(bench, program_id, table, StoredLifeRequest(hours=5000, models=["weibull", "exponential"]))
    assert (answer.kind, answer.verdict) == ("life-data", "fitted")
    assert answer.provenance["inputs"] == [row.sha256 for row in bench.rows(raw_file)]
    offline = fit_paths([tmp_path / "lifetimes.csv"], LifeRequest(hours=5000, models=["weibull", "exponential"]))
    assert answer.body["headline"]["ppm"] == pytest.approx(offline["headline"]["ppm"])
    assert answer.body["headline"]["high_ppm"] == pytest.approx(offline["headline"]["high_ppm"])
    found = {row.kind: row for row in bench.rows(finding)}
    assert set(found) == {"failure_ppm", "life_model"}
    ppm = found["failure_ppm"]
    assert ppm.interval_low < ppm.score < ppm.interval_high


def test_a_stored_answer_can_be_drawn_and_tabled(bench: Bench, program_id: uuid.UUID, tmp_path: Path) -> None:
    table = store(bench, program_id, tmp_path, LIFETIMES)
    body = perform(bench, program_id, table, StoredLifeRequest(models=["exponential", "weibull"])).body
    # Seven failures and 993 survivors: Kaplan-Meier by hand, nobody withdrawn before the last failure.
    assert [point["fraction"] for point in body["plot"]["points"]] == pytest.approx(
        [each / 1000 for each in (1, 3, 4, 5, 6, 7)]
    )
    assert all(row["low"] < row["fraction"] < row["high"] for row in body["plot"]["band"])
    assert {each["name"] for each in body["plot"]["others"]} | {body["model"]} == {"exponential", "weibull"}
    # FIT by chi-squared from tables: 7 failures, upper 90 % is chi2(0.9, 16) / 2 = 11.771.
    hours = 12 + 2 * 40 + 95 + 300 + 420 + 700 + 993 * 1000
    assert body["rates"]["device_hours"] == hours
    (upper,) = [each for each in body["rates"]["constant"]["upper"] if each["confidence"] == 0.9]
    assert upper["fit"] == pytest.approx(11.771 * 1e9 / hours, rel=1e-4)
    average = body["rates"]["by_model"][0]
    assert average["ppm"] == pytest.approx(1e6 * (1 - math.exp(-average["fit"] * average["hours"] / 1e9)))


def test_a_table_of_another_program_is_refused(bench: Bench, program_id: uuid.UUID, tmp_path: Path) -> None:
    table = store(bench, make_program(bench.engine, "other"), tmp_path, LIFETIMES)
    with pytest.raises(JobRefused, match="there is no table"):
        perform(bench, program_id, table, StoredLifeRequest())
