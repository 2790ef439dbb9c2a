"""The delays of a netlist from the tables that SDF or Liberty files gave: names of pins to places in a circuit.

An instance or pin that the file does not name keeps its typical delay, and is counted: nothing is made up in silence.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from analysis.circuits.delay_tables import FALL, RISE, DelayTable, look_up_delays
from analysis.circuits.delays import Delays, typical_delays
from analysis.circuits.netlist import Circuit
from instruments.records import Gate, Netlist, Table

CLOCKED = ("rising_edge", "falling_edge")
EDGES = {"rise": RISE, "fall": FALL}
INTERNAL_FS = 1
"""What a gate takes that only stands for a part of a cell (the next state of a flip-flop)."""


class DelayFileError(ValueError):
    """A delay file does not fit the netlist; the message says how."""


@dataclass(frozen=True)
class CellDelays:
    """Delays, the nets whose drivers' are typical ones for want of better, and what else is to be known."""

    delays: Delays
    typical: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Pins:
    """Where the pins of the cells are in the circuit: by (instance, pin) the net it drives, or (net, place) it is."""

    driven: dict[tuple[str, str], int]
    read: dict[tuple[str, str], list[tuple[int, int]]]
    internal: tuple[int, ...]


def find_delays(netlist: Netlist, circuit: Circuit, tables: Sequence[Table]) -> CellDelays:
    """Return the delays of ``circuit``, made of ``netlist``, by the ``tables`` of one SDF or Liberty file.

    Raises:
        DelayFileError: the tables are of no such file, or name no instance or cell of the netlist.
    """
    by_kind = {table.kind: table for table in tables}
    pins = _find_pins(netlist, circuit)
    usual = typical_delays(circuit)
    for net in pins.internal:
        usual.rise_fs[circuit.driver[net]] = usual.fall_fs[circuit.driver[net]] = INTERNAL_FS
    if "delay_arc" in by_kind:
        return _from_arcs(circuit, by_kind["delay_arc"], pins, usual)
    if {"library_pin", "library_timing"} <= by_kind.keys():
        return _from_library(netlist, circuit, by_kind, usual)
    raise DelayFileError(f"delays are SDF or Liberty, not {', '.join(sorted(by_kind)) or 'nothing'}")


def _find_pins(netlist: Netlist, circuit: Circuit) -> _Pins:
    driven: dict[tuple[str, str], int] = {}
    read: dict[tuple[str, str], list[tuple[int, int]]] = defaultdict(list)
    internal = []
    for gate in netlist.gates:
        net = circuit.number.get(gate.output)
        if net is None:
            continue
        instance, target = _target_of(gate)
        if gate.function == "DFF":
            driven[instance, target or "Q"] = net
            continue
        if not gate.pins:
            internal.append(net)
        for pin, name in gate.pins.items():
            if name == gate.output and pin == (target or pin) and name not in gate.inputs:
                driven[instance, pin] = net
            read[instance, pin] += [(net, place) for place, given in enumerate(gate.inputs) if given == name]
    return _Pins(driven, read, tuple(internal))


def _target_of(gate: Gate) -> tuple[str, str]:
    """Return the instance, and the output pin where the gate's name says it (cells of several outputs)."""
    instance, slash, pin = gate.instance.rpartition("/")
    return (instance, pin) if slash and pin in gate.pins else (gate.instance, "")


def _from_arcs(circuit: Circuit, table: Table, pins: _Pins, usual: Delays) -> CellDelays:
    """Put the arcs of an SDF file in their places; of several for one pin (conditions) the slowest counts."""
    divider = str(table.vendor_metadata.get("divider", ".")) or "."
    rise, fall = (_typical_column(table, edge) for edge in ("rise", "fall"))
    times = {key: np.zeros_like(usual.rise_fs) for key in ("rise", "fall", "wire")}
    starts = [usual.source_rise_fs.copy(), usual.source_fall_fs.copy()]
    unused = 0
    for row in range(table.row_count):
        arc, source, target = (str(table.columns[key][row]) for key in ("arc", "source", "target"))
        instance = _plain(str(table.columns["instance"][row]), divider)
        values = [_femtoseconds(rise[row]), _femtoseconds(fall[row])]
        if arc == "IOPATH" and not table.columns["incremental"][row] and None not in values:
            placed = _place_path(circuit, pins, (instance, source, target), values, (times, starts))
        elif arc in ("INTERCONNECT", "PORT") and not table.columns["incremental"][row]:
            end = _plain(target, divider)
            whole = end if arc == "INTERCONNECT" and not instance else f"{instance}/{end}"
            owner, _, pin = whole.rpartition("/")
            placed = pins.read.get((owner, pin), [])
            for net, place in placed:
                here = times["wire"][circuit.driver[net]]
                here[place] = max([here[place], *(value for value in values if value is not None)])
        else:
            placed = []
        unused += not placed
    if unused == table.row_count:
        raise DelayFileError("the SDF file names no instance of the netlist")
    known = times["rise"] > 0
    delays = Delays(
        np.where(known, times["rise"], usual.rise_fs) + times["wire"],
        np.where(known, times["fall"], usual.fall_fs) + times["wire"],
        *starts,
    )
    notes = (f"{unused} delays of the file are of no pin of the netlist, or of a sort that is not used",) * bool(unused)
    return CellDelays(delays, _without(circuit, known, pins.internal), notes)


def _place_path(
    circuit: Circuit,
    pins: _Pins,
    names: tuple[str, str, str],
    values: Sequence[int | None],
    found: tuple[dict[str, NDArray[np.int64]], list[NDArray[np.int64]]],
) -> list[tuple[int, int]]:
    """Write one path through a cell; return where it is."""
    instance, source, target = names
    times, starts = found
    driven = pins.driven.get((instance, target))
    if driven is None:
        return []
    if driven not in circuit.driver:
        for start, value in zip(starts, values, strict=True):
            start[circuit.inputs.index(driven)] = value or 0
        return [(driven, 0)]
    placed = [(net, place) for net, place in pins.read.get((instance, source), ()) if net == driven]
    for net, place in placed:
        for edge, value in zip(("rise", "fall"), values, strict=True):
            here = times[edge][circuit.driver[net]]
            here[place] = max(here[place], value or 0, 1)
    return placed


def _typical_column(table: Table, edge: str) -> NDArray[np.float64]:
    """Return typical values; where only the limits are given, their middle."""
    middle = (table.columns[f"{edge}_min_s"] + table.columns[f"{edge}_max_s"]) / 2
    return np.where(np.isnan(table.columns[f"{edge}_s"]), middle, table.columns[f"{edge}_s"])


def _femtoseconds(seconds: float) -> int | None:
    return None if np.isnan(seconds) else max(0, round(seconds * 1e15))


def _plain(name: str, divider: str) -> str:
    """Return a hierarchical name as the netlist has it: parts by slashes, nothing escaped."""
    return name.replace("\\" + divider, "\0").replace(divider, "/").replace("\0", divider).replace("\\", "")


def _without(circuit: Circuit, known: NDArray[np.bool_], internal: Sequence[int]) -> tuple[str, ...]:
    return tuple(
        circuit.nets[net]
        for gate, (pins, net) in enumerate(zip(circuit.fan_in, circuit.drives, strict=True))
        if net not in internal and not known[gate, : len(pins)].all()
    )


def _from_library(netlist: Netlist, circuit: Circuit, by_kind: Mapping[str, Table], usual: Delays) -> CellDelays:
    tables = _library_tables(by_kind["library_timing"])
    cells = {cell for cell, _, _ in tables}
    if not cells & {gate.cell for gate in netlist.gates}:
        raise DelayFileError("the library has none of the netlist's cells")
    placed: dict[tuple[int, int], list[DelayTable]] = {}
    known = np.zeros(usual.rise_fs.shape, np.bool_)
    internal = []
    for gate in netlist.gates:
        net = circuit.number.get(gate.output)
        if net is None:
            continue
        _, target = _target_of(gate)
        if gate.function == "DFF":
            clocked = [
                found for (cell, _, pin), found in tables.items() if cell == gate.cell and pin == (target or "Q")
            ]
            placed[net, 0] = [replace(table, sense="") for found in clocked for table in found]
            continue
        if not gate.pins:
            internal.append(net)
        outputs = [pin for pin, name in gate.pins.items() if name == gate.output and name not in gate.inputs]
        for pin, name in gate.pins.items():
            found = tables.get((gate.cell, pin, target or (outputs[0] if outputs else "")), [])
            for place in (place for place, given in enumerate(gate.inputs) if given == name and found):
                placed[net, place] = [*placed.get((net, place), ()), *found]
                known[circuit.driver[net], place] = {table.edge for table in found} == {RISE, FALL}
    slew_s = min(table.slews_s[0] for found in tables.values() for table in found)
    loads = _loads(netlist, circuit, by_kind["library_pin"])
    delays = look_up_delays(circuit, placed, loads, usual, float(slew_s))
    notes = ("wires are taken to have no capacitance, and inputs the fastest transition of the library",)
    return CellDelays(delays, _without(circuit, known, internal), notes)


def _library_tables(timing: Table) -> dict[tuple[str, str, str], list[DelayTable]]:
    """Return the tables by cell, source and target; timing of presets, clears and enables is left out."""
    columns = timing.columns
    keys = ("cell", "source", "target", "edge", "sense", "timing_type", "condition")
    found: dict[tuple[str, str, str], list[DelayTable]] = defaultdict(list)
    for first, last in _runs([columns[key] for key in keys], columns["slew_s"], columns["load_f"]):
        cell, source, target, edge, sense, kind, _ = (str(columns[key][first]) for key in keys)
        if kind not in ("", "combinational", *CLOCKED):
            continue
        part = slice(first, last)
        slews, loads = np.unique(columns["slew_s"][part]), np.unique(columns["load_f"][part])
        grids = (columns[key][part].reshape(slews.size, loads.size) for key in ("delay_s", "transition_s"))
        found[cell, source, target].append(DelayTable(EDGES[edge], sense, slews, loads, *grids))
    return found


def _runs(
    words: Sequence[NDArray[np.str_]], slews: NDArray[np.float64], loads: NDArray[np.float64]
) -> list[tuple[int, int]]:
    """Return where each table begins and ends: where a word changes, or the transitions begin again."""
    if not len(slews):
        return []
    new = np.ones(len(slews), np.bool_)
    again = (slews[1:] < slews[:-1]) | ((slews[1:] == slews[:-1]) & (loads[1:] <= loads[:-1]))
    new[1:] = again
    for column in words:
        new[1:] |= column[1:] != column[:-1]
    starts = np.flatnonzero(new).tolist()
    return list(zip(starts, [*starts[1:], len(slews)], strict=True))


def _loads(netlist: Netlist, circuit: Circuit, pins: Table) -> NDArray[np.float64]:
    """Return the capacitance of the pins on each net, farads."""
    names = zip(pins.columns["cell"].tolist(), pins.columns["pin"].tolist(), strict=True)
    capacitance = dict(zip(names, np.nan_to_num(pins.columns["capacitance_f"]).tolist(), strict=True))
    loads = np.zeros(len(circuit.nets))
    for gate in netlist.gates:
        on = dict(gate.pins) | ({"D": gate.inputs[0]} if gate.function == "DFF" else {})
        for pin, name in on.items():
            if name in circuit.number and name != gate.output:
                loads[circuit.number[name]] += capacitance.get((gate.cell, pin), 0.0)
    return loads
