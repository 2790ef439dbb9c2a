"""Delays from SDF and Liberty in their places, and what is said where a file does not know."""

import numpy as np
import pytest

from analysis.circuits.delays import typical_delays
from instruments.adapter import Source
from instruments.records import Gate, Netlist, ProbingSession
from instruments.simulation.liberty import LibertyAdapter
from instruments.simulation.standard_delay import StandardDelayAdapter
from services.pipelines.probing.cell_delays import DelayFileError, find_delays
from services.pipelines.probing.localization import to_circuit
from services.pipelines.probing.session_delays import delay_document, told_delays
from tests.instruments.simulation.delay_files import LIBERTY

NETLIST = Netlist(
    "t",
    ("a", "b", "ck"),
    ("z",),
    (
        Gate("u1", "nand2", "NAND", "x", ("a", "b"), {"A": "a", "B": "b", "Y": "x"}),
        Gate("u2", "inv", "NOT", "y", ("x",), {"A": "x", "Y": "y"}),
        Gate("u3", "inv", "NOT", "z", ("q",), {"A": "q", "Y": "z"}),
        Gate("f", "flop", "DFF", "q", ("y",), {"CK": "ck"}),
    ),
)
SDF = """(DELAYFILE (DIVIDER /) (TIMESCALE 1ps)
  (CELL (CELLTYPE "nand2") (INSTANCE u1) (DELAY (ABSOLUTE
    (IOPATH A Y (1:2:3) (4)) (COND B (IOPATH A Y (3) (1))) (IOPATH B Y (5::9) (6)))))
  (CELL (CELLTYPE "inv") (INSTANCE u2) (DELAY (ABSOLUTE (PORT A (1)) (IOPATH A Y (8) (9)))))
  (CELL (CELLTYPE "flop") (INSTANCE f) (DELAY (ABSOLUTE (IOPATH (posedge CK) Q (20) (30)))))
  (CELL (CELLTYPE "t") (INSTANCE) (DELAY (ABSOLUTE (INTERCONNECT u1/Y u2/A (0.5) (2)) (INTERCONNECT p u9/A (1)))))
)"""


def read(adapter, folder, text: str):
    path = folder / "file"
    path.write_text(text)
    return list(adapter.read(Source(path, "file", len(text), text.encode(), {}))[1])


def by_net(circuit, times) -> dict[str, list[int]]:
    return {
        circuit.nets[net]: times[gate, : len(circuit.fan_in[gate])].tolist() for gate, net in enumerate(circuit.drives)
    }


def test_sdf_in_its_places(tmp_path) -> None:
    circuit = to_circuit(NETLIST)
    found = find_delays(NETLIST, circuit, read(StandardDelayAdapter(), tmp_path, SDF))
    found.delays.check(circuit)
    usual = by_net(circuit, typical_delays(circuit).rise_fs)
    # The slower of two conditions, the middle of two limits, and the longer of two wires before u2.
    assert by_net(circuit, found.delays.rise_fs) == {"x": [3000, 7000], "y": [10_000], "z": usual["z"]}
    assert by_net(circuit, found.delays.fall_fs) == {"x": [4000, 6000], "y": [11_000], "z": usual["z"]}
    flop = circuit.inputs.index(circuit.number["q"])
    assert found.delays.source_rise_fs[flop] == 20_000
    assert found.delays.source_fall_fs[flop] == 30_000
    assert found.typical == ("z",)
    assert found.notes == ("1 delays of the file are of no pin of the netlist, or of a sort that is not used",)


def test_liberty_by_transition_and_load(tmp_path) -> None:
    circuit = to_circuit(NETLIST)
    tables = read(LibertyAdapter(), tmp_path, LIBERTY)
    found = find_delays(NETLIST, circuit, tables)
    found.delays.check(circuit)
    assert found.typical == ("x",)
    # x keeps the fastest transition of the library (10 ps); y drives the flip-flop's D, 2 fF: the tables' first points.
    rise, fall = by_net(circuit, found.delays.rise_fs), by_net(circuit, found.delays.fall_fs)
    assert (rise["y"], fall["y"]) == ([10_000], [10_000])
    # q rises 2 fF/2 below the first load: 1 fF of an inverter; continued to 5 ps. It has no falling table: typical.
    flop = circuit.inputs.index(circuit.number["q"])
    assert found.delays.source_rise_fs[flop] == 5_000
    assert found.delays.source_fall_fs[flop] == typical_delays(circuit).source_fall_fs[flop]
    # z drives nothing: by slope 5 ps a fF from 10 ps at 2 fF to 0, kept at the least delay of 1 fs.
    assert rise["z"] == [1]
    assert np.all(found.delays.rise_fs[circuit.driver[circuit.number["x"]]] > 1)


def test_files_of_something_else_are_refused(tmp_path) -> None:
    circuit = to_circuit(NETLIST)
    other = SDF.replace("u1", "w1").replace("u2", "w2").replace("INSTANCE f", "INSTANCE g")
    tables = read(StandardDelayAdapter(), tmp_path, other)
    with pytest.raises(DelayFileError, match="names no instance of the netlist"):
        find_delays(NETLIST, circuit, tables)
    tables = read(LibertyAdapter(), tmp_path, LIBERTY.replace("(inv)", "(other)").replace("(flop)", "(another)"))
    with pytest.raises(DelayFileError, match="has none of the netlist's cells"):
        find_delays(NETLIST, circuit, tables)
    with pytest.raises(DelayFileError, match="delays are SDF or Liberty, not nothing"):
        find_delays(NETLIST, circuit, [])


def session_with(tables: tuple, **document: object) -> ProbingSession:
    stimulus = {"cycle_s": 1e-10}
    return ProbingSession(
        "s", "suspect", {"stimulus": stimulus} | document, NETLIST, None, None, None, (), {}, {}, tables
    )


def test_a_session_tells_the_localizer_one_delay_a_gate_in_parts_of_the_cycle(tmp_path) -> None:
    circuit = to_circuit(NETLIST)
    session = session_with(tuple(read(StandardDelayAdapter(), tmp_path, SDF)), delays="top.sdf")
    told = told_delays(session, circuit, looped=False)
    # Of x: (3 + 7 + 4 + 6) / 4 ps, of y (10 + 11) / 2; z is in no arc; q changes 25 ps after the clock.
    expected = {"x": 0.05, "y": 0.105, "q": 0.25, "a": 0.0, "b": 0.0}
    assert told.delays.parts == pytest.approx({**expected, **{net: 0.0 for net in told.delays.parts if net == "ck"}})
    document = delay_document(session, told)
    assert (document["source"], document["told_gates"], document["untold"]) == ("top.sdf", 2, ["z"])
    assert document["spread"] == 0.1
    loop = told_delays(session, circuit, looped=True)
    assert loop.delays is None
    assert loop.notes == ("in a functional loop late edges are late by whole cycles",)


def test_a_delay_file_of_another_netlist_is_not_used_and_that_is_said(tmp_path) -> None:
    other = (
        SDF.replace("INSTANCE u1", "INSTANCE v1")
        .replace("INSTANCE u2", "INSTANCE v2")
        .replace("INSTANCE f", "INSTANCE v3")
    )
    other = other.replace("u1/Y u2/A", "v1/Y v2/A")
    session = session_with(tuple(read(StandardDelayAdapter(), tmp_path, other)), delays="top.sdf")
    told = told_delays(session, to_circuit(NETLIST), looped=False)
    assert (told.delays, told.notes) == (None, ("the SDF file names no instance of the netlist",))
    assert delay_document(session, told)["spread"] == pytest.approx(1 / 3)
    none = told_delays(session_with(()), to_circuit(NETLIST), looped=False)
    assert none.notes == ("the session has no delay file",)
    unread = told_delays(session_with((), delays="top.sdf"), to_circuit(NETLIST), looped=False)
    assert unread.notes == ("top.sdf was not read: the warnings of the session's reading say why",)


def test_delays_that_do_not_fit_the_cycle_are_told_or_not_used(tmp_path) -> None:
    circuit, tables = to_circuit(NETLIST), tuple(read(StandardDelayAdapter(), tmp_path, SDF))
    # x and y take 15.5 ps, and z the middle of both after q, which changes 25 ps after the clock: 32.75 ps.
    for cycle_s, used in ((1e-10, True), (2e-11, True), (1e-12, False)):
        session = session_with(tables, delays="top.sdf", stimulus={"cycle_s": cycle_s})
        told = told_delays(session, circuit, looped=False)
        assert (told.delays is not None) is used
        notes = " ".join(told.notes)
        assert ("the longest path takes 1.64 cycles; delays are shortened" in notes) is (cycle_s == 2e-11)
        assert ("the longest path takes 32.8 cycles: its unit" in notes) is not used
