"""Gate-level Verilog netlists: primitives, cells of ``sky130_fd_sc_hd`` and D flip-flops, read through pyslang.

Behavioural code, unknown cells and compiler directives that change the text are refused; nothing is dropped. The
number of instances of every cell type is checked against a token scan of the text (``verilog_text``).
"""

import re
from collections.abc import Iterable

from instruments.adapter import Confidence, Sniff, Source
from instruments.description import Reach
from instruments.errors import CorruptField, UnsupportedVersion
from instruments.records import Netlist, Record
from instruments.simulation.cell_library import Cell, find_cell
from instruments.simulation.netlist_checks import check_netlist
from instruments.simulation.verilog_text import (
    CLOCK_PINS,
    DATA_PINS,
    OUTPUT_PINS,
    PRIMITIVES,
    FlipFlopPins,
    ScannedModule,
    check_counts,
    expand_counts,
    scan_verilog,
)

MODULE = re.compile(r"^\s*(?:\(\*.*?\*\)\s*)?module\s+(\\\S+\s|[A-Za-z_][\w$]*)\s*[#(;]", re.MULTILINE)
INSTANCE = re.compile(rf"^\s*(?:{'|'.join(sorted(PRIMITIVES))}|sky130_\w+|dff)\b[^;]*\(", re.MULTILINE | re.IGNORECASE)


class VerilogNetlistAdapter:
    """Reads a Verilog file with one top module into one flat ``Netlist``."""

    name = "verilog_netlist"
    version = "2"
    formats = ("verilog",)
    reach = Reach.WALK

    def sniff(self, source: Source) -> Sniff:
        """Look for a module, and for gates in it."""
        if source.is_bundle:
            return Sniff(Confidence.NO, "a bundle is not a Verilog file")
        text = source.head.decode("utf-8", "replace")
        if MODULE.search(text):
            gates = INSTANCE.search(text) is not None
            if gates or source.name.lower().endswith((".v", ".sv")):
                reason = "a Verilog module with gates" if gates else "a Verilog module"
                return Sniff(Confidence.CERTAIN if gates else Confidence.LIKELY, reason)
            return Sniff(Confidence.POSSIBLE, "a Verilog module, but no gates near its start")
        if source.name.lower().endswith((".v", ".sv")):
            return Sniff(Confidence.POSSIBLE, "only the name says that it is Verilog")
        return Sniff(Confidence.NO, "no Verilog module")

    def read(self, source: Source) -> tuple[str, Iterable[Record]]:
        """Return ``"verilog"`` and the netlist.

        Raises:
            UnsupportedVersion: an unknown cell, behavioural code, a directive that changes the text.
            CorruptField: invalid Verilog, unconnected inputs, nets with two drivers or none, combinational loops.
            CountMismatch: instances in the text and gates read differ.
        """
        return "verilog", (_read_netlist(source),)


def _read_netlist(source: Source) -> Netlist:
    file = source.name
    try:
        text = source.path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CorruptField("the text is not UTF-8", file=file, offset=error.start) from error
    modules = scan_verilog(text, file)
    if not modules:
        raise CorruptField("the file holds no module", file=file)
    flip_flops = {name: pins for name, module in modules.items() if (pins := module.flip_flop) is not None}
    for module in modules.values():
        if module.behaviour and module.name not in flip_flops:
            first = module.behaviour[0]
            message = f"module {module.name} holds something that is no gate, cell or assignment: {first.text}"
            raise UnsupportedVersion(message, file=file, offset=first.line, offset_unit="line")
    cells = {**_library_cells(modules, file), **flip_flops}
    # pyslang is loaded only where a netlist is read: it is a large library.
    from instruments.simulation.verilog_elaboration import FlatCircuit, elaborate  # noqa: PLC0415

    try:
        circuit: FlatCircuit = elaborate(text, cells, frozenset(flip_flops), file)
    except RuntimeError as error:
        raise CorruptField(f"the Verilog cannot be elaborated: {error}", file=file) from error
    expected = expand_counts(modules, circuit.name, frozenset(flip_flops))
    check_counts(expected, (circuit.instances, circuit.assigns), file)
    warnings = check_netlist(circuit.inputs, circuit.outputs, circuit.gates, file)
    return Netlist(
        name=circuit.name,
        inputs=tuple(circuit.inputs),
        outputs=tuple(circuit.outputs),
        gates=tuple(placed.gate for placed in circuit.gates),
        vendor_metadata={
            "instances": dict(sorted(circuit.instances.items())),
            "physical_cells": dict(sorted(circuit.physical_cells.items())),
            "assignments": circuit.assigns,
            "power_ports": circuit.power_ports,
        },
        warnings=warnings,
    )


def _library_cells(modules: dict[str, ScannedModule], file: str) -> dict[str, Cell | FlipFlopPins]:
    cells: dict[str, Cell | FlipFlopPins] = {}
    for module in modules.values():
        for kind in module.instances:
            if kind in modules or kind in PRIMITIVES or kind in cells:
                continue
            cell = find_cell(kind) or _black_box_flip_flop(kind, module)
            if cell is None:
                line = module.first_lines[kind]
                message = f"cell {kind} is not known, so its function would be a guess"
                raise UnsupportedVersion(message, file=file, offset=line, offset_unit="line")
            cells[kind] = cell
    return cells


def _black_box_flip_flop(kind: str, module: ScannedModule) -> FlipFlopPins | None:
    """A cell called ``dff`` without a definition is a D flip-flop if its pins are named like one."""
    if kind.lower() != "dff":
        return None
    pins = module.pins.get(kind, set())
    if len(pins) != 3:
        return None
    found = [[pin for pin in pins if pin.upper() in names] for names in (CLOCK_PINS, DATA_PINS, OUTPUT_PINS)]
    if any(len(names) != 1 for names in found):
        return None
    return FlipFlopPins(clock=found[0][0], data=found[1][0], output=found[2][0])
