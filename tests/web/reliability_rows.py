"""Stored answers about lifetimes and screenings, and a log with its dies, without a running service. SIMULATED."""

import json
import tempfile
import uuid
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import select

from db.schema import data, work
from instruments.electrical.atdf import AtdfAdapter
from instruments.electrical.lifetimes import LifetimesAdapter
from instruments.electrical.readouts import ReadoutsAdapter
from instruments.electrical.unit_evidence import UnitEvidenceAdapter
from services.demo.fab_files import LIFETIMES
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
from tests.workers.scenery import add_ingest, store_original

LOG = write_atdf([simulate_wafer(1, "<W1>"), simulate_wafer(2, "W2")])


READOUTS = "device_id,lot_id,time_h,parameter,value,unit\n" + "".join(
    f"D{device},L1,{hours},vth,{0.4 + device * 0.001 + hours / 1e5},V\n"
    for device in range(12)
    for hours in (0, 168, 1000)
)
SOURCE = {"kind": "screening", "result": "", "version": "screening/1", "known_at": "2024-01-05T00:00:00+00:00"}
"""What a cell of an assembled table says of its source; the result is put in."""


def _write_evidence() -> str:
    """Return sixty units, as an assembly writes them; of the last two there is no screening."""
    lines = ["unit_id,judged_at,outcome,known_at,lot_id,electrical.distance,electrical_source"]
    for number in range(60):
        told = {"missing": "no screening <has> it"} if number > 57 else SOURCE | {"result": str(uuid.UUID(int=number))}
        quoted = json.dumps(told).replace('"', '""')
        outcome, value = "survived" if number else "failed", number if number <= 57 else ""
        lines.append(f'<U{number}>,2024-02-01T00:00:00+00:00,{outcome},2024-06-01,L1,{value},"{quoted}"')
    return "\n".join(lines) + "\n"


_FILES = (
    ("a.csv", LifetimesAdapter, LIFETIMES),
    ("a.atdf", AtdfAdapter, LOG),
    ("r.csv", ReadoutsAdapter, READOUTS),
    ("e.csv", UnitEvidenceAdapter, _write_evidence()),
)


@cache
def _tables() -> dict[str, Any]:
    """What the adapters read, once."""
    tables = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, adapter, text in _FILES:
            tables[name] = read_all(adapter(), written(Path(folder), name, text))[1]
    return tables


@cache
def _answers() -> dict[str, dict[str, Any]]:
    """The documents, made once."""
    lifetimes, log = (
        [SourceTable(each, name, "0" * 64, "test/1") for each in _tables()[name]] for name in ("a.csv", "a.atdf")
    )
    asked = LifeRequest(models=["weibull", "exponential"], hours=5000, plot=True)
    screens = ScreenRequest(screens=["part-average", "bad-neighbourhood", "signatures"], planted=3)
    return {"life-data": fit_tables(lifetimes, asked), "screening": screen_parts(collect_parts(log), screens)}


def degradation_answer() -> dict[str, Any]:
    """The form of :func:`services.pipelines.reliability.degradation.judge_degradation`, with numbers of no fit."""
    units = [f"D{number}" for number in range(9)]
    crossings = [
        {"unit": unit, "state": "crossed" if not number else "not yet", "probability": 1 / (1 + number), "low": 0.0,
         "high": 1.0, "never": number / (1 + number), "after_h": None, "before_h": None,
         "hours": {"10 %": 700.0 * (1 + number), "50 %": 1000.0 * (1 + number) if number < 5 else None}}
        for number, unit in enumerate(units)
    ]  # fmt: skip
    forecast = [
        {"unit": unit, "time_h": hours, "value": 0.42 + hours / 1e5, "low": 0.41, "high": 0.43 + hours / 5e4}
        for unit in units for hours in (1000.0, 2000.0, 5000.0)
    ]  # fmt: skip
    judged = {
        "parameter": "vth", "unit": "V", "verdict": "forecast", "units": 9, "readouts": 27, "seen_h": 1000.0,
        "temperatures_c": [125.0], "drift": {"likelihood_ratio": 40.0, "p_value": 1e-9},
        "methods": [
            {"name": "last-value", "kind": "baseline", "selected": False, "rmse": 0.02, "coverage_uncalibrated": 0.5,
             "interval_score": 0.1, "stretch": 1.0, "readouts": 9, "units": 9, "refused": None},
            {"name": "mixed-power-law", "kind": "baseline", "selected": True, "rmse": 0.01,
             "coverage_uncalibrated": 0.9, "interval_score": 0.05, "stretch": 1.0, "readouts": 9, "units": 9,
             "refused": None},
        ],
        "selected": "mixed-power-law", "why": "it has the least error on what was held out",
        "laws": [{"name": "power", "difference": 0.0, "weight": 0.7}], "forecast": forecast,
        "calibration": {"stretch": 1.0, "units": 9, "readouts": 9, "level": 0.9, "reachable": True},
        "threshold": {"value": 0.5, "direction": "rising"},
        "crossings": {"horizon_h": 5000.0, "crossed": 1, "expected": 2.8, "methods": ["mixed-power-law"],
                      "units": crossings},
        "population": None, "pseudo_lifetimes": None, "remarks": ["9 units are too few"],
    }  # fmt: skip
    refused = {"parameter": "gain", "verdict": "refused", "reason": "one readout of each unit is no path"}
    return {
        "verdict": "forecast", "parameters": [refused, judged], "conventions": {"level": 0.9},
        "provenance": {"simulated": True}, "remarks": [],
    }  # fmt: skip


def risk_answer() -> dict[str, Any]:
    """The form of :func:`services.pipelines.latent_risk.risk_scoring.score_tables`, with numbers of no model."""
    units = [
        {"unit": f"<U{number}>", "probability": 0.5 / (1 + number), "low": 0.1 / (1 + number), "high": 0.9,
         "set": ["failed"] if not number else ["survived"],
         "log_odds": {"all_such_units": -1.0, "electrical": 1.0 - number, "probing": 0.0, "calibration": 0.0},
         "modalities": {"electrical": "used", "probing": "missing"},
         "sources": {"electrical": SOURCE | {"result": str(uuid.UUID(int=number))}, "probing": {"missing": "<none>"}}}
        for number in range(60)
    ]  # fmt: skip
    return {
        "verdict": "suspects", "units": units, "refused": [{"unit": "U99", "reason": "nothing of it is known"}],
        "counts": {"units": 61, "answered": 60, "refused": 1, "expected_failures": 2.3,
                   "sets": {"failed": 1, "survived": 59, "either": 0, "unlike both": 0}},
        "model": {"sha256": "0" * 64, "data_sha256": "1" * 64, "algorithm": "test/1", "trained_to": "2026-01-01",
                  "held_out_auc": 0.9, "held_out_calibration_error": 0.01, "beats_baselines": True},
        "conventions": {"interval": "95 %"}, "remarks": [], "provenance": {"simulated": True},
    }  # fmt: skip


def evidence_answer(table: str, file_id: str, screening: str) -> dict[str, Any]:
    """The form of the job ``unit-evidence``, of a table of sixty units and one screening."""
    record = SOURCE | {"result": screening, "time_stated": True, "simulated": True, "units": 58}
    question = {
        "program": "alpha", "freeze_at": "2024-07-01T00:00:00Z", "lots": ["L1"], "modalities": ["electrical"],
        "result_ids": [], "outcome_table_ids": [], "survived_until": None, "masks": [], "name": "unit evidence",
        "frames": {"wafer_map": None, "inspection": None},
        "stated_times": [{"file_id": file_id, "known_at": "2024-01-05T00:00:00Z"}],
    }  # fmt: skip
    return {
        "verdict": "assembled", "freeze_at": "2024-07-01T00:00:00+00:00",
        "counts": {"units": 60, "failed": 1, "survived": 59, "outcome_unknown": 0, "failed_their_test": 3,
                   "outcome_without_evidence": 0},
        "judged": {"from": "2024-02-01T00:00:00+00:00", "to": "2024-02-01T00:00:00+00:00"},
        "modalities": [{"modality": "electrical", "features": ["distance"], "units": 58, "records": [record],
                        "missing": [{"reason": "no screening <has> it", "units": 2}], "missing_units": 2}],
        "outcome_without_evidence": [],
        "refused": [{"what": "a serial in two lots", "times": 2, "examples": ["<S1> is in L1 and L2"]}],
        "not_used": [{"kind": "screening", "id": screening, "reason": "another rule"}],
        "table": {"id": table, "file_id": file_id, "name": "unit evidence.parquet", "sha256": "0" * 64, "bytes": 2048},
        "conventions": {}, "remarks": ["A person states since when 1 files were known."],
        "provenance": {"simulated": True, "parameters": question, "inputs": ["0" * 64], "results": [screening]},
    }  # fmt: skip


def _add_file(bench: Bench, program: uuid.UUID, name: str, text: str) -> uuid.UUID:
    file_id = store_original(bench.engine, bench.blobs, program, name, f"{text}{program}".encode())
    bench.ingest(add_ingest(bench.engine, program, {"raw_file_id": str(file_id)}), reader(*_tables()[name]))
    return file_id


def _only_table(api: Api, file_id: uuid.UUID) -> str:
    with api.engine.connect() as connection:
        found = select(data.data_table.c.id).where(data.data_table.c.raw_file_id == file_id)
        return str(connection.execute(found).scalar_one())


def _add_answer(api: Api, program: uuid.UUID, kind: str, payload: dict[str, Any], body: dict[str, Any]) -> uuid.UUID:
    job = add_row(
        api.engine, work.job, job_key=uuid.uuid4().hex, program_id=program, kind=kind, queue="cpu", payload=payload,
        requested_by="test",
    )  # fmt: skip
    return add_row(
        api.engine, work.result, job_key=uuid.uuid4().hex, job_id=job, program_id=program, kind=kind,
        verdict=body["verdict"], body=body, provenance=body["provenance"], simulated=True,
    )  # fmt: skip


def add_reliability(api: Api, program: uuid.UUID) -> dict[str, uuid.UUID]:
    """Add a log, its screening and a life fit to a program; ids by the names of their path parameters."""
    bench = Bench(api.engine, api.state.blobs, api.state.settings)
    log, readouts = _add_file(bench, program, "a.atdf", LOG), _add_file(bench, program, "r.csv", READOUTS)
    evidence = _add_file(bench, program, "e.csv", "")
    ids = {"map_file_id": log}
    payloads: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
        "life-data": ("life_result_id", {"raw_file_id": str(log)}, _answers()["life-data"]),
        "screening": ("screening_result_id", {"raw_file_id": str(log)}, _answers()["screening"]),
        "degradation": (
            "degradation_result_id",
            {"table_id": _only_table(api, readouts), "question": {}},
            degradation_answer(),
        ),
        "latent-risk-scoring": ("risk_result_id", {}, risk_answer()),
    }
    for kind, (name, payload, body) in payloads.items():
        ids[name] = _add_answer(api, program, kind, payload, body)
    assembled = evidence_answer(_only_table(api, evidence), str(evidence), str(ids["screening_result_id"]))
    ids["evidence_result_id"] = _add_answer(api, program, "unit-evidence", {}, assembled)
    fit, screens = _answers()["life-data"], _answers()["screening"]["screens"]
    findings = [(ids["life_result_id"], "failure_ppm", 1, "failed by 5000 h", fit["headline"]["ppm"])]
    findings.append((ids["evidence_result_id"], "modality", 1, "electrical", 58 / 60))
    findings += [
        (ids["screening_result_id"], "screen", rank, row["screen"], row["out"]) for rank, row in enumerate(screens, 1)
    ]
    for result, kind, rank, subject, score in findings:
        add_row(
            api.engine, work.finding, result_id=result, program_id=program, kind=kind, rank=rank, subject=subject,
            score=score,
        )  # fmt: skip
    return ids
