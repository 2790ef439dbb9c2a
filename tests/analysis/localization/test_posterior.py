"""The posterior: its prior, that it adds up, and what wins when evidence is one-sided."""

import numpy as np
import pytest

from analysis.circuits.faults import list_faults
from analysis.localization.evidence import ACTIVITIES, FailCounts, WaveformEvidence
from analysis.localization.posterior import (
    PRIOR_NO_FAULT_UNTESTED,
    combine,
    fault_prior,
    faulty_probability,
    faulty_probability_alone,
    likeliest,
)
from tests.naive.logic import random_circuit

FAULTS = list_faults(random_circuit(5))


def evidence(faults: np.ndarray, good: float = 0.0, other: float = 0.0) -> WaveformEvidence:
    """Evidence of one waveform."""
    differs = np.zeros(len(FAULTS), np.bool_)
    differs[::2] = True
    return WaveformEvidence(faults, good, 0.0, other, differs)


def test_sites_share_the_prior_equally() -> None:
    prior = np.exp(fault_prior(FAULTS))
    sites = np.array([fault.net for fault in FAULTS])
    shares = np.bincount(sites, weights=prior.sum(axis=1))
    assert shares == pytest.approx(1 / len(shares))
    assert prior.sum() == pytest.approx(1.0)


def test_it_adds_up_to_one() -> None:
    numbers = np.random.default_rng(1)
    shape = (len(FAULTS), len(ACTIVITIES))
    waveforms = [evidence(numbers.normal(0, 50, shape), float(numbers.normal(0, 50))) for _ in range(4)]
    posterior = combine(FAULTS, None, waveforms)
    assert posterior.faults.sum() + posterior.no_fault + posterior.unmodelled == pytest.approx(1.0)


def test_without_any_evidence_it_is_the_prior() -> None:
    posterior = combine(FAULTS, None, [])
    assert posterior.no_fault == pytest.approx(PRIOR_NO_FAULT_UNTESTED)


def test_extreme_evidence_does_not_overflow() -> None:
    weights = np.full((len(FAULTS), len(ACTIVITIES)), -1e5)
    weights[7, 2] = 1e5
    posterior = combine(FAULTS, None, [evidence(weights), evidence(weights)])
    assert posterior.faults[7, 2] == pytest.approx(1.0)
    assert likeliest(posterior, 7) == ACTIVITIES[2]
    assert faulty_probability(posterior, evidence(weights)) == pytest.approx(0.0)


def test_a_log_that_nothing_explains_is_unmodelled() -> None:
    count = np.full(len(FAULTS), 30, np.int64)
    none = np.zeros(len(FAULTS), np.int64)
    fails = FailCounts(count, count, none, count, count, none, bits=2560, observed=60)
    assert combine(FAULTS, fails, []).unmodelled > 0.99


def test_a_waveform_alone_from_even_odds() -> None:
    nothing = np.zeros((len(FAULTS), len(ACTIVITIES)))
    assert faulty_probability_alone(evidence(nothing, good=1.0, other=1.0)) == pytest.approx(0.5)
    assert faulty_probability_alone(evidence(nothing, good=np.log(9), other=0.0)) == pytest.approx(0.1)
    assert faulty_probability_alone(evidence(nothing, good=-1e5, other=1e5)) == pytest.approx(1.0)
