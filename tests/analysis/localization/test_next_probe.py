"""Expected information: bounds, what cannot be told, the informative net, neighbours that hide a difference."""

from dataclasses import replace

import numpy as np
import pytest

from analysis.circuits.logic_simulation import pack_patterns
from analysis.localization.next_probe import Hypotheses, expected_information, rank_probes

CYCLES = 128


def hypotheses(values: np.ndarray, weights: list[float], good: np.ndarray | None = None) -> Hypotheses:
    """Hypotheses about sites 0, 1, …; ``values`` has shape ``(hypotheses, nets, cycles)``."""
    healthy = np.random.default_rng(0).integers(0, 2, values.shape[1:], dtype=np.uint8) if good is None else good
    return Hypotheses(
        weights=np.asarray(weights) / np.sum(weights),
        sites=np.arange(len(values)),
        activities=np.ones(values.shape[:2]),
        good=pack_patterns(healthy.T),
        values=np.stack([pack_patterns(item.T) for item in values]),
        cycles=CYCLES,
    )


def scene(sites: int, nets: int, seed: int = 1) -> np.ndarray:
    """Every site gives every net values of its own."""
    return np.random.default_rng(seed).integers(0, 2, (sites, nets, CYCLES), dtype=np.uint8)


def test_distinct_outcomes_tell_the_whole_entropy() -> None:
    weights = [0.5, 0.25, 0.125, 0.125]
    assert expected_information(hypotheses(scene(4, 1), weights), 0, 10.0) == pytest.approx(1.75, abs=1e-6)


def test_equal_and_inverted_outcomes_tell_nothing() -> None:
    values = scene(1, 1).repeat(2, axis=0)
    assert expected_information(hypotheses(values, [1, 1]), 0, 10.0) == pytest.approx(0.0, abs=1e-9)
    values[1] = 1 - values[1]
    assert expected_information(hypotheses(values, [1, 1]), 0, 10.0) == pytest.approx(0.0, abs=1e-9)


def test_a_net_that_no_hypothesis_changes_tells_nothing() -> None:
    good = scene(1, 1)[0]
    assert expected_information(hypotheses(np.stack([good, good]), [1, 1], good), 0, 10.0) == 0.0


def test_more_noise_and_less_activity_tell_less() -> None:
    good = scene(1, 1)[0]
    changed = good.copy()
    changed[:, :12] ^= 1
    pair = hypotheses(np.stack([good, changed]), [1, 1], good)
    bits = [expected_information(pair, 0, ratio) for ratio in (0.1, 0.5, 1.0, 2.0, 5.0)]
    assert bits == sorted(bits)
    assert bits[0] < 0.05
    assert bits[-1] > 0.95
    weak = replace(pair, activities=np.array([[1.0], [0.3]]))
    assert expected_information(weak, 0, 1.0) < bits[2]


def test_is_a_lower_bound_of_the_sampled_information() -> None:
    """Two equally likely levels in noise, sampled: the estimate lies below, and not far below."""
    good = scene(1, 1)[0]
    changed = good.copy()
    changed[:, :10] ^= 1
    pair = hypotheses(np.stack([good, changed]), [1, 1], good)
    for ratio in (0.5, 1.0, 1.5):
        centred = changed[0].astype(float) - good[0]
        distance = ratio * float(np.linalg.norm(centred - centred.mean()))
        draws = np.random.default_rng(2).normal(0, 1, 200_000)
        odds = np.exp(-distance * draws - distance**2 / 2)
        truth = 1 - float(np.mean(np.log2(1 + odds)))
        found = expected_information(pair, 0, ratio)
        assert truth - 0.25 < found < truth + 0.01


def test_several_faults_of_one_site_are_no_information() -> None:
    pair = hypotheses(scene(2, 1), [1, 1])
    assert expected_information(replace(pair, sites=np.array([3, 3])), 0, 10.0) == pytest.approx(0.0, abs=1e-9)


def test_a_neighbour_that_does_the_same_hides_the_net() -> None:
    """A stuck net beside one that switches like it: whether the net switches cannot be seen."""
    good = scene(1, 1)[0].repeat(2, axis=0)
    stuck = good.copy()
    stuck[0] = 0
    pair = hypotheses(np.stack([good, stuck]), [1, 1], good)
    alone = expected_information(pair, 0, 2.0)
    hidden = expected_information(replace(pair, neighbours=lambda net: (pair.good[[1]], np.array([0.5]))), 0, 2.0)
    assert alone > 0.95
    assert hidden < 0.6


def test_the_informative_net_comes_first_and_ties_stay_in_order() -> None:
    values = scene(1, 3).repeat(4, axis=0)
    values[:, 1] = scene(4, 1, seed=3)[:, 0]
    values[0, 2] = scene(1, 1, seed=4)[0, 0]
    ranked = rank_probes(hypotheses(values, [1, 1, 1, 1]), [0, 2, 1], 5.0)
    assert [net for net, _ in ranked] == [1, 2, 0]
    assert [net for net, _ in rank_probes(hypotheses(values[:1], [1]), [2, 0, 1], 5.0)] == [2, 0, 1]
