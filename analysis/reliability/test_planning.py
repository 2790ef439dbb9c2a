"""How many devices, for how long, show what: sample sizes, test times, and what cannot be demonstrated.

Sources: NIST/SEMATECH e-Handbook 8.3.1 (test lengths, gamma priors); Meeker, Escobar & Pascual 2022, ch. 10 (zero-
failure plans). Plans assume the model they name; a Weibull shape that was not measured is the planner's statement.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.special import betainc, gammainc, gammaincinv

from analysis.reliability.errors import LifeDataError
from analysis.reliability.failure_rate import check_confidence, poisson_bounds

_MOST_DEVICES = 10**12


def length_factor(failures: int, confidence: float) -> float:
    """Return test time over the mean life to be shown, with ``failures`` allowed, at ``confidence`` (one-sided)."""
    return poisson_bounds(failures, confidence).high


def device_hours_for_rate(rate_fit: float, failures: int, confidence: float, acceleration: float = 1.0) -> float:
    """Return device hours under stress that show at most ``rate_fit`` FIT.

    ``failures`` are allowed; ``confidence`` is one-sided; ``acceleration`` to use conditions.

    Raises:
        LifeDataError: an argument is impossible.
    """
    if not (rate_fit > 0 and acceleration > 0):
        raise LifeDataError("a rate and an acceleration must be above 0")
    return length_factor(failures, confidence) * 1e9 / (rate_fit * acceleration)


def sample_size(fraction: float, confidence: float, failures: int = 0) -> int:
    """Return the fewest devices that, with ``failures`` or fewer failing, show at most ``fraction`` defective.

    Exact binomial at ``confidence`` (LTPD plans).

    Raises:
        LifeDataError: an argument is impossible, or more than 1e12 devices are needed.
    """
    check_confidence(confidence, "one")
    if not 0 < fraction < 1 or failures < 0:
        raise LifeDataError("a fraction lies between 0 and 1, failures are not below 0")
    few, many = failures, failures + 1
    while betainc(many - failures, failures + 1, 1 - fraction) > 1 - confidence:
        few, many = many, many * 2
        if many > _MOST_DEVICES:
            raise LifeDataError(f"more than {_MOST_DEVICES:g} devices would be needed")
    while many - few > 1:
        middle = (few + many) // 2
        enough = middle > failures and betainc(middle - failures, failures + 1, 1 - fraction) <= 1 - confidence
        few, many = (few, middle) if enough else (middle, many)
    return many


@dataclass(frozen=True)
class ZeroFailurePlan:
    """A test that shows a reliability if nothing fails.

    Attributes:
        devices: to be tested.
        test_h: hours of each under stress.
        equivalent_missions: test hours times acceleration over the mission.
        shown_ppm: upper bound of the part failing in the mission that passing shows.
        confidence: one-sided.
        beta: Weibull shape assumed.
        statement: what it takes to show less than 1 ppm, in words.
    """

    devices: int
    test_h: float
    equivalent_missions: float
    shown_ppm: float
    confidence: float
    beta: float
    statement: str


def zero_failure_devices(
    ppm: float, confidence: float, test_h: float, mission_h: float, acceleration: float = 1.0, beta: float = 1.0
) -> ZeroFailurePlan:
    """Return how many devices must survive ``test_h`` hours to show at most ``ppm`` failing within ``mission_h``.

    ``confidence`` one-sided; ``acceleration`` of the test to use; Weibull shape ``beta``, which is assumed, not shown.

    Raises:
        LifeDataError: an argument is impossible.
    """
    check_confidence(confidence, "one")
    if not 0 < ppm < 1e6 or not min(test_h, mission_h, acceleration, beta) > 0:
        raise LifeDataError("ppm lies between 0 and 1e6; hours, acceleration and shape are above 0")
    missions = acceleration * test_h / mission_h
    needed = np.log1p(-confidence) / (np.log1p(-ppm / 1e6) * missions**beta)
    if not needed < _MOST_DEVICES:
        raise LifeDataError(f"more than {_MOST_DEVICES:g} devices would be needed")
    devices = max(1, int(np.ceil(needed - 1e-9)))
    shown = -np.expm1(np.log1p(-confidence) / (devices * missions**beta)) * 1e6
    return ZeroFailurePlan(devices, test_h, missions, float(shown), confidence, beta, below_one_ppm(confidence))


def zero_failure_hours(
    ppm: float, confidence: float, devices: int, mission_h: float, acceleration: float = 1.0, beta: float = 1.0
) -> ZeroFailurePlan:
    """Return how long ``devices`` must survive to show at most ``ppm`` failing within ``mission_h`` hours.

    ``confidence``, ``acceleration`` and ``beta`` as in :func:`zero_failure_devices`.

    Raises:
        LifeDataError: an argument is impossible.
    """
    check_confidence(confidence, "one")
    if not 0 < ppm < 1e6 or devices < 1 or not min(mission_h, acceleration, beta) > 0:
        raise LifeDataError("ppm lies between 0 and 1e6; devices, hours, acceleration and shape are above 0")
    missions = float((np.log1p(-confidence) / (np.log1p(-ppm / 1e6) * devices)) ** (1 / beta))
    hours = missions * mission_h / acceleration
    return ZeroFailurePlan(devices, hours, missions, ppm, confidence, beta, below_one_ppm(confidence))


def below_one_ppm(confidence: float) -> str:
    """Return in words how many devices, each watched for a whole mission, show less than 1 ppm at ``confidence``."""
    devices = int(np.ceil(np.log1p(-confidence) / np.log1p(-1e-6)))
    return (
        f"Less than 1 ppm failing in the mission, at {100 * confidence:g} % confidence and without any failure, takes "
        f"{devices:,} devices that each live through the equivalent of the whole mission. No qualification tests so "
        "many: such a level is reached by screening and defect models, not demonstrated by a life test."
    )


@dataclass(frozen=True)
class GammaPrior:
    """A gamma prior of a constant failure rate: shape ``a``, and ``b`` in hours: ``a`` failures in ``b`` hours."""

    a: float
    b: float


def gamma_prior(mean_life_50_h: float, mean_life_05_h: float, low_probability: float = 0.05) -> GammaPrior:
    """Return the prior with median mean life ``mean_life_50_h`` hours (the 50/95 method of NIST 8.2.5).

    The mean life is below ``mean_life_05_h`` hours with ``low_probability``.

    Raises:
        LifeDataError: the two lives are not in order, or no prior has them.
    """
    if not 0 < mean_life_05_h < mean_life_50_h or not 0 < low_probability < 0.5:
        raise LifeDataError("the low mean life must lie below the median one, with a probability below 0.5")
    ratio = mean_life_50_h / mean_life_05_h

    def gap(log_a: float) -> float:
        a = float(np.exp(log_a))
        return float(np.log(gammaincinv(a, 1 - low_probability) / gammaincinv(a, 0.5)) - np.log(ratio))

    low, high = -2.5, 12.0
    if gap(low) * gap(high) > 0:
        raise LifeDataError(f"no gamma prior has lives a factor {ratio:g} apart at these probabilities")
    a = float(np.exp(brentq(gap, low, high, xtol=1e-14)))
    return GammaPrior(a, float(mean_life_50_h * gammaincinv(a, 0.5)))


def bayes_test_hours(prior: GammaPrior, mean_life_h: float, confidence: float, failures: int) -> float:
    """Return the test hours that, after ``failures``, put ``confidence`` on a mean life above ``mean_life_h``.

    ``prior`` of the rate (NIST 8.3.1.5). 0 where the prior alone says so.

    Raises:
        LifeDataError: an argument is impossible.
    """
    check_confidence(confidence, "one")
    if not mean_life_h > 0 or failures < 0:
        raise LifeDataError("a mean life is above 0, failures are not below 0")
    return max(0.0, float(mean_life_h * gammaincinv(prior.a + failures, confidence) - prior.b))


def acceptance_probability(mean_life_h: float, device_hours: float, failures: int) -> float:
    """Return the probability of at most ``failures`` in ``device_hours`` if the mean life is ``mean_life_h``."""
    if not (mean_life_h > 0 and device_hours > 0 and failures >= 0):
        raise LifeDataError("lives, hours and failures must not be below 0")
    return float(1 - gammainc(failures + 1, device_hours / mean_life_h))
