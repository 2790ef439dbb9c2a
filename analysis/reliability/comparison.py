"""Which life model the data speak for: Weibull against a defective sub-population against a mixture, by default.

Latent defects are a sub-population that dies early, not a Weibull of low shape: which it is decides what happens after
the test. Models are ranked by Akaike's criterion; nested ones are tested by likelihood ratio. The probability of
failing is given under each: where they differ, the data do not tell.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from scipy.special import gammaincc

from analysis.reliability.errors import LifeDataError, NoFailures
from analysis.reliability.fitting import LifeFit, fit_model
from analysis.reliability.life_data import LifeData

DEFAULT_MODELS = (
    "exponential", "weibull", "lognormal", "defective-weibull", "defective-lognormal", "mixture-weibull",
)  # fmt: skip
_NESTED = (
    ("exponential", "weibull", 1, False),
    ("weibull", "defective-weibull", 1, True),
    ("lognormal", "defective-lognormal", 1, True),
    ("weibull", "generalized-gamma", 1, False),
    ("lognormal", "generalized-gamma", 1, False),
)
"""Smaller model, larger model, parameters between them, and whether the smaller lies on the larger's edge."""


@dataclass(frozen=True)
class ComparedModel:
    """One model of a comparison.

    Attributes:
        name: of the model.
        fit: ``None`` where it was refused.
        reason: why it was refused; empty otherwise.
        aic_difference: above the best model's; ``None`` where refused.
    """

    name: str
    fit: LifeFit | None
    reason: str
    aic_difference: float | None


@dataclass(frozen=True)
class LikelihoodRatio:
    """A test of a model within another.

    Attributes:
        smaller, larger: the models.
        statistic: twice the difference of their log likelihoods.
        p_value: of as much under the smaller; at an edge (nothing but defective units) a chi-squared counts half.
    """

    smaller: str
    larger: str
    statistic: float
    p_value: float


@dataclass(frozen=True)
class Comparison:
    """Models side by side, best first; refused ones last.

    Attributes:
        models: as fitted.
        tests: of those that are nested.
        remarks: what to mind.
    """

    models: tuple[ComparedModel, ...]
    tests: tuple[LikelihoodRatio, ...]
    remarks: tuple[str, ...]

    @property
    def best(self) -> LifeFit:
        """The fit with the least AIC."""
        best = self.models[0].fit
        if best is None:
            raise LifeDataError("; ".join(f"{each.name}: {each.reason}" for each in self.models))
        return best


def compare_models(data: LifeData, names: Sequence[str] = DEFAULT_MODELS) -> Comparison:
    """Return the models called ``names`` fitted to ``data`` side by side.

    Raises:
        NoFailures: no device failed.
        LifeDataError: every model was refused; each one's reason.
    """
    if data.failures <= 0:
        raise NoFailures(data.devices)
    fits: dict[str, LifeFit] = {}
    reasons: dict[str, str] = {}
    for name in dict.fromkeys(names):
        try:
            fits[name] = fit_model(data, name)
        except LifeDataError as error:
            reasons[name] = str(error)
    if not fits:
        raise LifeDataError("; ".join(f"{name}: {reason}" for name, reason in reasons.items()))
    ranked = sorted(fits, key=lambda name: fits[name].aic)
    least = fits[ranked[0]].aic
    models = [ComparedModel(name, fits[name], "", fits[name].aic - least) for name in ranked]
    models += [ComparedModel(name, None, reason, None) for name, reason in reasons.items()]
    tests = [
        _test(fits[smaller], fits[larger], (smaller, larger), degrees, edge)
        for smaller, larger, degrees, edge in _NESTED
        if smaller in fits and larger in fits
    ]
    return Comparison(tuple(models), tuple(tests), tuple(_remarks(data, models)))


def _test(smaller: LifeFit, larger: LifeFit, names: tuple[str, str], degrees: int, edge: bool) -> LikelihoodRatio:
    statistic = max(0.0, 2 * (larger.log_likelihood - smaller.log_likelihood))
    p_value = float(gammaincc(degrees / 2, statistic / 2))
    # Self & Liang, J. Am. Stat. Assoc. 82, 1987: half the mass is at 0 where the smaller model is on the edge.
    return LikelihoodRatio(*names, statistic, 0.5 * p_value if edge else p_value)


def _remarks(data: LifeData, models: Sequence[ComparedModel]) -> list[str]:
    remarks = []
    near = [each.name for each in models[1:] if each.aic_difference is not None and each.aic_difference < 2]
    if near:
        remarks.append(f"The data do not tell {models[0].name} from {', '.join(near)}: AIC differs by less than 2.")
    if data.failures < 10:
        remarks.append(
            f"Only {data.failures:g} failures: models are ranked by little, and every interval rests on the chosen one."
        )
    return remarks
