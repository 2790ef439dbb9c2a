"""Failure rates and early-life fractions with honest bounds; every result says which convention made it.

One FIT is one failure in 1e9 device hours. Sources: JESD85 (rate from a chi-squared bound), JESD74A (early life), both
[recalled] in their wording; the bounds themselves are those of the Poisson and binomial distributions (Meeker, Hahn &
Escobar, "Statistical Intervals", 2nd ed. 2017, ch. 6-7).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import betaincinv, gammaincinv

from analysis.reliability.errors import LifeDataError

HOURS_PER_BILLION = 1e9
SIDES = ("one", "two")
MISSION_H = 10 * 8760.0


@dataclass(frozen=True)
class Bounds:
    """An estimate with its bounds.

    Attributes:
        point: failures over exposure; 0 without failures, which is no statement about the rate.
        low, high: bounds; ``low`` is 0 for a one-sided statement.
        confidence: of the statement.
        sides: ``one`` (the upper bound alone holds with the confidence) or ``two`` (both together).
        method: how the bounds were made.
    """

    point: float
    low: float
    high: float
    confidence: float
    sides: str
    method: str


def poisson_bounds(failures: int, confidence: float, sides: str = "one", *, ended_by_failure: bool = False) -> Bounds:
    """Return the expected number of failures given ``failures`` seen: chi-squared quantiles over 2.

    ``confidence`` between 0 and 1; ``sides`` of :data:`SIDES`. With ``ended_by_failure`` the test ended at the last
    failure and the upper bound has 2r degrees of freedom, not 2r + 2.

    Raises:
        LifeDataError: an argument is impossible.
    """
    check_confidence(confidence, sides)
    if failures < 0 or int(failures) != failures or (ended_by_failure and not failures):
        raise LifeDataError(f"{failures} failures are impossible here")
    above = confidence if sides == "one" else 0.5 + confidence / 2
    more = 0 if ended_by_failure else 1
    high = float(gammaincinv(failures + more, above))
    low = float(gammaincinv(failures, 1 - above)) if sides == "two" and failures else 0.0
    degrees = "2r" if ended_by_failure else "2r+2"
    method = f"chi-squared, {degrees} degrees of freedom above" + (", 2r below" if sides == "two" else "")
    return Bounds(float(failures), low, high, confidence, sides, method)


def fraction_bounds(failures: int, devices: int, confidence: float, sides: str = "one") -> Bounds:
    """Return the fraction defective of a population of which ``failures`` of ``devices`` failed (Clopper-Pearson).

    ``confidence`` between 0 and 1; ``sides`` of :data:`SIDES`. With no failure the one-sided upper bound is the LTPD of
    the plan at that confidence.

    Raises:
        LifeDataError: an argument is impossible.
    """
    check_confidence(confidence, sides)
    if devices < 1 or not 0 <= failures <= devices:
        raise LifeDataError(f"{failures} failures of {devices} devices are impossible")
    above = confidence if sides == "one" else 0.5 + confidence / 2
    high = float(betaincinv(failures + 1, devices - failures, above)) if failures < devices else 1.0
    low = float(betaincinv(failures, devices - failures + 1, 1 - above)) if sides == "two" and failures else 0.0
    return Bounds(failures / devices, low, high, confidence, sides, "Clopper-Pearson")


def check_confidence(confidence: float, sides: str) -> None:
    """Refuse a ``confidence`` that is not between 0 and 1, and ``sides`` other than those of :data:`SIDES`.

    Raises:
        LifeDataError: one is.
    """
    if not 0 < confidence < 1:
        raise LifeDataError(f"a confidence lies between 0 and 1, not {confidence:g}")
    if sides not in SIDES:
        raise LifeDataError(f"a bound has {' or '.join(SIDES)} sides, not {sides!r}")


@dataclass(frozen=True)
class Exposure:
    """What a test, or all tests, of one mechanism amount to.

    Attributes:
        mechanism: its name.
        failures: seen of it.
        device_hours: under stress, devices times hours.
        acceleration: factor to use conditions; over all tests of a mechanism, the mean by device hours.
    """

    mechanism: str
    failures: int
    device_hours: float
    acceleration: float = 1.0

    @property
    def equivalent_hours(self) -> float:
        """Device hours under use conditions."""
        return self.device_hours * self.acceleration


@dataclass(frozen=True)
class MechanismRate:
    """The rate of one mechanism, or of all, in FIT.

    Attributes:
        exposure: what was tested; ``None`` for the sum.
        fit: rate with bounds.
        mean_life_h: 1e9 over the upper bound: the mean life that is demonstrated.
    """

    exposure: Exposure | None
    fit: Bounds
    mean_life_h: float


@dataclass(frozen=True)
class FailureRate:
    """Rates of every mechanism and their sum.

    Attributes:
        mechanisms: one each.
        total: point and bounds are sums over the mechanisms; the sum of upper bounds covers the sum of the rates with
            at least the stated confidence where that is 50 % or more, as simulation shows; below, it may not.
        mission_h: hours of the mission for ``mission_ppm``.
        mission_ppm: parts per million that fail in the mission at the total rate, with its bounds.
    """

    mechanisms: tuple[MechanismRate, ...]
    total: MechanismRate
    mission_h: float
    mission_ppm: Bounds


def failure_rate(
    exposures: Sequence[Exposure],
    confidence: float = 0.6,
    sides: str = "one",
    mission_h: float = MISSION_H,
    *,
    ended_by_failure: bool = False,
) -> FailureRate:
    """Return the failure rate from ``exposures``, each a test of one mechanism with its own acceleration factor.

    Tests of the same mechanism, by name, have one rate: failures and equivalent hours are added before the bound is
    taken. Pooling mechanisms under one activation energy is not done (JESD85 [recalled]). ``confidence``, ``sides`` and
    ``ended_by_failure`` as in :func:`poisson_bounds`; ``mission_h`` hours of use.

    Raises:
        LifeDataError: there is no exposure, or an argument is impossible.
    """
    if not exposures:
        raise LifeDataError("a failure rate needs device hours")
    for exposure in exposures:
        hours = exposure.equivalent_hours
        if not (np.isfinite(hours) and exposure.device_hours > 0 and exposure.acceleration > 0):
            raise LifeDataError(f"{exposure.mechanism}: device hours and acceleration must be above 0")
        if exposure.failures < 0:
            raise LifeDataError(f"{exposure.mechanism}: {exposure.failures} failures are impossible")
    rates = []
    for exposure in _by_mechanism(exposures):
        hours = exposure.equivalent_hours
        bounds = poisson_bounds(exposure.failures, confidence, sides, ended_by_failure=ended_by_failure)
        rates.append(_rate(exposure, _scaled(bounds, HOURS_PER_BILLION / hours)))
    method = rates[0].fit.method + ("; bounds of the mechanisms added" if len(rates) > 1 else "")
    sums = [sum(getattr(rate.fit, name) for rate in rates) for name in ("point", "low", "high")]
    total = _rate(None, Bounds(sums[0], sums[1], sums[2], confidence, sides, method))
    ppm = [float(-np.expm1(-rate * mission_h / HOURS_PER_BILLION) * 1e6) for rate in sums]
    mission = Bounds(ppm[0], ppm[1], ppm[2], confidence, sides, "constant rate over the mission")
    return FailureRate(tuple(rates), total, mission_h, mission)


def _by_mechanism(exposures: Sequence[Exposure]) -> list[Exposure]:
    """Return one exposure for each mechanism, in the order of their first tests."""
    joined = []
    for name in dict.fromkeys(each.mechanism for each in exposures):
        own = [each for each in exposures if each.mechanism == name]
        hours = sum(each.device_hours for each in own)
        factor = own[0].acceleration if len(own) == 1 else sum(each.equivalent_hours for each in own) / hours
        joined.append(Exposure(name, sum(each.failures for each in own), hours, factor))
    return joined


def _rate(exposure: Exposure | None, fit: Bounds) -> MechanismRate:
    return MechanismRate(exposure, fit, HOURS_PER_BILLION / fit.high)


def _scaled(bounds: Bounds, factor: float) -> Bounds:
    return replace(bounds, point=bounds.point * factor, low=bounds.low * factor, high=bounds.high * factor)


def _most(bounds: Bounds, most: float) -> Bounds:
    """Return ``bounds`` with nothing above ``most``."""
    return replace(bounds, point=min(bounds.point, most), low=min(bounds.low, most), high=min(bounds.high, most))


@dataclass(frozen=True)
class EarlyLifeTest:
    """An early-life test of one mechanism.

    Attributes:
        failures, devices: seen, and tested.
        test_h: hours under stress.
        acceleration: factor to use conditions.
        mechanism: its name.
    """

    failures: int
    devices: int
    test_h: float
    acceleration: float
    mechanism: str = "all"


@dataclass(frozen=True)
class EarlyLifeRate:
    """The part that fails in early life, in parts per million.

    Attributes:
        ppm: point and bounds, summed over mechanisms, at most 1e6.
        early_h: hours of use that count as early life.
        beta: Weibull shape used: 1 is the constant rate, below 1 a decreasing one.
        parts: of each mechanism, all its tests together.
    """

    ppm: Bounds
    early_h: float
    beta: float
    parts: tuple[tuple[str, Bounds], ...]


def early_life_rate(
    tests: Sequence[EarlyLifeTest], early_h: float = 4380.0, confidence: float = 0.6, beta: float = 1.0
) -> EarlyLifeRate:
    """Return the early-life failure rate of ``tests`` over ``early_h`` hours of use.

    With the expected number of failures of the test bounded by chi-squared at ``confidence``, the part failing by the
    equivalent time ``A t`` is scaled by ``(t_ELF/(A t))^beta``: ``beta`` 1 is JESD74A's constant rate, below 1 its
    decreasing one [recalled]. Tests of the same mechanism, by name, have one part: ``n`` devices expect ``n (A t/
    t_ELF)^beta`` times it, and these are added before the bound is taken. Use of a shape that was not measured is the
    caller's statement.

    Raises:
        LifeDataError: there is no test, the rate would increase (``beta`` above 1), or an argument is impossible.
    """
    if not tests:
        raise LifeDataError("an early-life rate needs a test")
    if not 0 < beta <= 1:
        raise LifeDataError(f"early life has a constant or decreasing rate: beta in (0, 1], not {beta:g}")
    if not early_h > 0:
        raise LifeDataError("early life lasts more than 0 hours")
    for test in tests:
        if test.devices < 1 or not 0 <= test.failures <= test.devices:
            raise LifeDataError(f"{test.failures} failures of {test.devices} devices are impossible")
        if not (test.test_h > 0 and test.acceleration > 0 and np.isfinite(test.test_h * test.acceleration)):
            raise LifeDataError("hours of a test and its acceleration must be above 0")
    parts = []
    for name in dict.fromkeys(test.mechanism for test in tests):
        own = [test for test in tests if test.mechanism == name]
        bounds = poisson_bounds(sum(test.failures for test in own), confidence, "one")
        wholes = sum(test.devices * (test.acceleration * test.test_h / early_h) ** beta for test in own)
        parts.append((name, _most(_scaled(bounds, 1e6 / wholes), 1e6)))
    sums = [min(sum(getattr(bounds, name) for _, bounds in parts), 1e6) for name in ("point", "low", "high")]
    method = f"chi-squared, 2f+2 degrees of freedom, scaled in time with beta {beta:g}"
    return EarlyLifeRate(Bounds(sums[0], sums[1], sums[2], confidence, "one", method), early_h, beta, tuple(parts))
