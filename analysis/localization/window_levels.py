"""Levels that nets have over a part of the cycle when they are simulated in steps of time."""

import numpy as np
from numpy.typing import NDArray

from analysis.circuits.logic_simulation import Words, unpack_patterns

SHIFTS = (-0.07, 0.0, 0.07)
"""Parts of a cycle by which all levels of a waveform may come earlier or later than in a draw."""


def levels_within(values: Words, window: tuple[float, float], cycles: int) -> NDArray[np.float32]:
    """Return the mean level over ``window``: float32 of shape ``(..., cycles)``.

    ``values`` is uint64 of shape ``(..., steps, words)``; ``window`` is a part of a cycle, from and to, which may begin
    in the cycle before or end in the next.
    """
    steps = values.shape[-2]
    first, last = (round(edge * steps) for edge in window)
    last = max(last, first + 1)
    total = np.zeros((*values.shape[:-2], cycles), np.float32)
    for cycle in range(first // steps, (last - 1) // steps + 1):
        begin, end = max(first - cycle * steps, 0), min(last - cycle * steps, steps)
        digits = _count_steps(values[..., begin:end, :])
        counts = np.zeros(total.shape, np.uint8)
        for power, digit in enumerate(digits):
            counts |= unpack_patterns(digit, cycles) << np.uint8(power)
        total += np.roll(counts, -cycle, axis=-1) if cycle else counts
    return np.asarray(total / (last - first), np.float32)


def _count_steps(values: Words) -> list[Words]:
    """Return in how many of the steps of ``values``, ``(..., steps, words)``, each bit is set: its binary digits."""
    digits: list[Words] = []
    for step in range(values.shape[-2]):
        carry = values[..., step, :]
        for place, digit in enumerate(digits):
            digits[place], carry = digit ^ carry, digit & carry
        if step + 1 >= 2 ** len(digits):
            digits.append(carry)
    return digits


def shifted_levels(values: Words, window: tuple[float, float], cycles: int) -> NDArray[np.float32]:
    """Return :func:`levels_within` over ``window`` moved by each of :data:`SHIFTS`: float32 ``(shifts, ..., cycles)``.

    ``values`` and ``cycles`` are as there.
    """
    return np.stack([levels_within(values, (window[0] + shift, window[1] + shift), cycles) for shift in SHIFTS])
