"""Skew: delay of edges and of waveforms against the Cramér-Rao bound, on SIMULATED waveforms.

The generator (:mod:`benchmarks.skew_trials.waveforms`) shares no code with the estimator, and the bounds
(:mod:`benchmarks.skew_trials.bounds`) come from numerical derivatives of its waveforms and the true covariance of its
noise. Efficiency is the bound over the standard deviation of the errors, refusals left out and counted beside it; bias
stands beside it too, and z is an error over its stated standard error, so that bias counts in its mean square. Peers in
the same run: cross-correlation with a step of the right width, and the crossing of half the level.
"""

import argparse
import math
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor

import numpy as np

from analysis.waveforms.delay_estimation import WaveformDelay, estimate_delay
from analysis.waveforms.delay_fit import DelaySetting
from analysis.waveforms.delay_posterior import Search, WidthPrior
from analysis.waveforms.delay_statistics import Neighbour
from analysis.waveforms.edges import Record, cycle_edges
from analysis.waveforms.laser_power import extrapolate_to_zero_power
from analysis.waveforms.noise import TimingNoise, averaged, estimate_noise_of_repeats
from benchmarks.report import Row, print_rows
from benchmarks.skew_trials.bounds import edge_bound_ps, waveform_bound_ps
from benchmarks.skew_trials.errors import (
    FAR,
    Errors,
    calibration_error,
    clustered_mean_square,
    efficiency,
    mean_square,
)
from benchmarks.skew_trials.grid import EFFICIENT_FROM, LIMITS, groups
from benchmarks.skew_trials.peers import time_by_peers
from benchmarks.skew_trials.waveforms import Case, Made, make

PS = 1e-12
DEFAULT_WAVEFORMS = 12
POWER_NETS = 400
EVERYTHING = "all but what is outside the model"
SLOPE_PS_PER_MW = 3.0


def run(case: Case, seed: int, waveforms: int, first: int = 0) -> Errors:
    """Make ``waveforms`` of ``case`` from number ``first`` on and estimate; every number has its own seed."""
    errors = Errors(edge_bound=edge_bound_ps(case), whole_bound=waveform_bound_ps(case))
    for number in range(first, first + waveforms):
        made = make(case, np.random.default_rng((seed, number)))
        _collect(errors, case, made, estimate(case, made))
        if not case.others:
            correlation, crossing = time_by_peers(case, made)
            errors.correlation += correlation
            errors.crossing += crossing
    return errors


def estimate(case: Case, made: Made) -> WaveformDelay:
    """Ask the estimator, which is told the edge's width times ``assumed``."""
    usual = case.sigma_ps * case.assumed * PS
    pole = case.pole_ps * PS if case.pole_told else 0.0
    search = Search(0.2 * case.cycle_ps * PS, WidthPrior(usual / 2, usual * 2, usual, pole_s=pole))
    noise = None if made.repeats is None else averaged(estimate_noise_of_repeats(made.repeats), len(made.repeats))
    timing = TimingNoise(case.jitter_ps * PS if case.loops else 0.0, case.trigger_ps * PS, case.loops or 1)
    record = Record(made.values, case.cycle_ps / 2 * PS, case.dt_ps * PS)
    own, *others = made.nets
    neighbours = [
        Neighbour(cycle_edges(net.bits, case.cycle_ps * PS), part)
        for net, part in zip(others, case.others, strict=True)
    ]
    setting = DelaySetting(search, 1, noise, timing)
    return estimate_delay(record, cycle_edges(own.bits, case.cycle_ps * PS), setting, neighbours)


def _collect(errors: Errors, case: Case, made: Made, found: WaveformDelay) -> None:
    own = made.nets[0]
    errors.edges += own.edges.size
    errors.wholes += 1
    if found.delay_s is not None and found.sigma_s is not None and found.bound_s is not None:
        errors.whole.append(found.delay_s / PS - made.delay_ps)
        errors.whole_z.append(errors.whole[-1] * PS / found.sigma_s)
        errors.stated_bound.append(found.bound_s / PS)
    by_cycle = {round(edge.time_s / PS / case.cycle_ps): edge for edge in found.edges}
    z = []
    for cycle, delay, late in zip(own.edges, own.delays_ps, made.late, strict=True):
        edge = by_cycle.get(int(cycle))
        if edge is None or edge.delay_s is None or edge.sigma_s is None:
            continue
        errors.edge.append(edge.delay_s / PS - (delay - made.trigger_ps))
        z.append(errors.edge[-1] * PS / edge.sigma_s)
        if edge.outlier_probability is not None:
            errors.caught.append((bool(late), edge.outlier_probability))
    errors.edge_z.append(z)


def case_rows(case: Case, errors: Errors, *, with_targets: bool) -> list[Row]:
    """Return the rows of one case: efficiency, bias, error bars, refusals, peers."""
    timed = not case.loops and not case.trigger_ps
    target = ">= 0.95" if with_targets and timed and case.ratio >= EFFICIENT_FROM else ""
    name, bound = case.name, errors.edge_bound
    z, z_error = clustered_mean_square(errors.edge_z)
    whole_z, whole_z_error = mean_square(errors.whole_z)
    rows = [
        Row(f"{name}: edge bound", bound, "ps"),
        Row(f"{name}: {len(errors.edge)} edges, bound / std", efficiency(errors.edge, bound), "ratio", target),
        Row(f"{name}: edges, bias / bound", _mean(errors.edge) / bound, "ratio"),
        Row(f"{name}: edges, mean z^2 +- {z_error:.3f}", z, ""),
        Row(f"{name}: edges refused", 1 - len(errors.edge) / max(1, errors.edges), "part"),
        Row(f"{name}: waveform bound", errors.whole_bound, "ps"),
        Row(
            f"{name}: {len(errors.whole)} waveforms, bound / std",
            efficiency(errors.whole, errors.whole_bound),
            "ratio",
        ),
        Row(f"{name}: waveforms, bias / bound", _mean(errors.whole) / errors.whole_bound, "ratio"),
        Row(f"{name}: waveforms, mean z^2 +- {whole_z_error:.3f}", whole_z, ""),
        Row(f"{name}: waveforms refused", 1 - len(errors.whole) / max(1, errors.wholes), "part"),
    ]
    for peer, values in (("cross-correlation", errors.correlation), ("crossing", errors.crossing)):
        if values:
            far = float((np.abs(np.asarray(values) - np.median(values)) > FAR * bound).mean())
            rows.append(Row(f"{name}: {peer}, edges, bound / std", efficiency(values, bound), "ratio"))
            rows.append(Row(f"{name}: {peer}, errors beyond {FAR:.0f} bounds", far, "part"))
    return rows


def outlier_rows(name: str, errors: Errors) -> list[Row]:
    """Return how well outlying edges are told: by probability above one half, and by calibration."""
    late = np.asarray([probability for is_late, probability in errors.caught if is_late])
    timely = np.asarray([probability for is_late, probability in errors.caught if not is_late])
    rows = [
        Row(f"{name}: timely edges called outliers, of {timely.size}", float((timely > 0.5).mean()), "part", "<= 0.01")
    ]
    if late.size:
        rows += [
            Row(f"{name}: edges 20 to 300 ps off called outliers, of {late.size}", float((late > 0.5).mean()), "part"),
            Row(
                f"{name}: calibration error of the outlier probability", calibration_error(errors.caught), "", "<= 0.03"
            ),
        ]
    return rows


def group_rows(name: str, results: Sequence[tuple[Case, Errors]]) -> list[Row]:
    """Return error bars and efficiency of a group of cases, which one case has too few waveforms for.

    Error bars of whole waveforms have a target only over all groups, :data:`EVERYTHING`: one group has too few.
    """
    target = "<= 0.05" if name != LIMITS else ""
    z, error = clustered_mean_square([each for _, errors in results for each in errors.edge_z])
    rows = [Row(f"{name}: edges, |mean z^2 - 1|, +- {error:.3f} by chance", abs(z - 1), "", target)]
    z, error = mean_square([each for _, errors in results for each in errors.whole_z])
    enough = target if name == EVERYTHING else ""
    rows.append(Row(f"{name}: waveforms, |mean z^2 - 1|, +- {error:.3f} by chance", abs(z - 1), "", enough))
    strong = [
        errors for case, errors in results if case.ratio >= EFFICIENT_FROM and not case.trigger_ps and not case.loops
    ]
    scaled = [each / errors.whole_bound for errors in strong for each in errors.whole]
    if len(scaled) > 2 and name != LIMITS:
        error = 1 / math.sqrt(2 * len(scaled))
        claim = f"{name}: {len(scaled)} waveforms, bound / std, +- {error:.3f} by chance"
        rows.append(Row(claim, float(1 / np.std(scaled)), "ratio", ">= 0.95"))
    together = Errors()
    for _, errors in results:
        together.extend(errors)
    return rows + outlier_rows(name, together)


def power_rows(seed: int, trials: int) -> list[Row]:
    """Delays at 1, 2 and 4 mW that the laser shifts in proportion, extrapolated to none; beside the lowest power's."""
    z, plain, linear = [], [], []
    powers = np.asarray([1.0, 2.0, 4.0])
    case = Case("", 10.0)
    for number in range(trials):
        delays, sigmas = [], []
        for place, power in enumerate(powers):
            made = make(case, np.random.default_rng((seed, number, place)))
            found = estimate(case, made)
            if found.delay_s is None or found.sigma_s is None:
                continue
            delays.append(found.delay_s - (made.delay_ps - SLOPE_PS_PER_MW * power) * PS)
            sigmas.append(found.sigma_s)
        if len(delays) < powers.size:
            continue
        zero = extrapolate_to_zero_power(powers, np.asarray(delays), np.asarray(sigmas))
        z.append(zero.delay_s / zero.sigma_s)
        linear.append(zero.p_linear or 0.0)
        plain.append(delays[0] / sigmas[0])
    value, error = mean_square(z)
    return [
        Row(f"no laser power, from three: mean z^2 +- {error:.3f}, {len(z)} nets", value, "", "<= 1.1"),
        Row("the same: p of linearity below 0.05", float(np.mean(np.asarray(linear) < 0.05)), "part"),
        Row("the same without extrapolation, at the lowest power: mean z^2", mean_square(plain)[0], ""),
    ]


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else math.nan


def _task(job: tuple[Case, int, int]) -> Errors:
    return run(*job)


def measure(waveforms: int, seed: int, workers: int, only: str = "") -> list[Row]:
    """Run the groups whose name contains ``only``."""
    chosen = {name: cases for name, cases in groups().items() if only in name}
    numbers = {name: place for place, name in enumerate(groups())}
    jobs = [
        (case, 1000 * seed + 20 * numbers[name] + place, waveforms)
        for name, cases in chosen.items()
        for place, case in enumerate(cases)
    ]
    if workers > 1:
        with ProcessPoolExecutor(workers) as pool:
            results = list(pool.map(_task, jobs))
    else:
        results = [_task(job) for job in jobs]
    rows = table(chosen, results)
    return rows + ([] if only else power_rows(seed, min(4 * waveforms, POWER_NETS)))


def table(chosen: Mapping[str, Sequence[Case]], results: Sequence[Errors]) -> list[Row]:
    """Return the rows of the ``chosen`` groups: each case, each group, and all groups but those of limits together."""
    rows: list[Row] = []
    summary: list[Row] = []
    inside: list[tuple[Case, Errors]] = []
    left = list(results)
    for name, cases in chosen.items():
        pairs = list(zip(cases, left[: len(cases)], strict=True))
        left = left[len(cases) :]
        for case, errors in pairs:
            rows += case_rows(case, errors, with_targets=name != LIMITS)
        summary += group_rows(name, pairs)
        inside += pairs if name != LIMITS else []
    return rows + summary + (group_rows(EVERYTHING, inside) if inside else [])


def main() -> None:
    """Read the options, run, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="machine output on standard output and nothing else")
    parser.add_argument(
        "--waveforms", type=int, default=DEFAULT_WAVEFORMS, help="waveforms of each case, some 16 edges each"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=1, help="processes; a case is measured by one of them")
    parser.add_argument("--only", default="", help="groups whose name contains this")
    options = parser.parse_args()
    rows = measure(options.waveforms, options.seed, options.workers, options.only)
    print_rows(rows, as_json=options.json)


if __name__ == "__main__":
    main()
