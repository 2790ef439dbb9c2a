"""Unmixing: weights of the nets under a spot with their intervals, on SIMULATED spots, against plain correlation.

Spots come from ``benchmarks.spot_trials``, which shares no code with the analysis. A weight is a part of the sum of the
absolute weights. *Plain correlation* takes each net's regression on the waveform alone, as if no other were there;
*least squares* takes all nets without a prior. *Decision*: does the named net do what it should, or is it wrong in 15 %
of the cycles, its neighbours known; by evidence, by the larger correlation, or by the smaller residual.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from analysis.localization.mixture import LEAST_WEIGHT, Spot, spot_weight
from analysis.localization.spot_nets import TAILS, beam_grid, intensities_at
from analysis.waveforms.comparison import Expectations, Observation, broad_prior, log_evidence, observe
from analysis.waveforms.cycles import read_cycle_levels
from analysis.waveforms.detector_response import respond
from analysis.waveforms.residual_tests import examine_residual, variance_within
from analysis.waveforms.unmixing import SpotModel, parts_of, remove_baseline, spot_evidence, unmix
from benchmarks.report import Row, print_rows
from benchmarks.spot_trials.made_spots import CYCLE_S, FWHM_NM, SAMPLES, Array, MadeSpot, SpotCase, make_spot

RATIOS = (0.5, 1.0, 2.0, 4.0, 8.0)
DRAINS = (3, 5, 10)
DEFAULT_SPOTS = 60
DT_S = CYCLE_S / SAMPLES
SIGNIFICANT = 0.01


@dataclass
class Score:
    """What came out of the spots of one case, by net: errors of three estimates, and whether the interval held."""

    ours: list[float] = field(default_factory=list)
    shrunk: list[float] = field(default_factory=list)
    covered: list[bool] = field(default_factory=list)
    z: list[float] = field(default_factory=list)
    correlation: list[float] = field(default_factory=list)
    squares: list[float] = field(default_factory=list)
    strongest: list[tuple[bool, bool]] = field(default_factory=list)
    decided: list[tuple[bool, bool, bool]] = field(default_factory=list)
    alarms: list[bool] = field(default_factory=list)
    caught: list[bool] = field(default_factory=list)


def measure_spot(case: SpotCase, spot: MadeSpot, score: Score) -> None:
    """Unmix one spot and add it to ``score``."""
    levels = read_cycle_levels(spot.values, 0.0, DT_S, CYCLE_S, case.cycles)
    observation = observe(levels)
    beam = Spot(0.0, 0.0, FWHM_NM, case.placement_nm)
    near = [net for net in range(case.drains) if spot_weight(beam, *spot.places_um[net]) >= LEAST_WEIGHT]
    does = spot.bits.copy()
    does[0] = spot.faulty if spot.is_faulty else spot.bits[0]
    beams, log_places = beam_grid(beam)
    intensities = intensities_at(beam, beams, spot.places_um[near])
    usual = np.sqrt((np.exp(log_places)[:, None] * intensities**2).sum(axis=0))[None]
    tail = max(
        ((float(spot_evidence(observation, respond(does[None, near], t, levels.window), usual)[0]) + np.log(p), t))
        for t, p in TAILS
    )[1]
    values = respond(does[None, near], tail, levels.window)
    found = unmix(observation, SpotModel(values, np.zeros(1), intensities, log_places))
    parts = parts_of(found.draws)
    truth = spot.weights[near] / np.abs(spot.weights[near]).sum()
    columns = remove_baseline(observation, does[near])
    plain = columns @ observation.residual / (columns**2).sum(axis=1)
    least = np.linalg.lstsq(columns.T, observation.residual, rcond=1e-9)[0]
    for place, part in enumerate(parts):
        score.ours.append(part.weight - truth[place])
        score.shrunk.append((part.weight - truth[place]) * np.sign(truth[place]))
        score.covered.append(part.low <= truth[place] <= part.high)
        score.z.append((part.weight - truth[place]) / part.sigma)
        score.correlation.append(plain[place] / np.abs(plain).sum() - truth[place])
        score.squares.append(least[place] / np.abs(least).sum() - truth[place])
    first = int(np.argmax(np.abs(truth)))
    by_ours = int(np.argmax(np.abs(found.draws).mean(axis=0)))
    score.strongest.append((by_ours == first, int(np.argmax(_correlations(columns, observation))) == first))
    _decide(spot, observation, near, beam, score)
    _question_residual(case, spot, (observation, levels.window, near, values[0], tail), score)


def _correlations(columns: Array, observation: Observation) -> Array:
    return np.asarray(np.abs(columns @ observation.residual) / np.sqrt((columns**2).sum(axis=1)), np.float64)


def _decide(spot: MadeSpot, observation: Observation, near: list[int], beam: Spot, score: Score) -> None:
    spreads = np.asarray([spot_weight(beam, *spot.places_um[net]) for net in near[1:]])
    either = np.stack([np.concatenate([named[None], spot.bits[near[1:]]]) for named in (spot.bits[0], spot.faulty)])
    good, wrong = log_evidence(observation, Expectations(either, spreads), broad_prior())
    cosines = _correlations(remove_baseline(observation, either[:, 0]), observation)
    left = []
    for option in either:
        columns = remove_baseline(observation, option).T
        weights = np.linalg.lstsq(columns, observation.residual, rcond=1e-9)[0]
        left.append(float(((observation.residual - columns @ weights) ** 2).sum()))
    votes = (wrong > good, cosines[1] > cosines[0], left[1] < left[0])
    score.decided.append(tuple(bool(vote) == spot.is_faulty for vote in votes))  # type: ignore[arg-type]


def _question_residual(
    case: SpotCase,
    spot: MadeSpot,
    fit: tuple[Observation, tuple[float, float], list[int], Array, float],
    score: Score,
) -> None:
    """Ask the residual whether it is noise, with every net fitted, and with the strongest neighbour left out."""
    observation, window, near, values, tail = fit
    outside = [net for net in range(len(spot.bits)) if net not in near]
    within = variance_within(spot.values, (0.0, DT_S), CYCLE_S, case.cycles, window)
    clean = examine_residual(observation, values, respond(spot.bits[outside], tail, window), within)
    score.alarms.append(clean.p_stranger is not None and clean.p_stranger < SIGNIFICANT)
    if len(near) > 1:
        hidden = 1 + int(np.argmax(np.abs(spot.weights[near[1:]])))
        kept = [place for place in range(len(near)) if place != hidden]
        others = [*outside, near[hidden]]
        missing = examine_residual(observation, values[kept], respond(spot.bits[others], tail, window), within)
        named = missing.stranger == len(others) - 1
        score.caught.append(named and missing.p_stranger is not None and missing.p_stranger < SIGNIFICANT)


def measure_case(case: SpotCase, spots: int, seed: int) -> Score:
    """Return the score of ``spots`` spots of ``case``."""
    score = Score()
    numbers = np.random.default_rng([seed, case.drains, round(100 * case.snr), round(1000 * case.tail)])
    for _ in range(spots):
        measure_spot(case, make_spot(case, numbers), score)
    return score


def _rms(values: Sequence[float]) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


def rows_of(name: str, score: Score, *, least_covered: str = ">= 0.9") -> list[Row]:
    """Return the rows of one case."""
    ours, correlation = _rms(score.ours), _rms(score.correlation)
    decided, strongest = np.mean(score.decided, axis=0), np.mean(score.strongest, axis=0)
    return [
        Row(f"{name}: 95 % intervals that hold the weight", float(np.mean(score.covered)), "part", least_covered),
        Row(f"{name}: bias", float(np.mean(score.ours)), "of the sum"),
        Row(f"{name}: bias away from zero", float(np.mean(score.shrunk)), "of the sum"),
        Row(f"{name}: error of a weight, rms", ours, "of the sum"),
        Row(f"{name}: the same against plain correlation", ours / correlation, "ratio", "<= 1"),
        Row(f"{name}: strongest net named, less by correlation", float(strongest[0] - strongest[1]), "part"),
        Row(f"{name}: right decisions", float(decided[0]), "part"),
        Row(f"{name}: right decisions, less by correlation", float(decided[0] - decided[1]), "part", ">= -0.05"),
    ]


def overall_rows(score: Score) -> list[Row]:
    """Return the rows over all cases, with what is asked only of many spots."""
    decided, strongest = np.mean(score.decided, axis=0), np.mean(score.strongest, axis=0)
    return [
        *rows_of("all", score, least_covered=">= 0.94"),
        Row("all: 95 % intervals that hold the weight, not too wide", float(np.mean(score.covered)), "part", "<= 0.97"),
        Row("all: error over stated error, rms", _rms(score.z), "ratio", "<= 1.05"),
        Row("all: error of a weight against least squares", _rms(score.ours) / _rms(score.squares), "ratio", "<= 1"),
        Row("all: strongest net named", float(strongest[0]), "part"),
        Row("all: right decisions, less by least squares", float(decided[0] - decided[2]), "part", ">= -0.01"),
        Row("all: false strangers at 1 %", float(np.mean(score.alarms)), "part", "<= 0.02"),
        Row("all: strongest neighbour found when it is left out", float(np.mean(score.caught)), "part"),
    ]


def measure(spots: int = DEFAULT_SPOTS, seed: int = 1) -> list[Row]:
    """Measure every case, and put them together."""
    rows, every = [], Score()
    cases = [SpotCase(drains=drains, snr=snr) for drains in DRAINS for snr in RATIOS]
    cases += [replace(case, tail=0.35) for case in cases if case.drains == 5]
    for case in cases:
        score = measure_case(case, spots, seed)
        slow = "" if case.tail < 0.1 else ", slow detector"
        rows += rows_of(f"{case.drains} drains, ratio {case.snr:g}{slow}", score)
        for name, value in vars(score).items():
            getattr(every, name).extend(value)
    return overall_rows(every) + rows


def main() -> None:
    """Read the options, run, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="machine output on standard output and nothing else")
    parser.add_argument("--spots", type=int, default=DEFAULT_SPOTS, help="spots of each case")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    print_rows(measure(options.spots, options.seed), as_json=options.json)


if __name__ == "__main__":
    main()
