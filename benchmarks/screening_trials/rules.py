"""Each screen beside a simple rule, on SIMULATED lots whose defects are known."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

from analysis.screening.screen_quality import ScreenQuality, screen_quality
from benchmarks.screening_trials.lots import CAUSES, DELAY, LEAKAGE, LabelledLots
from services.pipelines.reliability.screening_patterns import find_signatures, screen_together
from services.pipelines.reliability.screening_requests import ScreenRequest
from services.pipelines.reliability.screening_rules import (
    Fallout,
    good_readings,
    screen_averages,
    screen_neighbourhoods,
    screen_residuals,
    screen_stacks,
    wafer_grids,
)

Flags = NDArray[np.bool_]
SIGMAS = 6.0


@dataclass(frozen=True)
class Trial:
    """A rule on one cause of defects: ``of`` is the cause, ``rule`` names screen and way."""

    rule: str
    of: str
    quality: ScreenQuality


def try_rules(lots: LabelledLots) -> Iterator[Trial]:
    """Yield every screen and the simple rule beside it, on the defects that it is for."""
    parts, request = lots.parts, ScreenRequest()
    raw = Fallout()
    screen_together(parts, ScreenRequest(together="readings"), [LEAKAGE, DELAY], raw)
    tests = [LEAKAGE, DELAY]
    fallout = {name: Fallout() for name in ("average", "residual", "together", "neighbourhood", "stack")}
    screen_averages(parts, request, tests, fallout["average"])
    screen_residuals(parts, request, tests, fallout["residual"])
    screen_together(parts, request, tests, fallout["together"])
    screen_neighbourhoods(parts, request, fallout["neighbourhood"])
    screen_stacks(parts, request, fallout["stack"])
    out = {name: np.isin(np.arange(parts.count), list(found.reasons)) for name, found in fallout.items()}
    pairs = (
        ("part average, robust, dynamic and static", "mean and standard deviation", 0, out["average"], _moments(lots)),
        ("neighbour residual", "part average", 0, out["residual"], out["average"]),
        ("multivariate, readings and residuals", "readings alone", 1, out["together"],
         np.isin(np.arange(parts.count), list(raw.reasons))),
        ("multivariate, readings alone", "covariance of all parts", 1,
         np.isin(np.arange(parts.count), list(raw.reasons)), _covariance(lots)),
        ("bad neighbourhood", "any failing neighbour", 2, out["neighbourhood"], _any_neighbour(lots)),
        ("stack", "two fails at a place", 3, out["stack"], _two_at_a_place(lots)),
    )  # fmt: skip
    for rule, simple, cause, ours, theirs in pairs:
        yield Trial(rule, CAUSES[cause], _quality(lots, cause, ours))
        yield Trial(f"{rule}, beside it: {simple}", CAUSES[cause], _quality(lots, cause, theirs))


def try_signatures(lots: LabelledLots) -> tuple[ScreenQuality, ScreenQuality]:
    """Return how well wafers with a cluster are told: by signatures, and by a yield below three standard deviations."""
    fallout = Fallout()
    find_signatures(lots.parts, ScreenRequest(), fallout)
    truth, told, fails = [], [], []
    for row in fallout.groups:
        truth.append(float(lots.clustered[row["lot"], row["wafer"]]))
        told.append(bool(row.get("structured")))
        members = lots.parts.wafers()[row["lot"], row["wafer"]]
        fails.append(float(lots.parts.failed[members].sum()))
    counts = np.asarray(fails)
    # The simple rule is given what it could not know: fails of the wafers without a cluster.
    quiet = counts[np.asarray(truth) == 0]
    low = counts > quiet.mean() + 3 * quiet.std()
    return screen_quality(truth, told), screen_quality(truth, low)


def _quality(lots: LabelledLots, cause: int, out: Flags) -> ScreenQuality:
    """Defects of other causes are left out: each rule is for its own."""
    truth = np.where(lots.cause == cause, 1.0, np.where(lots.cause < 0, 0.0, np.nan))
    truth[lots.parts.failed != 0] = np.nan
    return screen_quality(truth, out)


def _moments(lots: LabelledLots) -> Flags:
    out = np.zeros(lots.parts.count, bool)
    for test in (LEAKAGE, DELAY):
        values = good_readings(lots.parts, test)
        for members in lots.parts.wafers().values():
            of = values[members]
            out[members] |= np.abs(of - np.nanmean(of)) > SIGMAS * np.nanstd(of, ddof=1)
    return out


def _covariance(lots: LabelledLots) -> Flags:
    out = np.zeros(lots.parts.count, bool)
    values = np.column_stack([good_readings(lots.parts, test) for test in (LEAKAGE, DELAY)])
    for members in lots.parts.wafers().values():
        of = values[members]
        whole = np.isfinite(of).all(axis=1)
        centred = of[whole] - of[whole].mean(axis=0)
        squared = (centred @ np.linalg.inv(np.cov(centred.T)) * centred).sum(axis=1)
        out[members[whole]] = squared > chi2.isf(2e-9, 2)
    return out


def _any_neighbour(lots: LabelledLots) -> Flags:
    out = np.zeros(lots.parts.count, bool)
    for _, grid, known in wafer_grids(lots.parts, "simple", Fallout()):
        failed = lots.parts.failed[known]
        out[known] = (np.nansum(grid.around(failed, 1), axis=1) >= 1) & (failed == 0)
    return out


def _two_at_a_place(lots: LabelledLots) -> Flags:
    parts, out = lots.parts, np.zeros(lots.parts.count, bool)
    for members in parts.lots().values():
        places = np.column_stack([parts.column[members], parts.row[members]])
        _, inverse = np.unique(places, axis=0, return_inverse=True)
        fails = np.bincount(inverse.ravel(), parts.failed[members])
        out[members] = (fails[inverse.ravel()] >= 2) & (parts.failed[members] == 0)
    return out
