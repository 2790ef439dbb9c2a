"""Laws of how a parameter drifts: a shape over time, its derivatives, and how temperature speeds it up.

A path is ``y0 + A g(s)``. ``s`` is time, in units of the longest that was seen; with several temperatures it is the
time at the reference temperature that ages as much, ``s = t exp(-Ea (1/T - 1/T0)/k)`` (Meeker, Escobar & Pascual
2022, ch. 21).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from analysis.degradation.readout_paths import Floats

Shaped = tuple[Floats, tuple[Floats, ...], Floats]
"""A shape's value, its derivatives by each shape parameter, and by the logarithm of ``s``."""


@dataclass(frozen=True)
class ShapeParameter:
    """A parameter of a shape, estimated as its logarithm.

    Attributes:
        name: what it is called, with its unit.
        start: logarithms from which the search starts.
        lowest, highest: logarithms beyond which the law is another one.
        hours: whether it is a time, to be given in hours.
    """

    name: str
    start: tuple[float, ...]
    lowest: float
    highest: float
    hours: bool = False


@dataclass(frozen=True)
class Law:
    """A law of drift.

    Attributes:
        name: as it is asked for.
        formula: in words.
        shape: its parameters besides level, amplitude and activation energy.
        evaluate: the shape: of ``s``, any shape, and the logarithms of the parameters, arrays that broadcast with it.
        bound: whether drift comes to an end.
    """

    name: str
    formula: str
    shape: tuple[ShapeParameter, ...]
    evaluate: Callable[[Floats, tuple[Floats, ...]], Shaped]
    bound: bool = False


def _linear(s: Floats, _shape: tuple[Floats, ...]) -> Shaped:
    return s, (), s


def _power(s: Floats, shape: tuple[Floats, ...]) -> Shaped:
    exponent = np.exp(shape[0])
    with np.errstate(divide="ignore"):
        logarithm = np.where(s > 0, np.log(np.maximum(s, 1e-300)), 0.0)
    value = np.where(s > 0, np.exp(np.minimum(exponent * logarithm, 300.0)), 0.0)
    return value, (exponent * value * logarithm,), exponent * value


def _logarithmic(s: Floats, shape: tuple[Floats, ...]) -> Shaped:
    part = s * np.exp(-shape[0])
    slope = part / (1.0 + part)
    return np.log1p(part), (-slope,), slope


def _saturation(s: Floats, shape: tuple[Floats, ...]) -> Shaped:
    part = s * np.exp(-shape[0])
    slope = part * np.exp(-part)
    return -np.expm1(-part), (-slope,), slope


def _stretched(s: Floats, shape: tuple[Floats, ...]) -> Shaped:
    power, (by_exponent,), by_time = _power(s * np.exp(-shape[0]), (shape[1],))
    left = np.exp(-np.minimum(power, 700.0))
    return 1.0 - left, (-by_time * left, by_exponent * left), by_time * left


_EXPONENT = ShapeParameter("exponent", (-0.7, 0.0), np.log(0.02), np.log(8.0))
_SCALE = ShapeParameter("tau_h", (-1.2, 0.5), np.log(1e-5), np.log(50.0), hours=True)

LAWS = {
    law.name: law
    for law in (
        Law("linear", "y0 + A s", (), _linear),
        Law("power", "y0 + A s^n", (_EXPONENT,), _power),
        Law("logarithmic", "y0 + A log(1 + s/tau)", (_SCALE,), _logarithmic),
        Law("saturation", "y0 + A (1 - exp(-s/tau))", (_SCALE,), _saturation, bound=True),
        Law("stretched", "y0 + A (1 - exp(-(s/tau)^b))", (_SCALE, _EXPONENT), _stretched, bound=True),
    )
}
"""The laws by name."""
