"""The Verilog of a die: its cells with the defect among them, and the tester that loops the patterns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from benchmarks.localization_trials.dies import Bridge, Defect, StuckNets
from benchmarks.localization_trials.icarus.cells import CELLS, PREFIX, module_of
from benchmarks.localization_trials.icarus.netlist import CellNetlist, Instance, map_gate
from benchmarks.localization_trials.timed_die import SlowNet, SlowPath
from services.demo.circuit import DemoCircuit, DemoGate
from services.demo.machine import HiddenFault

RUN_IN_FS = 1_000_000_000
"""How long the last pattern is held before the loop begins, so that every net has settled."""
ACTIVE, SIDE = "tester__active", "tester__side"
"""Nets of the tester's: whether an intermittent defect is active, and which side of a Byzantine bridge wins."""
_FEMTO = 1e15


@dataclass(frozen=True)
class Parts:
    """What a die is made of: circuit, cells, the nets that the tester drives, the delay of each cell's output in s."""

    circuit: DemoCircuit
    netlist: CellNetlist
    driven: Sequence[str]
    delays_s: Mapping[str, float]


class DieModule:
    """A die with ``defect``, as Verilog.

    Args:
        parts: of the good die.
        defect: what is wrong with it.

    Raises:
        ValueError: the defect has no place among the cells.
    """

    def __init__(self, parts: Parts, defect: Defect) -> None:
        self.parts = parts
        self.cells = {net: list(cells) for net, cells in parts.netlist.cells.items()}
        self.wiring: list[str] = []
        self.wires: list[str] = []
        if isinstance(defect, HiddenFault):
            self._place_fault(defect)
        elif isinstance(defect, SlowNet):
            self._slow_down(defect)
        elif isinstance(defect, SlowPath):
            for net, extra_s in zip(defect.nets, defect.extra_s, strict=True):
                self._slow_down(SlowNet(net, extra_s, extra_s))
        elif isinstance(defect, Bridge):
            self._join(defect)
        elif isinstance(defect, StuckNets):
            for net, value in defect.values.items():
                self._assign(net, f"1'b{value}", self._cut(net))

    def text(self, patterns: int) -> str:
        """Return the source of die and tester for a loop of ``patterns``; the tester reads ``rows.txt``."""
        cells = [(gate, cell) for gate, group in self.cells.items() for cell in group]
        kinds = dict.fromkeys(cell.kind for _, cell in cells)
        ports = [*self.parts.driven, ACTIVE, SIDE]
        nets = [*self.wires, *(cell.output for _, cell in cells)]
        wires = [net for net in dict.fromkeys([*nets, *self.cells]) if net not in self.parts.driven]
        return "\n".join(
            [
                "`timescale 1fs/1fs",
                *map(module_of, kinds),
                f"module die({', '.join(f'input {_name(port)}' for port in ports)});",
                *(f"  wire {_name(net)};" for net in wires),
                *(f"  {line}" for line in self.wiring),
                *(f"  {self._instance(place, *cell)}" for place, cell in enumerate(cells)),
                "endmodule",
                *_tester(ports, patterns),
                "",
            ]
        )

    def _instance(self, place: int, gate: str, cell: Instance) -> str:
        own = CELLS[cell.kind]
        pins = zip((own.output, *own.inputs), (cell.output, *cell.inputs), strict=True)
        wired = ", ".join(f".{pin}({_name(net)})" for pin, net in pins)
        output = cell.output.removesuffix(_DRIVER).removesuffix(_OTHER)
        delay_s = self.parts.delays_s.get(output, self.parts.delays_s[gate])
        return f"{PREFIX}{cell.kind} #({round(delay_s * _FEMTO)}) tester__cell{place} ({wired});"

    def _gate(self, net: str) -> DemoGate:
        for gate in self.parts.circuit.gates:
            if gate.output == net and gate.function != "DFF":
                return gate
        raise ValueError(f"no gate drives {net}")

    def _cut(self, net: str) -> str:
        """Cut the cell that drives ``net`` from it; return the net that it drives now."""
        if net not in self.cells:
            raise ValueError(f"no cell drives {net}")
        group = self.cells[net]
        place = next(place for place, cell in enumerate(group) if cell.output == net)
        group[place] = replace(group[place], output=net + _DRIVER)
        self.wires.append(net + _DRIVER)
        return net + _DRIVER

    def _assign(self, net: str, value: str, otherwise: str) -> None:
        """Wire ``net`` to ``value`` while the defect is active, to the net ``otherwise`` while it is not."""
        self.wiring.append(f"assign {_name(net)} = {_name(ACTIVE)} ? {value} : {_name(otherwise)};")

    def _place_fault(self, fault: HiddenFault) -> None:
        if fault.kind.startswith("stuck"):
            self._assign(fault.net, f"1'b{fault.kind[-1]}", self._cut(fault.net))
        elif fault.kind.startswith("pin-stuck"):
            place, pin = self.parts.netlist.pin_of(self._gate(fault.net), fault.pin)
            cell = self.cells[fault.net][place]
            broken = f"{cell.inputs[pin]}__at_{fault.net}"
            inputs = (*cell.inputs[:pin], broken, *cell.inputs[pin + 1 :])
            self.cells[fault.net][place] = replace(cell, inputs=inputs)
            self.wires.append(broken)
            self._assign(broken, f"1'b{fault.kind[-1]}", cell.inputs[pin])
        elif fault.kind == "swap":
            self._swap(fault)
        else:
            raise ValueError(f"{fault.kind} is no fault that a cell can have")

    def _swap(self, fault: HiddenFault) -> None:
        """Put other cells beside the gate's own, and the net to theirs."""
        good = self._cut(fault.net)
        for cell in map_gate(replace(self._gate(fault.net), function=fault.function)):
            renamed = replace(
                cell,
                output=cell.output + _OTHER,
                inputs=tuple(net + _OTHER if net.startswith(f"{fault.net}__m") else net for net in cell.inputs),
            )
            self.cells[fault.net].append(renamed)
        self._assign(fault.net, _name(fault.net + _OTHER), good)

    def _slow_down(self, slow: SlowNet) -> None:
        """Delay all edges by what rise and fall share, then one sort by the rest; a pulse that is overtaken is gone."""
        driver, shared = self._cut(slow.net), slow.net + "__late"
        rise, fall = round(slow.rise_s * _FEMTO), round(slow.fall_s * _FEMTO)
        both = min(rise, fall)
        self.wiring += [
            f"reg {_name(shared)};",
            f"always begin {_name(shared)} <= #{both} {_name(driver)}; @({_name(driver)}); end",
            f"assign #({rise - both}, {fall - both}) {_name(slow.net)} = {_name(shared)};",
        ]

    def _join(self, bridge: Bridge) -> None:
        first, second = _name(self._cut(bridge.first)), _name(self._cut(bridge.second))
        joined = {
            "dominant": first,
            "wired-and": f"{first} & {second}",
            "wired-or": f"{first} | {second}",
            "byzantine": f"{_name(SIDE)} ? {first} : {second}",
        }[bridge.kind]
        self.wiring += [f"assign {_name(net)} = {joined};" for net in (bridge.first, bridge.second)]


_DRIVER, _OTHER = "__driver", "__other"


def _name(net: str) -> str:
    """Return ``net`` as an escaped identifier, which may hold any printed character and ends with a blank."""
    return f"\\{net} "


def _tester(ports: Sequence[str], patterns: int) -> list[str]:
    """Return the module that holds the last pattern, applies a row of bits a cycle, and dumps every net of the die."""
    width = len(ports)
    wired = ", ".join(f".{_name(port)}(row[{place}])" for place, port in enumerate(ports))
    return [
        "module tester;",
        f"  reg [{width - 1}:0] row, rows [0:{patterns - 1}];",
        "  reg [63:0] cycle_fs;",
        "  integer at;",
        f"  die die({wired});",
        "  initial begin",
        '    if (!$value$plusargs("cycle_fs=%d", cycle_fs)) $finish;',
        '    $readmemb("rows.txt", rows);',
        '    $dumpfile("die.vcd"); $dumpvars(1, die);',
        f"    row = rows[{patterns - 1}];",
        f"    #{RUN_IN_FS};",
        f"    for (at = 0; at < {patterns}; at = at + 1) begin row = rows[at]; #cycle_fs; end",
        "    $finish;",
        "  end",
        "endmodule",
    ]
