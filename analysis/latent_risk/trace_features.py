"""Traces described so that it matters less when something happens in them than what happens.

Samples, the same in order of size, steps from one sample to the next, and those in order of size: the order statistics
of level and slope do not move when an event does. Which description a head uses is decided by held-out data.
"""

import numpy as np
from numpy.typing import NDArray


def describe_traces(traces: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return samples, sorted samples, steps and sorted steps: float64 ``(units, 4 samples - 2)``, in the traces' unit.

    ``traces`` is float64 of shape ``(units, samples)``, at least two samples, all finite.
    """
    steps = np.diff(traces, axis=1)
    return np.concatenate([traces, np.sort(traces, axis=1), steps, np.sort(steps, axis=1)], axis=1)
