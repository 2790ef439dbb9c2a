"""Affine maps of the plane between two coordinate frames, and how well they are known.

A map takes ``x`` to ``A x + b``. Its six parameters ``(A11, A12, b1, A21, A22, b2)`` carry a covariance, and every
point that goes through it comes out with the map's uncertainty added to its own (first order, JCGM 102:2011).
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class NotInvertible(ValueError):  # noqa: N818
    """The map squeezes the plane to a line or a point."""


@dataclass(frozen=True)
class Points:
    """Positions in one frame with their uncertainty.

    Attributes:
        xy: float64 ``(n, 2)``, in the frame's unit.
        covariance: float64 ``(n, 2, 2)``, in its square.
    """

    xy: Array
    covariance: Array

    def __post_init__(self) -> None:
        count = len(self.xy)
        if self.xy.shape != (count, 2) or self.covariance.shape != (count, 2, 2):
            raise ValueError(
                f"positions are (n, 2) and covariances (n, 2, 2), not {self.xy.shape}, {self.covariance.shape}"
            )
        if not (np.isfinite(self.xy).all() and np.isfinite(self.covariance).all()):
            raise ValueError("a position or its covariance is not finite")
        if np.linalg.eigvalsh(self.covariance).min(initial=0.0) < -1e-9 * np.abs(self.covariance).max(initial=0.0):
            raise ValueError("a covariance has a negative eigenvalue")

    @staticmethod
    def isotropic(xy: Array, sigma: float | Array = 0.0) -> "Points":
        """Return points at ``xy``, ``(n, 2)``, of standard deviation ``sigma`` (one, or ``(n,)``) in each axis."""
        positions = np.asarray(xy, dtype=np.float64).reshape(-1, 2)
        variance = np.broadcast_to(np.asarray(sigma, dtype=np.float64) ** 2, (len(positions),))
        return Points(positions, variance[:, None, None] * np.eye(2))

    @property
    def sigma_along_axes(self) -> Array:
        """Standard deviations of x and y, ``(n, 2)``."""
        deviations: Array = np.sqrt(np.clip(np.diagonal(self.covariance, axis1=1, axis2=2), 0.0, None))
        return deviations


@dataclass(frozen=True)
class Decomposition:
    """What an affine map does: first scale and shear, then mirror, then rotate.

    Attributes:
        rotation_rad: turn of the x axis, counter-clockwise, -pi … pi.
        scale_x, scale_y: target units per source unit along the source's axes; both positive.
        shear_rad: deviation of the mapped axes from a right angle.
        mirrored: whether the map turns the plane over.
    """

    rotation_rad: float
    scale_x: float
    scale_y: float
    shear_rad: float
    mirrored: bool


@dataclass(frozen=True)
class Affine:
    """A map from a source frame to a target frame.

    Attributes:
        matrix: float64 ``(2, 2)``, target units per source unit.
        shift: float64 ``(2,)``, target units.
        covariance: float64 ``(6, 6)`` of ``(A11, A12, b1, A21, A22, b2)``; zeros for a map that is exact by definition.
    """

    matrix: Array
    shift: Array
    covariance: Array

    @staticmethod
    def exact(matrix: Array, shift: Array | tuple[float, float] = (0.0, 0.0)) -> "Affine":
        """Return the map of ``matrix``, ``(2, 2)``, and ``shift``, ``(2,)``, that holds by definition."""
        return Affine(np.asarray(matrix, np.float64), np.asarray(shift, np.float64), np.zeros((6, 6)))

    @staticmethod
    def identity() -> "Affine":
        """Return the map of a frame to itself."""
        return Affine.exact(np.eye(2))

    def apply(self, points: Points) -> Points:
        """Return ``points`` of the source frame in the target frame, with covariance ``A S A' + J C J'``."""
        jacobian = parameter_jacobian(points.xy)
        own = self.matrix @ points.covariance @ self.matrix.T
        return Points(points.xy @ self.matrix.T + self.shift, own + jacobian @ self.covariance @ jacobian.mT)

    def inverse(self) -> "Affine":
        """Return the map back; raises :class:`NotInvertible`."""
        determinant = float(np.linalg.det(self.matrix))
        if abs(determinant) <= 1e-12 * float(np.abs(self.matrix).max()) ** 2:
            raise NotInvertible(f"the matrix {self.matrix.tolist()} has no inverse")
        matrix = np.asarray(np.linalg.inv(self.matrix), dtype=np.float64)
        shift = np.asarray(-matrix @ self.shift, dtype=np.float64)
        # d(A^-1) = -A^-1 dA A^-1 and d(-A^-1 b) = -A^-1 (db + dA shift_of_the_inverse).
        jacobian = np.zeros((6, 6))
        for row in range(2):
            for column in range(2):
                change = -np.outer(matrix[:, row], matrix[column])
                jacobian[:, 3 * row + column] = _parameters(change, -matrix[:, row] * shift[column])
            jacobian[:, 3 * row + 2] = _parameters(np.zeros((2, 2)), -matrix[:, row])
        return Affine(matrix, shift, jacobian @ self.covariance @ jacobian.T)

    def then(self, following: "Affine") -> "Affine":
        """Return this map and then ``following``, whose errors are independent of ours."""
        outer, inner = np.zeros((6, 6)), np.zeros((6, 6))
        for row in range(2):
            for column in range(2):
                unit = np.zeros((2, 2))
                unit[row, column] = 1.0
                inner[:, 3 * row + column] = _parameters(following.matrix @ unit, np.zeros(2))
                outer[:, 3 * row + column] = _parameters(unit @ self.matrix, unit @ self.shift)
            basis: Array = np.eye(2)[row]
            inner[:, 3 * row + 2] = _parameters(np.zeros((2, 2)), following.matrix @ basis)
            outer[:, 3 * row + 2] = _parameters(np.zeros((2, 2)), basis)
        covariance = inner @ self.covariance @ inner.T + outer @ following.covariance @ outer.T
        return Affine(following.matrix @ self.matrix, following.matrix @ self.shift + following.shift, covariance)

    def decompose(self) -> Decomposition:
        """Return rotation, scales, shear and whether the map mirrors; raises :class:`NotInvertible`."""
        mirrored = float(np.linalg.det(self.matrix)) < 0.0
        upright = self.matrix @ np.diag([1.0, -1.0]) if mirrored else self.matrix
        scale_x, scale_y = (float(length) for length in np.linalg.norm(upright, axis=0))
        if scale_x == 0.0 or scale_y == 0.0:
            raise NotInvertible("an axis is mapped to a point")
        rotation = math.atan2(upright[1, 0], upright[0, 0])
        between = math.acos(max(-1.0, min(1.0, float(upright[:, 0] @ upright[:, 1]) / (scale_x * scale_y))))
        return Decomposition(rotation, scale_x, scale_y, math.pi / 2 - between, mirrored)


def parameter_jacobian(xy: Array) -> Array:
    """Return the derivatives of the mapped positions by the six parameters, ``(n, 2, 6)``, at ``xy``, ``(n, 2)``."""
    jacobian = np.zeros((len(xy), 2, 6))
    jacobian[:, 0, 0:2] = jacobian[:, 1, 3:5] = xy
    jacobian[:, 0, 2] = jacobian[:, 1, 5] = 1.0
    return jacobian


def _parameters(matrix: Array, shift: Array) -> Array:
    """Return the six parameters in the order of the covariance."""
    return np.array([matrix[0, 0], matrix[0, 1], shift[0], matrix[1, 0], matrix[1, 1], shift[1]])
