"""Evidence of the fail log against a count bit by bit, and what a waveform says about each fault."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.circuits.logic_simulation import pack_patterns, pattern_mask, unpack_patterns
from analysis.localization.edge_timing import EdgePrediction
from analysis.localization.evidence import (
    ACTIVITIES,
    FALSE_FAIL,
    MISPLACED,
    Comparison,
    FailCounts,
    SpotPrediction,
    WaveformEvidence,
    byzantine_evidence,
    compare_elsewhere,
    compare_waveform,
    count_fails,
    fail_evidence,
    misplaced,
    no_fault_fail_evidence,
    resembling_fail_evidence,
    weigh_waveform,
)
from analysis.waveforms.comparison import Observation, broad_prior, observe, observe_both
from analysis.waveforms.cycles import CycleLevels
from tests.analysis.waveforms.signals import levels_of, random_bits
from tests.naive.fails import log_likelihood


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), cycles=st.integers(1, 130), density=st.floats(0.0, 1.0))
def test_fail_evidence_equals_the_naive_twin(seed: int, cycles: int, density: float) -> None:
    numbers = np.random.default_rng(seed)
    seen = numbers.random((cycles, 3)) < density
    flips = numbers.random((4, cycles, 3)) < density
    predicted = np.stack([pack_patterns(flip.astype(np.uint8)) for flip in flips])
    counts = count_fails(predicted, pack_patterns(seen.astype(np.uint8)), pattern_mask(cycles))
    found = fail_evidence(counts)
    for fault, flip in enumerate(flips):
        for column, activity in enumerate(ACTIVITIES):
            assert found[fault, column] == pytest.approx(log_likelihood(flip, seen, activity), rel=1e-9, abs=1e-9)
    nothing = np.zeros_like(seen)
    assert no_fault_fail_evidence(counts) == pytest.approx(log_likelihood(nothing, seen, 1.0), rel=1e-9, abs=1e-9)


def counts_of(predicted: np.ndarray, seen: np.ndarray) -> FailCounts:
    """Counts of one fault's predicted failing bits."""
    words = pack_patterns(predicted.astype(np.uint8))[None]
    return count_fails(words, pack_patterns(seen.astype(np.uint8)), pattern_mask(len(seen)))


def test_an_exact_explanation_beats_a_resemblance_and_a_poor_one_does_not() -> None:
    numbers = np.random.default_rng(1)
    predicted = numbers.random((256, 10)) < 0.05
    exact = counts_of(predicted, predicted)
    assert fail_evidence(exact)[0, 0] > resembling_fail_evidence(exact)[0] + 3
    poor = counts_of(predicted, predicted ^ (numbers.random((256, 10)) < 0.02))
    assert fail_evidence(poor)[0, 0] < resembling_fail_evidence(poor)[0] - 3


def test_an_intermittent_fault_is_told_by_whole_cycles() -> None:
    numbers = np.random.default_rng(2)
    predicted = numbers.random((256, 10)) < 0.2
    seen = predicted & (numbers.random((256, 1)) < 0.4)
    assert ACTIVITIES[int(np.argmax(fail_evidence(counts_of(predicted, seen))[0]))] == 0.4
    torn = predicted & (numbers.random((256, 10)) < 0.4)
    assert fail_evidence(counts_of(predicted, torn)).max() < fail_evidence(counts_of(predicted, seen)).max() - 100


def test_no_waveform_alone_decides() -> None:
    assert misplaced(-1e6, -3.0) == pytest.approx(np.log(MISPLACED) - 3.0)
    assert misplaced(50.0, -3.0) == pytest.approx(50.0 + np.log(1 - MISPLACED))


def spot_scene(neighbour_follows: bool) -> tuple[SpotPrediction, np.ndarray, np.ndarray]:
    """A probed net and a neighbour; the one fault inverts some cycles of the neighbour, or of the probed net."""
    good = np.stack([random_bits(200, 1), random_bits(200, 2)]).astype(np.uint8)
    changed = good.copy()
    changed[1 if neighbour_follows else 0, ::3] ^= 1
    changes = np.stack([pack_patterns((good ^ values).T) for values in (good, changed)])
    levels = np.empty((0, len(ACTIVITIES), 1, 2, 200), np.float32)
    return SpotPrediction(good, changes, np.zeros(2, np.bool_), levels, np.array([0.5])), good, changed


def compare(
    observation: Observation, spot: SpotPrediction, good: np.ndarray, edges: EdgePrediction | None = None
) -> Comparison:
    """The comparison at all ratios of the broad prior, ``good`` being what all nets do."""
    ratios = broad_prior().ratios
    return compare_waveform(observation, ratios, spot, compare_elsewhere(observation, ratios, good), edges)


def weigh(levels: np.ndarray, spot: SpotPrediction, good: np.ndarray) -> WaveformEvidence:
    """The evidence of a waveform with these levels, its ratio unknown."""
    prior = broad_prior()
    return weigh_waveform(compare(observe(levels_of(levels)), spot, good), prior)


@pytest.mark.parametrize("neighbour_follows", [True, False])
def test_neighbours_follow_the_hypothesis(neighbour_follows: bool) -> None:
    spot, good, changed = spot_scene(neighbour_follows)
    levels = changed[0] + 0.6 * changed[1] + np.random.default_rng(3).normal(0, 0.3, 200)
    evidence = weigh(levels, spot, good)
    assert evidence.faults[1, 0] > evidence.faults[0, 0] + 5
    assert evidence.differs.tolist() == [False, not neighbour_follows]
    assert evidence.good == pytest.approx(evidence.faults[0, 0])


def test_a_late_edge_spoils_as_much_of_a_level_as_it_is_late() -> None:
    spot, good, changed = spot_scene(False)
    parts = np.linspace(0.0, 1.0, len(ACTIVITIES))
    late = np.stack([good + part * (changed.astype(float) - good) for part in parts])
    spot = replace(spot, late=np.array([False, True]), late_levels=late[None, :, None].astype(np.float32))
    noise = np.random.default_rng(4).normal(0, 0.15, 200)
    evidence = weigh(late[2, 0] + noise, spot, good)
    assert evidence.faults[1].argmax() == 2
    assert evidence.faults[1, 2] > evidence.faults[0, 0] + 5


def edge_scene() -> tuple[SpotPrediction, EdgePrediction, np.ndarray]:
    """A net whose edges come at one of three times in time, and a late suspect whose edges come later at each lateness.

    The settled levels of all of them are the same.
    """
    good = random_bits(200, 1)[None].astype(np.uint8)
    come = np.linspace(0.9, 0.7, 3)
    late = np.linspace(0.6, 0.1, len(ACTIVITIES))
    before = np.roll(good, 1, axis=-1)
    timings = np.stack([before + part * (good.astype(float) - before) for part in come]).astype(np.float32)
    lateness = np.stack([before + part * (good.astype(float) - before) for part in late]).astype(np.float32)
    changes = np.zeros((2, 1, 4), np.uint64)
    levels = np.broadcast_to(good, (1, len(ACTIVITIES), 1, 1, 200)).astype(np.float32)
    spot = SpotPrediction(good, changes, np.array([False, True]), levels, np.empty(0))
    return spot, EdgePrediction(timings, lateness[None, :, None]), before


@pytest.mark.parametrize(("part", "late"), [(0.8, False), (0.35, True)])
def test_an_edge_that_is_late_before_the_settled_part_is_seen_between_them(part: float, late: bool) -> None:
    spot, edges, before = edge_scene()
    numbers = np.random.default_rng(3)
    good = spot.good.astype(np.float64)
    settled = CycleLevels(good[0] + numbers.normal(0, 0.4, 200), np.ones(200, np.bool_), (0.3, 0.95))
    came = (before + part * (good - before))[0] + numbers.normal(0, 0.4 * np.sqrt(0.65 / 0.35), 200)
    between = CycleLevels(came, np.ones(200, np.bool_), (-0.05, 0.3))
    prior = broad_prior()
    blind = weigh_waveform(compare(observe(settled), spot, spot.good), prior)
    assert blind.faults[1, 2] == pytest.approx(blind.faults[0, 0], abs=0.1)
    seen = weigh_waveform(compare(observe_both(settled, between), spot, spot.good, edges), prior)
    gain = seen.faults[1].max() - seen.good
    assert gain > 5 if late else gain < -2
    assert seen.faults[0, 0] == pytest.approx(seen.good)
    assert not late or seen.faults[1].argmax() == 2


def test_what_changes_a_net_moves_its_edges_with_it() -> None:
    spot, edges, _ = edge_scene()
    good = spot.good.astype(np.float64)
    stuck = np.zeros((2, 1, 200), np.uint8)
    stuck[0, 0, ::4] = 1
    changes = np.stack([pack_patterns(each.T) for each in stuck])
    faulty = np.abs(good - stuck[0])[0]
    came = np.roll(faulty, 1) + 0.8 * (faulty - np.roll(faulty, 1))
    numbers = np.random.default_rng(5)
    settled = CycleLevels(faulty + numbers.normal(0, 0.5, 200), np.ones(200, np.bool_), (0.3, 0.95))
    between = CycleLevels(came + numbers.normal(0, 0.7, 200), np.ones(200, np.bool_), (-0.05, 0.3))
    observation, prior = observe_both(settled, between), broad_prior()
    spot = replace(spot, changes=changes)
    both = weigh_waveform(compare(observation, spot, spot.good, edges), prior)
    one = weigh_waveform(compare(observe(settled), spot, spot.good), prior)
    assert both.faults[0, 0] - both.good > one.faults[0, 0] - one.good + 3


@pytest.mark.parametrize("seed", range(3))
def test_byzantine_evidence_equals_a_sum_over_patterns(seed: int) -> None:
    numbers = np.random.default_rng(seed)
    first, second = numbers.random((2, 70, 4)) < 0.4
    side = numbers.integers(0, 3, 70)
    seen = np.where((side == 0)[:, None], first, np.where((side == 1)[:, None], second, False))
    words = [pack_patterns(item.astype(np.uint8))[None] for item in (first, second)]
    found, sides = byzantine_evidence(*words, pack_patterns(seen.astype(np.uint8)), pattern_mask(70), 70)
    total = 0.0
    for cycle in range(70):
        options = [log_likelihood(item[cycle : cycle + 1], seen[cycle : cycle + 1], 1.0) for item in (first, second)]
        options.append(log_likelihood(np.zeros((1, 4), bool), seen[cycle : cycle + 1], 1.0))
        total += np.logaddexp.reduce(options) - np.log(3)
    assert found[0] == pytest.approx(total)
    lost = unpack_patterns(sides[0], 70).astype(bool)
    assert not (lost[0] & (side != 0) & (first != second).any(axis=1) & first.any(axis=1) & seen.any(axis=1)).any()
    assert not (lost[0] & lost[1]).any()


def test_a_false_fail_costs_what_it_should() -> None:
    predicted = np.zeros((64, 2), bool)
    seen = predicted.copy()
    clean = fail_evidence(counts_of(predicted, seen))[0, 0]
    seen[5, 1] = True
    cost = clean - fail_evidence(counts_of(predicted, seen))[0, 0]
    assert cost == pytest.approx(np.log1p(-FALSE_FAIL) - np.log(FALSE_FAIL))
