"""A circuit in sky130 cells: read from its sky130 netlist where there is one, else mapped gate by gate."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.localization_trials.icarus.cells import CELLS, PREFIX, SCAN_CELLS
from services.demo.circuit import DemoCircuit, DemoGate

WIDEST = 4
_INNER = {"AND": "and", "NAND": "and", "OR": "or", "NOR": "or"}
_STATEMENT = re.compile(rf"{PREFIX}(\w+?)_\d+\s+\S+\s*\((.*)\)", re.DOTALL)
_PIN = re.compile(r"\.(\w+)\s*\(\s*(\S+?)\s*\)")


@dataclass(frozen=True)
class Instance:
    """A cell of ``kind`` that drives net ``output``; ``inputs`` in the order of the cell's pins."""

    kind: str
    output: str
    inputs: tuple[str, ...]


@dataclass(frozen=True)
class CellNetlist:
    """Cells by the gate whose work they do: keys are the nets that the circuit names, in its order."""

    cells: Mapping[str, tuple[Instance, ...]]

    def pin_of(self, gate: DemoGate, pin: int) -> tuple[int, int]:
        """Return the cell, by its place among those of ``gate``, and its pin, to which input ``pin`` is wired.

        Raises:
            ValueError: none of the gate's cells has that net as an input.
        """
        net, earlier = gate.inputs[pin], gate.inputs[:pin].count(gate.inputs[pin])
        found = [
            (place, where)
            for place, cell in enumerate(self.cells[gate.output])
            for where, source in enumerate(cell.inputs)
            if source == net
        ]
        if len(found) <= earlier:
            raise ValueError(f"the cells of {gate.output} have no input {net}")
        return found[earlier]


def map_circuit(circuit: DemoCircuit) -> CellNetlist:
    """Return ``circuit`` mapped to cells, flip-flops left out.

    Raises:
        ValueError: a gate is none that the cells can make.
    """
    return CellNetlist({gate.output: map_gate(gate) for gate in circuit.gates if gate.function != "DFF"})


def map_gate(gate: DemoGate) -> tuple[Instance, ...]:
    """Return the cells that do the work of ``gate``, the one that drives its output last.

    Raises:
        ValueError: it is no gate that the cells can make.
    """
    function, nets = gate.function, list(gate.inputs)
    if function not in (*_INNER, "XOR", "XNOR", "NOT", "BUF") or not nets:
        raise ValueError(f"no sky130 cells are known for {gate.output} = {function} of {len(nets)} inputs")
    cells: list[Instance] = []

    def reduce_to(most: int, inner: str, at_once: int) -> None:
        while len(nets) > most:
            taken = [nets.pop(0) for _ in range(min(at_once, len(nets) - most + 1))]
            cells.append(Instance(f"{inner}{len(taken)}", f"{gate.output}__m{len(cells)}", tuple(taken)))
            nets.append(cells[-1].output)

    if function in _INNER:
        reduce_to(WIDEST, _INNER[function], WIDEST)
        kind = f"{function.lower()}{len(nets)}"
    else:
        reduce_to(2, "xor", 2)
        kind = f"{function.lower()}2"
    if len(nets) == 1:
        kind = "inv" if function in ("NAND", "NOR", "XNOR", "NOT") else "buf"
    return (*cells, Instance(kind, gate.output, tuple(nets)))


def read_netlist(path: Path, circuit: DemoCircuit) -> CellNetlist:
    """Return the cells of the structural Verilog at ``path``, by the gates of ``circuit``.

    Raises:
        ValueError: it holds something else than known cells with named pins, or not the nets of ``circuit``.
    """
    text = re.sub(r"//[^\n]*|/\*.*?\*/", " ", path.read_text(), flags=re.DOTALL)
    instances: dict[str, Instance] = {}
    for statement in (part.strip() for part in text.split(";")):
        if statement.startswith(PREFIX):
            instance = _read_instance(statement, path.name)
            if instance is not None:
                instances[instance.output] = instance
        elif statement and not re.match(r"(module|input|output|wire|endmodule)\b", statement):
            raise ValueError(f"{path.name}: cannot read {statement[:60]!r}")
    return CellNetlist(_by_gate(instances, circuit, path.name))


def _read_instance(statement: str, name: str) -> Instance | None:
    """Return the cell of a statement; ``None`` for a flip-flop, which full-scan view cuts away."""
    matched = _STATEMENT.fullmatch(statement)
    if matched is None:
        raise ValueError(f"{name}: cannot read {statement[:60]!r}")
    kind, pins = matched[1], dict(_PIN.findall(matched[2]))
    if kind in SCAN_CELLS:
        return None
    cell = CELLS.get(kind)
    if cell is None or set(pins) != {*cell.inputs, cell.output}:
        raise ValueError(f"{name}: {kind} with pins {', '.join(pins)} is no cell that is known here")
    return Instance(kind, pins[cell.output], tuple(pins[pin] for pin in cell.inputs))


def _by_gate(instances: Mapping[str, Instance], circuit: DemoCircuit, name: str) -> dict[str, tuple[Instance, ...]]:
    """Give each gate its cells: what drives its net, and those behind it whose nets the circuit does not name."""
    gates = [gate for gate in circuit.gates if gate.function != "DFF"]
    named = {gate.output for gate in circuit.gates} | set(circuit.inputs)
    cells: dict[str, tuple[Instance, ...]] = {}
    for gate in gates:
        if gate.output not in instances:
            raise ValueError(f"{name} drives no net {gate.output}")
        cells[gate.output] = _behind(instances[gate.output], instances, named)
        used = {net for cell in cells[gate.output] for net in cell.inputs if net in named}
        if used != set(gate.inputs):
            raise ValueError(f"{name}: the cells of {gate.output} are fed by other nets than its gate")
    if sum(map(len, cells.values())) != len(instances):
        raise ValueError(f"{name} holds cells that no gate of the circuit has")
    return cells


def _behind(last: Instance, instances: Mapping[str, Instance], named: set[str]) -> tuple[Instance, ...]:
    found: list[Instance] = [last]
    for cell in found:
        found += [instances[net] for net in cell.inputs if net not in named and net in instances]
    return tuple(reversed(found))
