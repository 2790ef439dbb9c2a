"""Topological soundness of a flat netlist, the same for every netlist format.

A net has exactly one driver (a circuit input or a gate), every net that is used has one, and no signal feeds back
to itself without a flip-flop in between. What is merely odd (an input that feeds nothing, a gate whose output goes
nowhere) is a warning.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from instruments.errors import CorruptField
from instruments.records import Gate

NAMES_IN_A_WARNING = 10


@dataclass(frozen=True)
class PlacedGate:
    """A gate and the 1-based line of the file that it stands on."""

    gate: Gate
    line: int


def check_netlist(
    inputs: Mapping[str, int], outputs: Mapping[str, int], gates: Sequence[PlacedGate], file: str
) -> tuple[str, ...]:
    """Check the circuit and return warnings.

    Args:
        inputs: each circuit input and the line that declares it.
        outputs: each circuit output and the line that declares it.
        gates: all gates; a ``DFF`` breaks loops, and the nets in any gate's ``pins`` count as used.
        file: the file's name for messages.

    Raises:
        CorruptField: a net with two drivers or none, or a combinational loop, with the line and the nets.
    """
    drivers = _drivers(inputs, gates, file)
    used = _check_uses(outputs, gates, drivers, file)
    _check_loops(gates, file)
    idle_inputs = [net for net in inputs if net not in used and net not in outputs]
    dangling = [
        placed.gate.output for placed in gates if placed.gate.output not in used and placed.gate.output not in outputs
    ]
    warnings = []
    if idle_inputs:
        warnings.append(f"inputs that feed nothing: {listed(idle_inputs)}")
    if dangling:
        warnings.append(f"gate outputs that feed nothing: {listed(dangling)}")
    return tuple(warnings)


def listed(names: Sequence[str]) -> str:
    """Return the first names, comma-separated, and how many more there are."""
    rest = len(names) - NAMES_IN_A_WARNING
    text = ", ".join(names[:NAMES_IN_A_WARNING])
    return f"{text} and {rest} more" if rest > 0 else text


def _drivers(inputs: Mapping[str, int], gates: Sequence[PlacedGate], file: str) -> dict[str, int]:
    drivers = dict(inputs)
    for placed in gates:
        net = placed.gate.output
        if net in drivers:
            message = f"net {net} has a second driver, {placed.gate.instance}; the first is on line {drivers[net]}"
            raise CorruptField(message, file=file, offset=placed.line, offset_unit="line")
        drivers[net] = placed.line
    return drivers


def _check_uses(
    outputs: Mapping[str, int], gates: Sequence[PlacedGate], drivers: Mapping[str, int], file: str
) -> set[str]:
    used: set[str] = set()
    for placed in gates:
        gate = placed.gate
        for net in (*gate.inputs, *gate.pins.values()):
            if net not in drivers:
                message = f"net {net}, an input of {gate.instance}, has no driver"
                raise CorruptField(message, file=file, offset=placed.line, offset_unit="line")
            if net != gate.output or net in gate.inputs:
                used.add(net)
    for net, line in outputs.items():
        if net not in drivers:
            raise CorruptField(f"output {net} has no driver", file=file, offset=line, offset_unit="line")
    return used


def _check_loops(gates: Sequence[PlacedGate], file: str) -> None:
    """Peel off gates whose inputs are known; whatever stays lies on or behind a loop."""
    combinational = {placed.gate.output: placed for placed in gates if placed.gate.function != "DFF"}
    waiting: dict[str, int] = {}
    readers: dict[str, list[str]] = {}
    for net, placed in combinational.items():
        sources = {source for source in placed.gate.inputs if source in combinational}
        waiting[net] = len(sources)
        for source in sources:
            readers.setdefault(source, []).append(net)
    ready = [net for net, count in waiting.items() if count == 0]
    while ready:
        net = ready.pop()
        del waiting[net]
        for reader in readers.get(net, ()):
            waiting[reader] -= 1
            if waiting[reader] == 0:
                ready.append(reader)
    if waiting:
        _report_loop(combinational, waiting, file)


def _report_loop(combinational: Mapping[str, PlacedGate], stuck: Iterable[str], file: str) -> None:
    remaining = set(stuck)
    net = min(remaining, key=lambda name: combinational[name].line)
    position: dict[str, int] = {}
    path: list[str] = []
    while net not in position:
        position[net] = len(path)
        path.append(net)
        net = next(source for source in combinational[net].gate.inputs if source in remaining)
    cycle = path[position[net] :][::-1]
    start = min(range(len(cycle)), key=lambda index: combinational[cycle[index]].line)
    cycle = cycle[start:] + cycle[:start]
    shown = [*cycle[:NAMES_IN_A_WARNING], "…", cycle[0]] if len(cycle) > NAMES_IN_A_WARNING else [*cycle, cycle[0]]
    message = f"combinational loop of {len(cycle)} nets: {' -> '.join(shown)}"
    raise CorruptField(message, file=file, offset=combinational[cycle[0]].line, offset_unit="line")
