"""Waveforms of known content for the tests, from the forward model with its defaults."""

import numpy as np

from analysis.waveforms.cycles import CycleLevels
from analysis.waveforms.forward_model import Drain, Optics, Timing, edge_sigma_s, modulation_waveform

CYCLE_S = 1e-8
DT_S = 3.125e-10


def waveform(
    bits: np.ndarray, ratio: float, seed: int, *, delay_s: float = 0.0, amplitude: float = 1.0, drift: float = 0.0
) -> np.ndarray:
    """Levels of ``bits`` with a swing of ``amplitude`` and white noise: ``ratio`` is that of a cycle's mean."""
    timing = Timing(cycle_s=CYCLE_S, dt_s=DT_S, delay_s=delay_s)
    clean = amplitude * modulation_waveform(Drain(bits.astype(float)), timing, edge_sigma_s(Optics(), timing))
    noise = abs(amplitude) / ratio * np.sqrt(CYCLE_S / DT_S)
    wander = drift * abs(amplitude) * np.linspace(-0.5, 0.5, clean.size)
    return clean + wander + np.random.default_rng(seed).normal(0.0, noise, clean.size)


def random_bits(cycles: int, seed: int) -> np.ndarray:
    """Random values of a net."""
    return np.random.default_rng(seed).integers(0, 2, cycles).astype(np.float64)


def levels_of(values: np.ndarray) -> CycleLevels:
    """Levels as if they had been read from a waveform."""
    return CycleLevels(np.asarray(values, np.float64), np.ones(len(values), np.bool_), (0.3, 0.95))
