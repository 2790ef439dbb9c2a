"""Beams on the layout: from the stage through an alignment, each with the ellipse of its place.

The alignment's error is common to all probes of a session; each ellipse has it whole (first order, JCGM 102:2011).
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.coordinates.affine import Affine, Points

_NM = 1e3
_ROUND = 1e-6


@dataclass(frozen=True)
class Ellipse:
    """One standard deviation of a place: half axes in nanometres, and the turn of the longer one, -90 to 90 degrees."""

    major_nm: float
    minor_nm: float
    angle_deg: float


@dataclass(frozen=True)
class BeamPlace:
    """Where a beam was on the layout.

    Attributes:
        x_um, y_um: micrometres.
        covariance_nm2: ``((xx, xy), (xy, yy))`` in square nanometres.
    """

    x_um: float
    y_um: float
    covariance_nm2: tuple[tuple[float, float], tuple[float, float]]

    @property
    def ellipse(self) -> Ellipse:
        """Its standard ellipse."""
        return ellipse_of(np.asarray(self.covariance_nm2))


def ellipse_of(covariance_nm2: NDArray[np.float64]) -> Ellipse:
    """Return the standard ellipse of ``covariance_nm2``, ``(2, 2)``, in square nanometres."""
    variances, axes = np.linalg.eigh(covariance_nm2)
    minor, major = np.sqrt(np.clip(variances, 0.0, None))
    circle = major - minor <= _ROUND * major
    angle = 0.0 if circle else math.degrees(math.atan2(axes[1, 1], axes[0, 1]))
    return Ellipse(float(major), float(minor), (angle + 90.0) % 180.0 - 90.0)


def place_on_layout(x_um: float, y_um: float, sigma_nm: float, to_layout: Affine | None = None) -> BeamPlace:
    """Return the place of a beam whose own error is ``sigma_nm`` in each axis.

    ``x_um`` and ``y_um`` are micrometres on the layout; on the stage where ``to_layout`` leads from there.
    """
    points = Points.isotropic(np.array([[x_um, y_um]]), sigma_nm / _NM)
    mapped = points if to_layout is None else to_layout.apply(points)
    (xx, xy), (_, yy) = (mapped.covariance[0] * _NM**2).tolist()
    return BeamPlace(float(mapped.xy[0, 0]), float(mapped.xy[0, 1]), ((xx, xy), (xy, yy)))
