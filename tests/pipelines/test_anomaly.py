"""``faultlight anomaly`` and the job ``anomaly``: SIMULATED sessions of a good and a faulty die."""

import io
import json
import shutil
import uuid
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from db.schema.data import probing_session
from db.schema.files import raw_file
from db.schema.work import finding, result
from services.cli import app
from services.demo.circuit import build_accumulator
from services.demo.die import DieOptions, SimulatedDie, write_session
from services.demo.machine import HiddenFault
from services.pipelines.context import JobRefused
from services.pipelines.ingestion.ingest import open_reader
from services.pipelines.probing.anomaly_job import run
from services.pipelines.probing.golden_comparison import compare_paths
from services.pipelines.probing.localization import SessionError, localize_path
from services.pipelines.probing.signal_maps import judge_chain
from tests.analysis.anomaly.scenes import draw_map, map_noise
from tests.pipelines.bench import Bench
from tests.workers.scenery import add_ingest, add_job, store_original

PROBES = ("c4", "s4", "g3_n", "y0")
SIZE = 96
SPOTS = np.asarray([[row, column] for row in (24.0, 44.0, 64.0) for column in (22.0, 38.0, 54.0, 70.0)])


def add_maps(folder: Path, seed: int, *, reached: int = 12, missing: int | None = None) -> None:
    """Put SIMULATED LVI maps at the clock's and the data's frequency beside a session's waveforms."""
    numbers = np.random.default_rng(seed)
    own = np.full(12, 3.0 + 0j)
    if missing is not None:
        own[missing] = 0
    data = np.where(np.arange(12) < reached, 1.8 + 0j, 0j)
    entries = []
    for name, amplitudes, frequency in (("clock", own, 1e8), ("data", data, 2.5e7)):
        values = draw_map(SPOTS, amplitudes, (0.0, 0.0), SIZE) + map_noise(SIZE, numbers, correlated=False)
        for band, plane in (("real", values.real), ("imaginary", values.imag)):
            np.savetxt(folder / f"{name}_{band}.csv", plane, delimiter=",", fmt="%.6f")
        bands = [{"name": band, "unit": "V", "file": f"{name}_{band}.csv"} for band in ("real", "imaginary")]
        entries.append(
            {
                "file": f"{name}_real.csv",
                "kind": "LVI",
                "frequency_hz": frequency,
                "bands": bands,
                "rows": SIZE,
                "columns": SIZE,
                "pitch_nm": 50,
                "affine_um": [[0.05, 0.0, 0.0], [0.0, 0.05, 0.0]],
            }
        )
    document = json.loads((folder / "session.json").read_text())
    lines = (folder / "placement.csv").read_text().splitlines()
    nets = [line.split(",")[1] for line in lines[1 : 1 + len(SPOTS)]]
    cells = [f"ff{place}" for place in range(12)]
    places = [f"ff{k},{nets[k]},{column * 0.05},{row * 0.05}" for k, (row, column) in enumerate(SPOTS)]
    (folder / "placement.csv").write_text("\n".join([lines[0], *places, *lines[1 + len(SPOTS) :]]) + "\n")
    document["maps"] = entries
    document["spot_fwhm_nm"] = 300
    document["scan_chain"] = {"cells": cells, "clock_hz": 1e8, "data_hz": 2.5e7}
    (folder / "session.json").write_text(json.dumps(document))


def write(folder: Path, seed: int, fault: HiddenFault | None, role: str) -> Path:
    write_session(folder, SimulatedDie(build_accumulator(), DieOptions(seed=seed, fault=fault)), PROBES)
    path = folder / "session.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"role": role, "session": f"{role}-{seed}"}))
    return folder


@pytest.fixture(scope="module")
def sessions(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    made = {
        "golden": write(tmp_path_factory.mktemp("golden"), 7, None, "golden"),
        "good": write(tmp_path_factory.mktemp("good"), 7, None, "suspect"),
        "bad": write(tmp_path_factory.mktemp("bad"), 7, HiddenFault("c4", "stuck-0"), "suspect"),
    }
    add_maps(made["golden"], 1)
    add_maps(made["good"], 2)
    add_maps(made["bad"], 3, reached=5, missing=6)
    return made


@pytest.fixture(scope="module")
def found(sessions: dict[str, Path]) -> dict[str, Any]:
    return compare_paths(sessions["bad"], [sessions["golden"]])


def test_a_faulty_die_differs_where_its_fault_shows(found: dict[str, Any]) -> None:
    assert found["verdict"] == "different"
    assert found["simulated"] is True
    told = {net["net"]: net["verdict"] for net in found["nets"]}
    assert told["c4"] in ("different", "no-signal")
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_a_missing_cell_is_found_on_its_map_in_micrometres(found: dict[str, Any]) -> None:
    (clock, data) = found["maps"]
    assert (clock["frequency_hz"], clock["verdict"]) == (1e8, "different")
    place = clock["differences"][0]
    assert (place["x_um"], place["y_um"]) == pytest.approx((0.05 * SPOTS[6][1], 0.05 * SPOTS[6][0]), abs=0.15)
    assert place["amplitude_ratio"] < 0.3
    assert (data["gain_places"], data["golden_places"]) == (5, 12)
    assert data["gain"] == pytest.approx(1.0, abs=0.06)
    dark = {(round(0.05 * column, 1), round(0.05 * row, 1)) for row, column in SPOTS[5:]}
    assert {(round(each["x_um"], 1), round(each["y_um"], 1)) for each in data["differences"]} == dark


def test_the_break_of_the_chain_is_named_with_its_posterior(found: dict[str, Any]) -> None:
    chain = found["scan_chain"]
    best = max(chain["cells"], key=lambda cell: cell["posterior"])
    assert (chain["verdict"], best["cell"]) == ("located", "ff5")
    assert chain["clockless"] == ["ff6"]


def test_a_good_die_is_not_called_different(sessions: dict[str, Path]) -> None:
    document = compare_paths(sessions["good"], [sessions["golden"]])
    assert document["verdict"] in ("same", "unclear")
    assert {each["verdict"] for each in document["maps"]} == {"same"}
    assert document["scan_chain"]["verdict"] == "no-break"


def test_only_golden_sessions_with_the_same_stimulus_are_references(sessions: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(SessionError, match="has the role suspect, not golden: it is no reference"):
        compare_paths(sessions["bad"], [sessions["good"]])
    other = write(tmp_path, 8, None, "golden")
    with pytest.raises(SessionError, match="different patterns"):
        compare_paths(sessions["bad"], [other])


def test_a_chain_that_cannot_be_judged_says_why() -> None:
    for chain, reason in (
        ({"cells": 3}, "scan_chain.cells is no list of instance names"),
        ({"cells": ["a"], "clock_hz": "x"}, "scan_chain.clock_hz is no frequency"),
        ({"cells": ["a"], "clock_hz": 1e6}, "one map with amplitude and phase at clock_hz 1e+06 Hz is needed; 0 found"),
    ):
        assert judge_chain(chain, [], None, 300.0) == {"verdict": "unclear", "reason": reason, "cells": []}


def test_a_cell_at_two_places_is_at_none(sessions: dict[str, Path], tmp_path: Path) -> None:
    folder = tmp_path / "twice"
    shutil.copytree(sessions["good"], folder)
    *lines, last = (folder / "placement.csv").read_text().splitlines()
    renamed = ",".join(["ff5", *last.split(",")[1:]])
    (folder / "placement.csv").write_text("\n".join([*lines, renamed]) + "\n")
    chain = compare_paths(folder, [sessions["golden"]])["scan_chain"]
    assert chain["verdict"] == "unclear"
    assert chain["reason"].startswith(f"the placement has the instance ff5 at ({38 * 0.05}, {44 * 0.05}) um and at (")


def without_waveforms(folder: Path, copy: Path) -> Path:
    """Copy a session without its waveforms and what they need, its maps and placement kept."""
    shutil.copytree(folder, copy)
    document = json.loads((copy / "session.json").read_text())
    for probe in document["waveforms"]:
        (copy / probe["file"]).unlink()
    for key in ("netlist", "patterns", "fails"):
        (copy / document.pop(key)).unlink()
    (copy / "session.json").write_text(json.dumps(document | {"waveforms": []}))
    return copy


def test_maps_alone_are_compared_and_a_chain_needs_no_golden_session(
    sessions: dict[str, Path], found: dict[str, Any], tmp_path: Path
) -> None:
    bad, golden = (without_waveforms(sessions[role], tmp_path / role) for role in ("bad", "golden"))
    alone = compare_paths(bad, [golden])
    assert (alone["verdict"], alone["nets"], alone["maps"]) == ("different", [], found["maps"])
    with pytest.raises(SessionError, match="there is nothing to localize"):
        localize_path(bad)
    chain = compare_paths(bad, [])
    assert (chain["verdict"], chain["nets"], chain["maps"]) == ("different", [], [])
    assert chain["scan_chain"] == found["scan_chain"]
    document = json.loads((bad / "session.json").read_text())
    del document["scan_chain"]
    (bad / "session.json").write_text(json.dumps(document))
    with pytest.raises(SessionError, match="a golden session is needed"):
        compare_paths(bad, [])


def test_the_command_prints_one_document_or_one_refusal(sessions: dict[str, Path]) -> None:
    runner = CliRunner()
    arguments = ["anomaly", str(sessions["bad"]), "--golden", str(sessions["golden"])]
    answer = runner.invoke(app, [*arguments, "--json"])
    assert answer.exit_code == 0
    assert json.loads(answer.stdout)["verdict"] == "different"
    told = runner.invoke(app, arguments)
    assert "Verdict: different" in told.stdout
    assert "(SIMULATED)" in told.stdout
    refused = runner.invoke(app, ["anomaly", str(sessions["bad"]), "--golden", str(sessions["good"]), "--json"])
    assert refused.exit_code == 2
    assert json.loads(refused.stdout)["error"]["type"] == "SessionError"
    gone = runner.invoke(app, ["anomaly", "nowhere", "--golden", str(sessions["golden"]), "--json"])
    assert (gone.exit_code, json.loads(gone.stdout)["error"]["message"]) == (2, "there is no file nowhere")


def ingest(bench: Bench, program_id: uuid.UUID, folder: Path) -> uuid.UUID:
    """Store a session as an archive and read it as a worker does; its id."""
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        for path in sorted(folder.iterdir()):
            archive.writestr(path.name, path.read_bytes())
    file_id = store_original(bench.engine, bench.blobs, program_id, f"{folder.name}.zip", sink.getvalue())
    bench.ingest(add_ingest(bench.engine, program_id, {"raw_file_id": str(file_id)}), open_reader(bench.settings))
    return uuid.UUID(str(next(row.id for row in bench.rows(probing_session) if row.raw_file_id == file_id)))


def test_the_job_gives_the_command_s_answer_with_findings_and_provenance(
    bench: Bench, program_id: uuid.UUID, sessions: dict[str, Path], found: dict[str, Any]
) -> None:
    suspect, golden = (ingest(bench, program_id, sessions[name]) for name in ("bad", "golden"))
    payload = {"probing_session_id": str(suspect), "golden_session_ids": [str(golden)]}
    job_id = add_job(bench.engine, program_id, "anomaly", job_key=uuid.uuid4().hex, queue="cpu", payload=payload)
    context = bench.claim(job_id)
    bench.finish(context, run(context))
    (stored,) = [row for row in bench.rows(result) if row.kind == "anomaly"]
    assert (stored.verdict, stored.simulated, stored.probing_session_id) == ("different", True, suspect)
    assert [net["verdict"] for net in stored.body["nets"]] == [net["verdict"] for net in found["nets"]]
    assert stored.body["maps"] == found["maps"]
    assert stored.body["scan_chain"] == found["scan_chain"]
    assert stored.provenance["inputs"] == sorted({row.sha256 for row in bench.rows(raw_file)})
    assert stored.provenance["golden"] == ["golden-7"]
    findings = bench.rows(finding)
    assert {row.kind for row in findings} == {"net_difference", "map_difference", "chain_break"}
    (best,) = [row for row in findings if (row.kind, row.rank) == ("chain_break", 1)]
    assert (best.subject, best.probability > 0.95) == ("ff5", True)


def test_the_job_refuses_what_is_no_reference(bench: Bench, program_id: uuid.UUID, sessions: dict[str, Path]) -> None:
    suspect = ingest(bench, program_id, sessions["bad"])
    for golden, reason in ((suspect, "no reference"), (uuid.uuid4(), "there is no probing session")):
        payload = {"probing_session_id": str(suspect), "golden_session_ids": [str(golden)]}
        job_id = add_job(bench.engine, program_id, "anomaly", job_key=uuid.uuid4().hex, queue="cpu", payload=payload)
        with pytest.raises(JobRefused, match=reason):
            run(bench.claim(job_id))
