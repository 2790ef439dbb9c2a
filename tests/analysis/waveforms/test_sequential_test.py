"""The sequential test: against brute force, its error rate, what it says of twins and of what fits nothing."""

import math
from dataclasses import replace

import numpy as np
import pytest

from analysis.waveforms.comparison import Expectations
from analysis.waveforms.cycles import CycleLevels, WaveformError, levels_within, read_cycle_levels
from analysis.waveforms.edges import Record
from analysis.waveforms.repeats import RepeatedLevels, begin_repeats
from analysis.waveforms.sequential_test import (
    Alternatives,
    broad_ratios,
    decide,
    judge_fit,
    log_likelihoods,
    ratios_around,
)
from tests.naive.averaging import log_likelihood_of_repeats

CYCLES = 40
COVERED = np.ones(CYCLES, np.bool_)


def add_up(repeats: np.ndarray) -> list[RepeatedLevels]:
    states = [begin_repeats(COVERED)]
    for levels in repeats:
        states.append(states[-1].add(CycleLevels(levels, COVERED, (0.3, 0.75))))
    return states[1:]


def nets(seed: int) -> np.ndarray:
    """A good net and one that a fault changes in a fifth of the cycles, each with two neighbours."""
    generator = np.random.default_rng(seed)
    good = generator.integers(0, 2, (3, CYCLES)).astype(float)
    bad = good.copy()
    bad[0] = np.abs(good[0] - (generator.random(CYCLES) < 0.2))
    return np.stack([good, bad])


def draw(values: np.ndarray, count: int, ratio: float, seed: int) -> np.ndarray:
    generator = np.random.default_rng(seed)
    clean = ratio * (values[0] + 0.5 * values[1] - 0.3 * values[2])
    phase = np.linspace(-1, 1, CYCLES)
    drift = generator.normal(0, 3, (count, 1)) + generator.normal(0, 1, (count, 1)) * phase
    return np.asarray(7.0 + clean + drift + generator.normal(0, 1, (count, CYCLES)))


def alternatives(values: np.ndarray, spreads: tuple[float, ...] = (0.5, 0.5)) -> Alternatives:
    count = len(values)
    return Alternatives(Expectations(values, np.asarray(spreads)), np.full(count, -math.log(count)), np.arange(count))


def test_likelihoods_are_those_of_all_repeats_at_once() -> None:
    values = nets(1)
    repeats = draw(values[1], 3, 0.8, 2)
    states = add_up(repeats)
    found = log_likelihoods([states[0], states[2]], Expectations(values, np.asarray([0.5, 0.25])), broad_ratios())
    for row, count in ((0, 1), (1, 3)):
        for column in range(2):
            naive = log_likelihood_of_repeats(repeats[:count].tolist(), values[column].tolist(), [0.3, 0.5, 0.25])
            assert found[row, column] == pytest.approx(naive, abs=0.01)


def test_few_decisions_are_wrong_and_they_stop_early() -> None:
    wrong, needed = 0, []
    for seed in range(60):
        truth = seed % 2
        values = nets(seed)
        decision = decide(add_up(draw(values[truth], 25, 0.8, 1000 + seed)), alternatives(values), 0.05)
        assert decision.decided is not None
        assert decision.needed is not None
        wrong += decision.decided != truth
        needed.append(decision.needed)
    assert wrong <= 6
    assert 1 < np.mean(needed) < 15


def test_it_says_how_many_more_repeats_it_takes() -> None:
    values = nets(3)
    repeats = draw(values[0], 40, 0.35, 4)
    early = decide(add_up(repeats[:3]), alternatives(values), 0.01)
    late = decide(add_up(repeats), alternatives(values), 0.01)
    assert early.decided is None
    assert late.needed is not None
    assert (late.decided, late.to_go) == (0, 0.0)
    assert early.to_go + 3 == pytest.approx(late.needed, rel=0.8)


def test_a_silent_net_is_told_by_the_swing_that_is_usual() -> None:
    values = nets(13)[:, :1]
    values[1] = 0.0
    states = add_up(np.random.default_rng(14).normal(0, 1, (12, CYCLES)))
    unknown = decide(states, alternatives(values, ()), 0.02)
    usual = decide(states, replace(alternatives(values, ()), ratios=ratios_around(0.9)), 0.02)
    assert unknown.decided is None
    assert math.isfinite(unknown.to_go)
    assert usual.posterior[1] > 0.9 > unknown.posterior[1]


def test_twins_are_never_told_apart() -> None:
    values = np.stack([nets(5)[0], 1 - nets(5)[0]])
    decision = decide(add_up(draw(values[0], 10, 2.0, 6)), alternatives(values), 0.05)
    assert decision.decided is None
    assert math.isinf(decision.to_go)
    assert decision.posterior == pytest.approx([0.5, 0.5], abs=1e-6)


def test_what_no_hypothesis_explains_does_not_fit() -> None:
    values = nets(7)
    other = np.random.default_rng(8).integers(0, 2, (3, CYCLES)).astype(float)
    states = add_up(draw(other, 12, 2.0, 9))
    fit = decide(states, alternatives(values), 0.05).fit
    assert fit is not None
    assert fit.probability < 1e-6
    assert fit.left > 0.3
    good = judge_fit(add_up(draw(values[0], 12, 2.0, 10))[-1], values[0])
    assert good is not None
    assert good.probability > 0.01
    assert judge_fit(states[0], values[0]) is None


def test_part_of_another_level_is_not_held_against_the_fit() -> None:
    values = nets(11)
    mixed = 0.7 * values[0] + 0.3 * values[1]
    states = add_up(draw(mixed, 12, 6.0, 12))
    one = np.stack([values[1]])
    plain = Alternatives(Expectations(one, np.asarray([0.5, 0.5])), np.zeros(1), np.zeros(1, np.int64))
    beside = Alternatives(plain.expected, plain.log_prior, plain.classes, values[0])
    fits = [decide(states, each, 0.05).fit for each in (plain, beside)]
    assert fits[0] is not None
    assert fits[1] is not None
    assert fits[0].probability < 1e-6
    assert fits[1].probability > 1e-3


def test_repeats_are_read_over_the_window_of_their_mean() -> None:
    bits = np.random.default_rng(1).integers(0, 2, 24).astype(float)
    record = Record(np.repeat(bits, 20) + np.random.default_rng(2).normal(0, 0.1, 480), 0.0, 5e-11)
    whole = read_cycle_levels(record.values, 0.0, 5e-11, 1e-9, 24)
    again = levels_within(record, 1e-9, 24, whole.window)
    np.testing.assert_allclose(again.levels, whole.levels)
    with pytest.raises(WaveformError, match="not finite"):
        levels_within(Record(np.full(480, np.nan), 0.0, 5e-11), 1e-9, 24, whole.window)


def test_what_cannot_be_judged_is_refused() -> None:
    values, state = nets(1), begin_repeats(COVERED)
    with pytest.raises(WaveformError, match="4 cycles are too few"):
        begin_repeats(COVERED[:4])
    with pytest.raises(WaveformError, match="same cycles"):
        state.add(CycleLevels(np.zeros(CYCLES), ~COVERED, (0.3, 0.75)))
    with pytest.raises(WaveformError, match="not finite"):
        state.add(CycleLevels(np.full(CYCLES, np.inf), COVERED, (0.3, 0.75)))
    with pytest.raises(ValueError, match="at least one repeat"):
        decide([state], alternatives(values), 0.05)
    with pytest.raises(ValueError, match=r"between 0 and 0\.5"):
        decide(add_up(draw(values[0], 1, 1.0, 1)), alternatives(values), 0.5)
    with pytest.raises(ValueError, match="needs a repeat"):
        decide([], alternatives(values), 0.05)
