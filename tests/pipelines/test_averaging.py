"""``faultlight averaging`` and the job ``averaging``: a small SIMULATED die, repeats of a net in files or segments."""

import io
import json
import uuid
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from db.schema.data import probing_session
from db.schema.work import finding, result
from services.cli import app
from services.demo.oscilloscope_files import Scaling, write_lecroy_trc
from services.pipelines.context import JobRefused
from services.pipelines.ingestion.ingest import open_reader
from services.pipelines.probing.averaging import judge_path
from services.pipelines.probing.averaging_job import run
from tests.pipelines.bench import Bench
from tests.workers.scenery import add_ingest, add_job, store_original

CYCLES, SAMPLES = 64, 8
"""Cycles of the loop, and samples of a cycle."""


def outputs(bits: np.ndarray, *, stuck: bool) -> dict[str, np.ndarray]:
    """What the nets do; ``stuck`` holds ``x`` at 0."""
    a, b, c = bits.T
    x = np.zeros_like(a) if stuck else a & b
    w = b | c
    return {"x": x, "w": w, "y": x ^ c, "z": w & a}


def write_session(
    folder: Path, ratio: float, repeats: int, *, form: str = "segments", probed: tuple[str, bool] = ("y", True)
) -> None:
    """A die whose ``x`` is stuck at 0; a net is probed, in ``repeats`` of which each has ``ratio`` in a cycle.

    ``probed`` names it and says whether there is a fail log.
    """
    folder.mkdir(exist_ok=True)
    generator = np.random.default_rng(3)
    bits = generator.integers(0, 2, (CYCLES, 3))
    gates = (
        "INPUT(a)\nINPUT(b)\nINPUT(c)\nOUTPUT(y)\nOUTPUT(z)\nx = AND(a, b)\nw = OR(b, c)\ny = XOR(x, c)\nz = AND(w, a)"
    )
    (folder / "n.bench").write_text(gates + "\n")
    rows = [",".join(map(str, (cycle, *row))) for cycle, row in enumerate(bits)]
    (folder / "p.csv").write_text("\n".join(["cycle,a,b,c", *rows]) + "\n")
    good, bad = outputs(bits, stuck=False), outputs(bits, stuck=True)
    fails = [f"{cycle},y" for cycle in np.flatnonzero(good["y"] != bad["y"])]
    (folder / "f.csv").write_text("\n".join(["cycle,output", *fails]) + "\n")
    clean = np.repeat(bad[probed[0]].astype(float), SAMPLES)
    noise = generator.normal(0, np.sqrt(SAMPLES) / ratio, (repeats, clean.size))
    names = write_repeats(folder, clean + noise, form)
    document = {
        "schema": "faultlight.probing-session/1",
        "session": "S",
        "role": "suspect",
        "simulated": True,
        "technique": "LVP",
        "stimulus": {"cycle_s": 1e-8, "cycles": CYCLES, "averages": 1000},
        "netlist": "n.bench",
        "patterns": "p.csv",
        "waveforms": [{"file": name, "net": probed[0]} for name in names],
    }
    if probed[1]:
        document["fails"] = "f.csv"
    (folder / "session.json").write_text(json.dumps(document))


def write_repeats(folder: Path, values: np.ndarray, form: str) -> list[str]:
    dt_s = 1e-8 / SAMPLES
    if form == "segments":
        gain = float(np.ptp(values)) / 40_000
        codes = np.rint((values - values.mean()) / gain).astype(np.int16)
        scaling = Scaling(gain, float(values.mean()), dt_s, 0.0)
        write_lecroy_trc(folder / "w.trc", codes, scaling, trigger_offsets_s=[1e-3 * i for i in range(len(codes))])
        return ["w.trc"]
    for number, row in enumerate(values):
        lines = (f"{i * dt_s:.6e},{value:.9e}" for i, value in enumerate(row))
        (folder / f"w{number}.csv").write_text("\n".join(["time_s,reflectance", *lines]) + "\n")
    return [f"w{number}.csv" for number in range(len(values))]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("averaging")
    write_session(place / "strong", 2.0, 6)
    write_session(place / "weak", 0.3, 2, probed=("w", False))
    write_session(place / "files", 2.0, 3, form="files")
    return place


@pytest.fixture(scope="module")
def judged(folder: Path) -> dict[str, Any]:
    return judge_path(folder / "strong")


def test_strong_repeats_decide_and_the_behaviour_has_its_faults(judged: dict[str, Any]) -> None:
    document = judged
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    (probe,) = document["probes"]
    assert (document["verdict"], probe["status"], probe["repeats"]) == ("enough", "decided", 6)
    assert probe["repeats_needed"] < 6
    assert (probe["repeats_to_go"], probe["seconds_to_go"]) == (0.0, 0.0)
    best = probe["behaviours"][0]
    assert best["posterior"] > 0.98
    assert best["changed_cycles"] > 0
    assert "x SA0" in best["faults"]
    assert probe["as_simulated"] < 0.01
    assert probe["snr"]["low"] < 2.0 * np.sqrt(6) < probe["snr"]["high"]
    assert document["simulated"] is True
    assert document["provenance"]["parameters"]["wrong"] == 0.02


def test_weak_repeats_ask_for_more_with_the_time_it_takes(folder: Path) -> None:
    document = judge_path(folder / "weak", 0.001)
    (probe,) = document["probes"]
    assert probe["status"] in ("undecided", "not-worth-it")
    assert probe["repeats_needed"] is None
    assert probe["repeats_to_go"] >= 1
    assert probe["seconds_to_go"] == pytest.approx(probe["repeats_to_go"] * CYCLES * 1e-8 * 1000)


def test_files_that_follow_on_the_same_net_are_repeats(folder: Path) -> None:
    (probe,) = judge_path(folder / "files")["probes"]
    assert (probe["net"], probe["repeats"], probe["status"]) == ("y", 3, "decided")


def test_the_command_answers_and_refuses(folder: Path) -> None:
    runner = CliRunner()
    shown = runner.invoke(app, ["averaging", str(folder / "strong")])
    assert shown.exit_code == 0
    assert "SIMULATED" in shown.stdout
    assert "SA0" in shown.stdout
    wrong = runner.invoke(app, ["averaging", str(folder / "strong"), "--wrong", "0.7", "--json"])
    assert (wrong.exit_code, "between 0 and 0.5" in json.loads(wrong.stdout)["error"]["message"]) == (2, True)
    gone = runner.invoke(app, ["averaging", "nowhere", "--json"])
    assert (gone.exit_code, json.loads(gone.stdout)["error"]["message"]) == (2, "there is no file nowhere")


def ingest(bench: Bench, program_id: uuid.UUID, folder: Path) -> uuid.UUID:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        for path in sorted(folder.iterdir()):
            archive.writestr(path.name, path.read_bytes())
    file_id = store_original(bench.engine, bench.blobs, program_id, "S.zip", sink.getvalue())
    bench.ingest(add_ingest(bench.engine, program_id, {"raw_file_id": str(file_id)}), open_reader(bench.settings))
    (row,) = bench.rows(probing_session)
    return uuid.UUID(str(row.id))


def test_the_job_stores_what_the_command_says(
    bench: Bench, program_id: uuid.UUID, folder: Path, judged: dict[str, Any]
) -> None:
    session_id = ingest(bench, program_id, folder / "strong")

    def ask(payload: dict[str, Any]) -> None:
        job_id = add_job(bench.engine, program_id, "averaging", job_key=uuid.uuid4().hex, queue="cpu", payload=payload)
        context = bench.claim(job_id)
        bench.finish(context, run(context))

    ask({"probing_session_id": str(session_id), "wrong": 0.02})
    (stored,) = [row for row in bench.rows(result) if row.kind == "averaging"]
    assert (stored.verdict, stored.simulated, stored.probing_session_id) == ("enough", True, session_id)
    assert stored.body["probes"] == judged["probes"]
    assert len(stored.provenance["inputs"]) == 1
    (found,) = [row for row in bench.rows(finding) if row.kind == "averaging"]
    assert (found.subject, found.probability > 0.98, found.evidence["status"]) == ("y", True, "decided")
    with pytest.raises(JobRefused, match="there is no probing session"):
        ask({"probing_session_id": str(uuid.uuid4()), "wrong": 0.02})
