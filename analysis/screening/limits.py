"""Part average testing: robust limits of one test from the parts themselves.

A part that passes its test's limits but lies far from its sisters is suspected of a latent defect. The limits are
``median +- k * sigma`` with the robust ``sigma = (Q3 - Q1) / 1.35`` (AEC-Q001). The standard names no rule for the
quartiles of a finite sample, and with few parts the rule decides who falls out; so it is part of every result. The
rules are those of R. J. Hyndman and Y. Fan, "Sample quantiles in statistical packages", Am. Stat. 50, 1996.

A skewed test gets a sigma for each side, ``2 (median - Q1) / 1.35`` and ``2 (Q3 - median) / 1.35``. Whether it is
skewed is told by Bowley's coefficient of the same quartiles against its standard error in normal samples,
1.356 / sqrt(n), which follows from the joint normal limit of sample quartiles.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.screening.errors import NoSpread, ScreeningError, TooFewParts

Floats = NDArray[np.float64]
QuartileRule = Literal["linear", "hazen", "weibull", "median_unbiased"]
Shape = Literal["symmetric", "asymmetric", "by-skewness"]
QUARTILE_RULES: tuple[QuartileRule, ...] = ("linear", "hazen", "weibull", "median_unbiased")
SHAPES: tuple[Shape, ...] = ("symmetric", "asymmetric", "by-skewness")

LEAST_PARTS = 30
"""Of a group; AEC-Q001 asks for as many of each lot (from memory of the standard: a default, no citation)."""
LEAST_LOTS = 6
"""Of static limits (as :data:`LEAST_PARTS`)."""
SKEWED_FROM = 3.0
"""Standard errors of Bowley's coefficient beyond which a test counts as skewed."""
_BOWLEY_ERROR = 1.356
_PLACES: dict[QuartileRule, tuple[float, float]] = {
    "linear": (1.0, 1.0), "hazen": (0.5, 0.5), "weibull": (0.0, 0.0), "median_unbiased": (1 / 3, 1 / 3),
}  # fmt: skip
"""Of each rule, alpha and beta in the place ``n p + alpha + p (1 - alpha - beta)`` of the part p (Hyndman and Fan)."""
_FEWEST = 4
_COARSE_BELOW = 8


@dataclass(frozen=True)
class LimitRule:
    """How limits are made.

    Attributes:
        sigmas: robust sigmas from the median to a limit.
        divisor: of the interquartile range, 1.35 in AEC-Q001 (1.349 in a normal distribution).
        quartiles: rule for quartiles of a finite sample, one of :data:`QUARTILE_RULES`; ``linear`` is numpy's.
        shape: ``symmetric``, ``asymmetric``, or ``by-skewness``: asymmetric where the test is skewed.
        least_parts: fewer parts are refused.
    """

    sigmas: float = 6.0
    divisor: float = 1.35
    quartiles: QuartileRule = "linear"
    shape: Shape = "symmetric"
    least_parts: int = LEAST_PARTS

    def __post_init__(self) -> None:
        for name, value in (("sigmas", self.sigmas), ("divisor", self.divisor)):
            if not (math.isfinite(value) and value > 0):
                raise ScreeningError(f"{name} must be a number above 0, not {value}")
        if self.quartiles not in QUARTILE_RULES or self.shape not in SHAPES:
            raise ScreeningError(f"there is no rule {self.quartiles!r} with shape {self.shape!r}")
        if self.least_parts < _FEWEST:
            raise ScreeningError(f"quartiles need {_FEWEST} parts, not {self.least_parts}")


@dataclass(frozen=True)
class PartLimits:
    """Limits of one test, and what they rest on; values in the test's unit.

    Attributes:
        centre: the robust mean: the median.
        sigma_low, sigma_high: robust sigma below and above the centre; equal when symmetric.
        low, high: a part outside falls out; one exactly on a limit stays.
        parts: readings used.
        unread: readings that were NaN or infinite and were left out.
        rule: how they were made, the rule for quartiles included.
        shape: ``symmetric`` or ``asymmetric``.
        skewness: Bowley's coefficient of the quartiles, -1 to 1.
        skewness_errors: the same in its standard errors in normal samples.
        distinct: different readings.
        other_rules: parts that would fall out under each other rule for quartiles, where it is another number.
    """

    centre: float
    sigma_low: float
    sigma_high: float
    low: float
    high: float
    parts: int
    unread: int
    rule: LimitRule
    shape: str
    skewness: float
    skewness_errors: float
    distinct: int
    other_rules: dict[str, int]

    def outside(self, values: ArrayLike) -> NDArray[np.bool_]:
        """Return which of ``values`` lie beyond a limit, bool of their shape; a NaN does not, infinity does."""
        given = np.asarray(values, np.float64)
        return np.asarray((given < self.low) | (given > self.high), np.bool_)

    def distance(self, values: ArrayLike) -> Floats:
        """Return robust sigmas of ``values`` from the centre, with their sign, float64 of their shape."""
        off = np.asarray(values, np.float64) - self.centre
        return np.asarray(off / np.where(off < 0, self.sigma_low, self.sigma_high), np.float64)

    @property
    def coarse(self) -> bool:
        """Whether so few different readings were seen that the quartiles lie on the steps of the instrument."""
        return self.distinct < _COARSE_BELOW


def robust_limits(values: ArrayLike, rule: LimitRule | None = None) -> PartLimits:
    """Return the limits of ``values``, float64 ``(parts,)`` in the test's unit, made by ``rule`` (default: AEC-Q001).

    Readings that are not finite are left out and counted.

    Raises:
        TooFewParts: fewer finite readings than the rule asks for.
        NoSpread: the quartiles are equal, or one of them is the median where limits are asymmetric.
        ScreeningError: readings so large that their differences overflow.
    """
    rule = rule or LimitRule()
    given = np.asarray(values, np.float64).ravel()
    used = given[np.isfinite(given)]
    if used.size < rule.least_parts:
        raise TooFewParts(used.size, rule.least_parts, "a robust limit")
    ordered = np.sort(used)
    first, centre, third = _quartiles(ordered, rule.quartiles)
    spread = third - first
    at_centre = _between(ordered, centre, centre)
    if not spread > 0:
        raise NoSpread(used.size, centre, at_centre)
    skewness = (third + first - 2 * centre) / spread
    errors = skewness * math.sqrt(used.size) / _BOWLEY_ERROR
    asymmetric = rule.shape == "asymmetric" or (rule.shape == "by-skewness" and abs(errors) > SKEWED_FROM)
    below, above = (2 * (centre - first), 2 * (third - centre)) if asymmetric else (spread, spread)
    if not (below > 0 and above > 0):
        raise NoSpread(used.size, centre, at_centre, "the median and a quartile")
    sigma_low, sigma_high = below / rule.divisor, above / rule.divisor
    low, high = _reach(centre, sigma_low, sigma_high, rule)
    if not (math.isfinite(low) and math.isfinite(high) and low < centre < high):
        raise ScreeningError(f"readings about {centre:.3g} leave limits no room in double precision")
    shape = "asymmetric" if asymmetric else "symmetric"
    other = _by_other_rules(ordered, rule, used.size - _between(ordered, low, high), asymmetric=asymmetric)
    distinct = int(np.count_nonzero(ordered[1:] > ordered[:-1])) + 1
    return PartLimits(
        centre, sigma_low, sigma_high, low, high, used.size, given.size - used.size, rule, shape,
        skewness, errors, distinct, other,
    )  # fmt: skip


def _quartiles(ordered: Floats, rule: QuartileRule) -> tuple[float, float, float]:
    """Return the quartiles of values in order as numpy does, bit for bit, without sorting them again."""
    alpha, beta = _PLACES[rule]
    size, found = ordered.size, []
    for part in (0.25, 0.5, 0.75):
        place = size * part + (alpha + part * (1.0 - alpha - beta)) - 1.0
        below = min(max(math.floor(place), 0), size - 1)
        low, high = float(ordered[below]), float(ordered[min(below + 1, size - 1)])
        share = min(max(place - below, 0.0), 1.0)
        found.append(low + (high - low) * share if share < 0.5 else high - (high - low) * (1.0 - share))
    return found[0], found[1], found[2]


def _reach(centre: float, sigma_low: float, sigma_high: float, rule: LimitRule) -> tuple[float, float]:
    return centre - rule.sigmas * sigma_low, centre + rule.sigmas * sigma_high


def _between(ordered: Floats, low: float, high: float) -> int:
    """Return how many values in order lie from ``low`` to ``high``, both included."""
    return int(np.searchsorted(ordered, high, "right") - np.searchsorted(ordered, low, "left"))


def _by_other_rules(ordered: Floats, rule: LimitRule, fallen: int, *, asymmetric: bool) -> dict[str, int]:
    """Return how many parts fall out under the other rules for quartiles, where that differs from ``fallen``.

    A rule that finds no spread has no limits, and so no number.
    """
    found: dict[str, int] = {}
    for name in QUARTILE_RULES:
        if name == rule.quartiles:
            continue
        first, centre, third = _quartiles(ordered, name)
        below, above = (2 * (centre - first), 2 * (third - centre)) if asymmetric else (third - first, third - first)
        if not (below > 0 and above > 0):
            continue
        low, high = _reach(centre, below / rule.divisor, above / rule.divisor, rule)
        count = ordered.size - _between(ordered, low, high)
        if count != fallen:
            found[name] = count
    return found


@dataclass(frozen=True)
class StaticLimits:
    """Limits of one test over several lots.

    Attributes:
        limits: of the pooled readings.
        lots: readings used of each lot, in the order given.
        centres_apart: largest distance of a lot's median from the pooled one, in robust sigmas.
    """

    limits: PartLimits
    lots: tuple[int, ...]
    centres_apart: float


def static_limits(
    lots: Sequence[ArrayLike], rule: LimitRule | None = None, least_lots: int = LEAST_LOTS
) -> StaticLimits:
    """Return static limits from ``lots``, float64 ``(parts,)`` each in the test's unit, made by ``rule``.

    Fewer than ``least_lots`` lots are refused, and a lot of fewer parts than the rule asks for.

    Raises:
        ScreeningError: too few lots; or as :func:`robust_limits`.
    """
    rule = rule or LimitRule()
    finite = [values[np.isfinite(values)] for values in (np.asarray(lot, np.float64).ravel() for lot in lots)]
    if len(finite) < least_lots:
        raise ScreeningError(f"{len(finite)} lots are too few: static limits need at least {least_lots}")
    for values in finite:
        if values.size < rule.least_parts:
            raise TooFewParts(values.size, rule.least_parts, "each lot of static limits")
    limits = robust_limits(np.concatenate([np.asarray(lot, np.float64).ravel() for lot in lots]), rule)
    apart = max(float(abs(limits.distance(np.median(values)))) for values in finite)
    return StaticLimits(limits, tuple(values.size for values in finite), apart)
