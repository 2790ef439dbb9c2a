"""Evidence of a waveform: against numerical integration, its invariances, calibration under noise, refusals."""

import numpy as np
import pytest

from analysis.waveforms.comparison import (
    BASELINE_TERMS,
    Expectations,
    RatioPrior,
    broad_prior,
    evidence_by_activity,
    fit_levels,
    log_evidence,
    mean_over_ratios,
    observe,
    observe_both,
    of_one_net,
    prior_around,
    spot_ratio,
    usual_ratio,
)
from analysis.waveforms.cycles import CycleLevels, WaveformError
from tests.analysis.waveforms.signals import levels_of, random_bits
from tests.naive import evidence as naive

SMALL_PRIOR = RatioPrior(np.array([0.7, 2.0, 5.0]), np.array([0.2, 0.5, 0.3]))
PAIRS = list(zip(SMALL_PRIOR.ratios.tolist(), SMALL_PRIOR.weights.tolist(), strict=True))


@pytest.mark.parametrize("neighbours", [0, 1, 2])
@pytest.mark.parametrize("seed", [1, 2])
def test_equals_numerical_integration(neighbours: int, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(naive, "NODES", 24 if neighbours < 2 else 12)
    monkeypatch.setattr(naive, "NOISES", 100)
    numbers = np.random.default_rng(seed)
    bits = numbers.integers(0, 2, (1 + neighbours, 24)).astype(float)
    spreads = np.array([0.5, 0.25])[:neighbours]
    weights = np.r_[1.0, numbers.normal(size=neighbours) * spreads]
    levels = 0.3 + 0.01 * np.arange(24) + weights @ bits + numbers.normal(0, 0.6, 24)
    found = log_evidence(observe(levels_of(levels)), Expectations(bits[None], spreads), SMALL_PRIOR)[0]
    expected = naive.log_evidence(levels, bits[0], list(bits[1:]), spreads.tolist(), PAIRS)
    assert found == pytest.approx(expected, abs=0.03)


def test_does_not_depend_on_scale_sign_offset_and_drift() -> None:
    numbers = np.random.default_rng(4)
    bits = np.stack([random_bits(64, seed) for seed in range(5)])
    levels = bits[0] + numbers.normal(0, 0.5, 64)
    plain = log_evidence(observe(levels_of(levels)), of_one_net(bits), broad_prior())
    place = np.linspace(-1, 1, 64)
    changed = -3e-5 * levels + 7.0 + 2e-4 * place - 1e-4 * place**2
    assert log_evidence(observe(levels_of(changed)), of_one_net(bits), broad_prior()) == pytest.approx(plain, abs=1e-4)
    assert np.argmax(plain) == 0


def test_inverted_and_shifted_expectations_are_the_same_hypothesis() -> None:
    bits = random_bits(64, 1)[None]
    observation = observe(levels_of(bits[0] + np.random.default_rng(2).normal(0, 0.5, 64)))
    value = log_evidence(observation, of_one_net(bits), broad_prior())
    assert log_evidence(observation, of_one_net(1 - bits), broad_prior()) == pytest.approx(value)


def test_a_net_that_never_changes_has_no_evidence() -> None:
    observation = observe(levels_of(np.random.default_rng(3).normal(size=40)))
    constant = of_one_net(np.stack([np.zeros(40), np.ones(40)]))
    assert log_evidence(observation, constant, broad_prior()) == pytest.approx([0.0, 0.0], abs=1e-9)


def test_without_spread_neighbours_do_not_count() -> None:
    bits = np.stack([random_bits(48, seed) for seed in range(3)])
    observation = observe(levels_of(bits.sum(axis=0) + np.random.default_rng(3).normal(0, 0.5, 48)))
    alone = log_evidence(observation, of_one_net(bits[:1]), broad_prior())
    assert log_evidence(observation, Expectations(bits[None], np.zeros(2)), broad_prior()) == pytest.approx(alone)


def test_by_activity_equals_one_by_one() -> None:
    good = np.stack([random_bits(80, seed) for seed in range(3)])
    faulty = np.stack([np.stack([random_bits(80, 10 * row + seed) for seed in range(3)]) for row in range(1, 8)])
    spreads = np.array([0.5, 0.2])
    observation = observe(levels_of(good[0] - 0.4 * good[1] + np.random.default_rng(9).normal(0, 0.5, 80)))
    prior = prior_around(2.0)
    terms = evidence_by_activity(observation, good, Expectations(faulty, spreads), (1.0, 0.6, 0.0), prior.ratios)
    found = mean_over_ratios(terms, prior)
    for column, part in enumerate((1.0, 0.6, 0.0)):
        mixed = Expectations(good + part * (faulty - good), spreads)
        assert found[:, column] == pytest.approx(log_evidence(observation, mixed, prior), abs=1e-6)


def test_no_hypotheses_give_no_evidence() -> None:
    observation = observe(levels_of(np.random.default_rng(3).normal(size=40)))
    assert log_evidence(observation, of_one_net(np.empty((0, 40))), broad_prior()).shape == (0,)


def test_evidence_is_calibrated() -> None:
    """When the prior is true, hypotheses said to hold with probability p hold in p of the cases."""
    numbers = np.random.default_rng(11)
    claimed, right = [], []
    prior = RatioPrior(np.array([0.5, 1.0]), np.array([0.5, 0.5]))
    for _ in range(3000):
        bits = numbers.integers(0, 2, (3, 24)).astype(float)
        truth = int(numbers.integers(3))
        ratio = float(numbers.choice(prior.ratios)) * float(numbers.choice((-1.0, 1.0)))
        near = numbers.integers(0, 2, 24).astype(float)
        levels = ratio * (bits[truth] + 0.5 * numbers.normal() * near) + numbers.normal(size=24) + 5.0
        values = np.stack([np.stack([row, near]) for row in bits])
        evidence = log_evidence(observe(levels_of(levels)), Expectations(values, np.array([0.5])), prior)
        share = np.exp(evidence - evidence.max())
        share /= share.sum()
        claimed += share.tolist()
        right += [float(place == truth) for place in range(3)]
    claimed_parts, hits = np.asarray(claimed), np.asarray(right)
    for low in np.arange(0.0, 1.0, 0.2):
        here = (claimed_parts >= low) & (claimed_parts < low + 0.2)
        assert here.sum() > 100
        error = np.sqrt(0.25 / here.sum())
        assert abs(claimed_parts[here].mean() - hits[here].mean()) < 4 * error + 0.01


def test_noise_alone_rarely_looks_like_a_signal() -> None:
    numbers = np.random.default_rng(12)
    wrong = 0
    for _ in range(500):
        observation = observe(levels_of(numbers.normal(size=64)))
        bits = numbers.integers(0, 2, (1, 64)).astype(float)
        wrong += log_evidence(observation, of_one_net(bits), broad_prior())[0] > np.log(20)
    assert wrong <= 500 / 20


def test_a_noise_free_waveform_is_decided_without_overflow() -> None:
    bits = np.stack([random_bits(64, 1), random_bits(64, 2)])
    evidence = log_evidence(observe(levels_of(1e140 * bits[0])), of_one_net(bits), broad_prior())
    assert np.isfinite(evidence).all()
    assert evidence[0] - evidence[1] > 100


@pytest.mark.parametrize(
    ("levels", "message"),
    [
        (np.ones(40), "the same level in every cycle, without any noise"),
        (np.ones(1), "1 cycles are too few for a comparison; 11 are needed"),
        (np.arange(10.0), "10 cycles are too few for a comparison; 11 are needed"),
        (3.0 + np.arange(40.0), "the same level in every cycle, without any noise"),
    ],
)
def test_levels_that_cannot_be_compared(levels: np.ndarray, message: str) -> None:
    with pytest.raises(WaveformError, match=message):
        observe(levels_of(levels))


def test_cycles_that_are_not_covered_do_not_count() -> None:
    bits = random_bits(64, 1)
    levels = bits + np.random.default_rng(2).normal(0, 0.5, 64)
    covered = np.ones(64, np.bool_)
    covered[60:] = False
    gaps = CycleLevels(np.where(covered, levels, np.nan), covered, (0.3, 0.95))
    assert log_evidence(observe(gaps), of_one_net(bits[None]), broad_prior())[0] > 10


def test_fit_recovers_amplitude_and_noise() -> None:
    bits = np.stack([random_bits(4000, 1), random_bits(4000, 2)])
    levels = -2.0 * bits[0] + 0.7 * bits[1] + np.random.default_rng(5).normal(0, 0.5, 4000)
    fit = fit_levels(observe(levels_of(levels)), Expectations(bits[None], np.array([0.5])))
    assert fit.amplitude == pytest.approx(-2.0, abs=0.06)
    assert fit.noise == pytest.approx(0.5, abs=0.02)
    assert fit.ratio == pytest.approx(4.0, abs=0.2)
    still = fit_levels(observe(levels_of(levels)), of_one_net(np.zeros((1, 4000))))
    assert still.amplitude == 0.0


def test_the_whole_spot_says_what_ratio_is_usual() -> None:
    numbers = np.random.default_rng(21)
    sizes = np.array([0.6, 0.5])
    kinds: dict[str, list[float]] = {"good": [], "stuck": [], "twin": [], "noise": []}
    for _ in range(40):
        bits = numbers.integers(0, 2, (3, 256)).astype(float)
        weights = 4.0 * numbers.choice((-1.0, 1.0), 3) * np.array([1.0, *sizes])
        seen = {
            "good": (bits, weights @ bits),
            "stuck": (bits, weights[1:] @ bits[1:]),
            "twin": (np.stack([bits[0], 1 - bits[0], bits[2]]), (weights[0] - weights[1]) * bits[0]),
            "noise": (bits, np.zeros(256)),
        }
        for kind, (values, levels) in seen.items():
            observation = observe(levels_of(levels + numbers.normal(size=256)))
            kinds[kind].append(spot_ratio(observation, Expectations(values[None], sizes)))
    assert np.median(kinds["good"]) == pytest.approx(4.0, rel=0.05)
    # The neighbours tell where the probed net shows nothing; so does the sum of nets that nobody can tell apart.
    assert 1.8 < np.median(kinds["stuck"]) < 4.0
    assert 1.0 < np.median(kinds["twin"]) < 6.0
    assert np.median(kinds["noise"]) < 0.2
    still = Expectations(np.ones((1, 3, 256)), sizes)
    assert spot_ratio(observe(levels_of(numbers.normal(size=256))), still) == 0.0


def test_each_net_counts_once_for_the_usual_ratio() -> None:
    def usual(ratios: list[list[float]]) -> float:
        prior = usual_ratio(ratios)
        return float(prior.ratios[prior.weights.argmax()])

    assert usual([[8.0], [8.0], [0.3, 0.3, 0.3, 0.3]]) == pytest.approx(8.0, rel=0.15)
    assert usual([[2.0, 2.0, 50.0]]) == pytest.approx(2.0, rel=0.15)
    assert (usual_ratio([[5.0], [5.0]]).weights == broad_prior().weights).all()
    assert (usual_ratio([]).weights == broad_prior().weights).all()


def test_two_levels_of_a_cycle_are_brought_to_one_noise() -> None:
    numbers = np.random.default_rng(8)
    samples = numbers.normal(3.0, 1.0, (2000, 20))
    whole = np.ones(2000, np.bool_)
    settled = CycleLevels(samples[:, 4:].mean(axis=1), whole, (0.2, 1.0))
    between = CycleLevels(samples[:, :4].mean(axis=1), whole, (0.0, 0.2))
    both = observe_both(settled, between)
    assert both.residual[:2000].std() == pytest.approx(both.residual[2000:].std(), rel=0.1)
    assert both.freedom == 4000 - 2 * BASELINE_TERMS
    assert np.abs(both.basis.T @ both.residual).max() < 1e-9
    assert both.lay_out(np.ones(3), np.ones((2, 3))).tolist() == [[1.0, 1.0, 1.0, 0.5, 0.5, 0.5]] * 2
