"""The posterior: its prior, that it adds up, and what wins when evidence is one-sided."""

from dataclasses import replace

import numpy as np
import pytest

from analysis.localization.evidence import ACTIVITIES, WaveformEvidence
from analysis.localization.posterior import (
    LATE_TRUST,
    combine,
    combine_axes,
    faulty_probability,
    faulty_probability_alone,
    likeliest,
)
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


def test_waveforms_count_by_half_among_late_suspects_and_whole_for_all_of_them() -> None:
    suspects = UNTESTED.suspects
    late = np.flatnonzero(suspects.late)
    weights = np.random.default_rng(3).normal(0, 3, (COUNT, len(ACTIVITIES)))
    waveforms = [evidence(weights), evidence(0.5 * weights)]
    found = combine(UNTESTED, waveforms, tested=False)
    whole = np.exp(suspects.scores + 1.5 * weights)
    part = whole[late].sum() / whole[~suspects.late].sum()
    assert found.faults[late].sum() / found.faults[~suspects.late].sum() == pytest.approx(part)
    odds = np.log(found.faults[late[0], 0] / found.faults[late[1], 0])
    before = suspects.scores[late[0], 0] - suspects.scores[late[1], 0]
    told = 1.5 * (weights[late[0], 0] - weights[late[1], 0])
    assert odds == pytest.approx(before + LATE_TRUST * told)


def test_on_several_time_axes_the_posterior_is_their_mean() -> None:
    numbers = np.random.default_rng(5)
    on_axes = [[evidence(numbers.normal(0, 2, (COUNT, len(ACTIVITIES))))] for _ in range(2)]
    priors = [np.log(0.9), np.log(0.1)]
    alone = [combine(UNTESTED, waveforms, tested=False) for waveforms in on_axes]
    mixed, parts = combine_axes(UNTESTED, on_axes, priors, tested=False)
    weights = np.exp([item.log_evidence + prior for item, prior in zip(alone, priors, strict=True)])
    assert parts == pytest.approx(weights / weights.sum())
    assert mixed.faults == pytest.approx(parts[0] * alone[0].faults + parts[1] * alone[1].faults)
    assert mixed.faults.sum() + mixed.no_fault + mixed.unmodelled == pytest.approx(1.0)
    same, sure = combine_axes(UNTESTED, on_axes[:1], priors[:1], tested=False)
    assert (same.faults == alone[0].faults).all()
    assert sure == pytest.approx([1.0])
