"""SIMULATED spots: drains on a small die, nets that switch together as logic does, and a beam that misses its place.

Shares no code with the analysis: waveforms are added up in time at 40 samples a cycle, seen through a one-pole detector
by a recursion, with spikes at the edges, a drift over the loop, and white noise.
"""

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

SAMPLES = 40
CYCLE_S = 1e-8
FWHM_NM = 279.0
SPIKE = 0.1
DRIFT = 0.2
EDGE = 0.006
"""Standard deviation of an edge as a part of a cycle."""
_INPUTS = 24

Array = NDArray[np.float64]


@dataclass(frozen=True)
class SpotCase:
    """How spots are made.

    ``drains`` lie within ``radius_nm`` of the intended place, the named net's in its middle; ``strangers`` further
    away; ``snr`` is a drain of usual size in the middle of the spot over the noise of one cycle's mean; the beam is off
    by ``placement_nm`` in each axis; ``tail`` is the detector's time constant as a part of a cycle; ``misplaced`` the
    chance that the beam is on another net of the die altogether.
    """

    drains: int = 5
    snr: float = 2.0
    cycles: int = 256
    placement_nm: float = 30.0
    tail: float = 0.01
    radius_nm: float = 300.0
    strangers: int = 60
    misplaced: float = 0.0
    faulty_part: float = 0.15


@dataclass(frozen=True)
class MadeSpot:
    """A waveform and its truth.

    Attributes:
        values: float64 ``(samples,)`` from time 0.
        bits: float64 ``(nets, cycles)``, of every net of the die; the named one first, then the other drains around.
        places_um: ``(nets, 2)``.
        weights: ``(nets,)``, with sign, as the beam saw them.
        beam_um: where it was.
        nearest: net whose drain is nearest to the beam.
        faulty: what the named net does if it is wrong, ``(cycles,)``.
        is_faulty: whether it was.
    """

    values: Array
    bits: Array
    places_um: Array
    weights: Array
    beam_um: Array
    nearest: int
    faulty: Array
    is_faulty: bool
    drains: int = field(default=0)


def switching(count: int, cycles: int, numbers: np.random.Generator) -> Array:
    """Return ``count`` nets of random two-input gates over random inputs that toggle: float64 ``(count, cycles)``."""
    known = [numbers.integers(0, 2, cycles) for _ in range(_INPUTS)]
    found: list[NDArray[np.int64]] = []
    while len(found) < count:
        left, right = (known[int(numbers.integers(len(known)))] for _ in range(2))
        kind = int(numbers.integers(4))
        value = (left & right, left | right, left ^ right, 1 - (left & right))[kind]
        if cycles / 8 < value.sum() < cycles * 7 / 8:
            known.append(value)
            found.append(value)
    return np.asarray([found[place] for place in numbers.permutation(count)], np.float64)


def make_spot(case: SpotCase, numbers: np.random.Generator) -> MadeSpot:
    """Make one spot of ``case``."""
    nets = case.drains + case.strangers
    bits = switching(nets, case.cycles, numbers)
    angle, far = numbers.uniform(0, 2 * math.pi, nets), case.radius_nm * np.sqrt(numbers.uniform(0.04, 1, nets)) / 1e3
    places = np.stack([far * np.cos(angle), far * np.sin(angle)], axis=1)
    places[0] = 0.0
    # The other nets of the die lie in groups as dense as this one.
    for place in range(case.drains, nets):
        group = 1 + (place - case.drains) // case.drains
        places[place] += (3.0 * (group % 5 + 1), 3.0 * (group // 5))
    target = 0
    if numbers.random() < case.misplaced:
        target = int(numbers.integers(case.drains, nets))
    beam = places[target] + numbers.normal(0, case.placement_nm / 1e3, 2)
    squared_nm = ((places - beam) ** 2).sum(axis=1) * 1e6
    seen = np.exp(-4 * math.log(2) * squared_nm / FWHM_NM**2)
    weights = seen * numbers.choice((-1.0, 1.0), nets) * np.exp(numbers.normal(0, 0.4, nets))
    faulty = np.where(numbers.random(case.cycles) < case.faulty_part, 1 - bits[0], bits[0])
    is_faulty = bool(numbers.integers(2))
    does = bits.copy()
    if is_faulty:
        does[0] = faulty
    values = _waveform(case, weights, does, numbers)
    return MadeSpot(values, bits, places, weights, beam, int(np.argmin(squared_nm)), faulty, is_faulty, case.drains)


def _waveform(case: SpotCase, weights: Array, does: Array, numbers: np.random.Generator) -> Array:
    total = np.zeros(case.cycles * SAMPLES)
    for net in np.flatnonzero(np.abs(weights) > 1e-3):
        before, now = np.roll(does[net], 1), does[net]
        phase = np.arange(SAMPLES) / SAMPLES
        edge = np.asarray([0.5 * math.erfc(-(part - 0.03) / EDGE / math.sqrt(2)) for part in phase])
        spike = SPIKE * np.exp(-0.5 * ((phase - 0.03) / EDGE) ** 2)
        step = (now - before)[:, None]
        total += weights[net] * (before[:, None] + step * edge + np.abs(step) * spike).ravel()
    kept = math.exp(-1 / (case.tail * SAMPLES))
    state, out = float(total.mean()), np.empty_like(total)
    for _ in range(2):
        for place, value in enumerate(total.tolist()):
            state = value + (state - value) * kept
            out[place] = state
    drift = DRIFT * np.sin(np.linspace(0, math.pi, out.size)) * numbers.choice((-1.0, 1.0))
    return out + drift + numbers.normal(0, math.sqrt(SAMPLES) / case.snr, out.size)
