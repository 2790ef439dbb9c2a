"""The posterior over single faults, no fault, and a defect outside the model, from fail log and waveforms together."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from analysis.circuits.faults import Fault
from analysis.localization.evidence import (
    ACTIVITIES,
    FailCounts,
    WaveformEvidence,
    fail_evidence,
    no_fault_fail_evidence,
    resembling_fail_evidence,
    resembling_waveform_evidence,
)

PRIOR_NO_FAULT = 0.10
"""Of a die that failed on the tester."""
PRIOR_NO_FAULT_UNTESTED = 0.5
"""Of a die without a fail log: nothing but the laser says that anything is wrong with it."""
PRIOR_UNMODELLED = 0.05
"""Part of all defects that are no single-gate fault."""
ACTIVITY_PRIOR = (0.7, 0.075, 0.075, 0.075, 0.075)
"""Prior of the activities in :data:`~analysis.localization.evidence.ACTIVITIES`."""


@dataclass(frozen=True)
class Posterior:
    """Probabilities that add up to one.

    Attributes:
        faults: float64 of shape ``(faults, activities)``.
        no_fault: the die is good.
        resembling: float64 of shape ``(faults,)``: a defect outside the model that looks most like this fault.
    """

    faults: NDArray[np.float64]
    no_fault: float
    resembling: NDArray[np.float64]

    @property
    def unmodelled(self) -> float:
        """Probability of something else than a single-gate fault."""
        return min(1.0, float(self.resembling.sum()))

    def of_sites(self, sites: NDArray[np.int64], nets: int) -> NDArray[np.float64]:
        """Return each net's probability as the site, float64 of shape ``(nets,)``; ``sites`` has each fault's net."""
        mass = np.bincount(sites, weights=self.faults.sum(axis=1), minlength=nets)
        return np.asarray(mass, np.float64)


def fault_prior(faults: Sequence[Fault]) -> NDArray[np.float64]:
    """Return the log prior of ``faults`` and activities, float64 of shape ``(faults, activities)``.

    Every site is as likely as any other; at a site each kind that is possible there shares equally, and within a kind
    each fault.
    """
    kinds: dict[int, dict[str, int]] = {}
    for fault in faults:
        at_site = kinds.setdefault(fault.net, {})
        at_site[fault.kind] = at_site.get(fault.kind, 0) + 1
    share = [1.0 / (len(kinds) * len(kinds[fault.net]) * kinds[fault.net][fault.kind]) for fault in faults]
    return np.asarray(np.log(share)[:, None] + np.log(ACTIVITY_PRIOR)[None, :], np.float64)


def combine(faults: Sequence[Fault], fails: FailCounts | None, waveforms: Sequence[WaveformEvidence]) -> Posterior:
    """Return the posterior over ``faults`` given ``fails`` (``None``: no fail log) and all ``waveforms``."""
    prior = fault_prior(faults)
    good = PRIOR_NO_FAULT_UNTESTED if fails is None else PRIOR_NO_FAULT
    scores = prior + np.log((1 - good) * (1 - PRIOR_UNMODELLED))
    no_fault = float(np.log(good))
    resembling = logsumexp(prior, axis=1) + np.log((1 - good) * PRIOR_UNMODELLED)
    resembling = resembling + resembling_waveform_evidence(waveforms)
    if fails is not None:
        scores = scores + fail_evidence(fails)
        no_fault += no_fault_fail_evidence(fails)
        resembling = resembling + resembling_fail_evidence(fails)
    for waveform in waveforms:
        scores = scores + waveform.faults
        no_fault += waveform.good
    total = logsumexp(np.concatenate([scores.ravel(), [no_fault], resembling]))
    return Posterior(np.exp(scores - total), float(np.exp(no_fault - total)), np.exp(resembling - total))


def faulty_probability(posterior: Posterior, waveform: WaveformEvidence) -> float:
    """Return the probability that the net of ``waveform`` does not do what it should, given all of ``posterior``."""
    changed = float(posterior.faults[waveform.differs].sum())
    return min(1.0, changed + posterior.unmodelled * faulty_probability_alone(waveform))


def faulty_probability_alone(waveform: WaveformEvidence) -> float:
    """Return the same given ``waveform`` only, from even odds."""
    return float(1.0 / (1.0 + np.exp(np.clip(waveform.good - waveform.other, -700, 700))))


def likeliest(posterior: Posterior, fault: int) -> float:
    """Return the likeliest activity of the fault number ``fault`` under ``posterior``."""
    return ACTIVITIES[int(np.argmax(posterior.faults[fault]))]
