"""Forward model of laser voltage probing: what the digitiser would record of nets that switch as given.

``y(t) = R0 * (1 + sum_k w_k m_k V_k(t)) (*) h(t) + noise``: reflectance modulated by every drain under the spot, seen
through the detector and the jitter, averaged over loops. Defaults are textbook or derived values and every one is a
parameter. Results made with it are simulated and must be labelled so.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import erf

ELECTRON_CHARGE_C = 1.602176634e-19
RISE_OVER_SIGMA = 2.5631
"""10-90 % rise time of a Gaussian-smoothed edge over its standard deviation: 2 * 1.28155."""


@dataclass(frozen=True)
class Optics:
    """The beam and the detector.

    Attributes:
        spot_fwhm_nm: full width at half maximum of the Gaussian spot (0.51 wavelength / NA; 1340 nm at NA 2.45).
        reflectance: static reflectance R0 in arbitrary units.
        modulation: relative modulation of one drain at full swing (1e-6 to 2e-4).
        photocurrent_a: photocurrent in amperes (100 uW at 1340 nm and 0.8 quantum efficiency give 86 uA).
        bandwidth_hz: of the detector; its rise time 0.35 / bandwidth widens every edge.
        relative_intensity_noise_per_hz: RIN as a power ratio per hertz (1e-15 is -150 dB/Hz).
    """

    spot_fwhm_nm: float = 279.0
    reflectance: float = 1.0
    modulation: float = 100e-6
    photocurrent_a: float = 86e-6
    bandwidth_hz: float = 2e9
    relative_intensity_noise_per_hz: float = 1e-15


@dataclass(frozen=True)
class Timing:
    """Seconds: a tester cycle, the sampling, edges, jitter, and the delay of the trigger."""

    cycle_s: float = 1e-8
    dt_s: float = 3.125e-10
    rise_s: float = 60e-12
    jitter_s: float = 15e-12
    delay_s: float = 0.0


@dataclass(frozen=True)
class Drain:
    """A switching drain under the beam.

    Attributes:
        bits: float64 0..1 of shape ``(cycles,)``: its net's value by cycle, a mean for an intermittent fault.
        weight: relative contribution, with sign: spot intensity times area times polarity.
        spike: height of the gate's spike at each edge, as a part of the swing.
    """

    bits: NDArray[np.float64]
    weight: float = 1.0
    spike: float = 0.0


def spot_intensity(distance_nm: float, fwhm_nm: float) -> float:
    """Return the relative intensity of a Gaussian spot of ``fwhm_nm`` at ``distance_nm``: 0.5 at half its width."""
    return float(np.exp(-4 * np.log(2) * (distance_nm / fwhm_nm) ** 2))


def shot_noise(photocurrent_a: float, bandwidth_hz: float) -> float:
    """Return the relative rms shot noise of one loop, ``sqrt(2 bandwidth_hz q / photocurrent_a)``."""
    return float(np.sqrt(2 * ELECTRON_CHARGE_C * bandwidth_hz / photocurrent_a))


def relative_noise(optics: Optics, averages: int) -> float:
    """Return the relative rms noise of a sample after ``averages`` loops: shot and intensity noise of ``optics``."""
    shot = shot_noise(optics.photocurrent_a, optics.bandwidth_hz)
    intensity = optics.relative_intensity_noise_per_hz * optics.bandwidth_hz
    return float(np.sqrt((shot**2 + intensity) / averages))


def edge_sigma_s(optics: Optics, timing: Timing) -> float:
    """Return the standard deviation in seconds of a smoothed edge: of the detector (``optics``), and of ``timing``."""
    rise = timing.rise_s / RISE_OVER_SIGMA
    detector = 0.35 / optics.bandwidth_hz / RISE_OVER_SIGMA
    return float(np.sqrt(rise**2 + detector**2 + timing.jitter_s**2))


def modulation_waveform(drain: Drain, timing: Timing, sigma_s: float) -> NDArray[np.float64]:
    """Return the looped, smoothed waveform of ``drain``, float64 of shape ``(samples,)``, swing 1 without its weight.

    Edges lie at the cycles' beginnings of ``timing``, plus its delay; ``sigma_s`` smooths them.
    """
    cycles = drain.bits.size
    samples = round(cycles * timing.cycle_s / timing.dt_s)
    times = np.arange(samples) * timing.dt_s - timing.delay_s
    nearest = np.rint(times / timing.cycle_s).astype(np.int64)
    before, after = drain.bits[(nearest - 1) % cycles], drain.bits[nearest % cycles]
    offset = (times - nearest * timing.cycle_s) / sigma_s
    step = before + (after - before) * 0.5 * (1 + erf(offset / np.sqrt(2)))
    return np.asarray(step + drain.spike * np.abs(after - before) * np.exp(-0.5 * offset**2), np.float64)


def probe_waveform(drains: list[Drain], optics: Optics, timing: Timing) -> NDArray[np.float64]:
    """Return the noise-free reflectance of ``drains`` under ``optics`` with ``timing``, float64 ``(samples,)``."""
    sigma_s = edge_sigma_s(optics, timing)
    total = sum((drain.weight * modulation_waveform(drain, timing, sigma_s) for drain in drains), start=np.zeros(1))
    return np.asarray(optics.reflectance * (1 + optics.modulation * total), np.float64)


def add_noise(
    clean: NDArray[np.float64], sigma: float, drift: float, generator: np.random.Generator
) -> NDArray[np.float64]:
    """Return ``clean`` (shape ``(samples,)``) with white noise of ``sigma`` and a slow drift of total size ``drift``.

    Both are in the unit of ``clean``; the drift is half a sine over the loop; its sign and the noise are from
    ``generator``.
    """
    phase = np.linspace(0, np.pi, clean.size)
    wander = drift * np.sin(phase) * generator.choice((-1.0, 1.0))
    return np.asarray(clean + wander + generator.normal(0.0, sigma, clean.size), np.float64)


def noise_for_cycle_ratio(swing: float, ratio: float, samples_per_cycle: int) -> float:
    """Return the noise of a sample at which a cycle's mean has the ``ratio`` of level ``swing`` to noise.

    The mean of ``samples_per_cycle`` samples of white noise has ``1 / sqrt(samples_per_cycle)`` of a sample's noise.
    """
    return swing / ratio * float(np.sqrt(samples_per_cycle))
