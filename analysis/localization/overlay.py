"""The suspects on the die: the posterior summed over the cells of a grid, with credible regions.

A site's place is the drain of its gate's output. Two maps are kept apart: what the model explains, and what only
resembles a site, a defect outside the model.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.localization.posterior import Posterior
from analysis.localization.suspects import Suspects
from analysis.results import SiteMass

MOST_CELLS_ACROSS = 64
LEAST_PROBABILITY = 1e-6
"""Of both kinds together; cells below are left out."""
_LEAST_CELL_UM = 1e-3


@dataclass(frozen=True)
class HeatCell:
    """A cell of the map that holds something.

    Attributes:
        column, row: place in the grid; row 0 has the smallest y.
        probability: that the defect is at one of its drains.
        resembling: that a defect outside the model resembles one of them most.
        credible: least probability of a credible region that includes the cell: 0.5 is inside the 50 % region; of
            what is on the map, both kinds together.
        nets: its suspects, likeliest first.
    """

    column: int
    row: int
    probability: float
    resembling: float
    credible: float
    nets: tuple[str, ...]


@dataclass(frozen=True)
class HeatMap:
    """The suspects on the die.

    Attributes:
        x_um, y_um: lower left corner, micrometres on the layout.
        cell_um: side of a cell.
        columns, rows: size of the grid, which spans every placed drain.
        cells: those that hold something, likeliest first.
        no_fault: probability of a good die: on no map.
        unplaced: probability of sites without a place.
    """

    x_um: float
    y_um: float
    cell_um: float
    columns: int
    rows: int
    cells: tuple[HeatCell, ...]
    no_fault: float
    unplaced: float

    def dense(self) -> NDArray[np.float64]:
        """Return the probability of every cell, both kinds together: float64 ``(rows, columns)``."""
        grid = np.zeros((self.rows, self.columns))
        for cell in self.cells:
            grid[cell.row, cell.column] = cell.probability + cell.resembling
        return grid


def site_masses(suspects: Suspects, posterior: Posterior) -> tuple[SiteMass, ...]:
    """Return what each net holds of ``posterior`` as the site of ``suspects``, most first, if not negligible."""
    names = suspects.stimulated.circuit.nets
    mass = posterior.of_sites(len(names))
    resembling = np.bincount(posterior.sites, weights=posterior.resembling, minlength=mass.size)
    order = [int(net) for net in np.argsort(-(mass + resembling), kind="stable")]
    kept = [net for net in order if mass[net] + resembling[net] >= LEAST_PROBABILITY]
    return tuple(SiteMass(names[net], float(mass[net]), float(resembling[net])) for net in kept)


def heat_map(
    sites: Sequence[SiteMass],
    places_um: Mapping[str, tuple[float, float]],
    no_fault: float,
    cell_um: float | None = None,
) -> HeatMap | None:
    """Return the map of ``sites``; ``None`` where no place is known.

    Args:
        sites: what each net holds of the posterior.
        places_um: drains on the layout, micrometres.
        no_fault: probability of a good die.
        cell_um: side of a cell; chosen so that the longer side of the die has :data:`MOST_CELLS_ACROSS` or fewer.
    """
    if not places_um:
        return None
    places = np.asarray(list(places_um.values()), np.float64)
    low, high = places.min(axis=0), places.max(axis=0)
    side = cell_um or max(_round_up(float((high - low).max()) / MOST_CELLS_ACROSS), _LEAST_CELL_UM)
    corner = np.floor(low / side) * side
    columns, rows = (int(count) for count in np.floor((high - corner) / side).astype(np.int64) + 1)
    sums: dict[tuple[int, int], list[SiteMass]] = {}
    unplaced = 0.0
    for site in sites:
        if site.net not in places_um:
            unplaced += site.probability + site.resembling
            continue
        column, row = np.floor((np.asarray(places_um[site.net]) - corner) / side).astype(np.int64).tolist()
        sums.setdefault((min(column, columns - 1), min(row, rows - 1)), []).append(site)
    cells = _ranked(sums)
    return HeatMap(float(corner[0]), float(corner[1]), side, columns, rows, cells, no_fault, min(1.0, unplaced))


def _ranked(sums: Mapping[tuple[int, int], Sequence[SiteMass]]) -> tuple[HeatCell, ...]:
    """Return the cells, likeliest first, each with the part of the map that it and all before it hold."""
    masses = {place: sum(site.probability + site.resembling for site in found) for place, found in sums.items()}
    total = sum(masses.values())
    cells, held = [], 0.0
    for place in sorted(masses, key=lambda key: (-masses[key], key)):
        if masses[place] < LEAST_PROBABILITY:
            break
        held += masses[place]
        ranked = sorted(sums[place], key=lambda site: -(site.probability + site.resembling))
        cells.append(
            HeatCell(
                *place,
                min(1.0, sum(site.probability for site in ranked)),
                min(1.0, sum(site.resembling for site in ranked)),
                min(1.0, held / total),
                tuple(site.net for site in ranked if site.probability + site.resembling >= LEAST_PROBABILITY),
            )
        )
    return tuple(cells)


def _round_up(length_um: float) -> float:
    """Return the next of 1, 2, 5 times a power of ten."""
    if length_um <= 0.0:
        return _LEAST_CELL_UM
    power = 10.0 ** math.floor(math.log10(length_um))
    return next(step * power for step in (1.0, 2.0, 5.0, 10.0) if step * power >= length_um * (1 - 1e-9))
