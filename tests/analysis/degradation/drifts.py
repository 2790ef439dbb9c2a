"""SIMULATED readouts of units that drift by a known law."""

import numpy as np

from analysis.degradation.readout_paths import ReadoutPaths, collect_paths


def simulate(
    exponent: float = 1.0, noise: float = 0.02, units: int = 9, times: int = 8, level: float = 0.0, spread: float = 0.2
) -> ReadoutPaths:
    """Return units with amplitudes exp(N(0, spread)), read at uneven times of their own until 1000 h."""
    generator = np.random.default_rng(5)
    time = np.sort(generator.uniform(10, 1000, (units, times)), axis=1)
    time[:, -1] = 1000.0
    amplitude = np.exp(spread * generator.standard_normal(units))[:, None]
    levels = level * generator.standard_normal(units)[:, None]
    value = levels + amplitude * (time / 1000) ** exponent + noise * generator.standard_normal(time.shape)
    names = np.repeat([f"u{each}" for each in range(units)], times).tolist()
    return collect_paths(names, time.ravel(), value.ravel(), np.full(time.size, np.nan))
