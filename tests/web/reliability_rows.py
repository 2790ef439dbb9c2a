"""Stored answers about lifetimes and screenings, and a log with its dies, without a running service. SIMULATED."""

import tempfile
import uuid
from functools import cache
from pathlib import Path
from typing import Any

from db.schema import work
from instruments.electrical.atdf import AtdfAdapter
from instruments.electrical.lifetimes import LifetimesAdapter
from services.pipelines.reliability.life_data import fit_tables
from services.pipelines.reliability.life_requests import LifeRequest
from services.pipelines.reliability.screening import screen_parts
from services.pipelines.reliability.screening_requests import ScreenRequest
from services.pipelines.reliability.tested_parts import collect_parts
from services.pipelines.table_source import SourceTable
from tests.api.conftest import Api
from tests.api.population import add_row
from tests.instruments.mask.sources import read_all, written
from tests.pipelines.bench import Bench, reader
from tests.pipelines.simulated_wafers import simulate_wafer, write_atdf
from tests.web.furnishing_reliability import LIFETIMES
from tests.workers.scenery import add_ingest, store_original

LOG = write_atdf([simulate_wafer(1, "<W1>"), simulate_wafer(2, "W2")])


@cache
def _tables() -> dict[str, Any]:
    """What the adapters read, once."""
    tables = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, adapter, text in (("a.csv", LifetimesAdapter, LIFETIMES), ("a.atdf", AtdfAdapter, LOG)):
            tables[name] = read_all(adapter(), written(Path(folder), name, text))[1]
    return tables


@cache
def _answers() -> dict[str, dict[str, Any]]:
    """The documents, made once."""
    lifetimes, log = (
        [SourceTable(each, name, "0" * 64, "test/1") for each in found] for name, found in _tables().items()
    )
    asked = LifeRequest(models=["weibull", "exponential"], hours=5000, plot=True)
    screens = ScreenRequest(screens=["part-average", "bad-neighbourhood", "signatures"], planted=3)
    return {"life-data": fit_tables(lifetimes, asked), "screening": screen_parts(collect_parts(log), screens)}


def add_reliability(api: Api, program: uuid.UUID) -> dict[str, uuid.UUID]:
    """Add a log, its screening and a life fit to a program; ids by the names of their path parameters."""
    file_id = store_original(api.engine, api.state.blobs, program, "lot.atdf", f"{LOG}{program}".encode())
    bench = Bench(api.engine, api.state.blobs, api.state.settings)
    bench.ingest(add_ingest(api.engine, program, {"raw_file_id": str(file_id)}), reader(*_tables()["a.atdf"]))
    ids = {"map_file_id": file_id}
    for kind, name in (("life-data", "life_result_id"), ("screening", "screening_result_id")):
        job = add_row(
            api.engine, work.job, job_key=uuid.uuid4().hex, program_id=program, kind=kind, queue="cpu",
            payload={"raw_file_id": str(file_id)}, requested_by="test",
        )  # fmt: skip
        body = _answers()[kind]
        ids[name] = add_row(
            api.engine, work.result, job_key=uuid.uuid4().hex, job_id=job, program_id=program, kind=kind,
            verdict=body["verdict"], body=body, provenance=body["provenance"], simulated=True,
        )  # fmt: skip
    fit, screens = _answers()["life-data"], _answers()["screening"]["screens"]
    findings = [(ids["life_result_id"], "failure_ppm", 1, "failed by 5000 h", fit["headline"]["ppm"])]
    findings += [
        (ids["screening_result_id"], "screen", rank, row["screen"], row["out"]) for rank, row in enumerate(screens, 1)
    ]
    for result, kind, rank, subject, score in findings:
        add_row(
            api.engine, work.finding, result_id=result, program_id=program, kind=kind, rank=rank, subject=subject,
            score=score,
        )  # fmt: skip
    return ids
