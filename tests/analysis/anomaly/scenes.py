"""SIMULATED waveforms and maps for the tests of the golden-die comparison."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from analysis.anomaly.reference import Recording
from analysis.waveforms.forward_model import (
    Drain,
    Optics,
    Timing,
    add_noise,
    noise_for_cycle_ratio,
    probe_waveform,
)

CYCLE_S = 1e-8
FWHM_PX = 6.0


def record(
    bits: NDArray[np.float64], generator: np.random.Generator, snr: float, gain: float = 1.0, delay_s: float = 0.0
) -> Recording:
    """A SIMULATED waveform of a net with ``snr`` per cycle, and a drift of a third of the swing."""
    timing = Timing(cycle_s=CYCLE_S, delay_s=delay_s)
    optics = Optics()
    clean = probe_waveform([Drain(bits, gain)], optics, timing)
    swing = max(abs(gain), 0.5) * optics.modulation
    sigma = noise_for_cycle_ratio(swing, snr, round(CYCLE_S / timing.dt_s))
    return Recording(add_noise(clean, sigma, 0.3 * swing, generator), 0.0, timing.dt_s)


def flip(
    bits: NDArray[np.float64], part: float, generator: np.random.Generator
) -> tuple[NDArray[np.float64], set[int]]:
    """The bits with ``part`` of them inverted, and which."""
    picked = generator.choice(bits.size, round(part * bits.size), replace=False)
    changed = bits.copy()
    changed[picked] = 1 - changed[picked]
    return changed, {int(each) for each in picked}


def draw_map(
    places: NDArray[np.float64], amplitudes: NDArray[np.complex128], shift: tuple[float, float], size: int = 112
) -> NDArray[np.complex128]:
    """A SIMULATED map without noise: Gaussian spots at ``places`` (row, column in pixels), moved by ``shift``."""
    rows, columns = np.mgrid[:size, :size]
    total = np.zeros((size, size), np.complex128)
    for (row, column), amplitude in zip(places, amplitudes, strict=True):
        squares = (rows - row - shift[0]) ** 2 + (columns - column - shift[1]) ** 2
        total += amplitude * np.exp(-4 * np.log(2) * squares / FWHM_PX**2)
    return total


def map_noise(size: int, generator: np.random.Generator, *, correlated: bool) -> NDArray[np.complex128]:
    """Complex noise of about 0.1 a pixel, white or smeared over some pixels."""
    noise = generator.normal(0, 0.1, (size, size)) + 1j * generator.normal(0, 0.1, (size, size))
    if correlated:
        noise = 3.5 * (gaussian_filter(noise.real, 1.0) + 1j * gaussian_filter(noise.imag, 1.0))
    return noise
