"""Codes of faults in words, as :mod:`analysis.circuits.faults` and :mod:`analysis.circuits.defects` write them."""

import re

from services.presentation.slow_path import gates_of, name_gates

_WHOLE_NET = {
    "SA0": "stuck at 0",
    "SA1": "stuck at 1",
    "STR": "slow to rise",
    "STF": "slow to fall",
    "SLOW": "slow to rise and to fall",
    "OPEN": "resistive open: changes come late by cycles, or not at all",
    "OPEN-STR": "resistive open: rises come late by cycles, or not at all",
    "OPEN-STF": "resistive open: falls come late by cycles, or not at all",
}
_AT_INPUT = {
    "SA0": "stuck at 0 at the gate's input fed by {net}",
    "SA1": "stuck at 1 at the gate's input fed by {net}",
    "SLOW": "slow at the gate's branch of {net}",
    "OPEN": "resistive open at the gate's branch of {net}: changes come late by cycles, or not at all",
}
_BRIDGES = {
    "AND": "bridged with {net}, wired-AND: both are 0 where either is",
    "OR": "bridged with {net}, wired-OR: both are 1 where either is",
    "DOMINANT": "bridged with {net}, which takes its value",
    "DOMINATED": "bridged with {net}, whose value it takes",
    "BYZANTINE": "bridged with {net}; which of the two wins changes from pattern to pattern",
}
_SECOND = re.compile(r" \+ (?=(\S+) (\S+)$)")


def tell_fault(code: str | None) -> str:
    """Return the code of a fault, such as ``SA1:c4``, in words; nothing for one that is not known."""
    text = code or ""
    gates = gates_of(text)
    if gates:
        return f"slow along the path {name_gates(gates)} ({len(gates)} gates), all of which are late together"
    second = _SECOND.search(text)
    if second:
        first, other = _tell_single(text[: second.start()]), _tell_single(second[2])
        return f"{first}; and {second[1]} {other}" if first and other else ""
    return _tell_single(text)


def _tell_single(code: str) -> str:
    kind, separator, net = code.partition(":")
    if not separator:
        return _WHOLE_NET.get(kind, "")
    if kind == "SWAP":
        return f"the gate computes {net.replace('TABLE:', 'the truth table ')} instead" if net else ""
    words = _BRIDGES.get(kind.removeprefix("BRIDGE-")) if kind.startswith("BRIDGE-") else _AT_INPUT.get(kind)
    return words.format(net=net) if words and net else ""
