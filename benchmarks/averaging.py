"""Adaptive averaging: repeats that a sequential test takes against a test of fixed length, on SIMULATED levels.

Levels of cycles are made here, repeat by repeat: a net that does what it should or what a fault makes of it, other nets
under the spot that the fault reaches too, unknown sign, amplitude, offset and drift of every repeat, and noise. The
sequential test stops by itself. The test of fixed length decides for the likeliest class after so many repeats, the
same for every waveform: its length is the least one whose decisions are wrong as seldom as the sequential ones were.
Intervals are judged by whether they ever miss, over all looks of a waveform.
"""

import argparse
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as t_distribution

from analysis.waveforms.comparison import Expectations
from analysis.waveforms.confidence_sequence import bound_ratio, bound_swing
from analysis.waveforms.cycles import CycleLevels
from analysis.waveforms.repeats import RepeatedLevels, begin_repeats
from analysis.waveforms.sequential_test import Alternatives, log_likelihoods, posterior_of_classes
from benchmarks.report import Row, print_rows

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Case:
    """One kind of waveform.

    Attributes:
        ratios: least and most signal-to-noise ratio of a cycle in one repeat, drawn evenly in its logarithm.
        faults: alternatives to the good net, each a class of its own.
        neighbours: other nets in the spot.
        changed: part of the cycles that a fault changes, from and to.
        most: repeats after which no more are taken.
    """

    name: str
    ratios: tuple[float, float]
    faults: int = 1
    neighbours: int = 0
    cycles: int = 128
    changed: tuple[float, float] = (0.05, 0.25)
    most: int = 64


@dataclass(frozen=True)
class Trial:
    """One waveform's run: the true class, and each class's posterior after each repeat, ``(looks, classes)``."""

    truth: int
    posteriors: Floats


CASES = (
    Case("two hypotheses, ratio 0.3", (0.3, 0.3)),
    Case("two hypotheses, ratio 0.15 to 1.5", (0.15, 1.5)),
    Case("two hypotheses, four others in the spot, ratio 0.15 to 1.5", (0.15, 1.5), neighbours=4),
    Case("twelve hypotheses, four others in the spot, ratio 0.15 to 1.5", (0.15, 1.5), faults=11, neighbours=4),
)


def hypotheses(case: Case, generator: np.random.Generator) -> Floats:
    """Return what the nets in the spot do, ``(1 + faults, 1 + neighbours, cycles)``: the good die first."""
    good = generator.integers(0, 2, (1 + case.neighbours, case.cycles)).astype(float)
    every = [good]
    for _ in range(case.faults):
        part = generator.uniform(*case.changed)
        flips = generator.random(case.cycles) < part
        reached = generator.random(good.shape[0]) < 0.5
        reached[0] = True
        every.append(np.abs(good - flips[None] * reached[:, None]))
    return np.stack(every)


def draw_repeats(case: Case, values: Floats, generator: np.random.Generator) -> tuple[list[RepeatedLevels], float]:
    """Return the repeats after each look for a spot whose nets do ``values``, and the swing (the noise is 1)."""
    low, high = np.log(case.ratios)
    swing = float(np.exp(generator.uniform(low, high)) * generator.choice((-1.0, 1.0)))
    weights = generator.uniform(0.2, 0.8, case.neighbours) * generator.choice((-1.0, 1.0), case.neighbours)
    clean = swing * (values[0] + weights @ values[1:])
    covered = np.ones(case.cycles, np.bool_)
    phase = np.linspace(-1, 1, case.cycles)
    state, states = begin_repeats(covered), []
    for _ in range(case.most):
        drift = generator.normal(0, 1) + generator.normal(0, 0.3) * phase + generator.normal(0, 0.3) * phase**2
        levels = clean + drift + generator.normal(0, 1, case.cycles)
        state = state.add(CycleLevels(levels, covered, (0.3, 0.75)))
        states.append(state)
    return states, swing


def run(case: Case, seed: int, number: int) -> Trial:
    """Make one waveform and look after every repeat."""
    generator = np.random.default_rng((seed, number))
    values = hypotheses(case, generator)
    truth = int(generator.random() < 0.5)
    if truth:
        truth = 1 + int(generator.integers(case.faults))
    states, _ = draw_repeats(case, values[truth], generator)
    prior = np.concatenate([[0.5], np.full(case.faults, 0.5 / case.faults)])
    alternatives = Alternatives(
        Expectations(values, np.full(case.neighbours, 0.5)), np.log(prior), np.arange(1 + case.faults)
    )
    joint = log_likelihoods(states, alternatives.expected, alternatives.ratios) + alternatives.log_prior
    posteriors = [posterior_of_classes(row, alternatives.classes) for row in joint]
    return Trial(truth, np.asarray(posteriors))


def compare(case: Case, trials: list[Trial], wrong: float) -> list[Row]:
    """Return the rows of ``case``: wrong decisions, repeats taken, and those of the test of fixed length."""
    taken, right, decided, by_good, by_fault = [], [], [], [], []
    for trial in trials:
        over = np.flatnonzero(trial.posteriors.max(axis=1) >= 1 - wrong)
        look = int(over[0]) if over.size else len(trial.posteriors) - 1
        taken.append(look + 1)
        decided.append(bool(over.size))
        right.append(int(np.argmax(trial.posteriors[look])) == trial.truth)
        if over.size:
            (by_fault if trial.truth else by_good).append(not right[-1])
    errors = np.asarray(decided) & ~np.asarray(right)
    rate = float(errors.sum() / max(1, sum(decided)))
    all_wrong = 1 - float(np.mean(right))
    length = fixed_length(trials, all_wrong)
    nominal = fixed_length(trials, wrong)
    chance = math.sqrt(wrong * (1 - wrong) / max(1, sum(decided)))
    name = f"{case.name}, {wrong:g} allowed"
    return [
        Row(
            f"{name}: wrong, of {sum(decided)} decisions, +- {chance:.4f}", rate, "part", f"<= {wrong + 2 * chance:.4f}"
        ),
        Row(f"{name}: wrong where the net is good", float(np.mean(by_good)), "part"),
        Row(f"{name}: wrong where it is faulty", float(np.mean(by_fault)), "part"),
        Row(f"{name}: undecided after {case.most}", 1 - float(np.mean(decided)), "part"),
        Row(f"{name}: repeats taken, mean", float(np.mean(taken)), ""),
        Row(f"{name}: repeats taken, 95th percentile", float(np.percentile(taken, 95)), ""),
        Row(f"{name}: repeats of the test of fixed length that errs as seldom ({all_wrong:.4f})", length, ""),
        Row(f"{name}: the same for {wrong:g} wrong", nominal, ""),
        Row(f"{name}: taken, against the test of fixed length", float(np.mean(taken)) / length, "ratio", "<= 0.7"),
    ]


def fixed_length(trials: list[Trial], wrong: float) -> float:
    """Return the least number of repeats after which the likeliest class is wrong in at most ``wrong`` of ``trials``.

    It is infinite where the longest run is not enough, and interpolated between numbers in the logarithm of the errors.
    """
    choices = np.stack([trial.posteriors.argmax(axis=1) for trial in trials])
    truth = np.asarray([trial.truth for trial in trials])
    errors = (choices != truth[:, None]).mean(axis=0)
    enough = np.flatnonzero(errors <= wrong)
    return float(enough[0] + 1) if enough.size else math.inf


def interval_rows(seed: int, trials: int, error: float = 0.05) -> list[Row]:
    """Return how often intervals ever miss over 64 looks, beside a plain t-interval that is looked at as often."""
    case = Case("", (0.15, 1.5), neighbours=2)
    missed = np.zeros(3)
    widths = []
    for number in range(trials):
        generator = np.random.default_rng((seed, 7, number))
        values = hypotheses(case, generator)[0]
        states, swing = draw_repeats(case, values, generator)
        found = np.zeros(3, np.bool_)
        for state in states:
            level, ratio = bound_swing(state, values, error), bound_ratio(state, values, error)
            assert level is not None
            assert ratio is not None
            plain = plain_interval(state, values, error)
            true_ratio = abs(swing) * math.sqrt(state.count)
            found |= [
                not level.low <= swing <= level.high,
                not ratio.low <= true_ratio <= ratio.high,
                not plain[0] <= swing <= plain[1],
            ]
        missed += found
        widths.append((level.high - level.low) / (plain[1] - plain[0]))
    rates = missed / trials
    chance = math.sqrt(error * (1 - error) / trials)
    return [
        Row(
            f"swing: interval of {1 - error:.0%} ever misses in 64 looks, +- {chance:.3f}",
            float(rates[0]),
            "part",
            "<= 0.05",
        ),
        Row(f"signal-to-noise ratio: the same, {trials} waveforms", float(rates[1]), "part", "<= 0.05"),
        Row("swing: a plain t-interval ever misses, looked at as often", float(rates[2]), "part"),
        Row("swing: width over that of the plain interval after 64 repeats", float(np.mean(widths)), "ratio"),
    ]


def plain_interval(state: RepeatedLevels, values: Floats, error: float) -> tuple[float, float]:
    """Return the textbook interval of the swing, by least squares with the baseline of the mean."""
    columns = np.column_stack([state.without_baseline(values).T])
    weights, *_ = np.linalg.lstsq(columns, state.mean, rcond=None)
    left = state.mean - columns @ weights
    freedom = state.freedom - columns.shape[1]
    variance = (state.scatter + state.count * float(left @ left)) / freedom
    own = math.sqrt(variance * np.linalg.inv(columns.T @ columns)[0, 0] / state.count)
    reach = own * float(t_distribution.ppf(1 - error / 2, freedom))
    return float(weights[0] - reach), float(weights[0] + reach)


def measure(trials: int, seed: int) -> list[Row]:
    """Run every case."""
    rows: list[Row] = []
    for place, case in enumerate(CASES):
        runs = [run(case, 100 * seed + place, number) for number in range(trials)]
        for wrong in (0.05, 0.01):
            rows += compare(case, runs, wrong)
    return rows + interval_rows(seed, max(50, trials // 4))


def main() -> None:
    """Read the options, run, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="machine output on standard output and nothing else")
    parser.add_argument("--trials", type=int, default=200, help="waveforms of each case")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    print_rows(measure(options.trials, options.seed), as_json=options.json)


if __name__ == "__main__":
    main()
