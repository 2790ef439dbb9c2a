"""``faultlight localize``: folders, archives, dumps in place of netlists, the document, broken sessions."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from instruments.errors import InstrumentError
from services.cli import app
from services.demo.circuit import build_accumulator
from services.demo.die import DieOptions, SimulatedDie, make_session, write_session
from services.demo.machine import HiddenFault
from services.pipelines.probing.averaging import judge_path
from services.pipelines.probing.localization import SessionError, localize_path
from services.pipelines.versions import LOCALIZATION_VERSION

FAULT = HiddenFault("c4", "stuck-0")
PROBES = ("c4", "s4", "g3_n", "y0")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A session whose hidden fault is at c4."""
    made = tmp_path_factory.mktemp("session")
    write_session(made, SimulatedDie(build_accumulator(), DieOptions(seed=7, fault=FAULT)), PROBES)
    return made


@pytest.fixture(scope="module")
def document(folder: Path) -> dict[str, Any]:
    return localize_path(folder).to_document()


def check(value: Any, schema: Any, where: str = "") -> None:
    """A value has the keys and types that a schema of plain types names; ``None`` allows null beside a type."""
    if isinstance(schema, dict):
        assert set(schema) <= set(value), where
        for key, part in schema.items():
            check(value[key], part, f"{where}.{key}")
    elif isinstance(schema, list):
        assert isinstance(value, list), where
        for item in value:
            check(item, schema[0], f"{where}[]")
    else:
        assert isinstance(value, schema), f"{where}: {value!r}"


NUMBER = (int, float)
MAYBE = (int, float, type(None))
SCHEMA = {
    "verdict": str,
    "candidates": [{"net": str, "fault": str, "posterior": NUMBER}],
    "unmodelled": NUMBER,
    "waveforms": [
        {
            "net": str,
            "p_faulty": NUMBER,
            "snr": MAYBE,
            "skew_ps": MAYBE,
            "skew_sigma_ps": MAYBE,
            "mixture": [{"net": str, "weight": NUMBER, "sigma": NUMBER}],
        }
    ],
    "next_probes": [{"net": str, "x_um": MAYBE, "y_um": MAYBE, "bits": NUMBER, "seconds": NUMBER, "averages": MAYBE}],
    "decided": bool,
    "missing_bits": NUMBER,
    "expected_probes": NUMBER,
}


def test_the_document_is_as_designed(document: dict[str, Any]) -> None:
    check(document, SCHEMA)
    assert document["verdict"] == "located"
    assert document["candidates"][0]["net"] == "c4"
    assert document["candidates"][0]["fault"] == "SA0"
    assert [item["net"] for item in document["waveforms"]] == list(PROBES)
    assert document["simulated"] is True
    assert document["decided"] is True
    assert document["expected_probes"] == 0
    assert document["missing_bits"] < 0.5
    assert document["provenance"]["algorithm_version"] == LOCALIZATION_VERSION
    assert json.loads(json.dumps(document, allow_nan=False)) == document


def test_wrong_waveforms_are_told_from_right_ones(document: dict[str, Any]) -> None:
    wrong = {item["net"]: item["p_faulty"] for item in document["waveforms"]}
    assert wrong["c4"] > 0.95
    assert wrong["s4"] > 0.95
    assert wrong["g3_n"] < 0.05
    assert wrong["y0"] < 0.05


def test_an_archive_gives_the_same_answer(folder: Path, document: dict[str, Any], tmp_path: Path) -> None:
    archive = Path(shutil.make_archive(str(tmp_path / "session"), "zip", folder))
    assert localize_path(archive).to_document() == document


def test_the_command_prints_the_document_and_nothing_else(folder: Path, document: dict[str, Any]) -> None:
    outcome = CliRunner().invoke(app, ["localize", str(folder), "--json"])
    assert outcome.exit_code == 0
    assert json.loads(outcome.stdout) == document


def test_a_golden_session_has_no_fault(tmp_path: Path) -> None:
    make_session(tmp_path, DieOptions(seed=9, golden=True, probes=5))
    assert localize_path(tmp_path).to_document()["verdict"] == "no-fault"


def test_before_the_first_probe_the_fail_log_alone_says_where_to_begin(folder: Path, tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    shutil.copytree(folder, begun)
    edit("waveforms", lambda _old: [])(begun)
    document = localize_path(begun).to_document()
    check(document, SCHEMA)
    assert (document["verdict"], document["waveforms"], document["decided"]) == ("ambiguous", [], False)
    assert "c4" in [item["net"] for item in document["candidates"]]
    assert document["expected_probes"] >= 1
    assert document["next_probes"][0]["bits"] > 0.2
    with pytest.raises(SessionError, match="no waveform: there is no averaging to judge"):
        judge_path(begun)


def test_text_waveforms_do_as_well(tmp_path: Path) -> None:
    die = SimulatedDie(build_accumulator(), DieOptions(seed=7, fault=FAULT, file_format="csv"))
    write_session(tmp_path, die, ("c4", "s4"))
    assert localize_path(tmp_path).to_document()["candidates"][0]["net"] == "c4"


def dump_of(die: SimulatedDie, nets: tuple[str, ...]) -> str:
    """A VCD of a good die: every net changes at the beginnings of cycles of 10 ns."""
    names = {net: chr(33 + place) for place, net in enumerate(nets)}
    lines = ["$timescale 1ps $end", "$scope module top $end"]
    lines += [f"$var wire 1 {mark} {net} $end" for net, mark in names.items()]
    lines += ["$upscope $end", "$enddefinitions $end"]
    for cycle in range(die.options.patterns):
        lines.append(f"#{cycle * 10_000}")
        lines += [f"{int(die.does(net)[cycle])}{mark}" for net, mark in names.items()]
    return "\n".join([*lines, f"#{die.options.patterns * 10_000}"]) + "\n"


def with_dump(folder: Path, fault: HiddenFault | None) -> Path:
    """A session whose reference is a dump of the good die."""
    options = DieOptions(seed=7, fault=fault, golden=fault is None)
    write_session(folder, SimulatedDie(build_accumulator(), options), PROBES)
    good = SimulatedDie(build_accumulator(), DieOptions(seed=7, golden=True))
    (folder / "good.vcd").write_text(dump_of(good, (*PROBES, "y1", "p2", "carry", "m3_1")))
    document = json.loads((folder / "session.json").read_text())
    for key in ("netlist", "patterns", "fails", "placement"):
        (folder / document.pop(key)).unlink()
    document["simulation"] = "good.vcd"
    (folder / "session.json").write_text(json.dumps(document))
    return folder


def test_a_dump_of_the_good_die_compares_waveforms(tmp_path: Path) -> None:
    document = localize_path(with_dump(tmp_path, FAULT)).to_document()
    check(document, SCHEMA)
    assert document["candidates"] == []
    assert document["verdict"] == "ambiguous"
    wrong = {item["net"]: item["p_faulty"] for item in document["waveforms"]}
    assert wrong["c4"] > 0.7
    assert wrong["s4"] > 0.9
    assert wrong["g3_n"] < 0.3
    assert wrong["y0"] < 0.1


def test_a_good_die_agrees_with_its_dump(tmp_path: Path) -> None:
    document = localize_path(with_dump(tmp_path, None)).to_document()
    assert document["verdict"] == "no-fault"
    assert max(item["p_faulty"] for item in document["waveforms"]) < 0.3


def edit(key: str, change: Callable[[Any], Any]) -> Callable[[Path], None]:
    """A change of one section of the document."""

    def apply(folder: Path) -> None:
        document = json.loads((folder / "session.json").read_text())
        document[key] = change(document.get(key))
        (folder / "session.json").write_text(json.dumps(document))

    return apply


def drop_column(folder: Path) -> None:
    lines = (folder / "patterns.csv").read_text().splitlines()
    (folder / "patterns.csv").write_text("\n".join(line.rsplit(",", 1)[0] for line in lines) + "\n")


def unknown_output(folder: Path) -> None:
    with (folder / "fails.csv").open("a") as file:
        file.write("3,nowhere\n")


def cut_waveform(folder: Path) -> None:
    path = folder / "probe_0001.trc"
    path.write_bytes(path.read_bytes()[:4000])


def first_probe(**values: Any) -> Callable[[Path], None]:
    return edit("waveforms", lambda probes: [{**probes[0], **values}, *probes[1:]])


@pytest.mark.parametrize(
    ("breaking", "message"),
    [
        (drop_column, "the patterns lack the input acc7"),
        (unknown_output, "nowhere"),
        (first_probe(net="c99"), "c99"),
        (first_probe(file="missing.trc"), "missing.trc"),
        (edit("stimulus", lambda old: {**old, "cycle_s": 0}), "cycle_s"),
        (edit("stimulus", lambda old: {**old, "cycle_s": -1e-8}), "cycle_s"),
        (edit("stimulus", lambda old: {**old, "cycle_s": 1e-6}), "covers"),
        (edit("stimulus", lambda old: {**old, "cycle_s": 5e-10}), "samples in a cycle are too few"),
        (edit("netlist", lambda _old: None), "netlist"),
        (edit("waveforms", lambda _old: None), "expected a list, with at least one waveform unless there are maps"),
        (cut_waveform, "probe_0001.trc"),
    ],
)
def test_broken_sessions_say_what_is_wrong(
    folder: Path, tmp_path: Path, breaking: Callable[[Path], None], message: str
) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(folder, broken)
    breaking(broken)
    with pytest.raises((SessionError, InstrumentError, ValueError)) as caught:
        localize_path(broken)
    assert message in str(caught.value)
    outcome = CliRunner().invoke(app, ["localize", str(broken), "--json"])
    assert outcome.exit_code == 2
    assert message in json.loads(outcome.stdout)["error"]["message"]


def test_what_is_no_session_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.bench").write_text("INPUT(a)\nOUTPUT(y)\ny = NOT(a)\n")
    with pytest.raises(SessionError, match="localization needs a probing session"):
        localize_path(tmp_path / "a.bench")
    with pytest.raises(FileNotFoundError):
        localize_path(tmp_path / "nothing")
