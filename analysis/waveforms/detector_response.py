"""What a slow detector makes of levels: a low pass of first order that does not settle within a cycle."""

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

_PHASES = 24


def respond(values: NDArray[np.float64], tail: float, window: tuple[float, float]) -> NDArray[np.float64]:
    """Return the level of each cycle that a detector shows of a loop: float64 of the shape of ``values``.

    With ``v`` the detector's state at a cycle's beginning, ``s`` the level and ``T`` a cycle, it shows
    ``s + (v - s) exp(-t / tail T)`` and hands on ``v' = s + (v - s) exp(-1 / tail)``; the level is the mean over
    ``window``. A window that reaches beyond the cycle's end, or begins before it, belongs to a waveform that is late,
    or early, by as much.

    Args:
        values: float64 ``(..., cycles)``, 0..1.
        tail: time constant as a part of a cycle; 0 for a detector that settles at once.
        window: part of a cycle that levels were read in.
    """
    if tail <= 0.0:
        return values
    kept = np.exp(-1.0 / tail)
    looped = lfilter([1 - kept], [1.0, -kept], np.concatenate([values, values], axis=-1), axis=-1)
    state = np.roll(looped, 1, axis=-1)[..., values.shape[-1] :]
    start, stop = window
    shift = stop - 1.0 if stop > 1.0 else min(start, 0.0)
    times = start - shift + (np.arange(_PHASES) + 0.5) / _PHASES * (stop - start)
    return np.asarray(values + (state - values) * np.exp(-times / tail).mean(), np.float64)
