"""Rows of a table within a page as files, typed by what the page says; codes of faults in words."""

import csv
import io
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from pyarrow import parquet

from analysis.circuits.defects import BRIDGE_KINDS, Bridge, DoubleFault, SlowPath
from analysis.circuits.faults import Fault, list_delay_faults, list_faults, list_opens
from analysis.circuits.netlist import Circuit, LogicGate, build_circuit
from services.presentation.slow_path import shorten_fault
from services.web.fault_words import tell_fault
from tests.web.conftest import Browser, Console

SHOWN: dict[str, Any] = {
    "columns": [
        {"name": "Serial", "numeric": False}, {"name": "Rank", "numeric": True}, {"name": "x, µm", "numeric": True},
        {"name": "Averages", "numeric": True}, {"name": "When", "numeric": False},
    ],
    "rows": [
        ["007", "1", "-1.50", "200\N{NARROW NO-BREAK SPACE}000", "2026-05-01T07:30:00+00:00"],
        ["=1+1", "2", "\N{EN DASH}", "as before", "\N{EN DASH}"],
    ],
}  # fmt: skip


def send(browser: Browser, table: Any, form: str = "parquet", name: str = "suspects") -> Any:
    return browser.post("/tables", form=form, name=name, table=json.dumps(table))


def test_rows_are_typed_by_what_the_page_says_of_the_column(console: Console) -> None:
    answer = send(console.person("viewer"), SHOWN)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-disposition"] == 'attachment; filename="suspects.parquet"'
    found = parquet.read_table(io.BytesIO(answer.content))
    assert [str(kind) for kind in found.schema.types] == [
        "string",
        "int64",
        "double",
        "string",
        "timestamp[us, tz=UTC]",
    ]
    assert found.to_pydict() == {
        "Serial": ["007", "=1+1"], "Rank": [1, 2], "x, µm": [-1.5, None],
        "Averages": ["200\N{NARROW NO-BREAK SPACE}000", "as before"],
        "When": [datetime(2026, 5, 1, 7, 30, tzinfo=UTC), None],
    }  # fmt: skip
    rows = list(csv.reader(io.StringIO(send(console.person("viewer"), SHOWN, "csv").text)))
    assert rows[0] == ["Serial", "Rank", "x, µm", "Averages", "When"]
    assert rows[1][:3] == ["007", "1", "-1.5"]
    assert rows[2][0] == "'=1+1"
    assert rows[2][2] == ""


def test_a_table_without_rows_has_its_columns(console: Console) -> None:
    found = parquet.read_table(io.BytesIO(send(console.person("viewer"), SHOWN | {"rows": []}).content))
    assert (found.num_rows, found.num_columns) == (0, 5)


@pytest.mark.parametrize(
    ("table", "form", "name"),
    [
        (SHOWN | {"rows": [["1"]]}, "csv", "suspects"),
        (SHOWN | {"columns": [{"name": "a"}, {"name": "a"}], "rows": []}, "csv", "suspects"),
        (SHOWN | {"columns": []}, "csv", "suspects"),
        ({"rows": []}, "csv", "suspects"),
        (SHOWN, "xlsx", "suspects"),
        (SHOWN, "csv", 'x"; filename="evil'),
        ([], "csv", "suspects"),
    ],
)
def test_what_is_no_table_is_refused(console: Console, table: Any, form: str, name: str) -> None:
    assert send(console.person("viewer"), table, form, name).status_code == 422


def test_a_stranger_and_a_forged_form_get_nothing(console: Console) -> None:
    browser = console.person("viewer")
    fields = {"form": "csv", "name": "suspects", "table": json.dumps(SHOWN)}
    assert browser.client.post("/tables", data=fields).status_code == 403


def make_circuit() -> Circuit:
    gates = [
        LogicGate("c4", "NAND", ("a", "b")), LogicGate("d", "NOT", ("c4",)), LogicGate("e", "TABLE:0110", ("c4", "b")),
    ]  # fmt: skip
    return build_circuit(gates, ["a", "b"], ["d", "e"])


def test_every_code_that_the_analysis_writes_has_words() -> None:
    circuit = make_circuit()
    faults: list[Fault] = [*list_faults(circuit), *list_delay_faults(circuit), *list_opens(circuit)]
    faults += [Fault(0, "open", value, half_cycles=1.5) for value in (0, 1)]
    codes = {fault.describe(circuit) for fault in faults}
    codes |= {Bridge(0, 1, kind).describe(circuit) for kind in BRIDGE_KINDS}
    codes |= {DoubleFault(first, faults[0]).describe(circuit) for first in faults}
    codes.add(SlowPath((circuit.number["c4"], circuit.number["e"])).describe(circuit))
    assert [code for code in sorted(codes) if not tell_fault(code)] == []


def test_words_of_codes() -> None:
    assert tell_fault("SA1:c4") == "stuck at 1 at the gate's input fed by c4"
    assert tell_fault("SA0 + G7 SA1") == "stuck at 0; and G7 stuck at 1"
    assert tell_fault("SWAP:TABLE:0110") == "the gate computes the truth table 0110 instead"
    assert tell_fault("BRIDGE-AND:G7").startswith("bridged with G7, wired-AND")
    unknown_codes = ("", None, "delay", "SA2", "SA1:", "BRIDGE-X:G7", "STR:G7", "SA0 + G7 odd")
    for unknown in (*unknown_codes, "PATH:", "PATH:a", "PATH:a > "):
        assert tell_fault(unknown) == "", unknown


def test_a_slow_path_is_told_gate_by_gate_and_a_long_one_by_its_ends() -> None:
    circuit = make_circuit()
    short = SlowPath(tuple(circuit.number[net] for net in ("c4", "d"))).describe(circuit)
    assert tell_fault(short) == "slow along the path c4 > d (2 gates), all of which are late together"
    assert shorten_fault(short) == short
    names = [f"u[{gate}]" for gate in range(12)]
    for count in range(2, len(names) + 1):
        code = "PATH:" + " > ".join(names[:count])
        whole = count <= 6
        assert f"({count} gates)" in tell_fault(code)
        assert (shorten_fault(code) == code) == whole
        assert ("…" in tell_fault(code)) != whole
    assert tell_fault(code).startswith("slow along the path u[0] > u[1] > u[2] > … > u[10] > u[11] (12 gates)")
    assert shorten_fault(code) == "PATH:u[0] > u[1] > u[2] > … > u[10] > u[11] (12 gates)"
    assert "(3 gates)" in tell_fault("PATH:a>b > + > >")
    for other in ("SA1:c4", "SWAP:TABLE:0110", "SLOW", "BRIDGE-AND:a>b>c>d>e>f>g>h", "?"):
        assert shorten_fault(other) == other
