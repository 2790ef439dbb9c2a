"""The posterior over suspects, no fault, and a defect outside the model, from fail log and waveforms together."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from analysis.localization.evidence import ACTIVITIES, WaveformEvidence, resembling_waveform_evidence
from analysis.localization.priors import PRIOR_NO_FAULT, PRIOR_NO_FAULT_UNTESTED
from analysis.localization.screening import Screening
from analysis.localization.sites import choose_sites

Array = NDArray[np.float64]

LATE_TRUST = 0.5
"""Weight of the waveforms in what they say of late suspects against each other: a few draws of the cells' delays stand
for this die's, and what they miss it by adds up over the cycles as if it were told."""


@dataclass(frozen=True)
class Posterior:
    """Probabilities that add up to one.

    Attributes:
        faults: float64 of shape ``(faults, activities)``.
        no_fault: the die is good.
        resembling: float64 of shape ``(faults,)``: a defect outside the model that looks most like this fault.
        sites: int64 of shape ``(faults,)``: net number that each fault is reported at, see
            :func:`~analysis.localization.sites.choose_sites`.
        log_evidence: of everything, on whatever scale its evidence was.
    """

    faults: NDArray[np.float64]
    no_fault: float
    resembling: NDArray[np.float64]
    sites: NDArray[np.int64]
    log_evidence: float

    @property
    def unmodelled(self) -> float:
        """Probability of something else than a single-gate fault."""
        return min(1.0, float(self.resembling.sum()))

    def of_sites(self, nets: int) -> NDArray[np.float64]:
        """Return the probability of each of ``nets`` nets as the site, float64 of shape ``(nets,)``."""
        mass = np.bincount(self.sites, weights=self.faults.sum(axis=1), minlength=nets)
        return np.asarray(mass, np.float64)


def combine(screening: Screening, waveforms: Sequence[WaveformEvidence], *, tested: bool) -> Posterior:
    """Return the posterior over the suspects of ``screening`` given all ``waveforms``.

    ``tested`` says whether there was a fail log. A suspect that is vague about passing patterns may do there what it
    should.
    """
    suspects = screening.suspects
    good = PRIOR_NO_FAULT if tested else PRIOR_NO_FAULT_UNTESTED
    scores = suspects.scores + np.log1p(-good)
    no_fault = float(np.log(good)) + screening.no_fault
    resembling = suspects.resembling + np.log1p(-good) + resembling_waveform_evidence(waveforms)
    vague = suspects.vague[:, None]
    for waveform in waveforms:
        anything = np.logaddexp(waveform.good, waveform.other)
        softened = np.logaddexp(waveform.faults, anything) - np.log(3)
        scores = scores + np.where(vague, softened, waveform.faults)
        no_fault += waveform.good
    scores = _temper(scores, suspects.scores, suspects.late)
    total = logsumexp(np.concatenate([scores.ravel(), [no_fault], resembling]))
    faults = np.exp(scores - total)
    sites = choose_sites(suspects, faults.sum(axis=1))
    return Posterior(faults, float(np.exp(no_fault - total)), np.exp(resembling - total), sites, float(total))


def _temper(scores: Array, before: Array, late: NDArray[np.bool_]) -> Array:
    """Return ``scores`` with what was added to ``before`` counted by :data:`LATE_TRUST` among the ``late`` suspects.

    All of them together keep what they have.
    """
    if not late.any():
        return scores
    whole, own = scores[late], before[late]
    tempered = own + LATE_TRUST * (whole - own)
    result = scores.copy()
    result[late] = tempered + (logsumexp(whole) - logsumexp(tempered))
    return result


def combine_axes(
    screening: Screening,
    waveforms: Sequence[Sequence[WaveformEvidence]],
    log_priors: Sequence[float],
    *,
    tested: bool,
) -> tuple[Posterior, NDArray[np.float64]]:
    """Return the posterior when it is open on which time axis the waveforms came, and the probability of each axis.

    ``waveforms`` has for each axis what :func:`combine` is given on it, ``log_priors`` the log of its prior;
    ``screening`` and ``tested`` are as there. The probabilities are float64 of shape ``(axes,)``.
    """
    found = [combine(screening, items, tested=tested) for items in waveforms]
    logs = np.asarray([item.log_evidence for item in found]) + np.asarray(log_priors)
    parts = np.exp(logs - logsumexp(logs))
    if len(found) == 1:
        return found[0], parts
    faults = np.tensordot(parts, np.stack([item.faults for item in found]), axes=1)
    mixed = Posterior(
        faults,
        float(parts @ [item.no_fault for item in found]),
        parts @ np.stack([item.resembling for item in found]),
        choose_sites(screening.suspects, faults.sum(axis=1)),
        float(logsumexp(logs)),
    )
    return mixed, parts


def faulty_probability(posterior: Posterior, waveform: WaveformEvidence) -> float:
    """Return the probability that the net of ``waveform`` does not do what it should, given all of ``posterior``."""
    changed = float(posterior.faults[waveform.differs].sum())
    return min(1.0, changed + posterior.unmodelled * faulty_probability_alone(waveform))


def faulty_probability_alone(waveform: WaveformEvidence) -> float:
    """Return the same given ``waveform`` only, from even odds."""
    return float(1.0 / (1.0 + np.exp(np.clip(waveform.good - waveform.other, -700, 700))))


def likeliest(posterior: Posterior, fault: int, *, late: bool = False) -> float:
    """Return the likeliest activity of the suspect number ``fault`` under ``posterior``; 1 of a ``late`` one."""
    return 1.0 if late else ACTIVITIES[int(np.argmax(posterior.faults[fault]))]
