"""Stored answers about lifetimes and screenings, and a log with its dies, without a running service. SIMULATED."""

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


READOUTS = "device_id,lot_id,time_h,parameter,value,unit\n" + "".join(
    f"D{device},L1,{hours},vth,{0.4 + device * 0.001 + hours / 1e5},V\n"
    for device in range(12)
    for hours in (0, 168, 1000)
)
_FILES = (("a.csv", LifetimesAdapter, LIFETIMES), ("a.atdf", AtdfAdapter, LOG), ("r.csv", ReadoutsAdapter, READOUTS))


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
         "modalities": {"electrical": "used", "probing": "missing"}}
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


def _add_file(bench: Bench, program: uuid.UUID, name: str, text: str) -> uuid.UUID:
    file_id = store_original(bench.engine, bench.blobs, program, name, f"{text}{program}".encode())
    bench.ingest(add_ingest(bench.engine, program, {"raw_file_id": str(file_id)}), reader(*_tables()[name]))
    return file_id


def _readout_table(api: Api, file_id: uuid.UUID) -> str:
    with api.engine.connect() as connection:
        found = select(data.data_table.c.id).where(data.data_table.c.raw_file_id == file_id)
        return str(connection.execute(found).scalar_one())


def add_reliability(api: Api, program: uuid.UUID) -> dict[str, uuid.UUID]:
    """Add a log, its screening and a life fit to a program; ids by the names of their path parameters."""
    bench = Bench(api.engine, api.state.blobs, api.state.settings)
    log, readouts = _add_file(bench, program, "a.atdf", LOG), _add_file(bench, program, "r.csv", READOUTS)
    ids = {"map_file_id": log}
    payloads: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
        "life-data": ("life_result_id", {"raw_file_id": str(log)}, _answers()["life-data"]),
        "screening": ("screening_result_id", {"raw_file_id": str(log)}, _answers()["screening"]),
        "degradation": (
            "degradation_result_id",
            {"table_id": _readout_table(api, readouts), "question": {}},
            degradation_answer(),
        ),
        "latent-risk-scoring": ("risk_result_id", {}, risk_answer()),
    }
    for kind, (name, payload, body) in payloads.items():
        job = add_row(
            api.engine, work.job, job_key=uuid.uuid4().hex, program_id=program, kind=kind, queue="cpu",
            payload=payload, requested_by="test",
        )  # fmt: skip
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
