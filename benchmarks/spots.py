"""Where the beam was: the alignment of stage and layout, and the net that a spot was really on, on SIMULATED data.

Alignments are drawn here, spots in ``benchmarks.spot_trials``; neither shares code with the analysis. Half of the spots
are on another net of the die by mistake; every figure weighs them as the analysis expects them, 3 in 100. *Placement
alone* is what ellipse and placement say before the waveform is looked at; *correlation* names the net of the die that
correlates most with the waveform.
"""

import argparse
import math
from dataclasses import dataclass

import numpy as np

from analysis.coordinates.affine import Points
from analysis.coordinates.registration import fit_registration
from analysis.localization.beam_places import place_on_layout
from analysis.localization.evidence import MISPLACED
from analysis.localization.mixture import Layout, Spot
from analysis.localization.spot_nets import Behaviours, Die, Scene, beam_grid, intensities_at, locate_spot
from analysis.waveforms.comparison import Observation, observe
from analysis.waveforms.cycles import read_cycle_levels
from analysis.waveforms.unmixing import remove_baseline
from benchmarks.report import Row, print_rows
from benchmarks.spot_trials.made_spots import CYCLE_S, FWHM_NM, SAMPLES, Array, MadeSpot, SpotCase, make_spot

DEFAULT_SPOTS = 150
ALIGNMENTS = 400
DRAWN_MISPLACED = 0.5
BINS = 10
CHANCES = 400
"""Draws for what chance adds to a calibration error."""
CASES = tuple(
    SpotCase(snr=snr, placement_nm=placement_nm, misplaced=DRAWN_MISPLACED)
    for placement_nm in (30.0, 100.0, 200.0)
    for snr in (0.5, 2.0, 8.0)
)


@dataclass(frozen=True)
class Judged:
    """One spot: whether it was on the named net, what was said before and after, and which nets were named."""

    weight: float
    on_net: bool
    said: float
    said_before: float
    elsewhere: bool
    said_elsewhere: float
    named: bool
    named_by_correlation: bool


def judge_spot(case: SpotCase, spot: MadeSpot) -> Judged:
    """Ask where a spot was whose named net is the first."""
    levels = read_cycle_levels(spot.values, 0.0, CYCLE_S / SAMPLES, CYCLE_S, case.cycles)
    observation = observe(levels)
    number = {f"n{net}": net for net in range(len(spot.bits))}
    layout = Layout({name: (float(x), float(y)) for name, (x, y) in zip(number, spot.places_um, strict=True)})
    beam = Spot(0.0, 0.0, FWHM_NM, case.placement_nm)
    near = [0, *(number[name] for name, _ in layout.neighbours("n0", beam))]
    either = np.stack([np.concatenate([named[None], spot.bits[near[1:]]]) for named in (spot.bits[0], spot.faulty)])
    scene = Scene(Die(list(number), number, layout), observation, levels.window, near, beam)
    found = locate_spot(scene, Behaviours(spot.bits, either, np.log([0.5, 0.5])))
    beams, logs = beam_grid(beam)
    nearest = intensities_at(beam, beams, spot.places_um[near]).argmax(axis=1)
    before = (1 - MISPLACED) * float(np.exp(logs)[nearest == 0].sum())
    elsewhere = bool(math.hypot(*spot.beam_um) > 1.5)
    part = MISPLACED / DRAWN_MISPLACED if elsewhere else (1 - MISPLACED) / (1 - DRAWN_MISPLACED)
    return Judged(
        part,
        spot.nearest == 0,
        float(found.on_nets[0]),
        before,
        elsewhere,
        found.elsewhere,
        int(found.on_nets.argmax()) == spot.nearest,
        _most_correlated(observation, spot) == spot.nearest,
    )


def _most_correlated(observation: Observation, spot: MadeSpot) -> int:
    columns = remove_baseline(observation, spot.bits)
    return int(np.argmax(np.abs(columns @ observation.residual) / np.linalg.norm(columns, axis=1)))


def _mean(judged: list[Judged], values: list[float]) -> float:
    weights = np.asarray([item.weight for item in judged])
    return float(weights @ np.asarray(values) / weights.sum())


def calibration_error(judged: list[Judged]) -> tuple[float, float]:
    """Return the mean gap between what was said and what was, over bins of equal width; and what chance alone gives.

    The latter is its mean over draws of whether each spot was on its net, with what was said as the probability.
    """
    said, weights = (np.asarray([getattr(item, key) for item in judged]) for key in ("said", "weight"))
    places = np.minimum((said * BINS).astype(int), BINS - 1)
    drawn = np.random.default_rng(0).random((CHANCES, said.size)) < said
    errors = []
    for was in (np.asarray([item.on_net for item in judged]), *drawn):
        gaps = np.bincount(places, weights=weights * (said - was), minlength=BINS)
        errors.append(float(np.abs(gaps).sum() / weights.sum()))
    return errors[0], float(np.mean(errors[1:]))


def spot_rows(name: str, judged: list[Judged]) -> list[Row]:
    """Return the rows of some spots."""
    said = _mean(judged, [(item.said - item.on_net) ** 2 for item in judged])
    before = _mean(judged, [(item.said_before - item.on_net) ** 2 for item in judged])
    lost = [item for item in judged if item.elsewhere]
    fine = [item for item in judged if not item.elsewhere]
    named, by_correlation = ([getattr(item, key) for item in judged] for key in ("named", "named_by_correlation"))
    return [
        Row(f"{name}: squared error of the probability of being on the net", said, "Brier score"),
        Row(f"{name}: the same against placement alone", said / before, "ratio", "<= 1.02"),
        Row(f"{name}: net of the spot named", _mean(judged, named), "part"),
        Row(f"{name}: the same, less by correlation", _mean(judged, named) - _mean(judged, by_correlation), "part"),
        Row(
            f"{name}: spots elsewhere that are called so",
            float(np.mean([i.said_elsewhere > 0.5 for i in lost])),
            "part",
        ),
        Row(f"{name}: their net named", float(np.mean([item.named for item in lost])), "part"),
        Row(
            f"{name}: good spots called elsewhere",
            float(np.mean([i.said_elsewhere > 0.5 for i in fine])),
            "part",
            "<= 0.02",
        ),
    ]


@dataclass(frozen=True)
class Aligned:
    """One alignment: squared distance of a probe from its place in units of its stated covariance, and outliers."""

    squared: float
    planted: int
    found: int
    lost: int


def draw_alignment(points: int, wrong: int, numbers: np.random.Generator) -> Aligned:
    """Fit an alignment of ``points`` marks found with 60 nm, ``wrong`` of which are 0.5 to 3 um off; probe a place."""
    angle, scale = numbers.uniform(-0.05, 0.05), 1 + numbers.normal(0, 1e-3)
    matrix = scale * np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    matrix = matrix @ np.array([[1.0, numbers.normal(0, 1e-3)], [0.0, 1.0]])
    stage = numbers.uniform(-200, 200, (points, 2))
    layout = stage @ matrix.T + (100.0, -50.0) + numbers.normal(0, 0.06, (points, 2))
    turn = numbers.uniform(0, 2 * math.pi, wrong)
    layout[:wrong] += numbers.uniform(0.5, 3.0, (wrong, 1)) * np.stack([np.cos(turn), np.sin(turn)], axis=1)
    fitted = fit_registration(Points.isotropic(stage), Points.isotropic(layout, 0.06))
    aimed = numbers.uniform(-150, 150, 2)
    read = aimed + numbers.normal(0, 0.03, 2)
    place = place_on_layout(float(read[0]), float(read[1]), 30.0, fitted.transform)
    off_nm = 1e3 * (np.array([place.x_um, place.y_um]) - (matrix @ aimed + (100.0, -50.0)))
    squared = float(off_nm @ np.linalg.solve(np.asarray(place.covariance_nm2), off_nm))
    return Aligned(squared, wrong, int(fitted.outlier[:wrong].sum()), int(fitted.outlier[wrong:].sum()))


def _inside(squared: Array, part: float) -> float:
    return float(np.mean(squared < -2 * math.log(1 - part)))


def alignment_rows(count: int, seed: int) -> list[Row]:
    """Return the rows of alignments with no, one and two wrong marks."""
    rows = []
    for points, wrong in ((4, 0), (8, 0), (8, 1), (8, 2)):
        numbers = np.random.default_rng([seed, points, wrong])
        drawn = [draw_alignment(points, wrong, numbers) for _ in range(count)]
        squared = np.asarray([item.squared for item in drawn])
        name = f"alignment of {points} marks, {wrong} wrong"
        rows.append(Row(f"{name}: probes inside their 95 % ellipse", _inside(squared, 0.95), "part", ">= 0.93"))
        rows.append(Row(f"{name}: inside their 50 % ellipse", _inside(squared, 0.5), "part"))
        lost = sum(item.lost for item in drawn) / count
        rows.append(Row(f"{name}: good marks left out of an alignment", lost, "marks", "<= 0.03"))
        if wrong:
            found = sum(item.found for item in drawn) / sum(item.planted for item in drawn)
            rows.append(Row(f"{name}: wrong marks found", found, "part", ">= 0.95"))
    return rows


def measure(spots: int = DEFAULT_SPOTS, seed: int = 1) -> list[Row]:
    """Measure alignments and spots."""
    rows, every = [], []
    for case in CASES:
        numbers = np.random.default_rng([seed, round(case.placement_nm), round(100 * case.snr)])
        judged = [judge_spot(case, make_spot(case, numbers)) for _ in range(spots)]
        every += judged
        rows += spot_rows(f"{case.placement_nm:.0f} nm, ratio {case.snr:g}", judged)
    error, chance = calibration_error(every)
    calibration = [
        Row("all: calibration error of being on the net", error, "part", "<= 0.03"),
        Row("all: the same, were every probability right", chance, "part"),
    ]
    return [*alignment_rows(ALIGNMENTS, seed), *calibration, *spot_rows("all", every), *rows]


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
