"""A gate-level circuit in Verilog, elaborated by pyslang and flattened to gates and single-bit nets.

slang resolves names, vectors, port connections and the hierarchy (IEEE Std 1800); library cells are given to it as
modules with ports only. A net of a vector is ``a[3]``; a net inside an instance ``u1`` is ``u1.net``, and a port of
``u1`` is the net it is connected to outside.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyslang
from pyslang import ast, syntax

from instruments.errors import CorruptField, UnsupportedVersion
from instruments.records import Gate
from instruments.simulation.cell_library import POWER_PINS, Cell, cell_gates
from instruments.simulation.netlist_checks import PlacedGate
from instruments.simulation.verilog_text import PRIMITIVES, FlipFlopPins

LOW, HIGH = "1'b0", "1'b1"
CONSTANTS = {LOW: "CONST0", HIGH: "CONST1"}
STUBS = "library cells"
ELABORATED = "netlist"
HARMLESS_KINDS = frozenset({"Port", "EmptyMember", "Parameter", "Genvar", "StatementBlock"})
SUPPLIES = {"Supply0": LOW, "Supply1": HIGH}
PLAIN_NETS = frozenset({"Wire", "Tri"})
KEYWORD_BUFFERS = frozenset({"buf", "not"})
Bits = tuple[str, ...]
CellKind = Cell | FlipFlopPins


@dataclass
class FlatCircuit:
    """The circuit: ports with their lines, gates with theirs, and what was counted on the way."""

    name: str = ""
    inputs: dict[str, int] = field(default_factory=dict)
    outputs: dict[str, int] = field(default_factory=dict)
    power_ports: list[str] = field(default_factory=list)
    gates: list[PlacedGate] = field(default_factory=list)
    instances: Counter[str] = field(default_factory=Counter)
    physical_cells: Counter[str] = field(default_factory=Counter)
    assigns: int = 0


def elaborate(text: str, cells: Mapping[str, CellKind], defined: frozenset[str], file: str) -> FlatCircuit:
    """Elaborate and flatten.

    Args:
        text: the Verilog.
        cells: what every leaf cell type is; types in ``defined`` have a module in the text.
        defined: cell types (flip-flops) that the text itself defines.
        file: its name for messages.

    Raises:
        CorruptField: the Verilog is not valid, or a connection cannot be what it says.
        UnsupportedVersion: something that is no gate, cell, assignment or hierarchy of these.
    """
    manager = pyslang.SourceManager()
    compilation = ast.Compilation()
    compilation.addSyntaxTree(syntax.SyntaxTree.fromText(text, manager, ELABORATED))
    stubs = "\n".join(_stub(kind, cell) for kind, cell in cells.items() if kind not in defined)
    compilation.addSyntaxTree(syntax.SyntaxTree.fromText(stubs, manager, STUBS))
    root = compilation.getRoot()
    _refuse_errors(compilation, manager, file)
    tops = [top for top in root.topInstances if top.definition.name not in cells]
    if len(tops) != 1:
        names = ", ".join(sorted(top.name for top in tops)) or "none"
        raise UnsupportedVersion(
            f"the file must have one module that no other uses, it has: {names}", file=file, expected=1, found=len(tops)
        )
    flattener = _Flattener(cells, manager, file)
    flattener.flatten_top(tops[0])
    return flattener.circuit


def _escape(name: str) -> str:
    return f"\\{name} "


def _stub(kind: str, cell: CellKind) -> str:
    if isinstance(cell, FlipFlopPins):
        inputs, outputs = [cell.clock, cell.data], [cell.output]
    else:
        inputs, outputs = [*cell.input_pins, *sorted(POWER_PINS - set(cell.input_pins))], [*cell.output_pins]
    ports = [f"output {_escape(pin)}" for pin in outputs] + [f"input {_escape(pin)}" for pin in inputs]
    return f"module {_escape(kind)}({', '.join(ports)}); endmodule"


def _refuse_errors(compilation: Any, manager: Any, file: str) -> None:
    engine = pyslang.DiagnosticEngine(manager)
    errors = [diagnostic for diagnostic in compilation.getAllDiagnostics() if diagnostic.isError()]
    if errors:
        first = min(errors, key=lambda diagnostic: int(manager.getLineNumber(diagnostic.location)))
        line = int(manager.getLineNumber(first.location))
        message = f"the Verilog is not valid: {engine.formatMessage(first)}"
        raise CorruptField(message, file=file, offset=line, offset_unit="line")


class _Flattener:
    """Walks the elaborated instances and collects gates."""

    def __init__(self, cells: Mapping[str, CellKind], manager: Any, file: str) -> None:
        self.circuit = FlatCircuit()
        self._cells = cells
        self._manager = manager
        self._file = file
        self._aliases: dict[str, str] = {}
        self._owners: dict[str, str] = {}
        self._constants: set[str] = set()

    def line(self, symbol: Any) -> int:
        return int(self._manager.getLineNumber(symbol.location))

    def refuse(self, message: str, line: int) -> UnsupportedVersion:
        return UnsupportedVersion(message, file=self._file, offset=line, offset_unit="line")

    def flatten_top(self, top: Any) -> None:
        self.circuit.name = str(top.name)
        for port in _ports(top.body, self):
            line = self.line(port)
            direction = port.direction.name
            if direction == "InOut" and port.name not in POWER_PINS:
                raise self.refuse(f"port {port.name} is an inout, which a gate-level circuit cannot have", line)
            for bit in self.symbol_bits(port.internalSymbol, "", line):
                if direction == "Out":
                    self.circuit.outputs[bit] = line
                else:
                    self.circuit.inputs[bit] = line
        self.flatten(top.body, "")
        self._drop_power_ports()

    def _drop_power_ports(self) -> None:
        used = {net for placed in self.circuit.gates for net in (*placed.gate.inputs, placed.gate.output)}
        for net in [net for net in self.circuit.inputs if net in POWER_PINS and net not in used]:
            del self.circuit.inputs[net]
            self.circuit.power_ports.append(net)

    def flatten(self, body: Any, prefix: str) -> None:
        for member in body:
            kind = member.kind.name
            if kind in HARMLESS_KINDS:
                continue
            line = self.line(member)
            if kind in ("Net", "Variable"):
                self._add_net(member, prefix, line)
            elif kind == "PrimitiveInstance":
                self._add_primitive(member, prefix, line)
            elif kind == "Instance":
                self._add_instance(member, prefix, line)
            elif kind == "ContinuousAssign":
                self._add_assign(member.assignment, prefix, line)
            else:
                raise self.refuse(f"{kind} is no gate, cell or assignment", line)

    def _add_net(self, net: Any, prefix: str, line: int) -> None:
        if net.initializer is not None:
            raise self.refuse(f"net {net.name} is assigned where it is declared; only assign is read", line)
        bits = self.symbol_bits(net, prefix, line)
        if net.kind.name == "Variable":
            return
        net_kind = net.netType.netKind.name
        if net_kind in SUPPLIES:
            for bit in bits:
                self.add_gate(Gate(bit, net_kind.lower(), CONSTANTS[SUPPLIES[net_kind]], bit, ()), line)
        elif net_kind not in PLAIN_NETS:
            raise self.refuse(f"net {net.name} is a {net_kind.lower()}, which can have several drivers", line)

    def symbol_bits(self, symbol: Any, prefix: str, line: int) -> Bits:
        """Return the names of a net's bits, most significant first, as seen from outside its instance."""
        if symbol is None:
            raise self.refuse("a port that is an expression", line)
        name = prefix + str(symbol.name)
        kind = symbol.type
        if kind.isScalar and kind.isIntegral:
            raw: Bits = (name,)
        elif kind.isSimpleBitVector and kind.hasFixedRange:
            left, right = int(kind.fixedRange.left), int(kind.fixedRange.right)
            order = range(left, right - 1, -1) if left >= right else range(left, right + 1)
            raw = tuple(f"{name}[{index}]" for index in order)
        else:
            raise self.refuse(f"net {symbol.name} is neither a bit nor a vector of bits", line)
        for bit in raw:
            if self._owners.setdefault(bit, name) != name:
                raise self.refuse(f"two nets are both called {bit}", line)
        return tuple(self._aliases.get(bit, bit) for bit in raw)

    def add_gate(self, gate: Gate, line: int) -> None:
        for net in gate.inputs:
            if net in CONSTANTS and net not in self._constants:
                self._constants.add(net)
                constant = Gate(f"constant {net}", "constant", CONSTANTS[net], net, ())
                self.circuit.gates.append(PlacedGate(constant, line))
        self.circuit.gates.append(PlacedGate(gate, line))

    def bits(self, expression: Any, prefix: str, line: int) -> Bits:
        """Return the nets that an expression names, most significant first; constants are ``1'b0`` and ``1'b1``."""
        kind = expression.kind.name
        constant = _constant_bits(expression)
        if constant is not None:
            if not CONSTANTS.keys() >= set(constant):
                raise self.refuse("a constant that is neither 0 nor 1", line)
            return constant
        if kind == "NamedValue":
            return self.symbol_bits(expression.symbol, prefix, line)
        if kind in ("ElementSelect", "RangeSelect"):
            return self._selected(expression, prefix, line)
        if kind == "Concatenation":
            return tuple(bit for part in expression.operands for bit in self.bits(part, prefix, line))
        if kind == "Replication" and expression.count.constant is not None:
            return self.bits(expression.concat, prefix, line) * self._whole(expression.count.constant, line)
        if kind == "Conversion":
            inner = expression.operand
            if inner.type.bitWidth != expression.type.bitWidth:
                raise CorruptField(
                    "a connection has the wrong width",
                    file=self._file,
                    offset=line,
                    expected=int(expression.type.bitWidth),
                    found=int(inner.type.bitWidth),
                    offset_unit="line",
                )
            return self.bits(inner, prefix, line)
        raise self.refuse(f"an expression ({kind}) where a net must stand", line)

    def _selected(self, expression: Any, prefix: str, line: int) -> Bits:
        if expression.value.kind.name != "NamedValue":
            raise self.refuse("a selection of something that is not a net", line)
        whole = self.symbol_bits(expression.value.symbol, prefix, line)
        bounds = expression.value.type.fixedRange
        if expression.kind.name == "ElementSelect":
            ends = [expression.selector.constant] * 2
        elif expression.selectionKind.name == "Simple":
            ends = [expression.left.constant, expression.right.constant]
        else:
            raise self.refuse("an indexed part select", line)
        if any(end is None for end in ends):
            raise self.refuse("a selection that is not constant", line)
        step = 1 if int(bounds.left) >= int(bounds.right) else -1
        first, last = ((int(bounds.left) - self._whole(end, line)) * step for end in ends)
        if not 0 <= first <= last < len(whole):
            message = f"a selection outside net {expression.value.symbol.name}"
            raise CorruptField(message, file=self._file, offset=line, offset_unit="line")
        return whole[first : last + 1]

    def _whole(self, constant: Any, line: int) -> int:
        """Return a constant as a number: sized ones print as ``1'b1``, unknown ones are none."""
        if constant.value.hasUnknown:
            raise self.refuse("an index or a count that is neither 0 nor 1 in a bit", line)
        return int(constant.value)

    def target(self, expression: Any, prefix: str, line: int) -> Bits:
        """Return the nets that an output drives."""
        left = expression.left if expression.kind.name == "Assignment" else expression
        bits = self.bits(left, prefix, line)
        if any(bit in CONSTANTS for bit in bits):
            raise self.refuse("an output is connected to a constant", line)
        return bits

    def one(self, bits: Bits, what: str, line: int) -> str:
        if len(bits) != 1:
            raise CorruptField(
                f"{what} is one bit wide", file=self._file, offset=line, expected=1, found=len(bits), offset_unit="line"
            )
        return bits[0]

    def _add_assign(self, assignment: Any, prefix: str, line: int) -> None:
        self.circuit.assigns += 1
        targets = self.target(assignment, prefix, line)
        sources = self.bits(assignment.right, prefix, line)
        if len(targets) != len(sources):
            raise CorruptField(
                "an assignment's sides differ in width",
                file=self._file,
                offset=line,
                expected=len(targets),
                found=len(sources),
                offset_unit="line",
            )
        for target, source in zip(targets, sources, strict=True):
            constant = CONSTANTS.get(source)
            inputs = () if constant else (source,)
            self.add_gate(Gate(f"assign {target}", "assign", constant or "BUF", target, inputs), line)

    def _add_primitive(self, instance: Any, prefix: str, line: int) -> None:
        kind = str(instance.primitiveType.name)
        if kind not in PRIMITIVES:
            raise self.refuse(f"primitive {kind} is not a logic gate", line)
        self.circuit.instances[kind] += 1
        terminals = list(instance.portConnections)
        outputs = len(terminals) - 1 if kind in KEYWORD_BUFFERS else 1
        name = prefix + (instance.name or f"{kind} {self.circuit.instances[kind]}")
        inputs = tuple(
            self.one(self.bits(terminal, prefix, line), f"an input of {name}", line) for terminal in terminals[outputs:]
        )
        for number, terminal in enumerate(terminals[:outputs]):
            net = self.one(self.target(terminal, prefix, line), f"the output of {name}", line)
            label = name if outputs == 1 else f"{name} {number + 1}"
            self.add_gate(Gate(label, kind, kind.upper(), net, inputs), line)

    def _add_instance(self, instance: Any, prefix: str, line: int) -> None:
        kind = str(instance.definition.name)
        name = prefix + str(instance.name)
        cell = self._cells.get(kind)
        if cell is None:
            self._descend(instance, prefix, line)
            return
        if any(connection.kind.name.startswith("Ordered") for connection in instance.syntax.connections) and isinstance(
            cell, Cell
        ):
            raise self.refuse(
                f"cell {name} ({kind}) is connected by position; the order of its pins is not known", line
            )
        self.circuit.instances[kind] += 1
        pins = self._connections(instance, prefix, line)
        self._check_inputs(name, kind, cell, pins, line)
        if isinstance(cell, FlipFlopPins):
            output = pins.get(cell.output, f"{name}/{cell.output}")
            self.add_gate(Gate(name, kind, "DFF", output, (pins[cell.data],), {cell.clock: pins[cell.clock]}), line)
        elif cell.is_physical:
            self.circuit.physical_cells[kind] += 1
        else:
            for gate in cell_gates(name, kind, cell, pins):
                self.add_gate(gate, line)

    def _connections(self, instance: Any, prefix: str, line: int) -> dict[str, str]:
        pins: dict[str, str] = {}
        for connection in instance.portConnections:
            pin, expression = str(connection.port.name), connection.expression
            if expression is None or pin in POWER_PINS:
                continue
            what = f"pin {pin} of {prefix}{instance.name}"
            is_output = connection.port.direction.name == "Out"
            bits = self.target(expression, prefix, line) if is_output else self.bits(expression, prefix, line)
            pins[pin] = self.one(bits, what, line)
        return pins

    def _check_inputs(self, name: str, kind: str, cell: CellKind, pins: Mapping[str, str], line: int) -> None:
        needed = (cell.clock, cell.data) if isinstance(cell, FlipFlopPins) else cell.input_pins
        for pin in needed:
            if pin not in pins:
                message = f"input pin {pin} of {name} ({kind}) is not connected"
                raise CorruptField(message, file=self._file, offset=line, offset_unit="line")

    def _descend(self, instance: Any, prefix: str, line: int) -> None:
        inner = f"{prefix}{instance.name}."
        expressions = {str(c.port.name): c.expression for c in instance.portConnections}
        for port in _ports(instance.body, self):
            direction = port.direction.name
            expression = expressions.get(str(port.name))
            if direction == "InOut" and port.name not in POWER_PINS:
                raise self.refuse(f"port {port.name} of {instance.name} is an inout", line)
            if expression is None:
                if direction == "In" and port.name not in POWER_PINS:
                    message = f"input port {port.name} of {prefix}{instance.name} is not connected"
                    raise CorruptField(message, file=self._file, offset=line, offset_unit="line")
                continue
            is_output = direction != "In"
            outer = self.target(expression, prefix, line) if is_output else self.bits(expression, prefix, line)
            own = self.symbol_bits(port.internalSymbol, inner, line)
            if len(own) != len(outer):
                message = f"port {port.name} of {prefix}{instance.name} has another width than its connection"
                raise CorruptField(
                    message, file=self._file, offset=line, expected=len(own), found=len(outer), offset_unit="line"
                )
            self._aliases.update(zip(own, outer, strict=True))
        self.flatten(instance.body, inner)


def _ports(body: Any, flattener: _Flattener) -> Iterator[Any]:
    for port in body.portList:
        if port.kind.name != "Port":
            raise flattener.refuse(f"a port of kind {port.kind.name}", flattener.line(port))
        yield port


def _constant_bits(expression: Any) -> Bits | None:
    """Return the bits (``1'b0``, ``1'b1``, or the bare sign of an unknown) of a literal; ``None`` for others."""
    inner = expression
    while inner.kind.name == "Conversion":
        inner = inner.operand
    if inner.kind.name not in ("IntegerLiteral", "UnbasedUnsizedIntegerLiteral"):
        return None
    if inner.type.bitWidth == expression.type.bitWidth:
        value = inner.value
    elif expression.constant is not None:
        value = expression.constant.value
    else:
        return None
    bits = [str(value[index]) for index in range(int(expression.type.bitWidth) - 1, -1, -1)]
    return tuple({"0": LOW, "1": HIGH}.get(bit, bit) for bit in bits)
