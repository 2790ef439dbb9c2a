"""Numbers that carry their first and second derivatives: exact gradients and Hessians of any likelihood.

A :class:`Jet` is a value, its slope and its curvature by ``k`` parameters, for ``n`` observations at once (second-order
forward differentiation; Griewank & Walther, "Evaluating Derivatives", 2nd ed. 2008, ch. 13). Every life model of this
package is written once, as a formula of jets, and gets its score and its observed information from it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr

Floats = NDArray[np.float64]
_LOG_ROOT_2PI = 0.5 * float(np.log(2 * np.pi))


@dataclass(frozen=True)
class Jet:
    """A function of ``k`` parameters for ``n`` observations.

    Attributes:
        value: float64 of shape ``(n,)``; ``n`` is 1 for what is the same for all observations.
        slope: float64 of shape ``(k, n)``, first derivatives.
        curvature: float64 of shape ``(k, k, n)``, second derivatives.
    """

    value: Floats
    slope: Floats
    curvature: Floats

    __array_ufunc__ = None
    """An array on the left leaves the operation to the jet."""

    def through(self, value: Floats, first: Floats, second: Floats) -> "Jet":
        """Return the jet of ``f`` of this one, given ``value``, ``first`` and ``second``: f, f' and f'' at it."""
        outer = self.slope[:, None] * self.slope[None]
        return Jet(value, first * self.slope, first * self.curvature + second * outer)

    def __add__(self, other: "Jet | Floats | float") -> "Jet":
        if isinstance(other, Jet):
            return Jet(self.value + other.value, self.slope + other.slope, self.curvature + other.curvature)
        return Jet(self.value + other, *_widened(self, other))

    def __radd__(self, other: "Floats | float") -> "Jet":
        return self + other

    def __neg__(self) -> "Jet":
        return Jet(-self.value, -self.slope, -self.curvature)

    def __sub__(self, other: "Jet | Floats | float") -> "Jet":
        return self + (-other)

    def __rsub__(self, other: "Floats | float") -> "Jet":
        return (-self) + other

    def __mul__(self, other: "Jet | Floats | float") -> "Jet":
        if not isinstance(other, Jet):
            return Jet(self.value * other, self.slope * other, self.curvature * other)
        cross = self.slope[:, None] * other.slope[None]
        curvature = self.value * other.curvature + other.value * self.curvature + cross + cross.swapaxes(0, 1)
        slope = self.value * other.slope + other.value * self.slope
        return Jet(self.value * other.value, slope, curvature)

    def __rmul__(self, other: "Floats | float") -> "Jet":
        return self * other

    def __truediv__(self, other: "Jet | Floats | float") -> "Jet":
        return self * reciprocal(other) if isinstance(other, Jet) else self * (1.0 / other)

    def __rtruediv__(self, other: "Floats | float") -> "Jet":
        return reciprocal(self) * other

    def sum(self, weights: Floats) -> "Jet":
        """Return the jet of shape ``n = 1`` of the sum over observations with ``weights``, ``(n,)``."""
        shape = (weights.size,)
        total = Jet(
            np.broadcast_to(self.value, shape),
            np.broadcast_to(self.slope, (*self.slope.shape[:-1], *shape)),
            np.broadcast_to(self.curvature, (*self.curvature.shape[:-1], *shape)),
        )
        with np.errstate(invalid="ignore"):
            return Jet(
                np.asarray([total.value @ weights]),
                (total.slope @ weights)[..., None],
                (total.curvature @ weights)[..., None],
            )

    def where(self, chosen: NDArray[np.bool_], otherwise: float) -> "Jet":
        """Return this jet where ``chosen``, ``(n,)``, and the constant ``otherwise`` elsewhere."""
        return Jet(
            np.where(chosen, self.value, otherwise),
            np.where(chosen, self.slope, 0.0),
            np.where(chosen, self.curvature, 0.0),
        )


def _widened(jet: Jet, other: "Floats | float") -> tuple[Floats, Floats]:
    """Slope and curvature of ``jet`` for as many observations as ``other`` has."""
    size = np.broadcast_shapes(jet.value.shape, np.shape(other))
    if size == jet.value.shape:
        return jet.slope, jet.curvature
    slope = np.broadcast_to(jet.slope, (*jet.slope.shape[:-1], *size))
    return slope, np.broadcast_to(jet.curvature, (*jet.curvature.shape[:-1], *size))


def variables(values: Sequence[float] | Floats) -> list[Jet]:
    """Return one jet for each of ``values``, the parameters that the derivatives are by."""
    count = len(values)
    unit = np.eye(count)
    zero = np.zeros((count, count, 1))
    return [Jet(np.asarray([float(value)]), unit[i][:, None], zero) for i, value in enumerate(values)]


def reciprocal(jet: Jet) -> Jet:
    """Return 1 over ``jet``."""
    inverse = 1.0 / jet.value
    return jet.through(inverse, -(inverse**2), 2 * inverse**3)


def exp(jet: Jet) -> Jet:
    """Return e to the power ``jet``."""
    value = np.exp(jet.value)
    return jet.through(value, value, value)


def log(jet: Jet) -> Jet:
    """Return the natural logarithm of ``jet``."""
    inverse = 1.0 / jet.value
    return jet.through(np.log(jet.value), inverse, -(inverse**2))


def log1p(jet: Jet) -> Jet:
    """Return the logarithm of 1 plus ``jet``."""
    inverse = 1.0 / (1.0 + jet.value)
    return jet.through(np.log1p(jet.value), inverse, -(inverse**2))


def expm1(jet: Jet) -> Jet:
    """Return e to the power ``jet``, less 1."""
    value = np.exp(jet.value)
    return jet.through(np.expm1(jet.value), value, value)


def softplus(jet: Jet) -> Jet:
    """Return ``log(1 + exp(jet))``."""
    part = 1.0 / (1.0 + np.exp(-jet.value))
    return jet.through(np.logaddexp(0.0, jet.value), part, part * (1 - part))


def log_one_minus_exp_of_minus(jet: Jet) -> Jet:
    """Return ``log(1 - exp(-jet))`` for ``jet`` above 0."""
    inverse = 1.0 / np.expm1(jet.value)
    return jet.through(np.log(-np.expm1(-jet.value)), inverse, -inverse * (1 + inverse))


def log_add_exp(first: Jet, second: Jet) -> Jet:
    """Return ``log(exp(first) + exp(second))``."""
    return second + softplus(first - second)


def normal_cumulative_hazard(z: Jet) -> Jet:
    """Return minus the logarithm of the standard normal survival of ``z``."""
    value = -np.asarray(log_ndtr(-z.value))
    hazard = np.exp(-0.5 * z.value**2 - _LOG_ROOT_2PI + value)
    return z.through(value, hazard, hazard * (hazard - z.value))


def log_normal_density(z: Jet) -> Jet:
    """Return the logarithm of the standard normal density of ``z``."""
    return z.through(-0.5 * z.value**2 - _LOG_ROOT_2PI, -z.value, np.full_like(z.value, -1.0))
