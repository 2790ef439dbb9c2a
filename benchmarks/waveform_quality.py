"""What waveform quality says against what was put in, on SIMULATED waveforms that are made here.

Two levels by random bits, smoothed edges, an offset, drift and white noise; clipped at a plateau where that is asked.
"""

import argparse
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import erf

from analysis.waveforms.quality import CLIPPED_PART, assess_quality
from benchmarks.report import Row, print_rows

SWING = 3.0
RATIOS = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0)


@dataclass(frozen=True)
class Case:
    """Samples of a cycle and of an edge's standard deviation, ones among the bits, and the drift in swings."""

    name: str
    samples: int = 32
    edge: float = 2.0
    ones: float = 0.5
    drift: float = 0.0
    cycles: int = 256


CASES = (
    Case("32 samples a cycle"),
    Case("8 samples a cycle", samples=8, edge=0.7),
    Case("one bit in seven high", ones=0.15),
    Case("drift of 0.3 swings", drift=0.3),
)


def make(case: Case, ratio: float, generator: np.random.Generator) -> NDArray[np.float64]:
    """Return a waveform whose swing is ``ratio`` times the noise of a sample."""
    bits = (generator.random(case.cycles) < case.ones).astype(float)
    times = np.arange(case.cycles * case.samples)
    values = np.full(times.size, bits[0])
    for cycle in np.flatnonzero(np.diff(bits)) + 1:
        place = (times - cycle * case.samples) / case.edge / np.sqrt(2)
        values += (bits[cycle] - bits[cycle - 1]) * 0.5 * (1 + erf(place))
    wander = case.drift * np.sin(np.pi * times / times.size)
    return np.asarray(5 + SWING * (values + wander + generator.normal(0, 1 / ratio, times.size)))


def ratio_rows(case: Case, trials: int, seed: int) -> list[Row]:
    """Return estimated over true signal-to-noise ratio, mean and scatter."""
    rows = []
    for place, ratio in enumerate(RATIOS):
        made = [make(case, ratio, np.random.default_rng((seed, place, number))) for number in range(trials)]
        found = np.asarray([assess_quality(values).sample_snr / ratio for values in made])
        claim = f"{case.name}, ratio of a sample {ratio:g}: estimated / true, scatter {found.std():.3f}"
        rows.append(Row(claim, float(found.mean()), "ratio"))
    return rows


def alarm_rows(trials: int, seed: int) -> list[Row]:
    """Return how often drift and clipping are seen where they are, and where they are not."""
    rows = []
    for ratio in (1.0, 5.0, 20.0):
        quiet = [make(CASES[0], ratio, np.random.default_rng((seed, 50, number))) for number in range(trials)]
        short = Case("", cycles=64)
        quiet += [make(short, ratio, np.random.default_rng((seed, 51, number))) for number in range(trials)]
        moving = [
            make(Case("", drift=1.0), ratio, np.random.default_rng((seed, 52, number))) for number in range(trials)
        ]
        clipped = [np.clip(values, None, np.quantile(values, 0.9)) for values in quiet]
        rows += [
            Row(f"ratio {ratio:g}: drift of one swing seen", _share(moving, "drifts"), "part", ">= 0.95"),
            Row(f"ratio {ratio:g}: drift seen where there is none", _share(quiet, "drifts"), "part", "<= 0.02"),
            Row(f"ratio {ratio:g}: upper tenth clipped, seen", _clipped(clipped), "part", ">= 0.95"),
            Row(f"ratio {ratio:g}: clipping seen where there is none", _clipped(quiet), "part", "<= 0.02"),
        ]
    return rows


def _share(waveforms: list[NDArray[np.float64]], word: str) -> float:
    told = [any(word in problem for problem in assess_quality(values).problems) for values in waveforms]
    return float(np.mean(told))


def _clipped(waveforms: list[NDArray[np.float64]]) -> float:
    return float(np.mean([assess_quality(values).clipped_part > CLIPPED_PART for values in waveforms]))


def main() -> None:
    """Read the options, run, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="machine output on standard output and nothing else")
    parser.add_argument("--trials", type=int, default=20, help="waveforms of each kind")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    rows = [row for case in CASES for row in ratio_rows(case, options.trials, options.seed)]
    print_rows(rows + alarm_rows(options.trials, options.seed), as_json=options.json)


if __name__ == "__main__":
    main()
