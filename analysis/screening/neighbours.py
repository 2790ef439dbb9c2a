"""What a die's neighbours say of it: the residual of a reading, failing dies around, failing dies above and below.

Readings vary smoothly across a wafer, defects do not: the difference of a die's reading from the median of its good
neighbours (nearest-neighbour residual) shows an outlier that the wafer's own variation hides from plain part average
testing (R. Daasch et al., "Variance reduction using wafer patterns in IddQ data", ITC 2000). Defects come in clusters:
a good die among bad ones is more likely to carry a latent defect (good die in a bad neighbourhood; R. B. Miller and
W. Riordan, "Unit level predicted yield", ITC 2001), also where the same place fails through the lot's wafers (Z-PAT).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.anomaly.thresholds import false_discovery_adjusted
from analysis.screening.errors import SamePlaceTwice, ScreeningError

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Integers = NDArray[np.int64]

MOST_PLACES = 20_000_000


@dataclass(frozen=True)
class DieGrid:
    """Dies of one wafer by place.

    Attributes:
        column, row: int64 ``(dies,)``, each die's place in steps of the die; no two alike.
    """

    column: Integers
    row: Integers

    def __post_init__(self) -> None:
        if self.column.ndim != 1 or self.column.shape != self.row.shape or not self.column.size:
            raise ScreeningError(f"places are two numbers for each die, not {self.column.shape} and {self.row.shape}")
        height, width = self.shape
        if height * width > MOST_PLACES:
            raise ScreeningError(f"dies lie {width} columns and {height} rows apart: that is no wafer")
        places, counts = np.unique(self._flat(0), return_counts=True)
        if counts.max() > 1:
            row, column = divmod(int(places[counts.argmax()]), width)
            raise SamePlaceTwice(column + int(self.column.min()), row + int(self.row.min()), int(counts.max()))

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the smallest grid that holds all dies."""
        return int(np.ptp(self.row)) + 1, int(np.ptp(self.column)) + 1

    def _flat(self, margin: int) -> Integers:
        width = self.shape[1] + 2 * margin
        flat = (self.row - self.row.min() + margin) * width + self.column - self.column.min() + margin
        return np.asarray(flat, np.int64)

    def around(self, values: ArrayLike, reach: int) -> Floats:
        """Return the values at the places around each die, float64 ``(dies, (2 reach + 1)^2 - 1)``, NaN for no die.

        ``values`` are float64 ``(dies,)``; ``reach`` is in dies, 1 for the eight next ones. Places go row by row.
        """
        given = np.asarray(values, np.float64)
        if given.shape != self.column.shape or reach < 1:
            raise ScreeningError(f"{given.shape} values and reach {reach} do not fit {self.column.size} dies")
        height, width = self.shape
        grid = np.full((height + 2 * reach) * (width + 2 * reach), np.nan)
        flat = self._flat(reach)
        grid[flat] = given
        steps = [down * (width + 2 * reach) + right for down, right in offsets(reach)]
        return np.asarray(grid[flat[:, None] + np.asarray(steps)], np.float64)


def offsets(reach: int) -> list[tuple[int, int]]:
    """Return the steps (rows, columns) to all places within ``reach`` dies, row by row, without the die itself."""
    span = range(-reach, reach + 1)
    return [(down, right) for down in span for right in span if (down, right) != (0, 0)]


@dataclass(frozen=True)
class Residuals:
    """Readings without what the neighbourhood explains.

    Attributes:
        values: float64 ``(dies,)`` in the test's unit; NaN where too few neighbours have a reading.
        neighbours: int64 ``(dies,)``, readings that each median is of.
        reach: in dies.
    """

    values: Floats
    neighbours: Integers
    reach: int


def neighbour_residuals(grid: DieGrid, values: ArrayLike, reach: int = 2, least_neighbours: int = 5) -> Residuals:
    """Return each die's reading less the median of its neighbours'.

    ``grid`` has the places, ``values`` float64 ``(dies,)`` the readings in the test's unit, NaN for a die that failed
    or was not read; it is then nobody's neighbour. Neighbours lie within ``reach`` dies; a die with fewer than
    ``least_neighbours`` of them gets no residual.
    """
    given = np.asarray(values, np.float64)
    usable = np.where(np.isfinite(given), given, np.nan)
    around = np.sort(grid.around(usable, reach), axis=1)
    counts = np.asarray(np.isfinite(around).sum(axis=1), np.int64)
    rows = np.arange(counts.size)
    lower, upper = np.maximum(counts - 1, 0) // 2, np.minimum(counts // 2, around.shape[1] - 1)
    middle = around[rows, lower] / 2 + around[rows, upper] / 2
    residual = np.where(counts >= least_neighbours, usable - middle, np.nan)
    return Residuals(np.asarray(residual, np.float64), counts, reach)


@dataclass(frozen=True)
class Neighbourhood:
    """How bad the neighbourhood of each die is.

    Attributes:
        score: float64 ``(dies,)``, weighted failing neighbours as a part of all tested ones, times all places around.
        flagged: bool ``(dies,)``, good dies with a score of the threshold or more.
        tested: int64 ``(dies,)``, neighbours with a verdict.
        threshold: in weighted failing neighbours.
        reach: in dies.
    """

    score: Floats
    flagged: Flags
    tested: Integers
    threshold: float
    reach: int


def bad_neighbourhoods(
    grid: DieGrid, failed: ArrayLike, threshold: float = 4.0, reach: int = 1, diagonal_weight: float = 1.0
) -> Neighbourhood:
    """Return the good dies in bad neighbourhoods.

    ``grid`` has the places, ``failed`` float64 ``(dies,)`` is 1 for a failing die, 0 for a good one, NaN without a
    verdict. Neighbours lie within ``reach`` dies and weigh 1 over their distance in dies (larger of rows and columns);
    those off both axes also ``diagonal_weight``. Dies at the edge have fewer neighbours: their score is scaled to a
    full neighbourhood. A good die is flagged from ``threshold`` weighted failing neighbours on.

    Raises:
        ScreeningError: a threshold or weight that is no positive number.
    """
    given = np.asarray(failed, np.float64)
    if not (np.isfinite(threshold) and threshold > 0 and np.isfinite(diagonal_weight) and diagonal_weight > 0):
        raise ScreeningError(f"threshold and weight are above 0, not {threshold} and {diagonal_weight}")
    if np.isin(given[np.isfinite(given)], (0.0, 1.0)).sum() != np.isfinite(given).sum():
        raise ScreeningError("a die failed (1), did not (0), or has no verdict (NaN)")
    weight = np.asarray(
        [(diagonal_weight if down and right else 1.0) / max(abs(down), abs(right)) for down, right in offsets(reach)]
    )
    around = grid.around(given, reach)
    known = np.isfinite(around)
    weighed = known @ weight
    fails = np.where(known, around, 0.0) @ weight
    score = np.divide(fails * weight.sum(), weighed, out=np.zeros_like(fails), where=weighed > 0)
    # A sum of weights may miss a whole number by rounding; a threshold of 4 means four of eight.
    flagged = (given == 0) & (score >= threshold - 1e-9)
    return Neighbourhood(score, flagged, np.asarray(known.sum(axis=1), np.int64), threshold, reach)


@dataclass(frozen=True)
class StackedFails:
    """Places that fail through a lot's wafers.

    Attributes:
        place: int64 ``(places, 2)``, column and row of every place that was tested.
        fails, wafers: int64 ``(places,)``, wafers on which the die failed, and on which it had a verdict.
        p_value: float64 ``(places,)``, chance of as many fails or more if fails of each wafer lay anywhere on it.
        suspect: bool ``(places,)``, places whose false-discovery rate is small enough; good dies there fall out.
        rate: false-discovery rate.
    """

    place: Integers
    fails: Integers
    wafers: Integers
    p_value: Floats
    suspect: Flags
    rate: float


def poisson_binomial_tail(chances: ArrayLike, at_least: int) -> float:
    """Return the probability of ``at_least`` successes of independent trials; ``chances`` are float64 ``(trials,)``."""
    parts = np.array([1.0])
    for chance in np.asarray(chances, np.float64).tolist():
        parts = np.convolve(parts, [1 - chance, chance])
    return float(min(1.0, parts[max(at_least, 0) :].sum()))


def stacked_fails(
    wafers: Sequence[tuple[DieGrid, ArrayLike]], rate: float = 0.05, least_wafers: int = 5
) -> StackedFails:
    """Return the places that fail on more of a lot's wafers than chance lets them.

    ``wafers`` has the grid of each and float64 ``(dies,)``: 1 failing, 0 good, NaN without a verdict. Under chance the
    fails of a wafer lie anywhere on it, so a place fails there with the wafer's own fail rate; its number of fails is
    then Poisson-binomial. Places are adjusted together to the false-discovery ``rate``. Fewer than ``least_wafers``
    wafers are refused.

    Raises:
        ScreeningError: too few wafers.
    """
    if len(wafers) < least_wafers or not 0 < rate < 1:
        raise ScreeningError(
            f"{len(wafers)} wafers at a rate of {rate:g}: a stack needs at least {least_wafers}, a rate between 0 and 1"
        )
    seen: dict[tuple[int, int], tuple[int, list[int]]] = {}
    chances = []
    for number, (grid, failed) in enumerate(wafers):
        given = np.asarray(failed, np.float64)
        known = np.isfinite(given)
        chances.append(float(given[known].mean()) if known.any() else 0.0)
        places = zip(grid.column[known].tolist(), grid.row[known].tolist(), given[known].tolist(), strict=True)
        for column, row, fail in places:
            fails, tested = seen.setdefault((column, row), (0, []))
            tested.append(number)
            seen[column, row] = (fails + int(fail), tested)
    tails: dict[tuple[int, tuple[int, ...]], float] = {}
    for fails, tested in seen.values():
        key = (fails, tuple(tested))
        if key not in tails:
            tails[key] = poisson_binomial_tail([chances[number] for number in tested], fails)
    place = sorted(seen)
    fails_at = np.asarray([seen[each][0] for each in place], np.int64)
    tested_at = np.asarray([len(seen[each][1]) for each in place], np.int64)
    p_value = np.asarray([tails[seen[each][0], tuple(seen[each][1])] for each in place])
    suspect = (false_discovery_adjusted(p_value) <= rate) & (tested_at >= least_wafers)
    return StackedFails(
        np.asarray(place, np.int64).reshape(-1, 2), fails_at, tested_at, p_value, np.asarray(suspect, np.bool_), rate
    )
