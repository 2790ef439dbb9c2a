"""Maximum-likelihood fits of life models, accepted by their score and information, refused otherwise.

Starting points come from the data; models whose likelihood has several hills are started from several places, and the
highest that passes is taken. Plain Weibull on exact and right-censored times goes through its profile.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from analysis.reliability import jets
from analysis.reliability.distributions import (
    Exponential,
    Gamma,
    GeneralizedGamma,
    LifeModel,
    LocationScale,
    Mixture,
    Moments,
    ThresholdWeibull,
    standard_quantile,
)
from analysis.reliability.errors import (
    LifeDataError,
    NoFailures,
    NotConverged,
    NotIdentified,
    OneDistinctTime,
    UnboundedLikelihood,
)
from analysis.reliability.jets import Floats, Jet
from analysis.reliability.life_data import LifeData
from analysis.reliability.likelihood import log_likelihood
from analysis.reliability.maximization import Maximum, invert_information, maximize
from analysis.reliability.weibull_profile import FITTED, ONE_DISTINCT_TIME, fit_weibull_groups

FAMILIES = ("weibull", "lognormal", "loglogistic")
MODELS = (
    "exponential",
    *FAMILIES,
    "weibull-3",
    "gamma",
    "generalized-gamma",
    "defective-weibull",
    "defective-lognormal",
    "mixture-weibull",
    "mixture-lognormal",
)
_LOG_ODDS_LIMIT = 25.0
_LEAST_POPULATION = 3.0


@dataclass(frozen=True)
class LifeFit:
    """A life model fitted to data.

    Attributes:
        model: what was fitted.
        data: to what.
        maximum: working parameters, log likelihood, covariance, and how good the optimum is.
    """

    model: LifeModel
    data: LifeData
    maximum: Maximum

    @property
    def log_likelihood(self) -> float:
        """At the maximum."""
        return self.maximum.value

    @property
    def aic(self) -> float:
        """Akaike's criterion."""
        return 2 * self.model.parameters - 2 * self.maximum.value

    @property
    def bic(self) -> float:
        """Schwarz's criterion; its sample size is the number of failures, not of devices (Volinsky & Raftery 2000)."""
        return float(self.model.parameters * np.log(self.data.failures) - 2 * self.maximum.value)

    def natural(self) -> dict[str, tuple[float, float]]:
        """Return each parameter people know with its standard error by the delta method."""
        with np.errstate(all="ignore"):
            named = self.model.natural(jets.variables(self.maximum.theta))
        return {
            name: (float(jet.value[0]), standard_error(jet, self.maximum.covariance)) for name, jet in named.items()
        }

    def failure_probability(self, hours: Sequence[float] | Floats, stress: Floats | None = None) -> Floats:
        """Return the probability of having failed at ``hours``, ``(n,)``, under ``stress``, ``(n, stresses)``.

        Returns float64 of shape ``(n,)``.
        """
        return np.asarray(-np.expm1(-self.cumulative_hazard(hours, stress).value))

    def cumulative_hazard(self, hours: Sequence[float] | Floats, stress: Floats | None = None) -> Jet:
        """Return the jet of the cumulative hazard at ``hours``, ``(n,)``, under ``stress``, ``(n, stresses)``."""
        plain = Moments.at(hours)
        moments = plain if stress is None else Moments(plain.hours, stress, plain.cause)
        with np.errstate(all="ignore"):
            return self.model.hazards(jets.variables(self.maximum.theta), moments)[1]


def standard_error(jet: Jet, covariance: Floats) -> float:
    """Return the standard error of ``jet`` (``n = 1``) under ``covariance``, ``(k, k)``, of its parameters."""
    slope = jet.slope[:, 0]
    return float(np.sqrt(max(float(slope @ covariance @ slope), 0.0)))


def fit_model(data: LifeData, name: str) -> LifeFit:
    """Return the fit of the model called ``name``, one of :data:`MODELS`, to ``data``.

    Raises:
        LifeDataError: the data do not allow it; the type and the message say why.
    """
    if name not in MODELS:
        raise LifeDataError(f"there is no life model {name!r}; there are {', '.join(MODELS)}")
    if data.failures <= 0:
        raise NoFailures(data.devices)
    model, starts = _STARTS[name](data)
    if name != "exponential":
        check_spread(data, model.name)
    if name == "weibull" and not data.interval.any() and not data.truncated.any():
        return _by_profile(data)
    return climb(data, model, starts)


def climb(data: LifeData, model: LifeModel, starts: Sequence[Floats]) -> LifeFit:
    """Return the highest accepted maximum of ``model`` on ``data`` from ``starts``, each of shape ``(k,)``.

    Raises:
        LifeDataError: no start leads to one; the first's reason.
    """
    found: list[Maximum] = []
    reasons: list[LifeDataError] = []
    for start in starts:
        try:
            maximum = maximize(lambda theta: log_likelihood(model, theta, data), start, model.name)
            _check_interior(model, maximum, data)
        except LifeDataError as error:
            reasons.append(error)
            continue
        found.append(maximum)
    if not found:
        raise reasons[0]
    return LifeFit(model, data, max(found, key=lambda each: each.value))


def check_spread(data: LifeData, name: str) -> None:
    """Refuse data that know failures at one time only, and no device's survival beyond, for the model ``name``.

    Raises:
        OneDistinctTime: ``data`` are such.
    """
    failed = ~data.right
    if len(np.unique(data.lower[failed][:1000])) > 2:
        return
    intervals = np.unique(np.stack([data.lower[failed], data.upper[failed]]), axis=1)
    times = np.unique(np.concatenate([data.lower[data.right], intervals.ravel()]))
    inner = times[(times > intervals[0].min()) & (times > 0)]
    if intervals.shape[1] == 1 and (inner.size <= 1 and not (inner > intervals[1, 0]).any()):
        raise OneDistinctTime(name, data.failures)


def _check_interior(model: LifeModel, maximum: Maximum, data: LifeData) -> None:
    """A part of 0 or 1 is an edge, not an estimate; a population of two failures is a spike of the likelihood."""
    if not isinstance(model, Mixture):
        return
    if abs(maximum.theta[-1]) > _LOG_ODDS_LIMIT:
        raise NotIdentified(model.name, "one of the two sub-populations vanishes: a plain distribution fits as well")
    part = 1 / (1 + np.exp(-maximum.theta[-1]))
    if model.second is not None and min(part, 1 - part) * data.devices < _LEAST_POPULATION:
        raise NotIdentified(model.name, "one of the two sub-populations would have fewer than three devices")


def _by_profile(data: LifeData) -> LifeFit:
    """Fit Weibull by its profile, whose sums give score and information without another look at the data."""
    model = LocationScale("weibull", anchor_of(data))
    # A device taken away at 0 hours says nothing.
    begun = data.lower > 0
    groups = fit_weibull_groups(data.lower[begun], data.exact[begun], None, data.count[begun])
    if groups.status[0] == ONE_DISTINCT_TIME:
        raise UnboundedLikelihood("weibull", "no device fails before the last time, so that the shape grows for ever")
    if groups.status[0] != FITTED:
        raise NotConverged("weibull", float(groups.score[0]), 0)
    sigma = float(groups.sigma[0])
    z = standard_quantile("weibull", model.anchor)
    theta = np.asarray([groups.mu[0] + sigma * z, np.log(sigma)])
    plain = np.asarray([[groups.var_mu[0], groups.cov[0]], [groups.cov[0], groups.var_log_sigma[0]]])
    turn = np.asarray([[1.0, sigma * z], [0.0, 1.0]])
    covariance, condition = invert_information(np.linalg.inv(turn @ plain @ turn.T), "weibull")
    # The profile score by log sigma is the gap over sigma, times the failures.
    norm = float(groups.score[0] * groups.failures[0] * np.sqrt(groups.var_log_sigma[0]))
    return LifeFit(model, data, Maximum(theta, float(groups.log_likelihood[0]), covariance, norm, condition, 0))


def anchor_of(data: LifeData) -> float:
    """Return a fraction failed that ``data`` tell well: half of that which failed."""
    return float(np.clip(0.5 * data.failures / data.devices, 1e-12, 0.6))


def failed_logs(data: LifeData) -> tuple[Floats, Floats]:
    """Return log hours of the failures of ``data``, the middle of what is known, and their counts, both ``(m,)``."""
    failed = ~data.right
    low, high = data.lower[failed], data.upper[failed]
    middle = np.where(low > 0, np.sqrt(np.maximum(low, 1e-300) * high), high / 2)
    return np.log(middle), data.count[failed]


def _centre(data: LifeData) -> tuple[float, float]:
    logs, counts = failed_logs(data)
    mean = float(np.average(logs, weights=counts))
    return mean, max(float(np.sqrt(np.average((logs - mean) ** 2, weights=counts))), 0.05)


Starts = tuple[LifeModel, list[Floats]]


def _exponential(data: LifeData) -> Starts:
    ends = np.where(data.right, data.lower, np.where(data.exact, data.lower, 0.5 * (data.lower + data.upper)))
    return Exponential(), [np.asarray([np.log(float((data.count * ends).sum()) / data.failures)])]


def _location_scale(family: str) -> Callable[[LifeData], Starts]:
    def starts(data: LifeData) -> Starts:
        mean, spread = _centre(data)
        return LocationScale(family, anchor_of(data)), [np.asarray([mean, np.log(spread)])]

    return starts


def _threshold(data: LifeData) -> Starts:
    failed = ~data.right
    first = float(np.where(data.exact, data.lower, data.upper)[failed].min())
    anchor = anchor_of(data)
    logs, counts = failed_logs(data)
    starts = []
    for part in (0.02, 0.1, 0.3, 0.6, 0.9):
        past = np.log(np.maximum(np.exp(logs) - first * (1 - part), 1e-3 * first))
        mean = float(np.average(past, weights=counts))
        spread = max(float(np.sqrt(np.average((past - mean) ** 2, weights=counts))), 0.05)
        starts.append(np.asarray([mean, np.log(spread), np.log(first * part)]))
    return ThresholdWeibull(first, anchor), starts


def _generalized_gamma(data: LifeData) -> Starts:
    starts = []
    for family, shape in (("lognormal", 0.2), ("weibull", 0.9)):
        fit = fit_model(data, family)
        named = fit.natural()
        starts.append(np.asarray([named["mu"][0], np.log(named["sigma"][0]), shape]))
    return GeneralizedGamma(), starts


def _gamma(data: LifeData) -> Starts:
    mean = float(fit_model(data, "exponential").natural()["mean_h"][0])
    return Gamma(), [np.asarray([np.log(shape), np.log(mean / shape)]) for shape in (1.0, 3.0, 0.4)]


def _defective(family: str) -> Callable[[LifeData], Starts]:
    def starts(data: LifeData) -> Starts:
        mean, spread = _centre(data)
        part = min(data.failures / data.devices, 0.98)
        model = Mixture(LocationScale(family, 0.5))
        made = []
        for more, later in ((1.02, 0.0), (1.3, 0.3), (3.0, 1.0)):
            odds = min(part * more, 0.5 * (1 + part))
            made.append(np.asarray([mean + later * spread, np.log(0.8 * spread), np.log(odds / (1 - odds))]))
        return model, made

    return starts


def _mixture(family: str) -> Callable[[LifeData], Starts]:
    def starts(data: LifeData) -> Starts:
        logs, counts = failed_logs(data)
        order = np.argsort(logs)
        logs, counts = logs[order], counts[order]
        below = np.cumsum(counts) / data.devices
        made = []
        for part in (0.15, 0.3, 0.45, 0.6, 0.8):
            early = below <= part * below[-1]
            if early.sum() < 2 or (~early).sum() < 2:
                continue
            pieces: list[float] = []
            for rows in (early, ~early):
                mean = float(np.average(logs[rows], weights=counts[rows]))
                spread = float(np.sqrt(np.average((logs[rows] - mean) ** 2, weights=counts[rows])))
                pieces += [mean, np.log(max(0.8 * spread, 0.05))]
            odds = min(max(float(below[early][-1]), 1e-9), 0.99)
            made.append(np.asarray([*pieces, np.log(odds / (1 - odds))]))
        if not made:
            raise NotIdentified(f"mixture-{family}", "two sub-populations need at least four distinct failure times")
        # The later population may still be young: its anchor is what of it has failed.
        rest = float(np.clip(0.5 * below[-1], 1e-9, 0.5))
        return Mixture(LocationScale(family, 0.5), LocationScale(family, rest)), made

    return starts


_STARTS: dict[str, Callable[[LifeData], Starts]] = {
    "exponential": _exponential,
    **{family: _location_scale(family) for family in FAMILIES},
    "weibull-3": _threshold,
    "gamma": _gamma,
    "generalized-gamma": _generalized_gamma,
    **{f"defective-{family}": _defective(family) for family in ("weibull", "lognormal")},
    **{f"mixture-{family}": _mixture(family) for family in ("weibull", "lognormal")},
}
