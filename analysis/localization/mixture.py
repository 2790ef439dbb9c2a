"""Which nets are under the spot, and how much of each is in the waveform: least squares with a prior from the spot.

The spot is a Gaussian of a given full width at half maximum; weights have a zero-mean normal prior whose width follows
the spot's intensity at each drain, so that what lies outside the spot cannot explain the waveform (ridge regression).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from analysis.results import NetWeight
from analysis.waveforms.cycles import read_cycle_levels

if TYPE_CHECKING:
    from analysis.localization.localizer import ProbedWaveform, Problem

LEAST_WEIGHT = 0.05
MOST_NEIGHBOURS = 9


@dataclass(frozen=True)
class Spot:
    """Where the beam was: micrometres in the layout's frame, its width and the error of its place in nanometres.

    ``sigma_nm`` is of each axis; ``covariance_nm2``, ``((xx, xy), (xy, yy))``, takes its part where the axes differ.
    """

    x_um: float
    y_um: float
    fwhm_nm: float
    sigma_nm: float = 0.0
    covariance_nm2: tuple[tuple[float, float], tuple[float, float]] | None = None

    @property
    def place_covariance_nm2(self) -> NDArray[np.float64]:
        """Covariance of the beam's place in square nanometres, float64 ``(2, 2)``."""
        if self.covariance_nm2 is not None:
            return np.asarray(self.covariance_nm2, np.float64)
        return self.sigma_nm**2 * np.eye(2)


def spot_weight(spot: Spot, x_um: float, y_um: float) -> float:
    """Return the root mean square intensity of ``spot`` at ``x_um``, ``y_um`` (micrometres), 1 at a sure centre.

    The mean is over the beam's normal placement error: with ``s`` the spot's standard deviation and ``C`` the error's
    covariance, that of ``exp(-r^2 / s^2)``: ``exp(-r' (s^2 W)^-1 r) / sqrt(det W)`` with ``W = I + 2 C / s^2``.
    """
    return float(_spot_weights(spot, np.array([[x_um, y_um]]))[0])


def _spot_weights(spot: Spot, places_um: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return :func:`spot_weight` at each of ``places_um``, ``(n, 2)``."""
    off_nm = (places_um - (spot.x_um, spot.y_um)) * 1e3
    own, widening = _variances(spot)
    squared = (off_nm * np.linalg.solve(own * widening, off_nm.T).T).sum(axis=1)
    return np.asarray(np.exp(-squared / 2) / np.linalg.det(widening) ** 0.25, np.float64)


class Layout:
    """Places of the nets' drains, ready to be asked what lies under a spot.

    Args:
        places_um: each net's drain in micrometres.
    """

    def __init__(self, places_um: Mapping[str, tuple[float, float]]) -> None:
        self.nets = tuple(places_um)
        self._places = np.asarray(list(places_um.values()), np.float64).reshape(-1, 2)
        self._tree = cKDTree(self._places) if self.nets else None

    def by_number(self, number: Mapping[str, int]) -> dict[int, tuple[float, float]]:
        """Return the places by ``number`` of the net instead of its name; nets without a number are left out."""
        places = self._places.tolist()
        return {number[net]: (x, y) for net, (x, y) in zip(self.nets, places, strict=True) if net in number}

    def neighbours(self, net: str, spot: Spot | None) -> list[tuple[str, float]]:
        """Return the nets under ``spot`` besides ``net`` with their intensity, strongest first; none without a spot."""
        if spot is None or self._tree is None:
            return []
        reach_um = _reach_nm(spot) / 1e3
        found = self._tree.query_ball_point((spot.x_um, spot.y_um), reach_um)
        indices = sorted(index for index in found if self.nets[index] != net)
        intensities = _spot_weights(spot, self._places[indices]).tolist()
        weights = [(self.nets[index], weight) for index, weight in zip(indices, intensities, strict=True)]
        near = [item for item in weights if item[1] >= LEAST_WEIGHT]
        return sorted(near, key=lambda item: -item[1])[:MOST_NEIGHBOURS]


def _reach_nm(spot: Spot) -> float:
    """Return the distance beyond which :func:`spot_weight` is below :data:`LEAST_WEIGHT` in every direction."""
    own, widening = _variances(spot)
    brightest = 1.0 / float(np.sqrt(np.linalg.det(widening)))
    widest = own * float(np.linalg.eigvalsh(widening)[-1])
    return float(np.sqrt(max(0.0, widest * np.log(brightest / LEAST_WEIGHT**2))))


def _variances(spot: Spot) -> tuple[float, NDArray[np.float64]]:
    """Return the variance of the spot in square nanometres, and by what its place widens it: ``I + 2 C / s^2``."""
    own = spot.fwhm_nm**2 / (8 * np.log(2))
    return own, np.eye(2) + 2 * spot.place_covariance_nm2 / own


def estimate_mixture(
    problem: "Problem", waveform: "ProbedWaveform", values: NDArray[np.float64]
) -> tuple[NetWeight, ...]:
    """Return the weight of each net under the spot, as a part of the sum of all absolute weights.

    ``values`` is float64 of shape ``(nets, cycles)``, what each net of ``problem`` does; ``waveform`` was measured.
    """
    cycles = len(problem.patterns)
    levels = read_cycle_levels(waveform.values, waveform.t0_s, waveform.dt_s, problem.cycle_s, cycles)
    near = problem.layout.neighbours(waveform.net, waveform.spot)
    known = [(waveform.net, 1.0), *((net, weight) for net, weight in near if net in problem.circuit.number)]
    columns = values[[problem.circuit.number[net] for net, _ in known]][:, levels.covered].T
    columns = columns - columns.mean(axis=0)
    observed = levels.levels[levels.covered]
    observed = observed - observed.mean()
    swing = float(np.percentile(observed, 95) - np.percentile(observed, 5)) or 1.0
    widths = np.asarray([weight * swing for _, weight in known])
    plain, *_ = np.linalg.lstsq(columns, observed, rcond=None)
    rest = observed - columns @ plain
    noise = float(rest @ rest) / max(1, observed.size - len(known) - 1)
    precision = columns.T @ columns / max(noise, 1e-30) + np.diag(1 / widths**2)
    covariance = np.linalg.inv(precision)
    weights = covariance @ (columns.T @ observed) / max(noise, 1e-30)
    total = float(np.abs(weights).sum()) or 1.0
    sigmas = np.sqrt(np.diag(covariance))
    return tuple(
        NetWeight(net, float(weight) / total, float(sigma) / total)
        for (net, _), weight, sigma in zip(known, weights, sigmas, strict=True)
    )
