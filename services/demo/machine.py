"""A plain simulator for the demonstration: big integers, one bit per pattern, one faulty machine at a time.

It shares no code with the analysis, so that a mistake there does not hide in the data that it is tried on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from services.demo.circuit import DemoGate


@dataclass(frozen=True)
class HiddenFault:
    """A fault to place: at the gate that drives ``net``.

    ``kind`` is ``stuck-0``, ``stuck-1``, ``pin-stuck-0``, ``pin-stuck-1`` (of input ``pin``) or ``swap`` (the gate
    computes ``function``); ``activity`` is the part of the loops in which it is active.
    """

    net: str
    kind: str
    pin: int = 0
    function: str = ""
    activity: float = 1.0

    def __str__(self) -> str:
        text = {"swap": f"computes {self.function}"}.get(self.kind, self.kind)
        text += f" at input {self.pin}" if self.kind.startswith("pin") else ""
        return text if self.activity == 1.0 else f"{text}, active in {self.activity:.0%} of the loops"


def run(
    gates: Sequence[DemoGate],
    stimulus: Mapping[str, int],
    patterns: int,
    fault: HiddenFault | None = None,
    forced: Mapping[str, int] | None = None,
) -> dict[str, int]:
    """Return each net's value, bit ``i`` for pattern ``i``; ``stimulus`` gives inputs and flip-flops' outputs.

    ``forced`` gives nets the values that they have whatever drives them: two stuck nets, the two ends of a bridge.

    Raises:
        ValueError: the gates form a loop, or one of their inputs has no driver.
    """
    ones = (1 << patterns) - 1
    forced = forced or {}
    values = {**stimulus, **forced}
    if fault is not None and fault.net in values:
        values[fault.net] = _stuck(fault, ones)
    waiting = [gate for gate in gates if gate.function != "DFF" and gate.output not in forced]
    while waiting:
        later = []
        for gate in waiting:
            if any(net not in values for net in gate.inputs):
                later.append(gate)
                continue
            operands = [values[net] for net in gate.inputs]
            faulty = fault is not None and fault.net == gate.output
            values[gate.output] = (
                _faulty(fault, gate, operands, ones)
                if faulty and fault is not None
                else _compute(gate.function, operands, ones)
            )
        if len(later) == len(waiting):
            raise ValueError(f"the gates of {later[0].output} and others form a loop, or miss an input")
        waiting = later
    return values


def detected(observed: Sequence[str], good: Mapping[str, int], faulty: Mapping[str, int]) -> bool:
    """Return whether any of the ``observed`` nets differs."""
    return any(good[net] != faulty[net] for net in observed)


def _stuck(fault: HiddenFault, ones: int) -> int:
    return ones if fault.kind.endswith("1") else 0


def _faulty(fault: HiddenFault, gate: DemoGate, operands: list[int], ones: int) -> int:
    if fault.kind == "swap":
        return _compute(fault.function, operands, ones)
    if fault.kind.startswith("pin"):
        changed = [_stuck(fault, ones) if place == fault.pin else value for place, value in enumerate(operands)]
        return _compute(gate.function, changed, ones)
    return _stuck(fault, ones)


def _compute(function: str, operands: list[int], ones: int) -> int:
    if function.startswith("TABLE:"):
        return _look_up(function[6:], operands, ones)
    result = operands[0] if operands else 0
    for operand in operands[1:]:
        if function in ("AND", "NAND"):
            result &= operand
        elif function in ("OR", "NOR"):
            result |= operand
        else:
            result ^= operand
    if function == "CONST1":
        return ones
    return result ^ ones if function in ("NAND", "NOR", "XNOR", "NOT") else result


def _look_up(bits: str, operands: list[int], ones: int) -> int:
    result = 0
    for row, bit in enumerate(bits):
        if bit == "1":
            term = ones
            for place, operand in enumerate(operands):
                wanted = row >> (len(operands) - 1 - place) & 1
                term &= operand if wanted else operand ^ ones
            result |= term
    return result
