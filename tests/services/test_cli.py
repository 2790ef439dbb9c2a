"""The command line: machine output and nothing else, exit codes, and one line for what an operator can mend."""

import csv
import json
import os
import re
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import text
from typer.testing import CliRunner, Result

from db.engine import make_engine
from db.migration import current_revision, head_revision
from db.repositories.access import authenticate
from db.repositories.console_access import name_of, use_link
from services.cli import WORKER_SILENCE_S, app
from services.demo.oscilloscope_files import Scaling, write_lecroy_trc
from services.settings import get_settings

ROOT = Path(__file__).resolve().parents[2]
NETLIST = "INPUT(a)\nINPUT(b)\nOUTPUT(y)\ny = NAND(a, b)\n"
C17 = """INPUT(G1)\nINPUT(G2)\nINPUT(G3)\nINPUT(G6)\nINPUT(G7)\nOUTPUT(G22)\nOUTPUT(G23)
G10 = NAND(G1, G3)\nG11 = NAND(G3, G6)\nG16 = NAND(G2, G11)\nG19 = NAND(G11, G7)
G22 = NAND(G10, G16)\nG23 = NAND(G16, G19)
"""
GATES = {"G10": ("G1", "G3"), "G11": ("G3", "G6"), "G16": ("G2", "G11"), "G19": ("G11", "G7"), "G22": ("G10", "G16"),
         "G23": ("G16", "G19")}  # fmt: skip
INPUTS = ("G1", "G2", "G3", "G6", "G7")
CYCLES = 32


def call(*arguments: str, **environment: str | None) -> Result:
    """Run the command in this process, with settings read anew from the environment."""
    get_settings.cache_clear()
    try:
        return CliRunner().invoke(app, list(arguments), env=environment)
    finally:
        get_settings.cache_clear()


def run_command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a process: what native libraries print shows up as well."""
    command = [sys.executable, "-m", "services.cli", *arguments]
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("FAULTLIGHT_")}
    return subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=ROOT, env=inherited | environment, timeout=120
    )


def test_read_prints_one_document_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "n.bench"
    path.write_text(NETLIST)
    told = run_command("read", str(path), "--json")
    assert (told.returncode, told.stderr) == (0, "")
    document = json.loads(told.stdout)
    assert told.stdout.count("\n") == 1
    assert {"file", "format", "adapter_version", "records", "warnings"} <= set(document)
    assert (document["file"], document["format"], document["warnings"]) == ("n.bench", "bench", [])
    (record,) = document["records"]
    assert set(record) == {"kind", "name", "count", "unit", "t0_s", "dt_s", "min", "max", "segments", "meta"}
    assert (record["kind"], record["count"], record["unit"]) == ("netlist", 1, "gates")


def test_read_tells_a_waveform_with_its_axis_and_range(tmp_path: Path) -> None:
    path = tmp_path / "w.csv"
    path.write_text("time_s,reflectance\n" + "".join(f"{i}e-9,{i % 7}.5\n" for i in range(100)))
    document = json.loads(call("read", str(path), "--json").stdout)
    (record,) = document["records"]
    assert (record["kind"], record["count"], record["segments"]) == ("waveform", 100, 1)
    assert record["dt_s"] == pytest.approx(1e-9)
    assert (record["t0_s"], record["min"], record["max"]) == (0.0, 0.5, 6.5)


def test_read_by_the_header_tells_no_range_and_how_far_it_looked(tmp_path: Path) -> None:
    path, table = tmp_path / "a.trc", tmp_path / "w.csv"
    write_lecroy_trc(path, np.zeros((1, 40), np.int16), Scaling(0.5, 1.0, 1e-9, -1e-8))
    table.write_text("time_s,reflectance\n" + "".join(f"{i}e-9,{i % 7}.5\n" for i in range(100)))
    for file, reach, count in ((path, "header", 40), (table, "walk", 100)):
        whole, header = (json.loads(call("read", str(file), "--json", *more).stdout) for more in ((), ("--header",)))
        assert header.pop("reach") == reach
        assert header["records"][0]["count"] == count
        for record in whole["records"]:
            del record["min"], record["max"]
        assert header == whole
    path.write_bytes(path.read_bytes()[:-1])
    refused = call("read", str(path), "--header", "--json")
    assert (refused.exit_code, json.loads(refused.stdout)["error"]["type"]) == (2, "Truncated")


def test_read_refuses_with_the_facts_and_exit_2(tmp_path: Path) -> None:
    path = tmp_path / "cut.bench"
    path.write_text(NETLIST[:-6])
    result = call("read", str(path), "--json")
    assert result.exit_code == 2
    error = json.loads(result.stdout)["error"]
    assert set(error) - {"reasons"} == {"type", "message", "offset", "expected", "found"}
    assert (error["type"], error["offset"], error["found"]) == ("CorruptField", 4, "y = NAND(")
    assert result.stderr == ""
    plain = call("read", str(path))
    assert plain.exit_code == 2
    assert plain.stdout == ""
    assert "refused: cut.bench: the statement is neither a port nor a gate" in plain.stderr
    assert plain.stderr.count("\n") == 1, "what other adapters look for is no help"
    unknown = tmp_path / "unknown"
    unknown.write_text("nothing known")
    assert call("read", str(unknown)).stderr.count("\n") > 10


@pytest.mark.parametrize(
    ("content", "options", "kind"),
    [
        (b"", (), "UnknownFormat"),
        (b"\x00\x01\x02" * 999, (), "UnknownFormat"),
        (NETLIST.encode(), ("--format", "nobody"), "UnknownFormat"),
        (NETLIST.encode(), ("--format", "value_change_dump"), None),
        (None, (), "FileNotFoundError"),
    ],
    ids=["empty", "noise", "unknown adapter", "wrong adapter", "missing"],
)
def test_bad_input_is_exit_2_and_an_error_document(
    tmp_path: Path, content: bytes | None, options: tuple[str, ...], kind: str | None
) -> None:
    path = tmp_path / "x.bin"
    if content is not None:
        path.write_bytes(content)
    result = call("read", str(path), "--json", *options)
    assert result.exit_code == 2, result.output
    error = json.loads(result.stdout)["error"]
    assert set(error) - {"reasons"} == {"type", "message", "offset", "expected", "found"}
    assert error["message"]
    assert kind is None or error["type"] == kind


def test_read_goes_on_after_a_refusal_and_tells_each_file(tmp_path: Path) -> None:
    for name, content in (("a.bench", NETLIST), ("b.bench", "nonsense"), ("c.bench", NETLIST)):
        (tmp_path / name).write_text(content)
    result = call("read", *(str(tmp_path / name) for name in ("a.bench", "b.bench", "missing", "c.bench")), "--json")
    assert result.exit_code == 2
    documents = [json.loads(line) for line in result.stdout.splitlines()]
    assert [sorted(document)[0] for document in documents] == ["adapter", "error", "error", "adapter"]


@pytest.mark.shared_data
def test_what_native_readers_print_stays_off_stdout(shared_data: Path) -> None:
    told = run_command("read", str(shared_data / "formats/vcd/nvc__manytypes2.vcd"), "--json")
    assert told.stdout.count("\n") == 1
    assert set(json.loads(told.stdout)) & {"records", "error"}


def simulate(values: dict[str, int], stuck: tuple[str, int] | None) -> dict[str, int]:
    """The naive twin: one pattern through c17, with one stem stuck."""
    for net, inputs in GATES.items():
        values[net] = 1 - (values[inputs[0]] & values[inputs[1]])
        if stuck is not None and net == stuck[0]:
            values[net] = stuck[1]
    return values


def write_session(folder: Path) -> Path:
    """A session of c17 whose G16 is stuck at 1, with waveforms of three nets."""
    folder.mkdir()
    numbers = np.random.default_rng(3)
    patterns = numbers.integers(0, 2, (CYCLES, len(INPUTS)))
    good = [simulate(dict(zip(INPUTS, map(int, row), strict=True)), None) for row in patterns]
    bad = [simulate(dict(zip(INPUTS, map(int, row), strict=True)), ("G16", 1)) for row in patterns]
    (folder / "c17.bench").write_text(C17)
    write_table(folder / "patterns.csv", ("cycle", *INPUTS), ((i, *row) for i, row in enumerate(patterns.tolist())))
    fails = [(i, net) for i in range(CYCLES) for net in ("G22", "G23") if good[i][net] != bad[i][net]]
    write_table(folder / "fails.csv", ("cycle", "output"), fails)
    probes = []
    for index, net in enumerate(("G11", "G16", "G22")):
        levels = np.repeat([float(row[net]) for row in bad], 10)
        samples = 0.2 - 0.01 * levels + numbers.normal(0, 0.002, levels.size)
        name = f"probe_{index:04d}.csv"
        rows = ((f"{place * 1e-9:.10e}", f"{value:.8f}") for place, value in enumerate(samples))
        write_table(folder / name, ("time_s", "reflectance"), rows)
        probes.append({"file": name, "net": net, "x_um": index * 5.0, "y_um": 0.0, "placement_sigma_nm": 30})
    document = {
        "schema": "faultlight.probing-session/1", "session": "S-1", "role": "suspect", "simulated": True,
        "unit": {"program": "demo", "product": "P", "lot": "L", "wafer": "W", "x": 1, "y": 2}, "technique": "LVP",
        "stimulus": {"cycle_s": 1e-8, "cycles": CYCLES, "averages": 1000}, "netlist": "c17.bench",
        "patterns": "patterns.csv", "fails": "fails.csv", "waveforms": probes,
    }  # fmt: skip
    (folder / "session.json").write_text(json.dumps(document))
    return folder


def write_table(path: Path, header: tuple[str, ...], rows: Any) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)


def test_localize_finds_the_gate_and_prints_one_document(tmp_path: Path) -> None:
    folder = write_session(tmp_path / "session")
    told = run_command("localize", str(folder), "--json", OMP_NUM_THREADS="1")
    assert told.returncode == 0, told.stderr
    assert told.stdout.count("\n") == 1
    document = json.loads(told.stdout)
    assert document["verdict"] in {"located", "ambiguous", "unmodelled", "no-fault"}
    first = document["candidates"][0]
    assert {"net", "fault", "posterior"} <= set(first)
    assert "G16" in {first["net"], *first["equivalent"]}
    posteriors = [candidate["posterior"] for candidate in document["candidates"]]
    assert posteriors == sorted(posteriors, reverse=True)
    assert 0 <= document["unmodelled"] <= 1
    assert sum(posteriors) + document["unmodelled"] <= 1 + 1e-9
    assert [waveform["net"] for waveform in document["waveforms"]] == ["G11", "G16", "G22"]
    for waveform in document["waveforms"]:
        assert {"net", "p_faulty", "snr", "skew_ps", "skew_sigma_ps", "mixture"} <= set(waveform)
        assert all({"net", "weight", "sigma"} <= set(part) for part in waveform["mixture"])
    for probe in document["next_probes"]:
        assert {"net", "x_um", "y_um", "bits", "seconds"} <= set(probe)
    archive = tmp_path / "session.zip"
    with zipfile.ZipFile(archive, "w") as sink:
        for path in folder.iterdir():
            sink.write(path, path.name)
    again = json.loads(call("localize", str(archive), "--json").stdout)
    assert again["candidates"] == document["candidates"]
    assert call("localize", str(folder)).exit_code == 0


def test_localize_refuses_what_is_no_session(tmp_path: Path) -> None:
    netlist = tmp_path / "n.bench"
    netlist.write_text(NETLIST)
    broken = write_session(tmp_path / "broken")
    (broken / "fails.csv").write_text("cycle,output\n0,G99\n")
    for path, expected in ((netlist, "needs a probing session"), (broken, "G99"), (tmp_path / "none", "no file")):
        result = call("localize", str(path), "--json")
        assert result.exit_code == 2, result.output
        error = json.loads(result.stdout)["error"]
        assert set(error) - {"reasons"} == {"type", "message", "offset", "expected", "found"}
        assert expected in json.dumps(error), error


def test_migrate_and_create_admin_prepare_an_installation(fresh_database_url: str, tmp_path: Path) -> None:
    environment = {"FAULTLIGHT_DATABASE_URL": fresh_database_url, "FAULTLIGHT_DATA_DIR": str(tmp_path)}
    engine = make_engine(fresh_database_url)
    with engine.begin() as connection:
        connection.execute(text("DROP SCHEMA faultlight CASCADE"))
    told = run_command("migrate", **environment)
    assert (told.returncode, told.stdout) == (0, f"schema: empty -> {head_revision()}\n"), told.stderr
    assert current_revision(engine) == head_revision()
    assert call("migrate", **environment).stdout == f"schema: {head_revision()} -> {head_revision()}\n"
    made = call("create-admin", **environment)
    assert re.fullmatch(r"fl_[a-z0-9]{8}_[A-Za-z0-9_-]{43}\n", made.stdout)
    with engine.begin() as connection:
        caller = authenticate(connection, made.stdout.strip()).caller
    assert (caller.actor, caller.installation_admin) == ("account:admin", True)
    link = call("sign-in-link", "ada", **environment, FAULTLIGHT_PUBLIC_URL="https://faultlight.example").stdout
    assert re.fullmatch(r"https://faultlight\.example/sign-in/once/[A-Za-z0-9_-]{43}\n", link)
    with engine.begin() as connection:
        account = use_link(connection, link.strip().rsplit("/", 1)[1])
        assert account is not None
        assert name_of(connection, account) == "ada"
    engine.dispose()


def test_a_setting_that_is_wrong_is_told_by_its_name(tmp_path: Path) -> None:
    quiet = {"FAULTLIGHT_DATA_DIR": str(tmp_path), "FAULTLIGHT_DATABASE_URL": None, "FAULTLIGHT_BROKER_URL": None}
    for command in ("migrate", "create-admin", "sign-in-link"):
        result = call(command, **quiet)
        assert result.exit_code == 2, command
        assert result.stderr.startswith("error: set FAULTLIGHT_DATABASE_URL"), command
    wrong = call("migrate", **quiet | {"FAULTLIGHT_API_PORT": "many"})
    assert wrong.exit_code == 2
    assert wrong.stderr.startswith("error: FAULTLIGHT_API_PORT: ")
    away = call("migrate", **quiet | {"FAULTLIGHT_DATABASE_URL": "postgresql+psycopg://x:secret@127.0.0.1:1/x"})
    assert away.exit_code == 1
    assert away.stderr.startswith("error: the database: ")
    assert away.stderr.count("\n") == 1
    assert "secret" not in away.stderr


@pytest.mark.parametrize("command", ["worker", "scheduler"])
def test_a_process_without_its_servers_says_which_setting_it_lacks(tmp_path: Path, command: str) -> None:
    """As processes: they set up logging for good."""
    told = run_command(command, FAULTLIGHT_DATA_DIR=str(tmp_path), FAULTLIGHT_BLOB_URL=f"file://{tmp_path}")
    assert told.returncode == 2, told.stderr
    assert told.stderr.startswith("error: set FAULTLIGHT_DATABASE_URL")


def test_worker_health_follows_the_sign_of_life(tmp_path: Path) -> None:
    environment = {"FAULTLIGHT_DATA_DIR": str(tmp_path)}
    never = call("worker-health", **environment)
    assert (never.exit_code, never.stderr) == (1, "no sign of life\n")
    alive = tmp_path / "scratch" / "alive"
    alive.parent.mkdir()
    alive.touch()
    assert call("worker-health", **environment).exit_code == 0
    past = time.time() - WORKER_SILENCE_S - 60
    os.utime(alive, (past, past))
    silent = call("worker-health", **environment)
    assert silent.exit_code == 1
    assert re.fullmatch(r"the last sign of life was 1[78]\d s ago\n", silent.stderr)


def test_wrong_options_are_exit_2() -> None:
    for arguments in (["read"], ["localize"], ["nothing"], ["read", "x", "--nothing"]):
        assert call(*arguments).exit_code == 2, arguments
