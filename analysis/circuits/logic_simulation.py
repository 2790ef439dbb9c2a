"""Bit-parallel logic simulation: one bit per pattern, 64 patterns in a machine word.

Waicukauski et al., "Fault simulation for structured VLSI", VLSI Systems Design, 1985 (parallel patterns); here with a
further axis of faulty machines, all evaluated by one numpy operation per gate.
"""

import operator
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from analysis.circuits.netlist import TABLE_PREFIX, Circuit, CircuitError

Words = NDArray[np.uint64]
"""Packed patterns: bit ``i % 64`` of word ``i // 64`` is pattern ``i``; bits past the last pattern are 0 or garbage."""


class Packed(Protocol):
    """Packed patterns of any array library: uint64 of numpy, int64 of torch (which has no unsigned operations)."""

    def __and__(self, other: Any, /) -> Any:
        """Bit by bit."""

    def __or__(self, other: Any, /) -> Any:
        """Bit by bit."""

    def __xor__(self, other: Any, /) -> Any:
        """Bit by bit."""

    def __invert__(self) -> Any:
        """Bit by bit."""


AnyPacked = TypeVar("AnyPacked", bound=Packed)

_ONES = np.uint64(0xFFFFFFFFFFFFFFFF)


def pack_patterns(bits: NDArray[np.uint8]) -> Words:
    """Return ``bits`` (uint8 0/1, shape ``(patterns, nets)``) packed: uint64 of shape ``(nets, words)``."""
    patterns, nets = bits.shape
    words = -(-patterns // 64)
    padded = np.zeros((nets, words * 64), np.uint8)
    padded[:, :patterns] = bits.T
    packed = np.packbits(padded, axis=1, bitorder="little")
    return np.asarray(packed.view("<u8"), np.uint64)


def unpack_patterns(words: Words, patterns: int) -> NDArray[np.uint8]:
    """Return ``words`` (uint64, shape ``(..., words)``) as bits: uint8 0/1 of shape ``(..., patterns)``."""
    data = np.ascontiguousarray(words).astype("<u8").view(np.uint8)
    return np.asarray(np.unpackbits(data, axis=-1, bitorder="little")[..., :patterns], np.uint8)


def pattern_mask(patterns: int) -> Words:
    """Return uint64 of shape ``(words,)`` with a one for each of the ``patterns``."""
    return np.asarray(pack_patterns(np.ones((patterns, 1), np.uint8))[0], np.uint64)


def without_polarity(words: Words, mask: Words) -> Words:
    """Return ``words`` (uint64, shape ``(..., words)``) inverted where the first pattern's bit is 1.

    ``mask`` is that of the patterns. What remains is all that a measurement of unknown polarity can show.
    """
    inverted = (words[..., :1] & np.uint64(1)).astype(np.bool_)
    return np.asarray(np.where(inverted, ~words, words) & mask, np.uint64)


def evaluate(function: str, operands: list[AnyPacked]) -> AnyPacked:
    """Return ``function`` (see :class:`~analysis.circuits.netlist.LogicGate`) of packed ``operands`` of equal shape.

    Raises:
        CircuitError: the function is unknown, or a constant is asked for without operands to give the shape.
    """
    if function.startswith(TABLE_PREFIX):
        return _evaluate_table(function[len(TABLE_PREFIX) :], operands)
    base, inverted = _BASES.get(function, (None, False))
    if base is None or not operands:
        raise CircuitError(f"the function {function} of {len(operands)} operands cannot be evaluated")
    result: Any = operands[0]
    for operand in operands[1:]:
        result = base(result, operand)
    answer: AnyPacked = ~result if inverted else result
    return answer


_BASES = {
    "AND": (operator.and_, False),
    "NAND": (operator.and_, True),
    "OR": (operator.or_, False),
    "NOR": (operator.or_, True),
    "XOR": (operator.xor, False),
    "XNOR": (operator.xor, True),
    "BUF": (operator.or_, False),
    "NOT": (operator.or_, True),
}


def _evaluate_table(bits: str, operands: list[AnyPacked]) -> AnyPacked:
    """Shannon expansion: pick between the two halves of the table by the first operand."""
    if not operands:
        raise CircuitError("a truth table without inputs is a constant")
    if len(operands) == 1:
        operand = operands[0]
        choices: dict[str, AnyPacked] = {
            "00": operand ^ operand,
            "01": operand,
            "10": ~operand,
            "11": operand | ~operand,
        }
        return choices[bits]
    half = len(bits) // 2
    if bits[:half] == bits[half:]:
        return _evaluate_table(bits[:half], operands[1:])
    low, high = _evaluate_table(bits[:half], operands[1:]), _evaluate_table(bits[half:], operands[1:])
    chosen: AnyPacked = low ^ (operands[0] & (low ^ high))
    return chosen


def constant_of(function: str, shape: tuple[int, ...]) -> Words | None:
    """Return packed ones or zeros of ``shape`` when ``function`` is a constant, else ``None``."""
    if function in ("CONST1", TABLE_PREFIX + "1"):
        return np.full(shape, _ONES)
    if function in ("CONST0", TABLE_PREFIX + "0"):
        return np.zeros(shape, np.uint64)
    return None


def simulate(circuit: Circuit, stimulus: Words) -> Words:
    """Return every net's value: uint64 of shape ``(nets, words)``.

    ``stimulus`` is uint64 of shape ``(inputs, words)`` in the order of ``circuit.inputs``.

    Raises:
        CircuitError: the stimulus has another number of rows than the circuit has inputs.
    """
    if len(stimulus) != len(circuit.inputs):
        raise CircuitError(f"the circuit has {len(circuit.inputs)} inputs, the stimulus {len(stimulus)} rows")
    values = np.empty((len(circuit.nets), stimulus.shape[1]), np.uint64)
    values[list(circuit.inputs)] = stimulus
    for stage in circuit.stages:
        constant = constant_of(stage.function, (len(stage.drives), stimulus.shape[1]))
        operands = [values[pins] for pins in stage.pins.T]
        values[stage.drives] = constant if constant is not None else evaluate(stage.function, operands)
    return values
