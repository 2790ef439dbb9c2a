"""The posterior: its prior, that it adds up, and what wins when evidence is one-sided."""

from dataclasses import replace

import numpy as np
import pytest

from analysis.localization.evidence import ACTIVITIES, WaveformEvidence
from analysis.localization.posterior import combine, faulty_probability, faulty_probability_alone, likeliest
from analysis.localization.priors import CLASS_PRIORS, PRIOR_NO_FAULT_UNTESTED
from analysis.localization.screening import Screening, screen
from analysis.localization.stimulation import stimulate
from tests.naive.logic import random_circuit

CIRCUIT = random_circuit(5)
STIMULATED = stimulate(CIRCUIT, np.random.default_rng(1).integers(0, 2, (32, len(CIRCUIT.inputs)), dtype=np.uint8))
NO_PAIRS = np.empty((0, 2), np.int64)
UNTESTED = screen(STIMULATED, None, NO_PAIRS)
COUNT = len(UNTESTED.suspects)


def evidence(faults: np.ndarray, good: float = 0.0, other: float = 0.0) -> WaveformEvidence:
    """Evidence of one waveform."""
    differs = np.zeros(COUNT, np.bool_)
    differs[::2] = True
    return WaveformEvidence(faults, good, 0.0, other, differs)


@pytest.mark.parametrize("kinds", [("stem",), ("pin",), ("swap",), ("slow", "slow-pin")])
def test_kinds_share_their_class_equally_and_faults_their_kind(kinds: tuple[str, ...]) -> None:
    suspects = UNTESTED.suspects
    chosen = [place for place, item in enumerate(suspects.defects) if getattr(item, "kind", "") in kinds]
    weights = np.exp(suspects.scores[chosen]).sum(axis=1)
    share = CLASS_PRIORS["late"] if "slow" in kinds else CLASS_PRIORS["static"] / 3
    assert weights == pytest.approx(share / len(chosen))


def test_classes_are_all_defects() -> None:
    assert sum(CLASS_PRIORS.values()) == pytest.approx(1.0)


def test_it_adds_up_to_one() -> None:
    numbers = np.random.default_rng(1)
    shape = (COUNT, len(ACTIVITIES))
    waveforms = [evidence(numbers.normal(0, 50, shape), float(numbers.normal(0, 50))) for _ in range(4)]
    posterior = combine(UNTESTED, waveforms, tested=False)
    assert posterior.faults.sum() + posterior.no_fault + posterior.unmodelled == pytest.approx(1.0)


def test_without_any_evidence_it_is_the_prior() -> None:
    posterior = combine(UNTESTED, [], tested=False)
    share = PRIOR_NO_FAULT_UNTESTED / (
        1 - (1 - PRIOR_NO_FAULT_UNTESTED) * sum(CLASS_PRIORS[name] for name in ("path", "open", "bridge", "double"))
    )
    assert posterior.no_fault == pytest.approx(share)


def test_extreme_evidence_does_not_overflow() -> None:
    weights = np.full((COUNT, len(ACTIVITIES)), -1e5)
    weights[7, 2] = 1e5
    posterior = combine(UNTESTED, [evidence(weights), evidence(weights)], tested=False)
    assert posterior.faults[7, 2] == pytest.approx(1.0)
    assert likeliest(posterior, 7) == ACTIVITIES[2]
    assert faulty_probability(posterior, evidence(weights)) == pytest.approx(0.0)


def test_fails_that_nothing_explains_are_unmodelled() -> None:
    suspects = UNTESTED.suspects
    poor = Screening(replace(suspects, scores=suspects.scores - 200, resembling=suspects.resembling - 20), -300.0)
    assert combine(poor, [], tested=True).unmodelled > 0.99


def test_a_waveform_alone_from_even_odds() -> None:
    nothing = np.zeros((COUNT, len(ACTIVITIES)))
    assert faulty_probability_alone(evidence(nothing, good=1.0, other=1.0)) == pytest.approx(0.5)
    assert faulty_probability_alone(evidence(nothing, good=np.log(9), other=0.0)) == pytest.approx(0.1)
    assert faulty_probability_alone(evidence(nothing, good=-1e5, other=1e5)) == pytest.approx(1.0)
