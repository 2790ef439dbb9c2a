"""Which nets are under the spot, and how much the spot sees of each: a Gaussian of given full width at half maximum."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

LEAST_WEIGHT = 0.05
MOST_NEIGHBOURS = 24
"""Nets besides the probed one that a spot may see. Leaving out one that shows would make a wrong suspect certain."""


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
        self._number = {net: number for number, net in enumerate(self.nets)}
        self._places = np.asarray(list(places_um.values()), np.float64).reshape(-1, 2)
        self._tree = cKDTree(self._places) if self.nets else None

    def by_number(self, number: Mapping[str, int]) -> dict[int, tuple[float, float]]:
        """Return the places by ``number`` of the net instead of its name; nets without a number are left out."""
        places = self._places.tolist()
        return {number[net]: (x, y) for net, (x, y) in zip(self.nets, places, strict=True) if net in number}

    def why_uncounted(self, net: str, spot: Spot | None) -> str:
        """Return why a waveform on ``net`` tells no suspects apart, empty where it may."""
        if not self.is_on(net, spot):
            return f"the stated place is not on {net}"
        shown = len(self._visible(net, spot))
        return f"{shown} other nets lie under the spot, more than {MOST_NEIGHBOURS}" if shown > MOST_NEIGHBOURS else ""

    def is_on(self, net: str, spot: Spot | None) -> bool:
        """Return whether the stated place of ``spot`` is on ``net``; taken for granted where either is unknown."""
        if spot is None or net not in self._number:
            return True
        there, brightest = _spot_weights(spot, np.stack([self._places[self._number[net]], (spot.x_um, spot.y_um)]))
        return bool(there >= LEAST_WEIGHT * brightest)

    def neighbours(self, net: str, spot: Spot | None) -> list[tuple[str, float]]:
        """Return the nets under ``spot`` besides ``net`` with their intensity, strongest first; none without a spot.

        They are :data:`MOST_NEIGHBOURS` at most.
        """
        return sorted(self._visible(net, spot), key=lambda item: -item[1])[:MOST_NEIGHBOURS]

    def _visible(self, net: str, spot: Spot | None) -> list[tuple[str, float]]:
        if spot is None or self._tree is None:
            return []
        reach_um = _reach_nm(spot) / 1e3
        found = self._tree.query_ball_point((spot.x_um, spot.y_um), reach_um)
        indices = sorted(index for index in found if self.nets[index] != net)
        intensities = _spot_weights(spot, self._places[indices]).tolist()
        weights = [(self.nets[index], weight) for index, weight in zip(indices, intensities, strict=True)]
        return [item for item in weights if item[1] >= LEAST_WEIGHT]


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
