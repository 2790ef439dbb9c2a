"""SIMULATED: every kind of stored answer as evidence on one die, each value with the result that it comes from."""

import json
import math
import uuid
from pathlib import Path
from typing import Any

import pytest

from instruments.electrical.atdf import AtdfAdapter
from instruments.electrical.e142_map import E142MapAdapter
from instruments.electrical.readouts import ReadoutsAdapter
from instruments.electrical.unit_evidence import UnitEvidenceAdapter
from instruments.mask.klarf import KlarfAdapter
from instruments.repair.laser_log import LaserLogAdapter
from services.demo.machine import HiddenFault
from services.pipelines.context import JobRefused
from services.pipelines.latent_risk.evidence_requests import GivenFrame, GivenFrames, GivenMask
from services.pipelines.mask.layout_requests import OverlayRequest
from services.pipelines.reliability.degradation_requests import StoredDegradationRequest
from services.pipelines.repair.repair_requests import OutcomeRequest
from tests.analysis.degradation.drifts import simulate
from tests.instruments.electrical.wafer_map_writer import e142
from tests.instruments.mask.klarf_writer import flat
from tests.instruments.mask.test_nets import SMALL
from tests.pipelines.bench import Bench
from tests.pipelines.fab import Fab
from tests.pipelines.simulated_wafers import simulate_wafer, write_atdf
from tests.pipelines.test_anomaly import ingest, write
from tests.pipelines.test_layout_jobs import wires
from tests.workers.scenery import store_original

DIE = "L1/W03/4/7"
TRACE = "S1,2030-01-01,,L1,W03,4,7"
FRAMES = GivenFrames(inspection=GivenFrame(x_offset=4, y_offset=7))
DEFECTS = ["1 50 1.5 0 0 1.6 3 1", "2 50 6.5 0 0 1.3 0 1", "3 50 1.5 1 0 1.6 3 1"]
REPAIRS = """Step,Operation,Tool,Job,Defect,Start time,Wavelength [nm],Result
1,repair,LR-1,J1,1,2024-05-01T10:00:00Z,515,ok
1,repair,LR-1,J2,2,2024-05-01T11:00:00Z,515,failed
"""


@pytest.fixture
def fab(bench: Bench, program_id: uuid.UUID, tmp_path: Path) -> Fab:
    return Fab(bench, program_id, tmp_path)


def readouts() -> str:
    """Five devices whose vth drifts; the first is the packaged die of the tests."""
    paths = simulate(units=5, times=5)
    names = ["S1", *paths.names[1:]]
    rows = [
        f"{names[unit]},{time:.3f},vth,{value:.5f},V,1.4,L1"
        for unit, time, value in zip(paths.unit, paths.time_h, paths.value, strict=True)
    ]
    return "\n".join(["# simulated: true", "device_id,time_h,parameter,value,unit,high_limit,lot_id", *rows]) + "\n"


def compare(fab: Fab, tmp_path: Path) -> Any:
    """Compare a suspect session of the die with a golden one of another."""
    folders = [tmp_path / name for name in ("bad", "golden")]
    for folder in folders:
        folder.mkdir()
    write(folders[0], 7, HiddenFault("c4", "stuck-0"), "suspect")
    write(folders[1], 7, None, "golden")
    suspect, golden = (ingest(fab.bench, fab.program, folder) for folder in folders)
    return fab.perform("anomaly", probing_session_id=str(suspect), golden_session_ids=[str(golden)])


def inspect(fab: Fab) -> tuple[uuid.UUID, Any]:
    """Lay the defects of a wafer over its layout; the inspection's file and the answer."""
    text = flat(DEFECTS, head="SampleType WAFER;\nSampleTestPlan 3\n 0 0\n 1 0\n 2 0;\n").replace('"W1"', '"W03"')
    file_id = fab.upload(KlarfAdapter, "d.klarf", text)
    layout = store_original(fab.bench.engine, fab.bench.blobs, fab.program, "wires.gds", wires())
    asked = OverlayRequest(process=SMALL, inspection_file_id=file_id, settings={"sigma_nm": 20})
    return file_id, fab.perform("overlay", raw_file_id=str(layout), question=asked.model_dump(mode="json"))


def judge_repairs(fab: Fab, inspection: uuid.UUID) -> Any:
    log = fab.table_of(fab.upload(LaserLogAdapter, "repairs.csv", REPAIRS))
    asked = OutcomeRequest(defect_table_id=fab.table_of(inspection))
    return fab.perform("repair-outcome", table_id=str(log), question=asked.model_dump(mode="json"))


def forecast(fab: Fab) -> Any:
    table = fab.table_of(fab.upload(ReadoutsAdapter, "r.csv", readouts()))
    asked = StoredDegradationRequest(methods=["last-value", "mixed-power-law"], horizon_h=1500.0)
    return fab.perform("degradation", table_id=str(table), question=asked.model_dump(mode="json"))


def test_every_modality_names_its_result(fab: Fab, tmp_path: Path) -> None:
    log = fab.upload(AtdfAdapter, "lot.atdf", write_atdf([simulate_wafer(1, "W03")], lot="L1"))
    inspection, overlay = inspect(fab)
    made = {
        "electrical": fab.screen(log),
        "degradation": forecast(fab),
        "lvp": compare(fab, tmp_path),
        "mask": overlay,
        "repair": judge_repairs(fab, inspection),
    }
    made["neighbourhood"] = made["electrical"]
    fab.upload(UnitEvidenceAdapter, "trace.csv", f"unit_id,judged_at,outcome,lot_id,wafer_id,die_x,die_y\n{TRACE}\n")
    body = fab.assemble(frames=FRAMES).body
    columns = fab.table(body)
    row = columns["unit_id"].index(DIE)
    for modality, answer in made.items():
        assert json.loads(columns[f"{modality}_source"][row])["result"] == str(answer.id), modality
    value = {name: each[row] for name, each in columns.items() if "." in name}
    assert value["lvp.different_part"] > 0
    assert value["lvp.largest_z"] > 2
    assert 0 <= value["degradation.crossing_vth"] <= 1
    assert math.isfinite(value["degradation.drift_vth"])
    criticality = [each["criticality"] for each in overlay.body["defects"] if each["defect_id"] in (1, 2)]
    assert value["mask.largest_criticality"] == max(criticality)
    assert value["mask.expected_faults"] == pytest.approx(sum(criticality))
    assert (value["repair.repairs"], value["repair.not_held_part"]) == (2, 0.5)
    clean = columns["unit_id"].index("L1/W03/6/7")
    assert columns["mask.expected_faults"][clean] == 0
    other = next(name for name in columns["unit_id"] if name.count("/") == 1)
    assert json.loads(columns["electrical_source"][columns["unit_id"].index(other)])["missing"].startswith("no screen")


def test_places_of_another_frame_are_refused_until_it_is_stated(fab: Fab) -> None:
    fab.screen(fab.upload(AtdfAdapter, "lot.atdf", write_atdf([simulate_wafer(1, "W03")], lot="L1")))
    wafer_map = fab.upload(E142MapAdapter, "map.xml", e142())
    answer = fab.screen(wafer_map, screens=["bad-neighbourhood"])
    inspect(fab)
    body = fab.assemble().body
    (unclear,) = [each for each in body["refused"] if each["what"] == "unclear which unit"]
    assert any("no frame (frames.wafer_map)" in each for each in unclear["examples"])
    assert any("no frame (frames.inspection)" in each for each in unclear["examples"])
    framed = fab.assemble(frames=GivenFrames(wafer_map=GivenFrame())).body
    used = {each["result"] for modality in framed["modalities"] for each in modality["records"]}
    assert str(answer.id) in used


def test_an_inspection_of_a_mask_says_nothing_of_single_dies(fab: Fab) -> None:
    text = flat(DEFECTS, head="SampleType MASK;\n")
    file_id = fab.upload(KlarfAdapter, "mask.klarf", text)
    layout = store_original(fab.bench.engine, fab.bench.blobs, fab.program, "wires.gds", wires())
    asked = OverlayRequest(process=SMALL, inspection_file_id=file_id, settings={"sigma_nm": 20})
    fab.perform("overlay", raw_file_id=str(layout), question=asked.model_dump(mode="json"))
    with pytest.raises(JobRefused, match=r"no unit has evidence .* times unclear which unit"):
        fab.assemble(frames=FRAMES)
    fab.screen(fab.upload(AtdfAdapter, "lot.atdf", write_atdf([simulate_wafer(1, "W03")], lot="L9")))
    printed = GivenMask(inspection_file_id=file_id, lots=["L9"], columns=2)
    body = fab.assemble(masks=[printed]).body
    (mask,) = [each for each in body["modalities"] if each["modality"] == "mask"]
    assert mask["units"] == body["counts"]["units"] > 200
