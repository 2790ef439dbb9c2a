"""``faultlight localize-batch`` and the job ``localize-batch``: SIMULATED dies of one small product."""

import io
import json
import shutil
import uuid
import zipfile
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from db.schema.data import fail_log, probing_session
from db.schema.work import finding, result
from services.cli import app
from services.demo.circuit import build_accumulator
from services.demo.die import DieOptions, SimulatedDie, write_session
from services.demo.machine import HiddenFault
from services.pipelines.context import JobRefused
from services.pipelines.ingestion.ingest import open_reader
from services.pipelines.probing.batch_localization import localize_batch_paths
from services.pipelines.probing.batch_localization_job import run
from services.pipelines.probing.localization import SessionError
from tests.pipelines.bench import Bench
from tests.workers.scenery import add_ingest, add_job, store_original

NETS = ("s1", "s2", "c2")


def write_die(folder: Path, seed: int, fault: HiddenFault | None, patterns: int = 48, stimulus: int = 1) -> None:
    folder.mkdir()
    options = DieOptions(seed, fault, golden=fault is None, patterns=patterns, stimulus_seed=stimulus)
    write_session(folder, SimulatedDie(build_accumulator(), options), ["b0"])
    path = folder / "session.json"
    document = json.loads(path.read_text())
    document["unit"]["x"] = seed
    path.write_text(json.dumps(document | {"session": folder.name}))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("batch")
    net = next(gate.output for gate in build_accumulator().gates if gate.function == "XOR")
    for number in range(5):
        write_die(place / f"D{number}", number, HiddenFault(net, "stuck-1", activity=0.9 - 0.1 * number))
    write_die(place / "P0", 20, None)
    write_die(place / "other", 21, None, stimulus=2)
    (place / "log.csv").write_text((place / "D1" / "fails.csv").read_text())
    (place / "net.txt").write_text(net)
    return place


def dies_of(folder: Path) -> list[Path]:
    return [*(folder / f"D{number}" for number in range(5)), folder / "P0", folder / "log.csv"]


@pytest.fixture(scope="module")
def answered(folder: Path) -> dict[str, Any]:
    return localize_batch_paths(dies_of(folder), device="cpu")


def test_says_of_every_die_what_its_log_says(folder: Path, answered: dict[str, Any]) -> None:
    net = (folder / "net.txt").read_text()
    dies = {die["name"]: die for die in answered["dies"]}
    assert list(dies) == [*(f"D{number}" for number in range(5)), "P0", "log"]
    assert (dies["P0"]["verdict"], dies["P0"]["suspects"]) == ("no-fails", [])
    for number in range(5):
        first = dies[f"D{number}"]["suspects"][0]
        assert net in [item["net"] for item in dies[f"D{number}"]["suspects"][:3]]
        assert first["x_um"] is not None
    assert dies["log"]["suspects"] == dies["D1"]["suspects"]
    (recurring,) = [item for item in answered["recurrences"] if net in (item["net"], *item["alongside"])]
    assert recurring["dies"] >= 4 > recurring["by_chance"]
    assert {member["name"] for member in recurring["members"]} == {*(f"D{number}" for number in range(5)), "log"}
    assert answered["verdict"] == "recurring"
    assert answered["simulated"] is True


def test_command_line(folder: Path) -> None:
    asked = ["localize-batch", *map(str, dies_of(folder)), "--device", "cpu"]
    told = CliRunner().invoke(app, asked)
    assert told.exit_code == 0, told.output
    assert "SIMULATED" in told.output
    assert "Recurring nets, at a false-discovery rate of 0.05" in told.output
    refused = CliRunner().invoke(app, ["localize-batch", str(folder / "log.csv"), "--json"])
    assert refused.exit_code == 2
    assert "the batch needs a probing session" in json.loads(refused.stdout)["error"]["message"]


def test_other_products_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(SessionError, match=r"the session other has other patterns than D0"):
        localize_batch_paths([folder / "D0", folder / "other"])
    stray = tmp_path / "stray.csv"
    stray.write_text("cycle,output\n3,nowhere\n")
    with pytest.raises(SessionError, match="the fail log of stray names output nowhere in cycle 3"):
        localize_batch_paths([folder / "D0", stray])
    shutil.copytree(folder / "D0", tmp_path / "again")
    with pytest.raises(SessionError, match=r"D0 and D0 are of the same die \(P1 L1 W03 0 7\): give it once"):
        localize_batch_paths([folder / "D0", tmp_path / "again"])
    with pytest.raises(SessionError, match=r"log\.csv is given twice"):
        localize_batch_paths([folder / "D0", folder / "log.csv", folder / "log.csv"])
    with pytest.raises(SessionError, match=r"between 0 and 1, not 1\.5"):
        localize_batch_paths([folder / "D0"], 1.5)


def ingest(bench: Bench, program_id: uuid.UUID, folder: Path) -> None:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        for path in sorted(folder.iterdir()):
            archive.writestr(path.name, path.read_bytes())
    file_id = store_original(bench.engine, bench.blobs, program_id, f"{folder.name}.zip", sink.getvalue())
    bench.ingest(add_ingest(bench.engine, program_id, {"raw_file_id": str(file_id)}), open_reader(bench.settings))


def test_the_job_stores_what_the_command_says(
    bench: Bench, program_id: uuid.UUID, folder: Path, answered: dict[str, Any]
) -> None:
    ingest(bench, program_id, folder / "D0")
    log = (folder / "log.csv").read_bytes()
    log_id = store_original(bench.engine, bench.blobs, program_id, "log.csv", log)
    bench.ingest(add_ingest(bench.engine, program_id, {"raw_file_id": str(log_id)}), open_reader(bench.settings))
    (own_log,) = [row for row in bench.rows(fail_log) if row.raw_file_id == log_id]
    sessions = {row.name: str(row.id) for row in bench.rows(probing_session)}

    def ask(identities: list[str], logs: list[str]) -> None:
        payload = {
            "probing_session_ids": identities,
            "fail_log_ids": logs,
            "false_discovery_rate": 0.05,
            "device": "cpu",
        }
        job_id = add_job(
            bench.engine, program_id, "localize-batch", job_key=uuid.uuid4().hex, queue="cpu", payload=payload
        )
        context = bench.claim(job_id)
        bench.finish(context, run(context))

    ask([sessions["D0"]], [str(own_log.id)])
    (stored,) = [row for row in bench.rows(result) if row.kind == "localize-batch"]
    assert (stored.simulated, stored.probing_session_id) == (True, None)
    first, second = stored.body["dies"]
    assert (first.pop("probing_session_id"), second.pop("probing_session_id")) == (sessions["D0"], None)
    assert (first.pop("fail_log_id"), second.pop("fail_log_id")) == (None, str(own_log.id))
    assert first == answered["dies"][0]
    assert second["suspects"] == answered["dies"][-1]["suspects"]
    assert stored.provenance["fail_logs_sha256"] == [own_log.sha256]
    found = [row for row in bench.rows(finding) if row.kind == "die"]
    assert [row.subject for row in found] == ["D0", second["name"]]
    assert found[0].evidence["suspect"] == answered["dies"][0]["suspects"][0]
    with pytest.raises(JobRefused, match="there is no probing session"):
        ask([str(uuid.uuid4())], [])
    with pytest.raises(JobRefused, match="there is no fail log"):
        ask([sessions["D0"]], [str(uuid.uuid4())])
