"""Degradation offline and as a job: the same answer, refusals in one sentence, plain files by named columns."""

import json
import uuid
from pathlib import Path

import numpy as np
import pytest

from db.schema.data import data_table
from db.schema.work import finding, result
from instruments.electrical.readouts import ReadoutsAdapter
from services.pipelines.kinds import handler
from services.pipelines.reliability.degradation import degradation_of_paths
from services.pipelines.reliability.degradation_requests import (
    DegradationRequest,
    StoredDegradationRequest,
    ask_degradation,
)
from services.pipelines.table_source import TableRefused
from services.presentation.degradation import print_degradation
from tests.analysis.degradation.drifts import simulate
from tests.instruments.mask.sources import read_all, written
from tests.pipelines.bench import Bench, reader
from tests.workers.scenery import add_ingest, add_job, store_original

FAST = {"methods": ["last-value", "mixed-power-law"], "horizon_h": 1500.0}


def readouts(extra: str = "", values: str = "") -> str:
    paths = simulate(units=5, times=5)
    rows = [
        f"{paths.names[unit]},{time:.3f},vth,{value:.5f},V,1.4{values}"
        for unit, time, value in zip(paths.unit, paths.time_h, paths.value, strict=True)
    ]
    head = f"device_id,time_h,parameter,value,unit,high_limit{extra}"
    return "# simulated: true\n" + "\n".join([head, *rows]) + "\n"


def test_a_stored_table_gives_the_offline_answer(bench: Bench, program_id: uuid.UUID, tmp_path: Path) -> None:
    text = readouts()
    _, found = read_all(ReadoutsAdapter(), written(tmp_path, "readouts.csv", text))
    file_id = store_original(bench.engine, bench.blobs, program_id, "readouts.csv", text.encode())
    before = {row.id for row in bench.rows(data_table)}
    bench.ingest(add_ingest(bench.engine, program_id, {"raw_file_id": str(file_id)}), reader(*found))
    (table,) = {row.id for row in bench.rows(data_table)} - before
    question = StoredDegradationRequest.model_validate(FAST)
    payload = {"table_id": str(table), "question": question.model_dump(mode="json")}
    context = bench.claim(add_job(bench.engine, program_id, "degradation", payload=payload))
    bench.finish(context, handler("degradation")(context))
    stored = bench.rows(result)[-1]
    offline = degradation_of_paths([tmp_path / "readouts.csv"], DegradationRequest.model_validate(FAST))
    assert (stored.kind, stored.verdict, stored.simulated) == ("degradation", "forecast", True)
    told, ours = stored.body["parameters"][0], json.loads(json.dumps(offline["parameters"][0]))
    assert told["crossings"] == ours["crossings"]
    assert told["forecast"] == ours["forecast"]
    assert told["threshold"] == {"value": 1.4, "direction": "rising"}
    kinds = {row.kind for row in bench.rows(finding)}
    assert kinds == {"drift_law", "threshold_crossing"}


def test_the_answer_tells_every_method_and_its_own_limits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "plain.csv"
    paths = simulate(units=5, times=5)
    rows = zip(np.take(paths.names, paths.unit), paths.time_h * 60, paths.value, strict=True)
    path.write_text(
        "# simulated: true\nserial,minutes,shift\n" + "".join(f"{name},{time},{value}\n" for name, time, value in rows)
    )
    columns = {"device": "serial", "time": "minutes", "value": "shift"}
    asked = ask_degradation(FAST | {"threshold": 1.4, "pseudo": "linear"})
    document = degradation_of_paths([path], asked, columns, ("V", "min"))
    told = document["parameters"][0]
    assert told["seen_h"] == pytest.approx(1000.0)
    assert {row["name"] for row in told["methods"]} == set(FAST["methods"])
    assert [row["selected"] for row in told["methods"]].count(True) == 1
    assert len(told["pseudo_lifetimes"]["units"]) == 5
    assert any("5 units are too few to calibrate" in remark for remark in told["remarks"])
    assert document["provenance"]["simulated"]
    json.dumps(document, allow_nan=False)
    print_degradation(document)
    said = capsys.readouterr().out
    assert "past 1.4 V (above fails)" in said
    assert "pseudo-lifetimes by y = b + a t" in said
    too_far = degradation_of_paths(
        [path], ask_degradation(FAST | {"threshold": 9, "horizon_h": 1e5}), columns, ("V", "min")
    )
    assert too_far["parameters"][0]["crossings"]["refused"]["type"] == "ExtrapolationUnsupported"


def test_units_that_never_were_good_are_no_survivors_of_a_distribution(tmp_path: Path) -> None:
    path = tmp_path / "plain.csv"
    paths = simulate(units=5, times=5)
    value = np.where(paths.unit == 0, 2.0 + paths.value, paths.value)
    rows = zip(np.take(paths.names, paths.unit), paths.time_h, value, strict=True)
    path.write_text("serial,hours,shift\n" + "".join(f"{name},{time},{each}\n" for name, time, each in rows))
    columns = {"device": "serial", "time": "hours", "value": "shift"}
    asked = ask_degradation(FAST | {"threshold": 1.4, "direction": "rising", "pseudo": "linear"})
    told = degradation_of_paths([path], asked, columns, ("V", "h"))["parameters"][0]["pseudo_lifetimes"]
    assert "1 units are beyond the threshold from the beginning (u0)" in told["weibull"]["refused"]
    assert told["units"][0]["reason"] == "its curve is beyond the threshold from the beginning"


def test_what_cannot_be_pooled_or_found_is_refused(tmp_path: Path) -> None:
    text = readouts(",voltage_v", ",1.0").replace("u0,", "u0,", 1)
    lines = text.splitlines()
    lines[-1] = lines[-1][: -len("1.0")] + "2.0"
    path = written(tmp_path, "two.csv", "\n".join(lines) + "\n").path
    with pytest.raises(TableRefused, match="2 values of voltage_v"):
        degradation_of_paths([path], DegradationRequest())
    path = written(tmp_path, "one.csv", readouts()).path
    with pytest.raises(TableRefused, match="no readouts of idd; there are of vth"):
        degradation_of_paths([path], DegradationRequest(parameters=["idd"]))
    with pytest.raises(TableRefused, match="0 columns 'hour'"):
        degradation_of_paths([path], DegradationRequest(), {"device": "device_id", "time": "hour", "value": "value"})
    with pytest.raises(ValueError, match="horizon_h"):
        ask_degradation({"horizon_h": -1})
