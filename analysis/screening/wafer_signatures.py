"""Whether the failing dies of a wafer lie by chance, and where they do not.

Under complete spatial randomness the fails are any of the tested dies, all sets of as many alike: fails are dealt out
anew over the dies, without two on one die. Questions are asked of the map. Do fails adjoin each other more often than
dealt-out ones (join count; A. D. Cliff and J. K. Ord, "Spatial Processes", 1981), and is the largest group of adjoining
fails larger than theirs? And is there a cluster, ring or scratch beyond chance (:mod:`analysis.mask.signatures`, with
the dies as the inspected region)?
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.ndimage import label

from analysis.anomaly.thresholds import false_discovery_adjusted
from analysis.mask.signatures import FEWEST_DEFECTS, SignatureFinder, SignatureReport
from analysis.screening.errors import ScreeningError
from analysis.screening.neighbours import DieGrid, Floats, Integers

SIMULATIONS = 199


@dataclass(frozen=True)
class DiesAsRegion:
    """Tested dies as what was inspected; lengths in dies (the finder says micrometres for whatever unit it is given).

    Attributes:
        centres: float64 ``(dies, 2)``, about the centre of the smallest rectangle with all dies.
    """

    centres: Floats

    @property
    def area_um2(self) -> float:
        """One for each die."""
        return float(len(self.centres))

    @property
    def radius_um(self) -> float:
        """From the centre to the middle of the farthest die, and half a die more."""
        return float(np.hypot(*self.centres.T).max()) + 0.5

    def draw(self, count: int, numbers: np.random.Generator) -> Floats:
        """Return the places of ``count`` dies drawn with ``numbers``; no die twice before each was drawn once."""
        rounds, rest = divmod(count, len(self.centres))
        chosen = np.concatenate(
            [np.tile(np.arange(len(self.centres)), rounds), numbers.choice(len(self.centres), rest, replace=False)]
        )
        return np.asarray(self.centres[chosen], np.float64)


@dataclass(frozen=True)
class MapTest:
    """One question of a wafer map.

    Attributes:
        kind: ``adjoining``, ``group``, ``cluster``, ``ring`` or ``scratch``.
        statistic: pairs of adjoining fails, fails in the largest group, or the surprise of the window
            (:mod:`analysis.mask.signature_statistics`).
        typical: its median over dealt-out fails.
        p_value: part of the deals with as much, the map itself counted.
        adjusted: the smallest false-discovery rate, over the questions of the map, at which it is found.
    """

    kind: str
    statistic: float
    typical: float
    p_value: float
    adjusted: float


@dataclass(frozen=True)
class WaferSignatures:
    """What a wafer map shows.

    Attributes:
        tests: all questions.
        structured: one of them is answered yes at the rate.
        groups: int64 each, rows of the fails of every group so large that chance hardly has one; the largest first.
        found: the other signatures, one after another; members are rows of ``failing``.
        failing: int64 ``(fails,)``, rows of the failing dies.
        rate: false-discovery rate.
        simulations: deals.
    """

    tests: tuple[MapTest, ...]
    structured: bool
    groups: tuple[Integers, ...]
    found: SignatureReport
    failing: Integers
    rate: float
    simulations: int


def wafer_signatures(
    grid: DieGrid,
    failed: ArrayLike,
    generator: np.random.Generator,
    rate: float = 0.05,
    simulations: int = SIMULATIONS,
) -> WaferSignatures:
    """Return whether the fails of a wafer lie by chance.

    ``grid`` has the places, ``failed`` float64 ``(dies,)`` is 1, 0, or NaN without a verdict: such dies are no part of
    the map. ``generator`` deals ``simulations`` times; ``rate`` is the false-discovery rate.

    Raises:
        ScreeningError: fewer than six fails or more than 20,000, all dies fail, or too few simulations for the rate.
    """
    given = np.asarray(failed, np.float64)
    tested = np.flatnonzero(np.isfinite(given))
    failing = np.flatnonzero(given == 1)
    if not FEWEST_DEFECTS <= failing.size < tested.size:
        raise ScreeningError(
            f"{failing.size} of {tested.size} dies fail: signatures need {FEWEST_DEFECTS} fails or more and a good die"
        )
    places = np.column_stack([grid.column, grid.row]).astype(np.float64)
    centre = (places[tested].min(axis=0) + places[tested].max(axis=0)) / 2
    region = DiesAsRegion(places[tested] - centre)
    try:
        finder = SignatureFinder(region, rate=rate, simulations=simulations, numbers=generator)
        report = finder.find(places[failing] - centre)
    except ValueError as error:
        raise ScreeningError(str(error)) from error
    tests = [MapTest(each.kind, each.surprise, each.typical, each.p_value, 1.0) for each in report.tests]
    groups = adjoining_groups(grid, given)
    seen = {"adjoining": float(count_joins(grid, given)), "group": float(groups[0].size)}
    dealt = _deal(grid, tested, failing.size, generator, simulations)
    for kind, statistic in reversed(seen.items()):
        p_value = (1 + int((dealt[kind] >= statistic).sum())) / (1 + simulations)
        tests.insert(0, MapTest(kind, statistic, float(np.median(dealt[kind])), p_value, 1.0))
    adjusted = false_discovery_adjusted(np.asarray([each.p_value for each in tests]))
    judged = tuple(
        MapTest(each.kind, each.statistic, each.typical, each.p_value, float(adjusted[place]))
        for place, each in enumerate(tests)
    )
    structured = bool((adjusted <= rate).any())
    usual = float(np.quantile(dealt["group"], 1 - rate, method="higher"))
    large = tuple(each for each in groups if each.size > usual) if judged[1].adjusted <= rate else ()
    return WaferSignatures(judged, structured, large, report, failing, rate, simulations)


def count_joins(grid: DieGrid, failed: ArrayLike) -> int:
    """Return the pairs of failing dies next to each other, corners too; ``failed`` is 1 for fails of ``grid``."""
    bad = np.asarray(failed, np.float64) == 1
    return int((grid.around(np.where(bad, 1.0, 0.0), 1)[bad] == 1).sum()) // 2


def adjoining_groups(grid: DieGrid, failed: ArrayLike) -> list[Integers]:
    """Return the groups of fails that hang together, corners too: rows of each, the largest group first.

    ``failed`` is 1 for fails of ``grid``.
    """
    bad = np.flatnonzero(np.asarray(failed, np.float64) == 1)
    picture = np.zeros(grid.shape, np.bool_)
    row, column = grid.row[bad] - grid.row.min(), grid.column[bad] - grid.column.min()
    picture[row, column] = True
    labels, count = label(picture, np.ones((3, 3)))
    of = labels[row, column]
    groups = [bad[of == number] for number in range(1, count + 1)]
    return sorted(groups, key=lambda each: (-each.size, int(each[0])))


def _deal(
    grid: DieGrid, tested: Integers, fails: int, generator: np.random.Generator, simulations: int
) -> dict[str, Floats]:
    found = {"adjoining": np.empty(simulations), "group": np.empty(simulations)}
    for number in range(simulations):
        dealt = np.zeros(grid.column.size)
        dealt[generator.choice(tested, fails, replace=False)] = 1.0
        found["adjoining"][number] = count_joins(grid, dealt)
        found["group"][number] = adjoining_groups(grid, dealt)[0].size
    return found
