"""Skew: delay of edges and of waveforms against the Cramér-Rao bound, on SIMULATED waveforms.

The generator below shares no code with the estimator: it adds up edges in time, blurred by transistor, detector and
jitter, with spikes, other nets under the spot and noise, and takes the bound from numerical derivatives of that model.
Efficiency is the bound over the standard deviation of the errors; z is an error over its stated standard error. Peers
in the same run: cross-correlation with a step of the right rise time and a parabola through its peak, and the crossing
of half the level after a mean of three (IEEE Std 181-2011, mid-reference-level instant).
"""

import argparse
import math
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from analysis.waveforms.delay_estimation import WaveformDelay, estimate_delay
from analysis.waveforms.delay_fit import DelaySetting
from analysis.waveforms.delay_posterior import Search, WidthPrior
from analysis.waveforms.delay_statistics import Neighbour
from analysis.waveforms.edges import Record, cycle_edges
from analysis.waveforms.laser_power import extrapolate_to_zero_power
from analysis.waveforms.noise import TimingNoise, averaged, estimate_noise_of_repeats
from benchmarks.report import Row, print_rows

PS = 1e-12
DEFAULT_WAVEFORMS = 60
POWER_NETS = 100
RATIOS = (2.0, 3.0, 5.0, 8.0, 15.0, 30.0)
EFFICIENT_FROM = 5.0
FAR = 5.0
"""An error of so many bounds is an outlier of a peer, which states no error."""


@dataclass(frozen=True)
class Case:
    """One kind of waveform; picoseconds. Heights are parts of the swing.

    ``ratio`` is swing over the noise of a sample; ``assumed`` the assumed over the true edge width; ``spikes`` heights
    of the spikes at rising and falling edges; ``bend`` the part of the swing that goes with the voltage squared;
    ``correlation`` of neighbouring samples' noise; ``others`` weights of other nets; ``late`` the part of the edges
    that come 150 ps late.
    """

    name: str
    ratio: float
    rise_ps: float = 60.0
    bandwidth_ghz: float = 8.0
    jitter_ps: float = 10.0
    dt_ps: float = 10.0
    cycle_ps: float = 2000.0
    cycles: int = 32
    assumed: float = 1.0
    spikes: tuple[float, float] = (0.0, 0.0)
    bend: float = 0.0
    correlation: float = 0.0
    repeats: int = 0
    others: tuple[float, ...] = ()
    late: float = 0.0

    @property
    def sigma_ps(self) -> float:
        """Standard deviation of an edge: transistor, detector and jitter."""
        return math.hypot(self.rise_ps / 2.563, 350 / self.bandwidth_ghz / 2.563, self.jitter_ps)


@dataclass
class Made:
    """A waveform with what it was made of."""

    values: NDArray[np.float64]
    bits: NDArray[np.float64]
    others: list[NDArray[np.float64]]
    edges_ps: NDArray[np.float64]
    delays_ps: NDArray[np.float64]
    delay_ps: float
    covariance: NDArray[np.float64]
    late: NDArray[np.bool_]
    repeats: NDArray[np.float64] | None


@dataclass
class Errors:
    """Errors of one case, picoseconds: by edge and by waveform; peers by edge."""

    edge: list[float] = field(default_factory=list)
    edge_z: list[float] = field(default_factory=list)
    edge_bound: list[float] = field(default_factory=list)
    edges: int = 0
    whole: list[float] = field(default_factory=list)
    whole_z: list[float] = field(default_factory=list)
    whole_bound: list[float] = field(default_factory=list)
    wholes: int = 0
    correlation: list[float] = field(default_factory=list)
    crossing: list[float] = field(default_factory=list)
    caught: list[tuple[bool, float]] = field(default_factory=list)

    def extend(self, other: "Errors") -> None:
        """Add another's."""
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)


def _phi(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray([0.5 * math.erfc(-item / math.sqrt(2)) for item in x.ravel()]).reshape(x.shape)


def _net(
    case: Case, bits: NDArray[np.float64], delays_ps: NDArray[np.float64], times: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return a net's waveform: its level, bent by the voltage squared, and its spikes."""
    level = np.full(times.size, bits[0])
    spike = np.zeros(times.size)
    count = 0
    for cycle in range(1, bits.size):
        step = bits[cycle] - bits[cycle - 1]
        if not step:
            continue
        place = (times - cycle * case.cycle_ps - delays_ps[count]) / case.sigma_ps
        near = np.abs(place) < 8
        moved = (place > 0).astype(float)
        moved[near] = _phi(place[near])
        level += step * moved
        spike += case.spikes[0 if step > 0 else 1] * np.exp(-0.5 * place**2)
        count += 1
    return np.asarray((level + case.bend * level**2) / (1 + case.bend) + spike, np.float64)


def make(case: Case, generator: np.random.Generator) -> Made:
    """Make one waveform of ``case``."""
    bits = generator.integers(0, 2, case.cycles).astype(float)
    bits[:4] = (0, 1, 1, 0)
    edges = np.flatnonzero(np.diff(bits)) + 1
    times = np.arange(case.cycle_ps / 2, (case.cycles - 0.5) * case.cycle_ps, case.dt_ps)
    delay = float(generator.uniform(-60, 60))
    late = generator.random(edges.size) < case.late
    delays = delay + 150.0 * late
    weight = float(generator.choice((-1.0, 1.0)))
    total = weight * _net(case, bits, delays, times)
    others = []
    for part in case.others:
        other = generator.integers(0, 2, case.cycles).astype(float)
        own = np.full(case.cycles, float(generator.uniform(-100, 100)))
        total = total + part * float(generator.choice((-1.0, 1.0))) * _net(case, other, own, times)
        others.append(other)
    lags = np.abs(np.subtract.outer(np.arange(300), np.arange(300)))
    covariance = case.correlation**lags / case.ratio**2
    count = max(1, case.repeats)
    noise = np.stack([_noise(case, times.size, generator) * math.sqrt(count) for _ in range(count)])
    values = 5.0 + total + noise.mean(axis=0)
    repeats = values - noise.mean(axis=0) + noise if case.repeats else None
    return Made(values, bits, others, edges * case.cycle_ps, delays, delay, covariance, late, repeats)


def _noise(case: Case, count: int, generator: np.random.Generator) -> NDArray[np.float64]:
    white = generator.normal(0.0, 1 / case.ratio, count)
    rho = case.correlation
    if not rho:
        return white
    result = np.empty(count)
    result[0] = white[0]
    for place in range(1, count):
        result[place] = rho * result[place - 1] + math.sqrt(1 - rho**2) * white[place]
    return result


def edge_bound_ps(case: Case, covariance: NDArray[np.float64], offset_ps: float) -> float:
    """Return the bound of one edge whose levels are known, by numerical derivatives, ``offset_ps`` off the samples."""
    times = (np.arange(300) - 150) * case.dt_ps - offset_ps
    slope = (_phi((times + 0.01) / case.sigma_ps) - _phi((times - 0.01) / case.sigma_ps)) / 0.02
    return float(1 / math.sqrt(slope @ np.linalg.solve(covariance, slope)))


def run(case: Case, seed: int, waveforms: int) -> Errors:
    """Make ``waveforms`` of ``case`` and estimate; every one has its own seed."""
    errors = Errors()
    bound = edge_bound_ps(case, make(case, np.random.default_rng(0)).covariance, 0.0)
    for number in range(waveforms):
        made = make(case, np.random.default_rng((seed, number)))
        found = estimate(case, made)
        _collect(errors, made, found, bound)
        if not case.others:
            _peers(errors, case, made)
    return errors


def estimate(case: Case, made: Made) -> WaveformDelay:
    """Ask the estimator, which is told the edge's width times ``assumed``."""
    usual = case.sigma_ps * case.assumed * PS
    search = Search(0.2 * case.cycle_ps * PS, WidthPrior(usual / 2, usual * 2, usual))
    noise = None if made.repeats is None else averaged(estimate_noise_of_repeats(made.repeats), len(made.repeats))
    setting = DelaySetting(search, 1, noise, TimingNoise())
    record = Record(made.values, case.cycle_ps / 2 * PS, case.dt_ps * PS)
    neighbours = [
        Neighbour(cycle_edges(bits, case.cycle_ps * PS), abs(part))
        for bits, part in zip(made.others, case.others, strict=True)
    ]
    return estimate_delay(record, cycle_edges(made.bits, case.cycle_ps * PS), setting, neighbours)


def _collect(errors: Errors, made: Made, found: WaveformDelay, bound: float) -> None:
    count = made.edges_ps.size
    errors.edges += count
    errors.wholes += 1
    if found.delay_s is not None and found.sigma_s is not None:
        errors.whole.append(found.delay_s / PS - made.delay_ps)
        errors.whole_z.append(errors.whole[-1] * PS / found.sigma_s)
        errors.whole_bound.append(bound / math.sqrt(count))
    by_time = {round(edge.time_s / PS): edge for edge in found.edges}
    for time, delay, late in zip(made.edges_ps, made.delays_ps, made.late, strict=True):
        edge = by_time.get(round(time))
        if edge is None or edge.delay_s is None or edge.sigma_s is None:
            continue
        errors.edge.append(edge.delay_s / PS - delay)
        errors.edge_z.append(errors.edge[-1] * PS / edge.sigma_s)
        errors.edge_bound.append(bound)
        errors.caught.append((bool(late), edge.outlier_probability or 0.0))


def _peers(errors: Errors, case: Case, made: Made) -> None:
    """Peers know the levels' sign and where to look, 400 ps either way."""
    sign = 1.0 if np.corrcoef(made.values, made.bits[_cycle_of(case)])[0, 1] > 0 else -1.0
    values = sign * made.values
    for number, time in enumerate(made.edges_ps):
        step = made.bits[round(time / case.cycle_ps)] - made.bits[round(time / case.cycle_ps) - 1]
        centre = round((time - case.cycle_ps / 2) / case.dt_ps)
        half = round(case.cycle_ps / 2 / case.dt_ps) - 1
        piece = step * values[max(0, centre - half) : centre + half]
        start = max(0, centre - half) - centre
        truth = made.delays_ps[number]
        errors.correlation.append(_cross_correlate(case, piece, start) - truth)
        errors.crossing.append(_cross_half(case, piece, start) - truth)


def _cycle_of(case: Case) -> NDArray[np.int64]:
    times = np.arange(case.cycle_ps / 2, (case.cycles - 0.5) * case.cycle_ps, case.dt_ps)
    return np.asarray(times // case.cycle_ps, np.int64)


def _cross_correlate(case: Case, piece: NDArray[np.float64], start: int) -> float:
    span = round(400 / case.dt_ps)
    shape = _phi(np.arange(-span // 2, span // 2 + 1) * case.dt_ps / case.sigma_ps)
    score = np.correlate(piece - piece.mean(), shape - shape.mean(), mode="valid")
    place = np.arange(score.size) + start + shape.size // 2
    score = np.where(np.abs(place) <= span, score, -np.inf)
    best = int(np.argmax(score))
    shift = 0.0
    if 0 < best < score.size - 1 and np.isfinite(score[best - 1 : best + 2]).all():
        left, middle, right = score[best - 1 : best + 2]
        curve = left - 2 * middle + right
        shift = 0.5 * (left - right) / curve if curve else 0.0
    return float((place[best] + shift) * case.dt_ps)


def _cross_half(case: Case, piece: NDArray[np.float64], start: int) -> float:
    smooth = np.convolve(piece, np.ones(3) / 3, mode="same")
    quarter = piece.size // 4
    half = (piece[:quarter].mean() + piece[-quarter:].mean()) / 2
    up = np.flatnonzero((smooth[1:-2] < half) & (smooth[2:-1] >= half)) + 1
    if not up.size:
        return 400.0
    place = up[np.argmin(np.abs(up + start))]
    part = (half - smooth[place]) / (smooth[place + 1] - smooth[place])
    return float((place + start + part) * case.dt_ps)


def _efficiency(errors: Sequence[float], bounds: Sequence[float]) -> float:
    return float(np.mean(bounds) / np.std(errors)) if len(errors) > 2 else 0.0


def grid_rows(case: Case, errors: Errors) -> list[Row]:
    """Return the rows of one case: efficiency, error bars, refusals, peers."""
    efficient = case.ratio >= EFFICIENT_FROM and not case.late and not case.others
    name, bound = case.name, _mean(errors.edge_bound)
    rows = [
        Row(
            f"{name}: {len(errors.edge)} edges, bound / std",
            _efficiency(errors.edge, errors.edge_bound),
            "ratio",
            ">= 0.95" if efficient else "",
        ),
        Row(f"{name}: edges, bias / bound", _mean(errors.edge) / bound, "ratio"),
        Row(f"{name}: edges, mean z^2", _mean_square(errors.edge_z), ""),
        Row(f"{name}: edges refused", 1 - len(errors.edge) / max(1, errors.edges), "part"),
        Row(
            f"{name}: {len(errors.whole)} waveforms, bound / std",
            _efficiency(errors.whole, errors.whole_bound),
            "ratio",
        ),
        Row(f"{name}: waveforms, mean z^2", _mean_square(errors.whole_z), ""),
        Row(f"{name}: waveforms refused", 1 - len(errors.whole) / max(1, errors.wholes), "part"),
    ]
    for peer, values in (("cross-correlation", errors.correlation), ("crossing", errors.crossing)):
        if values:
            kept = np.asarray(values)
            far = np.abs(kept - np.median(kept)) > FAR * bound
            rows.append(Row(f"{name}: {peer}, edges, bound / std", _efficiency(values, [bound]), "ratio"))
            rows.append(Row(f"{name}: {peer}, bias / bound", float(np.median(kept)) / bound, "ratio"))
            rows.append(Row(f"{name}: {peer}, errors beyond {FAR:.0f} bounds", float(far.mean()), "part"))
    return rows


def pooled_rows(results: Sequence[tuple[Case, Errors]]) -> list[Row]:
    """Return error bars and efficiency over groups of cases, which one case has too few waveforms for."""
    plain = [(case, errors) for case, errors in results if not case.late and not case.others]
    groups = {
        "A/sigma 2 and 3": [item for item in plain if item[0].ratio < EFFICIENT_FROM],
        "A/sigma 5 and more": [item for item in plain if item[0].name.startswith("A/sigma") and item[0].ratio >= 5],
        "wrong rise time": [item for item in plain if item[0].assumed != 1.0],
        "N/P mixture, spikes": [item for item in plain if item[0].bend or any(item[0].spikes)],
        "correlated noise": [item for item in plain if item[0].correlation],
    }
    rows = []
    for name, group in groups.items():
        edges = [z for _, errors in group for z in errors.edge_z]
        wholes = [z for _, errors in group for z in errors.whole_z]
        error = math.sqrt(2 / max(1, len(edges)))
        excess = abs(_mean_square(edges) - 1)
        rows.append(Row(f"{name}: edges, |mean z^2 - 1|, +- {error:.3f} by chance", excess, "", "<= 0.05"))
        error = math.sqrt(2 / max(1, len(wholes)))
        excess = abs(_mean_square(wholes) - 1)
        rows.append(Row(f"{name}: waveforms, |mean z^2 - 1|, +- {error:.3f} by chance", excess, ""))
    efficient = [errors for case, errors in plain if case.ratio >= EFFICIENT_FROM]
    scaled = [e / b for errors in efficient for e, b in zip(errors.whole, errors.whole_bound, strict=True)]
    error = 1 / math.sqrt(2 * max(1, len(scaled)))
    claim = f"A/sigma 5 and more, all cases: waveforms, bound / std, +- {error:.3f} by chance"
    return [*rows, Row(claim, float(1 / np.std(scaled)), "ratio", ">= 0.95")]


def _mean_square(z: Sequence[float]) -> float:
    return float(np.mean(np.square(z))) if z else float("nan")


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else float("nan")


def cases() -> list[Case]:
    """Return the grid."""
    grid = [Case(f"A/sigma {ratio:g}", ratio) for ratio in RATIOS]
    plain = Case("", 10.0)
    grid += [
        replace(plain, name=f"rise time {100 * (wrong - 1):+.0f} %, A/sigma {ratio:g}", assumed=wrong, ratio=ratio)
        for wrong in (0.7, 1.3)
        for ratio in (5.0, 20.0)
    ]
    return [
        *grid,
        replace(plain, name="N/P mixture (voltage squared 0.5)", bend=0.5),
        replace(plain, name="gate spikes 0.1 at both", spikes=(0.1, 0.1)),
        replace(plain, name="gate spikes 0.3 at both", spikes=(0.3, 0.3)),
        replace(
            plain, name="N/P mixture, spikes 0.2 and 0.2, rise time +30 %", bend=0.5, spikes=(0.2, 0.2), assumed=1.3
        ),
        replace(plain, name="correlated noise 0.6", correlation=0.6),
        replace(plain, name="correlated noise 0.8, covariance of 8 repeats", correlation=0.8, repeats=8),
        replace(plain, name="three other nets in the spot", others=(0.8, 0.5, 0.3), cycles=48),
        replace(plain, name="one edge in ten 150 ps late", late=0.1),
    ]


def outlier_rows(errors: Errors) -> list[Row]:
    """Return how well late edges are told: by probability above one half."""
    late = [p for is_late, p in errors.caught if is_late]
    timely = [p for is_late, p in errors.caught if not is_late]
    return [
        Row(f"late edges called outliers, of {len(late)}", float(np.mean(np.asarray(late) > 0.5)), "part", ">= 0.95"),
        Row(
            f"timely edges called outliers, of {len(timely)}",
            float(np.mean(np.asarray(timely) > 0.5)),
            "part",
            "<= 0.01",
        ),
    ]


def power_rows(seed: int, trials: int) -> list[Row]:
    """Delays at 1, 2 and 4 mW that the laser shifts by 3 ps/mW, extrapolated to none; beside the lowest power's."""
    z, plain = [], []
    powers = np.asarray([1.0, 2.0, 4.0])
    case = Case("", 10.0)
    for number in range(trials):
        delays, sigmas, truth = [], [], 0.0
        for place, power in enumerate(powers):
            made = make(case, np.random.default_rng((seed, number, place)))
            found = estimate(case, made)
            if found.delay_s is None or found.sigma_s is None:
                continue
            delays.append(found.delay_s - made.delay_ps * PS + 3 * PS * power)
            sigmas.append(found.sigma_s)
        if len(delays) < powers.size:
            continue
        zero = extrapolate_to_zero_power(powers, np.asarray(delays), np.asarray(sigmas))
        z.append((zero.delay_s - truth) / zero.sigma_s)
        plain.append((delays[0] - truth) / sigmas[0])
    return [
        Row(f"no laser power, from three: mean z^2, {len(z)} nets", _mean_square(z), "", "<= 1.3"),
        Row("the same without extrapolation, at the lowest power", _mean_square(plain), ""),
    ]


def _task(job: tuple[Case, int, int]) -> Errors:
    return run(*job)


def measure(waveforms: int, seed: int, workers: int) -> list[Row]:
    """Run the grid."""
    jobs = [(case, 1000 * seed + place, waveforms) for place, case in enumerate(cases())]
    if workers > 1:
        with ProcessPoolExecutor(workers) as pool:
            results = list(pool.map(_task, jobs))
    else:
        results = [_task(job) for job in jobs]
    rows: list[Row] = []
    pairs = [(case, errors) for (case, _, _), errors in zip(jobs, results, strict=True)]
    for case, errors in pairs:
        rows += grid_rows(case, errors)
        if case.late:
            rows += outlier_rows(errors)
    return rows + pooled_rows(pairs) + power_rows(seed, min(waveforms, POWER_NETS))


def main() -> None:
    """Read the options, run, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="machine output on standard output and nothing else")
    parser.add_argument(
        "--waveforms", type=int, default=DEFAULT_WAVEFORMS, help="waveforms of each case, some 16 edges each"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=1, help="processes; a case is measured by one of them")
    options = parser.parse_args()
    print_rows(measure(options.waveforms, options.seed, options.workers), as_json=options.json)


if __name__ == "__main__":
    main()
