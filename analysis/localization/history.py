"""What each waveform changed: the posterior after the fail log alone, and after one waveform more each time."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from analysis.localization.evidence import WaveformEvidence
from analysis.localization.posterior import Posterior, combine_axes
from analysis.localization.screening import Screening
from analysis.results import PosteriorStep

MOST_SITES = 5
MOST_STEPS = 200
"""Waveforms from the last on whose steps are told one by one."""


def posterior_history(
    screening: Screening,
    evidence: Sequence[tuple[float, Sequence[WaveformEvidence]]],
    nets: Sequence[str],
    *,
    tested: bool,
) -> tuple[PosteriorStep, ...]:
    """Return the posterior of ``screening`` alone and after each waveform, those on ``nets`` in that order.

    ``evidence`` has for each time axis the log of its prior and the evidence of the waveforms on it; ``tested`` says
    whether there was a fail log. Waveforms are independent given fault and time axis, so that their order does
    not matter for the last step. Only the last :data:`MOST_STEPS` are told.
    """
    first = max(0, len(nets) - MOST_STEPS)
    log_priors = [log_prior for log_prior, _ in evidence]
    steps = []
    for count in range(first, len(nets) + 1):
        posterior, _ = combine_axes(screening, [items[:count] for _, items in evidence], log_priors, tested=tested)
        steps.append(_step(screening, posterior, count, nets[count - 1] if count else None))
    return tuple(steps)


def _step(screening: Screening, posterior: Posterior, count: int, net: str | None) -> PosteriorStep:
    circuit = screening.suspects.stimulated.circuit
    mass = posterior.of_sites(len(circuit.nets))
    order = [int(place) for place in np.argsort(-mass, kind="stable")[:MOST_SITES] if mass[place] > 0]
    return PosteriorStep(
        waveforms=count,
        net=net,
        sites=tuple((circuit.nets[place], min(1.0, float(mass[place]))) for place in order),
        no_fault=posterior.no_fault,
        unmodelled=posterior.unmodelled,
        bits=_entropy_bits(np.concatenate([mass, [posterior.no_fault, posterior.unmodelled]])),
    )


def _entropy_bits(probabilities: NDArray[np.float64]) -> float:
    """Return the entropy in bits of ``probabilities`` that add up to one."""
    some = probabilities[probabilities > 0]
    return max(0.0, float(-(some * np.log2(some)).sum()))
