"""A sequential machine one cycle, one net and one fault at a time: the obvious twin of the looped simulation."""

from collections.abc import Mapping, Sequence

from analysis.circuits.faults import Fault
from analysis.circuits.sequential import SequentialCircuit
from tests.naive.logic import gate_bit


class Machine:
    """A die with one fault or none; ``step`` clocks it once."""

    def __init__(self, sequential: SequentialCircuit, fault: Fault | None, state: Sequence[int]) -> None:
        self.sequential = sequential
        self.fault = fault
        self.state = list(state)
        self.before: dict[int, int] = {}
        self.meant_before: dict[int, int] = {}
        self.level: float | None = None

    def step(self, inputs: Sequence[int]) -> dict[int, int]:
        """Every net's value in this cycle; the flip-flops have taken their data afterwards."""
        circuit, fault = self.sequential.circuit, self.fault
        given = dict(zip(self.sequential.ports, inputs, strict=True))
        given.update(zip(self.sequential.states, self.state, strict=True))
        values: dict[int, int] = {}
        meant: dict[int, int] = {}
        for net in [*circuit.inputs, *circuit.drives]:
            here = fault if fault is not None and fault.net == net else None
            meant[net] = given[net] if net in given else self._gate(circuit.driver[net], values, here)
            values[net] = meant[net]
            if here is not None and here.kind == "stem":
                values[net] = here.value
            if here is not None and here.kind == "slow" and here.value in (-1, meant[net]):
                values[net] = self.meant_before.get(net, meant[net])
            if here is not None and here.kind == "open":
                values[net] = self._behind_open(here, meant[net])
        self.before, self.meant_before = values, meant
        self.state = [values[net] for net in self.sequential.data]
        return values

    def _gate(self, gate: int, values: Mapping[int, int], fault: Fault | None) -> int:
        circuit = self.sequential.circuit
        pins = circuit.fan_in[gate]
        bits = [values[pin] for pin in pins]
        function = circuit.gates[gate].function
        if fault is not None and fault.kind == "pin":
            bits[fault.pin] = fault.value
        if fault is not None and fault.kind == "slow-pin":
            bits[fault.pin] = self.before.get(pins[fault.pin], bits[fault.pin])
        if fault is not None and fault.kind == "open-pin":
            bits[fault.pin] = self._behind_open(fault, bits[fault.pin])
        if fault is not None and fault.kind == "swap":
            function = fault.function
        return gate_bit(function, bits)

    def _behind_open(self, fault: Fault, driven: int) -> int:
        """Charge or discharge for one cycle; read which side of half the supply that is."""
        if self.level is None or fault.value not in (-1, driven):
            self.level = float(driven)
        else:
            self.level = driven + (self.level - driven) * 0.5 ** (1 / fault.half_cycles)
        return driven if abs(self.level - driven) < 0.5 - 1e-9 else 1 - driven
